"""Roles: which operations each may ask for, where, and on which customers (CI-2, section G). Data, like the catalogue.

Knows no staff and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from infosec.decision.operations import HANDBOOK_CODES, Purpose
from infosec.ids import OperationCode, RoleId


class PlaceScope(StrEnum):
    """Where a role may act (CI-2)."""

    OWN_STORE = "OWN_STORE"
    """In the store that the person belongs to, in its opening hours."""
    REGION = "REGION"
    """In any store of the person's region, at any hour."""
    ASSIGNED = "ASSIGNED"
    """As REGION, for people outside the hall: what binds them is the list of their customers."""
    CARRIER = "CARRIER"
    """In any store."""


class Reach(StrEnum):
    """On which customers a permission is good (CI-2)."""

    ANY = "ANY"
    ASSIGNED = "ASSIGNED"
    ASSIGNED_OR_WORK_ORDER = "ASSIGNED_OR_WORK_ORDER"
    OWN_LIST = "OWN_LIST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a role's permission for one operation is limited to."""

    reach: Reach = Reach.ANY
    purposes: frozenset[Purpose] = frozenset()
    """The only purposes that it is good for; empty: any."""

    @property
    def is_unlimited(self) -> bool:
        return self.reach is Reach.ANY and not self.purposes


UNLIMITED = Permission()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role, with everything that it may ask for; what is not in `permissions` is denied (CI-2)."""

    role_id: RoleId
    name_zh: str
    name_en: str
    place: PlaceScope
    permissions: Mapping[OperationCode, Permission] = field(default_factory=dict)
    privileged: bool = False
    """Runs, decides or inspects: never gets an operation on a customer, whatever `permissions` say."""
    partner: bool = False
    """Not the carrier's employee: always flagged, and only the customer's own reply confirms for them (CO-4)."""


def _each(codes: str, permission: Permission = UNLIMITED) -> dict[OperationCode, Permission]:
    return {OperationCode(code): permission for code in codes.split()}


_CLERK = {operation.code: UNLIMITED for operation in HANDBOOK_CODES} | _each("x001 x002 x003")
_MANAGER = _CLERK | _each("x004")
_CONCIERGE = _each("2122 8783") | _each("1500", Permission(purposes=frozenset({Purpose.COMPLAINT})))
_DEMO = _each("2122 8783 1936 1937 1956 3356")
_COMMUNITY = _each("1500 1522 1548 1267 1270 123f", Permission(reach=Reach.ASSIGNED_OR_WORK_ORDER))
_AGENT = _each("1500 1522 1548 1549 1557 8783", Permission(reach=Reach.ASSIGNED))
_PARTNER = _each("1104 1247 1333", Permission(reach=Reach.OWN_LIST))


def _front_line(role_id: str, name_zh: str, name_en: str, permissions: Mapping[OperationCode, Permission]) -> Role:
    return Role(
        role_id=RoleId(role_id), name_zh=name_zh, name_en=name_en, place=PlaceScope.OWN_STORE, permissions=permissions
    )


def _privileged(role_id: str, name_zh: str, name_en: str, place: PlaceScope, codes: str = "") -> Role:
    return Role(
        role_id=RoleId(role_id),
        name_zh=name_zh,
        name_en=name_en,
        place=place,
        permissions=_each(codes),
        privileged=True,
    )


def _by_id(roles: Iterable[Role]) -> dict[RoleId, Role]:
    return {role.role_id: role for role in roles}


ROLES: dict[RoleId, Role] = _by_id(
    (
        _front_line("clerk", "营业员", "Clerk", _CLERK),
        _front_line("vip-clerk", "VIP接待", "VIP clerk", _CLERK),
        _front_line("concierge", "流动咨询", "Concierge", _CONCIERGE),
        _front_line("demo-specialist", "业务演示", "Demo specialist", _DEMO),
        _front_line("receptionist", "客户接待", "Receptionist", _CONCIERGE),
        _front_line("duty-manager", "值班经理", "Duty manager", _MANAGER),
        _front_line("store-manager", "店长", "Store manager", _MANAGER),
        _front_line("business-specialist", "综合业务专员", "Business specialist", _MANAGER),
        _privileged("regional-manager", "片区经理", "Regional manager", PlaceScope.REGION),
        _privileged("carrier-duty-officer", "公司值班", "Carrier duty officer", PlaceScope.CARRIER),
        Role(
            role_id=RoleId("community-manager"),
            name_zh="社区经理",
            name_en="Community manager",
            place=PlaceScope.ASSIGNED,
            permissions=_COMMUNITY,
        ),
        Role(
            role_id=RoleId("service-agent"),
            name_zh="客服专员",
            name_en="Service agent",
            place=PlaceScope.ASSIGNED,
            permissions=_AGENT,
        ),
        Role(
            role_id=RoleId("partner-agent"),
            name_zh="代理商",
            name_en="Partner agent",
            place=PlaceScope.OWN_STORE,
            permissions=_PARTNER,
            partner=True,
        ),
        _privileged("auditor", "稽核", "Auditor", PlaceScope.CARRIER, "x005"),
        _privileged("administrator", "管理员", "Administrator", PlaceScope.CARRIER),
    )
)
"""The built-in roles by ID."""

LEVEL_ABOVE: dict[RoleId, RoleId] = {
    RoleId("duty-manager"): RoleId("store-manager"),
    RoleId("store-manager"): RoleId("regional-manager"),
    RoleId("regional-manager"): RoleId("carrier-duty-officer"),
}
"""Who decides where the role that should is itself concerned (RQ-2)."""
