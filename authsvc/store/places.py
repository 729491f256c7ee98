"""Places of attempts in progress: a row per staff-ID key and per terminal, leased in the database's real time (ID-5)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import SystemId, TerminalId
from infosec.storage.postgres import Statement

# For many at once, so none of them may wait for a row that somebody else has in hand: it counts as taken. The second key
# is asked for only when the first was free: a crowd on one staff ID does not touch the terminals' rows. All that take
# do so in one order, first keys before second ones, so that nobody waits in a circle.
_TAKE = """
with asked as (
    select * from unnest(%(staff_keys)s::text[], %(terminal_keys)s::text[], %(attempts)s::uuid[], %(systems)s::text[],
                         %(terminals)s::text[]) as a (staff_key, terminal_key, attempt_id, system_id, terminal_id)
), registered as (
    select a.* from asked a
    join auth.terminals t on t.terminal_id = a.terminal_id
    join auth.systems y on y.system_id = a.system_id
    where not y.is_retired and (t.store_id = any(y.store_ids) or t.terminal_id = any(y.terminal_ids))
), there as (
    select key from auth.attempt_places where key = any(%(staff_keys)s::text[] || %(terminal_keys)s::text[])
), over as (
    select key from auth.attempt_places
    where key = any(%(staff_keys)s::text[] || %(terminal_keys)s::text[]) and expires_at < clock_timestamp()
    for update skip locked
), closed as (
    select key from there except select key from over
), first as (
    insert into auth.attempt_places as p (key, attempt_id, expires_at)
    select staff_key, attempt_id, clock_timestamp() + %(lease)s
    from registered where staff_key not in (select key from closed) order by staff_key
    on conflict (key) do update set attempt_id = excluded.attempt_id, expires_at = excluded.expires_at
    where p.expires_at < clock_timestamp()
    returning attempt_id
), second as (
    insert into auth.attempt_places as p (key, attempt_id, expires_at)
    select r.terminal_key, r.attempt_id, clock_timestamp() + %(lease)s
    from registered r join first f on f.attempt_id = r.attempt_id
    where r.terminal_key not in (select key from closed) order by r.terminal_key
    on conflict (key) do update set attempt_id = excluded.attempt_id, expires_at = excluded.expires_at
    where p.expires_at < clock_timestamp()
    returning attempt_id
)
select a.attempt_id, r.attempt_id is not null, f.attempt_id is not null, s.attempt_id is not null
from asked a
left join registered r on r.attempt_id = a.attempt_id
left join first f on f.attempt_id = a.attempt_id
left join second s on s.attempt_id = a.attempt_id
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
    staff_key: str
    terminal_key: str

    @property
    def keys(self) -> list[str]:
        return [self.staff_key, self.terminal_key]


class Taken(Enum):
    """The outcome of one try."""

    WHOLE = "whole"
    PART = "part"
    """The staff ID's key alone: to be given up at once."""
    NOTHING = "nothing"
    NOT_REGISTERED = "not-registered"
    """The calling system may not act at the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A place for an attempt at a terminal, asked for by a system."""

    place: Place
    system_id: SystemId
    terminal_id: TerminalId


def taking(wanted: Sequence[Wanted], *, lease: timedelta) -> Statement:
    """Try to take both keys of every place, each for itself; no key may be in it twice. `taken` reads the answer."""
    return (
        _TAKE,
        {
            "staff_keys": [one.place.staff_key for one in wanted],
            "terminal_keys": [one.place.terminal_key for one in wanted],
            "attempts": [one.place.attempt_id for one in wanted],
            "systems": [one.system_id for one in wanted],
            "terminals": [one.terminal_id for one in wanted],
            "lease": lease,
        },
    )


def taken(rows: Sequence[tuple[Any, ...]]) -> dict[uuid.UUID, Taken]:
    """What `taking` answered, by attempt."""
    return {attempt: _taken(*how) for attempt, *how in rows}


def _taken(registered: bool, first: bool, second: bool) -> Taken:
    if not registered:
        return Taken.NOT_REGISTERED
    return Taken.WHOLE if second else Taken.PART if first else Taken.NOTHING


def giving_up(place: Place) -> Statement:
    """Delete the place; `given_up` reads the answer. Until the commit nobody else gets it."""
    return _GIVE_UP, {"keys": place.keys, "attempt": place.attempt_id}


def given_up(rows: Sequence[tuple[Any, ...]]) -> bool:
    """Whether all of the place was still this attempt's."""
    return bool(rows[0][0] == 2)


async def give_up(conn: AsyncConnection[Any], place: Place) -> None:
    """Delete what is left of the place."""
    await conn.execute(*giving_up(place))


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
