"""Staff IDs as requests see them: whom a request is about, who might decide it, and what an approval changes (ID-8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from authsvc.requests import Person
from authsvc.staff import StaffState
from infosec.ids import RegionId, RoleId, StaffId, StoreId

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRow:
    """What ID-8 protects, and what deciding about it needs."""

    staff_id: StaffId
    name: str
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    state: StaffState
    is_partner: bool
    phone_sealed: bytes
    phone_masked: str
    password_ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A store that somebody could move to."""

    store_id: StoreId
    region_id: RegionId
    is_closed: bool


_STAFF: LiteralString = """
select f.staff_id, f.name, f.role_id, f.store_id, f.region_id, f.state, f.is_partner, f.phone_sealed, f.phone_masked,
       c.ends_at
from auth.staff f join auth.credentials c on c.staff_id = f.staff_id where f.staff_id = %s
"""
_PERSON: LiteralString = """
select f.staff_id, f.role_id, f.store_id, f.region_id, f.state in ('ISSUED', 'ACTIVE') and c.ends_at > %(now)s
from auth.staff f join auth.credentials c on c.staff_id = f.staff_id
"""


async def hold(conn: Connection, *staff_ids: str) -> None:
    """Hold these staff IDs until the transaction ends, in one order for everybody: two who decide for each other do not
    wait in a circle."""
    await conn.execute(
        "select 1 from auth.staff where staff_id = any(%s) order by staff_id for no key update", (sorted(staff_ids),)
    )


async def get(conn: Connection, staff_id: str) -> StaffRow | None:
    """One staff ID."""
    row = await (await conn.execute(_STAFF, (staff_id,))).fetchone()
    if row is None:
        return None
    return StaffRow(
        staff_id=StaffId(row[0]),
        name=row[1],
        role_id=RoleId(row[2]),
        store_id=StoreId(row[3]),
        region_id=RegionId(row[4]),
        state=StaffState(row[5]),
        is_partner=row[6],
        phone_sealed=bytes(row[7]),
        phone_masked=row[8],
        password_ends_at=row[9],
    )


async def person(conn: Connection, staff_id: StaffId, now: datetime) -> Person | None:
    """Somebody who wants to decide, as they are now."""
    found = await _people(conn, _PERSON + "where f.staff_id = %(staff)s", {"staff": staff_id, "now": now})
    return found[0] if found else None


async def people(
    conn: Connection, roles: Sequence[RoleId], carrier_wide: Sequence[RoleId], region_id: RegionId, now: datetime
) -> list[Person]:
    """Who holds one of these roles, in the region, or anywhere where the role reaches everywhere."""
    query: LiteralString = (
        _PERSON + "where f.role_id = any(%(roles)s) and (f.region_id = %(region)s or f.role_id = any(%(wide)s))"
    )
    parameters = {"roles": list(roles), "wide": list(carrier_wide), "region": region_id, "now": now}
    return await _people(conn, query, parameters)


async def target(conn: Connection, store_id: StoreId) -> Target | None:
    """A store to move to; it stays in its region until the transaction ends."""
    query = "select store_id, region_id, is_closed from auth.stores where store_id = %s for share"
    row = await (await conn.execute(query, (store_id,))).fetchone()
    return None if row is None else Target(store_id=row[0], region_id=row[1], is_closed=row[2])


async def change(conn: Connection, staff: StaffRow, now: datetime) -> None:
    """Write what an approval changed. The epoch rises: no session begun before is good any more."""
    await conn.execute(
        """
        update auth.staff set state = %(state)s, state_since = case when state = %(state)s then state_since else %(now)s end,
            epoch = epoch + 1, role_id = %(role)s, store_id = %(store)s, region_id = %(region)s,
            is_partner = %(partner)s, phone_sealed = %(sealed)s, phone_masked = %(masked)s
        where staff_id = %(staff)s
        """,
        {
            "state": staff.state.value,
            "role": staff.role_id,
            "store": staff.store_id,
            "region": staff.region_id,
            "partner": staff.is_partner,
            "sealed": staff.phone_sealed,
            "masked": staff.phone_masked,
            "staff": staff.staff_id,
            "now": now,
        },
    )


async def drop_second_factor(conn: Connection, staff_id: StaffId) -> None:
    """The device that made the codes is gone: it must be enrolled anew. Steps that were used stay used."""
    await conn.execute(
        "update auth.totp set secret_sealed = null, pending_sealed = null, active = false where staff_id = %s",
        (staff_id,),
    )


async def limit_first_password(conn: Connection, delivery_id: UUID, until: datetime) -> None:
    """The first password of this SMS is good until then, unless it was used: an approval that is not carried out in
    time is worth nothing, swept or not (RQ-4)."""
    await conn.execute(
        "update auth.credentials set first_expires_at = %s"
        " where delivery_id = %s and is_first and first_used_at is null",
        (until, delivery_id),
    )


async def first_password_was_used(conn: Connection, delivery_id: UUID) -> bool:
    """Whether somebody logged in with the first password of this SMS, or has chosen their own since."""
    query = "select first_used_at is not null or not is_first from auth.credentials where delivery_id = %s"
    row = await (await conn.execute(query, (delivery_id,))).fetchone()
    return bool(row and row[0])


async def _people(conn: Connection, query: LiteralString, parameters: dict[str, object]) -> list[Person]:
    rows = await (await conn.execute(query, parameters)).fetchall()
    return [
        Person(
            staff_id=StaffId(row[0]),
            role_id=RoleId(row[1]),
            store_id=StoreId(row[2]),
            region_id=RegionId(row[3]),
            is_able=row[4],
        )
        for row in rows
    ]
