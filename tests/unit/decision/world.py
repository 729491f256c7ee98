"""A small world in which a check is allowed, and named ways to spoil it: what the decision tests are told with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from infosec.decision.check import CheckRequest
from infosec.decision.grants import ConsentChannel, DocumentType, Grant, GrantId, GrantKind
from infosec.decision.operations import CATALOGUE, Operation, OperationClass, Purpose
from infosec.decision.roles import ROLES, PlaceScope, Reach, Role
from infosec.decision.session import SessionHandle
from infosec.decision.snapshot import EMPTY, Changes, Snapshot
from infosec.decision.tables import Binding, Limits, Session, Staff, StaffState, Store, System, Terminal
from infosec.ids import (
    CARRIER,
    OperationCode,
    RegionId,
    RoleId,
    SessionId,
    StaffId,
    StoreId,
    SystemId,
    TerminalId,
)

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)
"""A Wednesday, 12:00 carrier time."""
EAST, WEST = RegionId("east"), RegionId("west")
HALL, ANNEX = StoreId("hall"), StoreId("annex")
DESK, DESK_2, FAR_DESK = TerminalId("desk-1"), TerminalId("desk-2"), TerminalId("annex-1")
BILLING, CRM = SystemId("billing"), SystemId("crm")
ACTOR, OTHER = StaffId("wang.fang"), StaffId("li.na")
SESSION = SessionId("5e551011-0000-4000-8000-000000000001")
INSTALLATION = "installation-1"
CUSTOMER, STRANGER = bytes(range(32)), bytes(range(100, 132))
OPEN_DAY = ((9 * 3600, 18 * 3600),)
FULL_DAY = ((0, 86_400),)


@dataclass(kw_only=True)
class Case:
    """Every input of one decision, as plain records that a test may change."""

    now: datetime
    handle: SessionHandle
    request: CheckRequest
    session: Session
    staff: Staff
    stores: dict[StoreId, Store]
    terminals: dict[TerminalId, Terminal]
    systems: dict[SystemId, System]
    operations: dict[OperationCode, Operation]
    roles: dict[RoleId, Role]
    revisions: dict[RegionId, int]
    as_of_s: float
    assigned: frozenset[bytes] = frozenset()
    bound: dict[GrantId, Binding] = field(default_factory=dict)
    revoked: dict[GrantId, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    session_known: bool = True
    staff_known: bool = True

    def snapshot(self) -> Snapshot:
        return EMPTY.with_changes(
            Changes(
                revisions=self.revisions,
                as_of_s=self.as_of_s,
                operations=self.operations,
                roles=self.roles,
                stores=self.stores,
                terminals=self.terminals,
                systems=self.systems,
                staff={ACTOR: self.staff} if self.staff_known else {},
                sessions={SESSION: self.session} if self.session_known else {},
                assignments={ACTOR: self.assigned} if self.assigned else {},
                bound=self.bound,
                revoked=self.revoked,
                limits=self.limits,
            )
        )

    def ask(self, **changes: Any) -> Case:
        """The same case with another request."""
        self.request = replace(self.request, **changes)
        return self

    @property
    def now_s(self) -> float:
        return self.now.timestamp()


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def case_of(role: str, code: str, *, now: datetime = NOON) -> Case:
    """All that `role` needs to perform `code` is there: if the role may at all, the check is allowed."""
    operation, who = CATALOGUE[OperationCode(code)], ROLES[RoleId(role)]
    permission = who.permissions.get(operation.code)
    purpose = Purpose.ORDER if operation.cls is OperationClass.READ else None
    if permission is not None and permission.purposes:
        purpose = min(permission.purposes)
    customer = CUSTOMER if operation.customer_bound else None
    request = CheckRequest(
        system=BILLING,
        operation=operation.code,
        store=HALL,
        terminal=DESK,
        customer=customer,
        product="plan-58",
        purpose=purpose,
        order="order-1",
    )
    case = Case(
        now=now,
        handle=SessionHandle(
            session_id=SESSION,
            system=BILLING,
            terminal=DESK,
            staff_id=ACTOR,
            region=EAST,
            revision=7,
            installation=INSTALLATION,
            issued_s=seconds(now) - 3600,
            expires_s=seconds(now) + 8 * 3600,
        ),
        request=request,
        session=Session(
            session_id=SESSION,
            staff_id=ACTOR,
            terminal=DESK,
            store=HALL,
            started_s=seconds(now) - 3600,
            ends_s=seconds(now) + 11 * 3600,
            last_seen_s=seconds(now) - 60,
            staff_epoch=3,
        ),
        staff=Staff(
            staff_id=ACTOR,
            role=RoleId(role),
            region=CARRIER if who.place is PlaceScope.CARRIER else EAST,
            store=HALL if who.place is PlaceScope.OWN_STORE else None,
            state=StaffState.ACTIVE,
            password_ends_s=seconds(now) + 20 * 86_400,
            epoch=3,
            partner=who.partner,
        ),
        stores={
            HALL: Store(store_id=HALL, region=EAST, weekly=(OPEN_DAY,) * 7),
            ANNEX: Store(store_id=ANNEX, region=WEST, weekly=(OPEN_DAY,) * 7),
        },
        terminals={
            DESK: Terminal(terminal_id=DESK, store=HALL),
            DESK_2: Terminal(terminal_id=DESK_2, store=HALL),
            FAR_DESK: Terminal(terminal_id=FAR_DESK, store=ANNEX),
        },
        systems={
            BILLING: System(system_id=BILLING, stores=frozenset({HALL})),
            CRM: System(system_id=CRM, terminals=frozenset({FAR_DESK})),
        },
        operations=dict(CATALOGUE),
        roles=dict(ROLES),
        revisions={EAST: 9, CARRIER: 4},
        as_of_s=seconds(now) - 1,
    )
    if permission is not None and permission.reach is not Reach.ANY:
        case.assigned = frozenset({CUSTOMER[:8]})
    kinds = []
    if operation.cls.needs_identity:
        kinds.append(GrantKind.IDENTITY)
    if operation.cls.needs_consent:
        kinds.append(GrantKind.CONSENT)
    if operation.second_person_roles:
        kinds.append(GrantKind.APPROVAL)
    return case.ask(grants=tuple(grant_for(case, kind) for kind in kinds))


def grant_for(case: Case, kind: GrantKind, **changes: Any) -> Grant:
    """A grant of this kind that is good for the case."""
    operation = case.operations.get(case.request.operation)
    proof: dict[str, Any]
    if kind is GrantKind.IDENTITY:
        proof = {"document": DocumentType.ID_CARD}
    elif kind is GrantKind.CONSENT:
        proof = {"channel": ConsentChannel.SMS_REPLY}
    else:
        role = (
            operation.second_person_roles[0] if operation and operation.second_person_roles else RoleId("store-manager")
        )
        proof = {"approver": OTHER, "approver_role": role}
    values: dict[str, Any] = {
        "kind": kind,
        "grant_id": GrantId(f"{kind.value}-1"),
        "installation": INSTALLATION,
        "person": ACTOR,
        "operation": case.request.operation,
        "customer": case.request.customer,
        "product": case.request.product,
        "store": case.request.store,
        "issued_s": seconds(case.now) - 60,
        "expires_s": seconds(case.now) + 240,
    }
    return Grant(**(values | proof | changes))


Spoil = Callable[[Case], None]


def _session(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        case.session = replace(case.session, **changes)

    return spoil


def _staff(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        case.staff = replace(case.staff, **changes)

    return spoil


def _handle(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        case.handle = replace(case.handle, **changes)

    return spoil


def _ask(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        case.ask(**changes)

    return spoil


def _set(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        for name, value in changes.items():
            setattr(case, name, value)

    return spoil


def _hall(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        if HALL in case.stores:
            case.stores[HALL] = replace(case.stores[HALL], **changes)

    return spoil


def _system(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        if BILLING in case.systems:
            case.systems[BILLING] = replace(case.systems[BILLING], **changes)

    return spoil


def _role(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        if case.staff.role in case.roles:
            case.roles[case.staff.role] = replace(case.roles[case.staff.role], **changes)

    return spoil


def _drop(table: str, key: str) -> Spoil:
    def spoil(case: Case) -> None:
        getattr(case, table).pop(key, None)

    return spoil


def _terminal(**changes: Any) -> Spoil:
    def spoil(case: Case) -> None:
        if DESK in case.terminals:
            case.terminals[DESK] = replace(case.terminals[DESK], **changes)

    return spoil


def _clock(name: str, offset_s: float) -> Spoil:
    """Moves one deadline to `offset_s` from now, so that both sides of every limit are met."""

    def spoil(case: Case) -> None:
        moment = case.now_s + offset_s
        if name in ("ends_s", "last_seen_s"):
            case.session = replace(case.session, **{name: moment})
        elif name == "password_ends_s":
            case.staff = replace(case.staff, password_ends_s=moment)
        elif name == "expires_s":
            case.handle = replace(case.handle, expires_s=moment)
        else:
            case.as_of_s = moment

    return spoil


def grants_changed(kind: GrantKind | None, **changes: Any) -> Spoil:
    """Every grant of the kind (or of all), changed where the change fits the kind."""

    def spoil(case: Case) -> None:
        case.ask(grants=tuple(_changed(grant, kind, changes) for grant in case.request.grants))

    return spoil


def _changed(grant: Grant, kind: GrantKind | None, changes: dict[str, Any]) -> Grant:
    return replace(grant, **changes) if kind in (None, grant.kind) else grant


def grants_aged(issued: float, expires: float) -> Spoil:
    def spoil(case: Case) -> None:
        moments = {"issued_s": case.now_s + issued, "expires_s": case.now_s + expires}
        case.ask(grants=tuple(replace(grant, **moments) for grant in case.request.grants))

    return spoil


def without(kind: GrantKind) -> Spoil:
    def spoil(case: Case) -> None:
        case.ask(grants=tuple(grant for grant in case.request.grants if grant.kind is not kind))

    return spoil


def bound_to(order: str) -> Spoil:
    def spoil(case: Case) -> None:
        for grant in case.request.grants:
            case.bound[grant.grant_id] = Binding(order=order, expires_s=case.now_s + 600)

    return spoil


def revoked(kind: GrantKind) -> Spoil:
    def spoil(case: Case) -> None:
        case.revoked[GrantId(f"{kind.value}-1")] = case.now_s + 600

    return spoil


def walk_in(*grants: dict[str, Any]) -> Spoil:
    """A walk-in look-up with these identity grants beside what is there."""

    def spoil(case: Case) -> None:
        case.ask(purpose=Purpose.WALK_IN)
        brought = tuple(grant_for(case, GrantKind.IDENTITY, **changes) for changes in grants)
        case.ask(grants=brought + case.request.grants)

    return spoil


def doubled(case: Case) -> None:
    """A bad grant of every kind in front of the good one."""
    bad = tuple(
        replace(grant, grant_id=GrantId(f"bad-{grant.kind.value}"), customer=STRANGER) for grant in case.request.grants
    )
    case.ask(grants=bad + case.request.grants)


def moved_to(moment: datetime) -> Spoil:
    """The whole case at another time of day, everything else as near its limits as before."""

    def spoil(case: Case) -> None:
        case.now = moment
        at = seconds(moment)
        case.as_of_s = at - 1
        case.handle = replace(case.handle, expires_s=at + 8 * 3600)
        case.session = replace(case.session, last_seen_s=at - 60, ends_s=at + 11 * 3600)
        case.staff = replace(case.staff, password_ends_s=at + 86_400)
        case.ask(grants=tuple(replace(g, issued_s=at - 60, expires_s=at + 240) for g in case.request.grants))

    return spoil


MORNING = NOON - timedelta(hours=3)
EVENING = NOON + timedelta(hours=6)

SPOILS: dict[str, Spoil] = {
    "snapshot fresh to the second": _clock("as_of_s", -5),
    "snapshot stale by half a second": _clock("as_of_s", -5.5),
    "node behind the token": _set(revisions={EAST: 6, CARRIER: 4}),
    "node at the token": _set(revisions={EAST: 7, CARRIER: 4}),
    "node without the region": _set(revisions={CARRIER: 4}),
    "caller demands what is there": _ask(at_least=((EAST, 9), (CARRIER, 4))),
    "caller demands what is not there": _ask(at_least=((EAST, 9), (CARRIER, 5))),
    "caller demands an unknown region": _ask(at_least=((WEST, 0),)),
    "token ends now": _clock("expires_s", 0),
    "token ends next second": _clock("expires_s", 1),
    "token of another system": _handle(system=CRM),
    "token of another terminal": _handle(terminal=DESK_2),
    "asked by another system": _ask(system=CRM),
    "system gone": _drop("systems", BILLING),
    "system off": _system(active=False),
    "system registered nowhere": _system(stores=frozenset()),
    "system registered for the terminal": _system(stores=frozenset(), terminals=frozenset({DESK})),
    "system registered for another store": _system(stores=frozenset({ANNEX})),
    "session unknown": _set(session_known=False),
    "session of another person": _session(staff_id=OTHER),
    "session at another terminal": _session(terminal=DESK_2),
    "session of another store": _session(store=ANNEX),
    "session ended": _session(ended=True),
    "session of an older epoch": _session(staff_epoch=2),
    "session locked": _session(locked=True),
    "session restricted": _session(restricted=True),
    "shift over now": _clock("ends_s", 0),
    "shift over next second": _clock("ends_s", 1),
    "idle for 17.5 minutes": _clock("last_seen_s", -1050),
    "idle for longer": _clock("last_seen_s", -1050.5),
    "idle for 15 minutes": _clock("last_seen_s", -900),
    "staff unknown": _set(staff_known=False),
    **{f"staff {state.value}": _staff(state=state) for state in StaffState},
    "password ends now": _clock("password_ends_s", 0),
    "password ends next second": _clock("password_ends_s", 1),
    "role unknown": _staff(role=RoleId("visitor")),
    "role dropped": _drop("roles", "clerk"),
    "staff of another store": _staff(store=ANNEX),
    "staff of no store": _staff(store=None),
    "staff of another region": _staff(region=WEST),
    "staff is a partner": _staff(partner=True),
    "store unknown": _drop("stores", HALL),
    "terminal unknown": _drop("terminals", DESK),
    "terminal retired": _terminal(retired=True),
    "terminal carried elsewhere": _terminal(store=ANNEX),
    "asked for another store": _ask(store=ANNEX),
    "asked at another terminal": _ask(terminal=DESK_2),
    "store closed for good": _hall(closed=True),
    "store never open": _hall(weekly=((),) * 7),
    "store always open": _hall(weekly=(FULL_DAY,) * 7),
    "store open on Wednesdays only": _hall(weekly=((), (), OPEN_DAY, (), (), (), ())),
    "store open but on Wednesdays": _hall(weekly=(OPEN_DAY, OPEN_DAY, (), OPEN_DAY, OPEN_DAY, OPEN_DAY, OPEN_DAY)),
    "lunch break": _hall(weekly=(((9 * 3600, 12 * 3600), (13 * 3600, 18 * 3600)),) * 7),
    "holiday today": _hall(special={NOON.toordinal(): ()}),
    "holiday tomorrow": _hall(special={NOON.toordinal() + 1: ()}),
    "open specially": _hall(weekly=((),) * 7, special={NOON.toordinal(): OPEN_DAY}),
    "at opening": moved_to(MORNING),
    "before opening": moved_to(MORNING - timedelta(milliseconds=500)),
    "at closing": moved_to(EVENING),
    "before closing": moved_to(EVENING - timedelta(milliseconds=500)),
    "on the next carrier day": moved_to(NOON + timedelta(hours=12, seconds=1)),
    "role acts in its region": _role(place=PlaceScope.REGION),
    "role acts everywhere": _role(place=PlaceScope.CARRIER),
    "role is privileged": _role(privileged=True),
    "role is a partner's": _role(partner=True),
    "role may nothing": _role(permissions={}),
    "operation unknown": _ask(operation=OperationCode("1507")),
    "another operation": _ask(operation=OperationCode("1500")),
    "bulk export": _ask(operation=OperationCode("x005")),
    "operation dropped": _drop("operations", "1104"),
    "no customer": _ask(customer=None),
    "empty customer": _ask(customer=b""),
    "another customer": _ask(customer=STRANGER),
    "customer list empty": _set(assigned=frozenset()),
    "customer list of another": _set(assigned=frozenset({STRANGER[:8]})),
    "no purpose": _ask(purpose=None),
    **{f"purpose {purpose.value}": _ask(purpose=purpose) for purpose in Purpose},
    "work order": _ask(purpose=Purpose.WORK_ORDER, work_order="wo-1"),
    "work order of no number": _ask(purpose=Purpose.WORK_ORDER, work_order=""),
    "work order number alone": _ask(work_order="wo-1"),
    "another product": _ask(product="plan-8"),
    "another order": _ask(order="order-2"),
    "no order": _ask(order=None),
    "no grants": _ask(grants=()),
    **{f"without {kind.value}": without(kind) for kind in GrantKind},
    **{f"{kind.value} revoked": revoked(kind) for kind in GrantKind},
    "grants bound to this order": bound_to("order-1"),
    "grants bound to another order": bound_to("order-2"),
    "grants for this order": grants_changed(None, order="order-1"),
    "grants for another order": grants_changed(None, order="order-2"),
    "grants for this session": grants_changed(None, session=SESSION),
    "grants for another session": grants_changed(None, session=SessionId("another")),
    "grants for this terminal": grants_changed(None, terminal=DESK),
    "grants for another terminal": grants_changed(None, terminal=DESK_2),
    "grants of another person": grants_changed(None, person=OTHER),
    "grants for another operation": grants_changed(None, operation=OperationCode("1302")),
    "grants for another customer": grants_changed(None, customer=STRANGER),
    "grants for another product": grants_changed(None, product=None),
    "grants for another store": grants_changed(None, store=ANNEX),
    "grants of another installation": grants_changed(None, installation="installation-2"),
    "grants end now": grants_aged(-300, 0),
    "grants end next second": grants_aged(-300, 1),
    "grants from a clock ahead": grants_aged(5, 300),
    "grants from the future": grants_aged(5.5, 300),
    **{f"shown {document.value}": grants_changed(GrantKind.IDENTITY, document=document) for document in DocumentType},
    **{
        f"confirmed by {channel.value}": grants_changed(GrantKind.CONSENT, channel=channel)
        for channel in ConsentChannel
    },
    "approved by oneself": grants_changed(GrantKind.APPROVAL, approver=ACTOR),
    **{
        f"approved by a {role}": grants_changed(GrantKind.APPROVAL, approver_role=RoleId(role))
        for role in ("clerk", "duty-manager", "store-manager", "regional-manager", "carrier-duty-officer")
    },
    "bad grants first": doubled,
    "walk-in with nothing": walk_in(),
    "walk-in with a passport": walk_in({"document": DocumentType.PASSPORT}),
    "walk-in with a driving licence": walk_in({"document": DocumentType.DRIVING_LICENCE}),
    "walk-in with another's card, then the customer's": walk_in(
        {"customer": STRANGER}, {"grant_id": GrantId("second")}
    ),
}
"""Most make a check fail, some are just inside a limit and must not. Each is applied to an allowed case, or to a spoilt one."""
