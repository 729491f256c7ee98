"""Section G, spelled out a second time, against the built-in catalogue and roles."""

from __future__ import annotations

import pytest

from infosec.decision.operations import CATALOGUE, HANDBOOK_CODES, Operation, OperationClass, Purpose
from infosec.decision.policy import compile_policy
from infosec.decision.roles import ROLES, UNLIMITED, Permission, PlaceScope, Reach, Role
from infosec.errors import InfosecError
from infosec.ids import OperationCode, RoleId

CLASSES = {
    "OPEN": "1104 e199",
    "REVERSE": "1121 b083",
    "CHANGE": "1210 1213 1267 1270 1936 1937 1956 2420 3356 3381 123f x001 x002 x003",
    "SIM": "1220 1247",
    "PAY": "1302 1333",
    "READ": "1285 1354 1500 1522 1548 1549 1557 2122 8783 x004 x005",
}
LISTED = " ".join(CLASSES.values()).replace("x001 x002 x003", "").replace("x004 x005", "")
CLERK = LISTED + " x001 x002 x003"
MAY = {
    "clerk": CLERK,
    "vip-clerk": CLERK,
    "duty-manager": CLERK + " x004",
    "store-manager": CLERK + " x004",
    "business-specialist": CLERK + " x004",
    "concierge": "2122 8783 1500",
    "receptionist": "2122 8783 1500",
    "demo-specialist": "2122 8783 1936 1937 1956 3356",
    "community-manager": "1500 1522 1548 1267 1270 123f",
    "service-agent": "1500 1522 1548 1549 1557 8783",
    "partner-agent": "1104 1247 1333",
    "regional-manager": "",
    "carrier-duty-officer": "",
    "auditor": "x005",
    "administrator": "",
}


@pytest.mark.rule("CI-2")
def test_the_catalogue_is_the_handbooks_28_codes_and_five_of_ours() -> None:
    assert len(HANDBOOK_CODES) == 28
    by_class = {cls: {code for code, op in CATALOGUE.items() if op.cls == cls} for cls in OperationClass}
    assert by_class == {cls: set(codes.split()) for cls, codes in CLASSES.items()}
    assert len(CATALOGUE) == 33
    assert OperationCode("1507") not in CATALOGUE


@pytest.mark.rule("RQ-7")
def test_the_second_person_is_named_for_just_these_operations() -> None:
    second = {code: set(op.second_person_roles) for code, op in CATALOGUE.items() if op.second_person_roles}
    assert second == {
        "1121": {"duty-manager", "store-manager"},
        "b083": {"duty-manager", "store-manager"},
        "x001": {"store-manager"},
        "x002": {"store-manager"},
        "x003": {"store-manager"},
        "x004": {"store-manager"},
        "x005": {"regional-manager"},
    }


@pytest.mark.rule("CI-2")
def test_every_role_may_ask_for_what_section_g_lists() -> None:
    assert {role_id: set(role.permissions) for role_id, role in ROLES.items()} == {
        role_id: set(codes.split()) for role_id, codes in MAY.items()
    }


@pytest.mark.rule("CI-2")
def test_permissions_are_narrowed_as_section_g_says() -> None:
    narrowed = {
        (role_id, code): permission
        for role_id, role in ROLES.items()
        for code, permission in role.permissions.items()
        if not permission.is_unlimited
    }
    complaint = Permission(purposes=frozenset({Purpose.COMPLAINT}))
    expected = {("concierge", "1500"): complaint, ("receptionist", "1500"): complaint}
    for role, reach in (
        ("community-manager", Reach.ASSIGNED_OR_WORK_ORDER),
        ("service-agent", Reach.ASSIGNED),
        ("partner-agent", Reach.OWN_LIST),
    ):
        expected |= {(role, code): Permission(reach=reach) for code in MAY[role].split()}
    assert narrowed == expected


def test_places_privileges_and_partners() -> None:
    privileged = {role_id for role_id, role in ROLES.items() if role.privileged}
    assert privileged == {"regional-manager", "carrier-duty-officer", "auditor", "administrator"}
    assert {role_id for role_id, role in ROLES.items() if role.partner} == {"partner-agent"}
    outside = {role_id for role_id, role in ROLES.items() if role.place is PlaceScope.ASSIGNED}
    assert outside == {"community-manager", "service-agent"}
    assert ROLES[RoleId("regional-manager")].place is PlaceScope.REGION
    carrier = {role_id for role_id, role in ROLES.items() if role.place is PlaceScope.CARRIER}
    assert carrier == {"carrier-duty-officer", "auditor", "administrator"}


def test_everything_has_a_name_in_both_languages() -> None:
    for named in (*CATALOGUE.values(), *ROLES.values()):
        assert named.name_zh
        assert named.name_en.isascii()


@pytest.mark.parametrize(
    "values",
    [
        {"cls": OperationClass.REVERSE},
        {"cls": OperationClass.READ, "unmasks": True},
        {"cls": OperationClass.CHANGE, "customer_bound": False},
    ],
)
@pytest.mark.rule("RQ-7")
def test_an_operation_cannot_be_defined_without_what_its_class_demands(values: dict[str, object]) -> None:
    with pytest.raises(InfosecError):
        Operation(code=OperationCode("y001"), name_zh="新", name_en="New", **values)  # type: ignore[arg-type]


@pytest.mark.rule("CI-2")
def test_compiled_bits_say_what_the_roles_say() -> None:
    policy = compile_policy(CATALOGUE, ROLES)
    for role_id, role in ROLES.items():
        for code in (*CATALOGUE, OperationCode("1507")):
            assert policy.permission(role_id, code) == role.permissions.get(code)
    assert policy.permission(RoleId("visitor"), OperationCode("1302")) is None
    assert policy.permission(RoleId("clerk"), OperationCode("1302")) is UNLIMITED


def test_a_permission_for_a_code_outside_the_catalogue_counts_for_nothing() -> None:
    ghost = OperationCode("1507")
    role = Role(
        role_id=RoleId("clerk"),
        name_zh="营业员",
        name_en="Clerk",
        place=PlaceScope.OWN_STORE,
        permissions={ghost: UNLIMITED},
    )
    assert compile_policy(CATALOGUE, {role.role_id: role}).permission(role.role_id, ghost) is None
