"""Grants that this service issued, and the order that each is bound to (RQ-7). The binding here is exact; the check is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from infosec.decision.grants import GrantId
from infosec.ids import RegionId, StaffId, StoreId, SystemId

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedGrant:
    """The record of a grant."""

    grant_id: GrantId
    request_id: UUID | None
    region_id: RegionId
    store_id: StoreId
    order_id: str | None
    is_revoked: bool
    """No order gets it any more; one that it was bound to before keeps it."""
    expires_at: datetime


_COLUMNS: LiteralString = (
    "g.grant_id, g.request_id, g.region_id, g.store_id, g.order_id,"
    " g.revoked_at is not null and g.order_id is null, g.expires_at"
)
_SELECT: LiteralString = "select " + _COLUMNS + " from auth.grants g "  # noqa: S608


async def serves_store(conn: Connection, system_id: SystemId, store_id: StoreId) -> bool:
    """Whether the system is registered for the store, or for a terminal in it."""
    row = await (
        await conn.execute(
            """
            select 1 from auth.systems y where y.system_id = %(system)s and not y.is_retired
              and (%(store)s = any(y.store_ids) or exists (
                    select 1 from auth.terminals t
                    where t.store_id = %(store)s and not t.is_retired and t.terminal_id = any(y.terminal_ids)))
            """,
            {"system": system_id, "store": store_id},
        )
    ).fetchone()
    return row is not None


async def insert(conn: Connection, grant: IssuedGrant, kind: str) -> None:
    """Add a grant, bound to no order."""
    await conn.execute(
        "insert into auth.grants (grant_id, kind, request_id, region_id, store_id, expires_at) values (%s, %s, %s, %s, %s, %s)",
        (grant.grant_id, kind, grant.request_id, grant.region_id, grant.store_id, grant.expires_at),
    )


async def lock(conn: Connection, grant_id: GrantId) -> IssuedGrant | None:
    """The grant, held until the transaction ends: of two orders that redeem it, the second sees the first."""
    query = _SELECT + "where grant_id = %s for update"
    return _grant(await (await conn.execute(query, (grant_id,))).fetchone())


async def of_request(conn: Connection, request_id: UUID) -> IssuedGrant | None:
    """The grant that an approval gave."""
    query = _SELECT + "where request_id = %s"
    return _grant(await (await conn.execute(query, (request_id,))).fetchone())


async def bind(conn: Connection, grant_id: GrantId, order_id: str | None, now: datetime) -> None:
    """Bind a held grant to an order, or, with None, free it."""
    await conn.execute(
        "update auth.grants set order_id = %s, bound_at = %s where grant_id = %s",
        (order_id, now if order_id else None, grant_id),
    )


async def revoke_approved_by(conn: Connection, staff_id: StaffId, now: datetime) -> list[IssuedGrant]:
    """Revoke what this person approved and what is not over yet; which those are."""
    query: LiteralString = (
        "update auth.grants g set revoked_at = %(now)s from auth.requests r where r.id = g.request_id"  # noqa: S608
        " and r.decided_by = %(staff)s and g.expires_at > %(now)s and g.revoked_at is null returning " + _COLUMNS
    )
    rows = await (await conn.execute(query, {"staff": staff_id, "now": now})).fetchall()
    return [grant for row in rows if (grant := _grant(row)) is not None]


async def revision(conn: Connection, region_id: RegionId) -> int:
    """The region's revision as this transaction sees it: for the answer to a retry."""
    query = "select number from auth.region_revisions where region_id = %s"
    row = await (await conn.execute(query, (region_id,))).fetchone()
    return int(row[0]) if row else 0


def _grant(row: Any) -> IssuedGrant | None:
    if row is None:
        return None
    return IssuedGrant(
        grant_id=GrantId(row[0]),
        request_id=row[1],
        region_id=RegionId(row[2]),
        store_id=StoreId(row[3]),
        order_id=row[4],
        is_revoked=row[5],
        expires_at=row[6],
    )
