"""Snapshot changes as bytes for WatchSnapshot: canonical JSON of the tables that a Guard decides on.

No names, phones, assigned customers or keys that digest are in it (design, section 6): what needs them is asked centrally.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from infosec import canonical
from infosec.canonical import Json
from infosec.decision.operations import Operation, OperationClass, Purpose
from infosec.decision.roles import Permission, PlaceScope, Reach, Role
from infosec.decision.snapshot import Changes
from infosec.decision.tables import Limits, OpenHours, Session, Staff, StaffState, Store, System, Terminal
from infosec.errors import InfosecError, Internal, Reason
from infosec.ids import OperationCode, RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId

Row = dict[str, Any]
Key = TypeVar("Key", bound=str)
Value = TypeVar("Value")


def encode(changes: Changes) -> bytes:
    """The changes of operations, roles, stores, terminals, systems, staff, sessions, session keys and limits."""
    document: dict[str, Json] = {}
    _put(document, "operations", changes.operations, _write_operation)
    _put(document, "roles", changes.roles, _write_role)
    _put(document, "stores", changes.stores, _write_store)
    _put(document, "terminals", changes.terminals, _write_terminal)
    _put(document, "systems", changes.systems, _write_system)
    _put(document, "staff", changes.staff, _write_staff)
    _put(document, "sessions", changes.sessions, _write_session)
    if "session" in changes.keys:
        document["keys"] = {kid: key.hex() for kid, key in (changes.keys["session"] or {}).items()}
    if changes.limits is not None:
        document["limits"] = _write_limits(changes.limits)
    return canonical.encode(document)


def decode(body: bytes, revisions: Mapping[RegionId, int], as_of_s: float) -> Changes:
    """The changes again. Raises Internal for bytes that no server of ours sends."""
    try:
        document: Any = canonical.decode_strict(body)

        def table(name: str, read: Callable[[str, Row], Any]) -> dict[Any, Any]:
            return {key: None if row is None else read(key, row) for key, row in document.get(name, {}).items()}

        return Changes(
            revisions=revisions,
            as_of_s=as_of_s,
            operations=table("operations", _read_operation),
            roles=table("roles", _read_role),
            stores=table("stores", _read_store),
            terminals=table("terminals", _read_terminal),
            systems=table("systems", _read_system),
            staff=table("staff", _read_staff),
            sessions=table("sessions", _read_session),
            keys=(
                {"session": {kid: bytes.fromhex(key) for kid, key in document["keys"].items()}}
                if "keys" in document
                else {}
            ),
            limits=_read_limits(document["limits"]) if "limits" in document else None,
        )
    except (InfosecError, KeyError, ValueError, TypeError, AttributeError):
        raise Internal(Reason.INTERNAL, detail="a snapshot message could not be read") from None


def _put(
    document: dict[str, Json], name: str, table: Mapping[Key, Value | None], write: Callable[[Value], Json]
) -> None:
    if table:
        document[name] = {str(key): None if row is None else write(row) for key, row in table.items()}


def _ms(seconds: float) -> int:
    """Canonical JSON here has no fractions: moments travel in milliseconds."""
    return math.floor(seconds * 1000)


def _hours(hours: OpenHours) -> list[Json]:
    return [[opens, closes] for opens, closes in hours]


def _read_hours(hours: list[list[int]]) -> OpenHours:
    return tuple((opens, closes) for opens, closes in hours)


def _write_operation(row: Operation) -> Json:
    return {
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "class": row.cls.value,
        "second": list(row.second_person_roles),
        "bound": row.customer_bound,
        "unmasks": row.unmasks,
    }


def _read_operation(key: str, row: Row) -> Operation:
    return Operation(
        code=OperationCode(key),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        cls=OperationClass(row["class"]),
        second_person_roles=tuple(RoleId(role) for role in row["second"]),
        customer_bound=row["bound"],
        unmasks=row["unmasks"],
    )


def _write_role(row: Role) -> Json:
    return {
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "place": row.place.value,
        "privileged": row.privileged,
        "partner": row.partner,
        "permissions": {code: [entry.reach.value, sorted(entry.purposes)] for code, entry in row.permissions.items()},
    }


def _read_role(key: str, row: Row) -> Role:
    return Role(
        role_id=RoleId(key),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        place=PlaceScope(row["place"]),
        privileged=row["privileged"],
        partner=row["partner"],
        permissions={
            OperationCode(code): Permission(reach=Reach(reach), purposes=frozenset(Purpose(p) for p in purposes))
            for code, (reach, purposes) in row["permissions"].items()
        },
    )


def _write_store(row: Store) -> Json:
    return {
        "region": row.region,
        "weekly": [_hours(day) for day in row.weekly],
        "special": {str(day): _hours(hours) for day, hours in row.special.items()},
        "closed": row.closed,
    }


def _read_store(key: str, row: Row) -> Store:
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (_read_hours(day) for day in row["weekly"])
    return Store(
        store_id=StoreId(key),
        region=RegionId(row["region"]),
        weekly=(monday, tuesday, wednesday, thursday, friday, saturday, sunday),
        special={int(day): _read_hours(hours) for day, hours in row["special"].items()},
        closed=row["closed"],
    )


def _write_terminal(row: Terminal) -> Json:
    return {"store": row.store, "retired": row.retired}


def _read_terminal(key: str, row: Row) -> Terminal:
    return Terminal(terminal_id=TerminalId(key), store=StoreId(row["store"]), retired=row["retired"])


def _write_system(row: System) -> Json:
    return {"stores": sorted(row.stores), "terminals": sorted(row.terminals), "active": row.active}


def _read_system(key: str, row: Row) -> System:
    return System(
        system_id=SystemId(key),
        stores=frozenset(StoreId(store) for store in row["stores"]),
        terminals=frozenset(TerminalId(terminal) for terminal in row["terminals"]),
        active=row["active"],
    )


def _write_staff(row: Staff) -> Json:
    return {
        "role": row.role,
        "region": row.region,
        "store": row.store,
        "state": row.state.value,
        "ends_ms": _ms(row.password_ends_s),
        "epoch": row.epoch,
        "partner": row.partner,
    }


def _read_staff(key: str, row: Row) -> Staff:
    return Staff(
        staff_id=StaffId(key),
        role=RoleId(row["role"]),
        region=RegionId(row["region"]),
        store=None if row["store"] is None else StoreId(row["store"]),
        state=StaffState(row["state"]),
        password_ends_s=row["ends_ms"] / 1000,
        epoch=row["epoch"],
        partner=row["partner"],
    )


def _write_session(row: Session) -> Json:
    return {
        "staff": row.staff_id,
        "terminal": row.terminal,
        "store": row.store,
        "started_ms": _ms(row.started_s),
        "ends_ms": _ms(row.ends_s),
        "seen_ms": _ms(row.last_seen_s),
        "epoch": row.staff_epoch,
        "locked": row.locked,
        "restricted": row.restricted,
        "ended": row.ended,
    }


def _read_session(key: str, row: Row) -> Session:
    return Session(
        session_id=SessionId(key),
        staff_id=StaffId(row["staff"]),
        terminal=TerminalId(row["terminal"]),
        store=StoreId(row["store"]),
        started_s=row["started_ms"] / 1000,
        ends_s=row["ends_ms"] / 1000,
        last_seen_s=row["seen_ms"] / 1000,
        staff_epoch=row["epoch"],
        locked=row["locked"],
        restricted=row["restricted"],
        ended=row["ended"],
    )


def _write_limits(row: Limits) -> Json:
    return {
        "profile": row.profile,
        "idle_ms": _ms(row.idle_s),
        "grace_ms": _ms(row.idle_grace_s),
        "stale_ms": _ms(row.staleness_s),
    }


def _read_limits(row: Row) -> Limits:
    return Limits(
        profile=row["profile"],
        idle_s=row["idle_ms"] / 1000,
        idle_grace_s=row["grace_ms"] / 1000,
        staleness_s=row["stale_ms"] / 1000,
    )
