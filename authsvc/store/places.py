"""Places of attempts in progress: a row per staff-ID key and per terminal, leased in the database's real time (ID-5)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import SystemId, TerminalId

# Sorted, so that two attempts wait for one another in one direction only.
_TAKE = """
with registered as (
    select 1 from auth.terminals t join auth.systems y on y.system_id = %(system)s
    where t.terminal_id = %(terminal)s and not y.is_retired
      and (t.store_id = any(y.store_ids) or t.terminal_id = any(y.terminal_ids))
), taken as (
    insert into auth.attempt_places as p (key, attempt_id, expires_at)
    select key, %(attempt)s, clock_timestamp() + %(lease)s
    from unnest(%(keys)s::text[]) as key where exists (select 1 from registered) order by key
    on conflict (key) do update set attempt_id = excluded.attempt_id, expires_at = excluded.expires_at
    where p.expires_at < clock_timestamp()
    returning 1
)
select exists (select 1 from registered), (select count(*) from taken)
"""

_GIVE_UP = """
with held as (
    select key from auth.attempt_places where key = any(%(keys)s) and attempt_id = %(attempt)s order by key for update
), gone as (
    delete from auth.attempt_places p using held where p.key = held.key returning 1
)
select count(*) from gone
"""

_REGISTERED = """
select 1 from auth.terminals t join auth.systems y on y.system_id = %s
where t.terminal_id = %s and not y.is_retired and (t.store_id = any(y.store_ids) or t.terminal_id = any(y.terminal_ids))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an attempt holds while it is judged, verified and settled."""

    attempt_id: uuid.UUID
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The outcome of one try."""

    is_registered: bool
    """Whether the calling system may act at the terminal; nothing is taken where it may not."""
    is_whole: bool
    """Every key was taken. Where not, the caller rolls back: both or nothing."""


async def take(
    conn: AsyncConnection[Any], place: Place, *, lease: timedelta, system_id: SystemId, terminal_id: TerminalId
) -> Taken:
    """Try to take every key of `place`."""
    cursor = await conn.execute(
        _TAKE,
        {
            "keys": sorted(place.keys),
            "attempt": place.attempt_id,
            "lease": lease,
            "system": system_id,
            "terminal": terminal_id,
        },
    )
    registered, count = (await cursor.fetchall())[0]
    return Taken(is_registered=registered, is_whole=count == len(place.keys))


async def give_up(conn: AsyncConnection[Any], place: Place) -> bool:
    """Delete the place; whether all of it was still this attempt's. Until the commit nobody else gets it."""
    cursor = await conn.execute(_GIVE_UP, {"keys": list(place.keys), "attempt": place.attempt_id})
    return bool((await cursor.fetchall())[0][0] == len(place.keys))


async def is_registered(conn: AsyncConnection[Any], system_id: SystemId, terminal_id: TerminalId) -> bool:
    """Whether the system may act at the terminal."""
    return await (await conn.execute(_REGISTERED, (system_id, terminal_id))).fetchone() is not None


async def mark_failing(conn: AsyncConnection[Any], terminal_id: TerminalId, key: str, now: datetime) -> None:
    """This key failed at this terminal just now (ID-11)."""
    await conn.execute(
        "insert into auth.terminal_failures (terminal_id, attempt_key, failed_at) values (%s, %s, %s)"
        " on conflict (terminal_id, attempt_key) do update set failed_at = excluded.failed_at",
        (terminal_id, key, now),
    )


async def clean(conn: AsyncConnection[Any], *, failed_before: datetime, lease_over: timedelta) -> int:
    """Forget failures of long ago, and places whose holders died; how many rows went."""
    failures = await conn.execute("delete from auth.terminal_failures where failed_at < %s", (failed_before,))
    places = await conn.execute(
        "delete from auth.attempt_places where expires_at < clock_timestamp() - %s::interval", (lease_over,)
    )
    return failures.rowcount + places.rowcount
