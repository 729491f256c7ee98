"""What two administrators may agree on for roles and operations, and what no change may undo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authsvc.roles import checked_operation, checked_role, operation_changes, role_changes
from infosec.decision.operations import BULK_EXPORT, CATALOGUE, UNMASK, Operation, OperationClass
from infosec.decision.roles import ROLES, UNLIMITED, Permission, PlaceScope, Reach, Role
from infosec.errors import InvalidInput
from infosec.ids import OperationCode, RoleId

CLERK, AUDITOR = ROLES[RoleId("clerk")], ROLES[RoleId("auditor")]
ADMINISTRATOR, PARTNER = ROLES[RoleId("administrator")], ROLES[RoleId("partner-agent")]
AGENT = ROLES[RoleId("service-agent")]
FULL_VIEW = OperationCode("1500")
NEW = Role(role_id=RoleId("trainer"), name_zh="培训师", name_en="Trainer", place=PlaceScope.OWN_STORE)


def check(role: Role) -> Role:
    return checked_role(role, ROLES, CATALOGUE)


def refused(role: Role) -> str:
    with pytest.raises(InvalidInput) as error:
        check(role)
    return error.value.details["field"]


def operation(present: Operation, **changed: object) -> Operation:
    return checked_operation(replace(present, **changed), ROLES, CATALOGUE)  # type: ignore[arg-type]


def refused_operation(present: Operation, **changed: object) -> str:
    with pytest.raises(InvalidInput) as error:
        operation(present, **changed)
    return error.value.details["field"]


@pytest.mark.rule("CI-2")
def test_every_built_in_role_and_operation_may_be_written_again() -> None:
    for role in ROLES.values():
        assert check(role) == role
    for one in CATALOGUE.values():
        assert checked_operation(one, ROLES, CATALOGUE) == one


@pytest.mark.rule("CI-2")
@pytest.mark.parametrize("role_id", ["regional-manager", "carrier-duty-officer", "auditor"])
def test_a_privileged_role_never_gets_an_operation_on_a_customer(role_id: str) -> None:
    for one in CATALOGUE.values():
        if one.customer_bound:
            assert refused(replace(ROLES[RoleId(role_id)], permissions={one.code: UNLIMITED})) == "role.permissions"


@pytest.mark.rule("CI-2")
def test_an_administrator_gets_nothing_at_all_not_even_the_auditors_export() -> None:
    for code in CATALOGUE:
        assert refused(replace(ADMINISTRATOR, permissions={code: UNLIMITED})) == "role.permissions"
    assert check(replace(AUDITOR, permissions={BULK_EXPORT.code: UNLIMITED}))


@pytest.mark.rule("ID-8")
def test_nobody_becomes_privileged_or_stops_being_so_by_an_edit() -> None:
    assert refused(replace(CLERK, privileged=True)) == "role.is_privileged"
    assert refused(replace(ADMINISTRATOR, privileged=False)) == "role.is_privileged"
    assert refused(replace(AUDITOR, place=PlaceScope.OWN_STORE)) == "role.place"
    assert check(replace(NEW, privileged=True, place=PlaceScope.REGION))


@pytest.mark.rule("CI-2")
def test_a_partner_stays_one_and_keeps_to_its_own_list() -> None:
    assert refused(replace(PARTNER, partner=False)) == "role.is_partner"
    assert refused(replace(CLERK, partner=True)) == "role.is_partner"
    assert refused(replace(NEW, partner=True, privileged=True)) == "role.is_partner"
    assert refused(replace(PARTNER, permissions={FULL_VIEW: UNLIMITED})) == "role.permissions"
    assert check(replace(PARTNER, permissions={FULL_VIEW: Permission(reach=Reach.OWN_LIST)}))


@pytest.mark.rule("CI-2")
def test_outside_the_hall_one_serves_assigned_customers_alone() -> None:
    assert refused(replace(AGENT, permissions={FULL_VIEW: UNLIMITED})) == "role.permissions"
    assert check(replace(AGENT, permissions={FULL_VIEW: Permission(reach=Reach.ASSIGNED_OR_WORK_ORDER)}))


@pytest.mark.rule("CI-2")
@pytest.mark.parametrize("place", [PlaceScope.REGION, PlaceScope.CARRIER])
def test_customers_are_served_in_ones_own_store(place: PlaceScope) -> None:
    assert refused(replace(CLERK, place=place)) == "role.place"
    assert check(replace(NEW, place=place))


@pytest.mark.rule("CI-2")
def test_a_role_names_operations_that_exist_and_has_a_name() -> None:
    assert refused(replace(NEW, permissions={OperationCode("1507"): UNLIMITED})) == "role.permissions"
    assert refused(replace(NEW, name_zh=" ")) == "role.name_zh"
    assert refused(replace(NEW, name_en="a\u202eb")) == "role.name_en"


@pytest.mark.rule("RQ-7")
def test_an_operation_never_loses_its_second_person() -> None:
    for one in CATALOGUE.values():
        if one.second_person_roles and one.cls is not OperationClass.REVERSE and not one.unmasks:
            assert refused_operation(one, second_person_roles=()) == "operation.second_person_roles"
    with pytest.raises(InvalidInput):
        replace(UNMASK, second_person_roles=())


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize("role", ["nobody", "administrator", "auditor", "partner-agent"])
def test_the_second_person_is_somebody_who_may_be_one(role: str) -> None:
    assert refused_operation(UNMASK, second_person_roles=(RoleId(role),)) == "operation.second_person_roles"


@pytest.mark.rule("CI-2")
def test_an_operation_keeps_its_class_for_the_class_asks_for_consent_and_identity() -> None:
    opening = CATALOGUE[OperationCode("1104")]
    assert refused_operation(opening, cls=OperationClass.PAY) == "operation.operation_class"
    assert refused_operation(UNMASK, unmasks=False) == "operation"
    assert refused_operation(BULK_EXPORT, customer_bound=True) == "operation"
    assert refused_operation(opening, name_zh="") == "operation.name_zh"


def test_an_operation_may_get_a_second_person_and_another_name() -> None:
    opening, manager = CATALOGUE[OperationCode("1104")], RoleId("store-manager")
    changed = operation(opening, second_person_roles=(manager, manager), name_zh="开户")
    assert changed.second_person_roles == (manager,)
    assert operation_changes(changed, opening) == "1104 second_person=store-manager name=开户"
    assert operation_changes(opening, opening) == "1104"


def test_a_new_operation_is_told_with_its_class() -> None:
    new = Operation(code=OperationCode("x009"), name_zh="新业务", name_en="New", cls=OperationClass.READ)
    assert checked_operation(new, ROLES, CATALOGUE) == new
    assert operation_changes(new, None) == "x009 new class=READ second_person=-"


def test_a_change_of_a_role_is_told_by_what_it_gives_and_takes() -> None:
    permissions = dict(CLERK.permissions)
    del permissions[OperationCode("1302")]
    permissions[OperationCode("x004")] = UNLIMITED
    permissions[FULL_VIEW] = Permission(reach=Reach.ASSIGNED)
    changed = replace(CLERK, permissions=permissions, name_en="Counter clerk", place=PlaceScope.ASSIGNED)
    assert role_changes(changed, CLERK) == "clerk +x004 -1302 ~1500 place=ASSIGNED name=营业员"
    assert role_changes(NEW, None) == "trainer new place=OWN_STORE"
    assert role_changes(CLERK, CLERK) == "clerk"
