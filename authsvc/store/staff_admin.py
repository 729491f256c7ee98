"""Staff IDs as administrators make, change and list them. Phones and facts are sealed before they come here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, TerminalId

Connection = AsyncConnection[Any]

NO_DELIVERY = "NONE"
"""The delivery state of who came with an imported hash: no first password was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A staff ID to be inserted."""

    staff_id: StaffId
    name: str
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    state: str
    is_partner: bool
    phone_sealed: bytes
    phone_masked: str
    facts_sealed: bytes
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A staff ID as it is shown."""

    staff_id: StaffId
    name: str
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    state: str
    """As of now: an active one whose password has ended is blacklisted, swept or not (ID-4)."""
    state_since: datetime
    phone_masked: str
    is_partner: bool
    totp_active: bool
    password_ends_at: datetime
    last_login_at: datetime | None
    created_at: datetime
    created_by: str
    delivery_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which staff IDs to list; None: not bounded."""

    region_id: RegionId | None = None
    store_id: StoreId | None = None
    state: str | None = None


_STATE = "case when s.state = 'ACTIVE' and c.ends_at <= %(now)s then 'BLACKLISTED' else s.state end"
_LISTED = f"""
select s.staff_id, s.name, s.role_id, s.store_id, s.region_id, {_STATE} as state,
       case when s.state = 'ACTIVE' and c.ends_at <= %(now)s then c.ends_at else s.state_since end as state_since,
       s.phone_masked, s.is_partner, coalesce(o.active, false) as totp_active, c.ends_at as password_ends_at,
       c.last_login_at, s.created_at, s.created_by,
       case when c.is_first and c.delivery_state <> '{NO_DELIVERY}' then c.delivery_state else '' end as delivery_state
from auth.staff s
join auth.credentials c on c.staff_id = s.staff_id
left join auth.totp o on o.staff_id = s.staff_id
"""  # noqa: S608 - parts of ours, no values


async def insert(conn: Connection, row: NewRow, now: datetime) -> None:
    """Add it. Raises UniqueViolation for an ID that is or was in use (ID-10)."""
    await conn.execute(
        "insert into auth.staff (staff_id, name, role_id, store_id, region_id, state, state_since, is_partner,"
        " phone_sealed, phone_masked, facts_sealed, created_at, created_by)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            row.staff_id,
            row.name,
            row.role_id,
            row.store_id,
            row.region_id,
            row.state,
            now,
            row.is_partner,
            row.phone_sealed,
            row.phone_masked,
            row.facts_sealed,
            now,
            row.created_by,
        ),
    )


async def put_imported(conn: Connection, staff_id: StaffId, *, hash: str, ends_at: datetime, now: datetime) -> None:
    """The credential of who logs in with the password of an older system; it joins the history (ID-6)."""
    await conn.execute(
        "insert into auth.credentials (staff_id, hash, is_first, changed_at, ends_at, delivery_state)"
        " values (%s, %s, false, %s, %s, %s)",
        (staff_id, hash, now, ends_at, NO_DELIVERY),
    )
    await conn.execute(
        "insert into auth.password_history (staff_id, used_at, hash) values (%s, %s, %s)", (staff_id, now, hash)
    )


async def hold_stores(conn: Connection, store_ids: Sequence[StoreId]) -> dict[StoreId, RegionId]:
    """The region of each store; none of them changes region before the transaction ends."""
    cursor = await conn.execute(
        "select store_id, region_id from auth.stores where store_id = any(%s) order by store_id for share",
        (sorted(set(store_ids)),),
    )
    return {StoreId(row[0]): RegionId(row[1]) for row in await cursor.fetchall()}


async def taken(conn: Connection, staff_ids: Sequence[StaffId]) -> frozenset[StaffId]:
    """Those of the IDs that are or were in use, closed ones included (ID-10)."""
    cursor = await conn.execute("select staff_id from auth.staff where staff_id = any(%s)", (list(staff_ids),))
    return frozenset(StaffId(row[0]) for row in await cursor.fetchall())


async def get(conn: Connection, staff_id: StaffId, now: datetime) -> Listed | None:
    async with conn.cursor(row_factory=class_row(Listed)) as cursor:
        await cursor.execute(_LISTED + "where s.staff_id = %(staff)s", {"staff": staff_id, "now": now})
        return await cursor.fetchone()


async def page(conn: Connection, wanted: Filter, now: datetime, *, after: str, size: int) -> list[Listed]:
    """By staff ID, those behind `after`."""
    async with conn.cursor(row_factory=class_row(Listed)) as cursor:
        await cursor.execute(
            _LISTED
            + "where s.staff_id > %(after)s and (%(region)s::text is null or s.region_id = %(region)s)"
            + " and (%(store)s::text is null or s.store_id = %(store)s)"
            + f" and (%(state)s::text is null or {_STATE} = %(state)s) order by s.staff_id limit %(size)s",
            {
                "after": after,
                "region": wanted.region_id,
                "store": wanted.store_id,
                "state": wanted.state,
                "now": now,
                "size": size,
            },
        )
        return await cursor.fetchall()


async def hold(conn: Connection, staff_id: StaffId, now: datetime) -> Listed | None:
    """The staff ID as of now, held against every other writer until the transaction ends."""
    await conn.execute("select 1 from auth.staff where staff_id = %s for no key update", (staff_id,))
    return await get(conn, staff_id, now)


async def facts_of(conn: Connection, staff_id: StaffId) -> bytes:
    """The sealed facts of a staff ID that is held."""
    row = await (await conn.execute("select facts_sealed from auth.staff where staff_id = %s", (staff_id,))).fetchone()
    return bytes(row[0]) if row else b""


async def correct(conn: Connection, staff_id: StaffId, *, name: str, facts_sealed: bytes) -> None:
    """Write name and facts: what is not bound by ID-8."""
    await conn.execute(
        "update auth.staff set name = %s, facts_sealed = %s where staff_id = %s", (name, facts_sealed, staff_id)
    )


async def able_administrators(conn: Connection, now: datetime) -> list[StaffId]:
    """Administrators who could log in now, held: of two who close one another, the second is told of the first."""
    cursor = await conn.execute(
        "select s.staff_id from auth.staff s join auth.credentials c on c.staff_id = s.staff_id"
        " where s.role_id = 'administrator' and s.state in ('ISSUED', 'ACTIVE') and c.ends_at > %s"
        " order by s.staff_id for no key update of s",
        (now,),
    )
    return [StaffId(row[0]) for row in await cursor.fetchall()]


async def administrators(conn: Connection) -> list[tuple[StaffId, bytes]]:
    """(staff ID, sealed phone) of every administrator who is not closed."""
    cursor = await conn.execute(
        "select staff_id, phone_sealed from auth.staff where role_id = 'administrator' and state <> 'CLOSED'"
        " order by staff_id"
    )
    return [(StaffId(row[0]), bytes(row[1])) for row in await cursor.fetchall()]


async def live_sessions_at(conn: Connection, terminal_id: TerminalId) -> list[SessionId]:
    """The sessions at a terminal that have not ended."""
    query = "select session_id from auth.sessions where terminal_id = %s and ended_at is null order by session_id"
    return [SessionId(row[0]) for row in await (await conn.execute(query, (terminal_id,))).fetchall()]
