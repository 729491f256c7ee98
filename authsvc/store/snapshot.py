"""Reads of everything that decisions rest on: whole, or the entities that change rows name. Rows in, decision tables out.

All of one look run inside the caller's REPEATABLE READ transaction, so that revisions and rows belong to one state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple, TypeVar

from psycopg import AsyncConnection

from authsvc.policy_codec import operation_from, role_from
from infosec.decision.operations import Operation
from infosec.decision.roles import Role
from infosec.decision.tables import (
    CUSTOMER_PREFIX_BYTES,
    Binding,
    OpenHours,
    Session,
    Staff,
    StaffState,
    Store,
    System,
    Terminal,
)
from infosec.errors import InfosecError
from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.logging import get
from infosec.storage.postgres import Statement

_LOG = get(__name__)
Connection = AsyncConnection[Any]
Entity = TypeVar("Entity", Role, Operation)
Ids = list[str] | None
"""Which entities; None for all that matter now."""
Rows = Sequence[tuple[Any, ...]]
Table = Mapping[Any, Any]

_MIN_S = 60
_MOST_CHANGES = 10_000
"""More changes than this are not read one by one."""
_SHUT: OpenHours = ()
Week = tuple[OpenHours, OpenHours, OpenHours, OpenHours, OpenHours, OpenHours, OpenHours]


class Read(NamedTuple):
    """A question about one kind of entity, and what its rows are: tables, under their names in Changes."""

    statement: Statement
    tables: Callable[[Rows], dict[str, Table]]


class News(NamedTuple):
    """Every region's newest revision, and the IDs by kind of what changed since the known ones.

    None for those when rows are missing, or there are too many: only reading everything will do.
    """

    revisions: Mapping[RegionId, int]
    changed: Mapping[str, list[str]] | None


# With its bound the inner read is a range of the primary key, and never a scan of all that is kept.
_NEWS: LiteralString = """
select r.region_id, r.number, c.kind, c.entity_id
from auth.region_revisions r
left join unnest(%s::text[], %s::bigint[]) as k (region_id, number) on k.region_id = r.region_id
left join lateral (
    select kind, entity_id from auth.changes e
    where e.region_id = r.region_id and e.number > coalesce(k.number, 0) order by e.number limit %s
) c on true
"""


def asking(known: Mapping[RegionId, int]) -> Statement:
    """The statement that looks for news; `news` reads its rows."""
    return _NEWS, (list(known), list(known.values()), _MOST_CHANGES if known else 0)


def news(rows: Rows, known: Mapping[RegionId, int]) -> News:
    """What `asking` was answered.

    Numbers have no gaps, so their difference says how many rows there must be: rows that were cleaned away are noticed,
    whichever they were.
    """
    newest: dict[RegionId, int] = {}
    changed: dict[str, dict[str, None]] = {}
    count = 0
    for region, number, kind, entity in rows:
        newest[RegionId(region)] = number
        if kind is not None:
            changed.setdefault(kind, {})[entity] = None
            count += 1
    expected = sum(max(0, number - known.get(region, 0)) for region, number in newest.items())
    if count != expected or expected > _MOST_CHANGES:
        return News(newest, None)
    return News(newest, {kind: list(ids) for kind, ids in changed.items()})


def _with_absent(found: dict[Any, Any], ids: Ids) -> Table:
    """Asked-for entities that are not there any more are removed from the snapshot."""
    return {**{key: None for key in ids or ()}, **found}


def _read(table: str, query: LiteralString, ids: Ids, entity: Callable[[Any], object], *more: object) -> Read:
    """Of one table; a row begins with the key of its entity."""

    def tables(rows: Rows) -> dict[str, Table]:
        return {table: _with_absent({row[0]: entity(row) for row in rows}, ids)}

    return Read((query, (ids, ids, *more)), tables)


def stores(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = (
        "select store_id, region_id, hours, special_days, is_closed from auth.stores"
        " where %s::text[] is null or store_id = any(%s)"
    )
    return _read("stores", query, ids, _store)


def _store(row: Any) -> Store:
    return Store(
        store_id=StoreId(row[0]),
        region=RegionId(row[1]),
        weekly=_weekly(row[2]),
        special=_special(row[3]),
        closed=row[4],
    )


def _weekly(hours: list[dict[str, int]]) -> Week:
    """Monday first; a day that is not listed is shut."""
    by_day = {entry["weekday"]: _span(entry) for entry in hours}
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (by_day.get(day, _SHUT) for day in range(1, 8))
    return (monday, tuesday, wednesday, thursday, friday, saturday, sunday)


def _special(days: list[dict[str, Any]]) -> dict[int, OpenHours]:
    return {
        date.fromisoformat(entry["date"]).toordinal(): _SHUT if entry.get("is_closed") else _span(entry)
        for entry in days
    }


def _span(entry: Mapping[str, int]) -> OpenHours:
    return ((entry["opens_at_min"] * _MIN_S, entry["closes_at_min"] * _MIN_S),)


def terminals(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = (
        "select terminal_id, store_id, is_retired from auth.terminals where %s::text[] is null or terminal_id = any(%s)"
    )
    return _read("terminals", query, ids, _terminal)


def _terminal(row: Any) -> Terminal:
    return Terminal(terminal_id=TerminalId(row[0]), store=StoreId(row[1]), retired=row[2])


def systems(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = (
        "select system_id, store_ids, terminal_ids, is_retired from auth.systems"
        " where %s::text[] is null or system_id = any(%s)"
    )
    return _read("systems", query, ids, _system)


def _system(row: Any) -> System:
    return System(system_id=SystemId(row[0]), stores=frozenset(row[1]), terminals=frozenset(row[2]), active=not row[3])


def roles(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = "select role_id, body from auth.roles where %s::text[] is null or role_id = any(%s)"
    return _read("roles", query, ids, lambda row: _readable("role", row[0], role_from, row[1]))


def operations(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = "select code, body from auth.operations where %s::text[] is null or code = any(%s)"
    return _read("operations", query, ids, lambda row: _readable("operation", row[0], operation_from, row[1]))


def _readable(kind: str, entity_id: str, read: Callable[[Any], Entity], body: Any) -> Entity | None:
    """One body that cannot be read must not stop every store: that role or operation alone is not there (CI-2)."""
    try:
        return read(body)
    except (InfosecError, KeyError, TypeError, ValueError, AttributeError) as error:
        _LOG.error("policy row left out", kind=kind, entity=entity_id, error=type(error).__name__)
        return None


def staff(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = (
        "select f.staff_id, f.role_id, f.region_id, f.store_id, f.state, c.ends_at, f.epoch, f.is_partner"
        " from auth.staff f join auth.credentials c on c.staff_id = f.staff_id"
        " where %s::text[] is null or f.staff_id = any(%s)"
    )
    return _read("staff", query, ids, _staff)


def _staff(row: Any) -> Staff:
    return Staff(
        staff_id=StaffId(row[0]),
        role=RoleId(row[1]),
        region=RegionId(row[2]),
        store=StoreId(row[3]),
        state=StaffState(row[4]),
        password_ends_s=row[5].timestamp(),
        epoch=row[6],
        partner=row[7],
    )


def sessions(ids: Ids, now: datetime) -> Read:
    """All sessions that have not ended; or those asked for, ended ones too: a node says so while their shift lasts."""
    query: LiteralString = (
        "select session_id, staff_id, terminal_id, store_id, started_at, ends_at, last_seen, staff_epoch, is_locked,"
        " must_change or must_enroll, ended_at is not null from auth.sessions"
        " where ((%s::text[] is null and ended_at is null) or session_id = any(%s)) and ends_at > %s"
    )
    return _read("sessions", query, ids, _session, now)


def _session(row: Any) -> Session:
    return Session(
        session_id=SessionId(row[0]),
        staff_id=StaffId(row[1]),
        terminal=TerminalId(row[2]),
        store=StoreId(row[3]),
        started_s=row[4].timestamp(),
        ends_s=row[5].timestamp(),
        last_seen_s=row[6].timestamp(),
        staff_epoch=row[7],
        locked=row[8],
        restricted=row[9],
        ended=row[10],
    )


def assignments(ids: Ids, _now: datetime) -> Read:
    query: LiteralString = (
        "select staff_id, array_agg(customer_digest) from auth.assignments"
        " where %s::text[] is null or staff_id = any(%s) group by staff_id"
    )
    return _read("assignments", query, ids, _customers)


def _customers(row: Any) -> frozenset[bytes]:
    return frozenset(bytes(digest)[:CUSTOMER_PREFIX_BYTES] for digest in row[1])


def grants(ids: Ids, now: datetime) -> Read:
    """Those that are not over yet: what they are bound to, and which are revoked."""

    def tables(rows: Rows) -> dict[str, Table]:
        bound = {row[0]: Binding(order=row[1], expires_s=row[3].timestamp()) for row in rows if row[1] is not None}
        revoked = {row[0]: row[3].timestamp() for row in rows if row[2]}
        return {"bound": _with_absent(bound, ids), "revoked": _with_absent(revoked, ids)}

    query: LiteralString = (
        "select grant_id, order_id, revoked_at is not null and order_id is null, expires_at from auth.grants"
        " where (%s::text[] is null or grant_id = any(%s)) and expires_at > %s"
        " and (order_id is not null or revoked_at is not null)"
    )
    return Read((query, (ids, ids, now)), tables)


async def last_seen(conn: Connection, session_id: SessionId) -> datetime | None:
    """When a live session was last used, as recorded; None when it has ended."""
    row = await (
        await conn.execute(
            "select last_seen from auth.sessions where session_id = %s and ended_at is null", (session_id,)
        )
    ).fetchone()
    return row[0] if row else None


async def record_activity(
    conn: Connection, seen: Iterable[tuple[SessionId, datetime]], *, step_s: float, latest_idle_s: float | None
) -> None:
    """Write last uses of sessions in one statement, where they move by the recording step or more (ID-9).

    With `latest_idle_s`, a session that was idle for longer by then is not brought back.
    """
    entries = sorted(seen)
    await conn.execute(
        """
        update auth.sessions s set last_seen = e.at
        from unnest(%s::text[], %s::timestamptz[]) as e (session_id, at)
        where s.session_id = e.session_id and s.ended_at is null
          and s.last_seen < e.at
          and s.last_seen <= e.at - make_interval(secs => %s)
          and (%s::float8 is null or s.last_seen >= e.at - make_interval(secs => %s))
        """,
        ([session for session, _ in entries], [at for _, at in entries], step_s, latest_idle_s, latest_idle_s),
    )
