"""Staff IDs with what an attempt, a session and a message need of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from authsvc.lockout import PersonStanding, TerminalStanding
from authsvc.sessions import EndReason, Sighting
from authsvc.staff import StaffState
from authsvc.store.places import Place
from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, TerminalId
from infosec.storage.postgres import Statement

_SEEN_AT_END = frozenset({EndReason.LOGOUT, EndReason.LOGGED_IN_AGAIN})
"""Ends that the person was there for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One staff ID with its credentials, second factor and newest session."""

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    state: str
    epoch: int
    phone_sealed: bytes
    hash: str
    is_first: bool
    must_change: bool
    first_used_at: datetime | None
    first_expires_at: datetime | None
    changed_at: datetime
    ends_at: datetime
    failures: int
    failures_since: int
    last_login_at: datetime | None
    last_login_terminal_id: TerminalId | None
    last_login_store_id: StoreId | None
    totp_sealed: bytes | None
    totp_active: bool
    totp_pending: bytes | None
    totp_last_step: int
    session_id: SessionId | None
    session_epoch: int | None
    session_terminal_id: TerminalId | None
    session_store_id: StoreId | None
    session_region_id: RegionId | None
    session_started_at: datetime | None
    session_last_seen: datetime | None
    session_locked: bool | None
    session_must_change: bool | None
    session_must_enroll: bool | None
    session_ended_at: datetime | None
    session_end_reason: str | None
    knows_terminal: bool
    """They logged in at this terminal before."""
    version: bytes
    """Of all this, but for the known terminals, which only logins of theirs change: who finds the same, finds them so."""

    @property
    def standing(self) -> PersonStanding:
        """What the lockout rules judge."""
        return PersonStanding(
            staff_id=self.staff_id,
            region_id=self.region_id,
            state=StaffState(self.state),
            failures=self.failures,
            password_ends_at=self.ends_at,
            is_first=self.is_first,
            first_used=self.first_used_at is not None,
            first_expires_at=self.first_expires_at,
        )

    @property
    def live_session_id(self) -> SessionId | None:
        """The one session that has not ended, if it was begun under the present epoch."""
        return self.session_id if self.session_ended_at is None and self.session_epoch == self.epoch else None

    @property
    def unended_session_id(self) -> SessionId | None:
        """The one session that has not ended, of whatever epoch."""
        return self.session_id if self.session_ended_at is None else None

    @property
    def last_sighting(self) -> Sighting | None:
        """Where they were last known to be (ID-10)."""
        if self.session_terminal_id is None or self.session_store_id is None or self.session_last_seen is None:
            return None
        ended = self.session_ended_at is not None
        seen = self.session_last_seen
        if self.session_ended_at is not None and self.session_end_reason in _SEEN_AT_END:
            seen = max(seen, self.session_ended_at)
        return Sighting(
            terminal_id=self.session_terminal_id,
            store_id=self.session_store_id,
            at=seen,
            in_session=not ended and not self.session_locked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The terminal of an attempt, and the person that was named, if there is one."""

    terminal: TerminalStanding
    store_name: str
    hotline: str
    person: Person | None


_READ = """
s.staff_id, s.role_id, s.store_id, s.region_id, s.state, s.epoch, s.phone_sealed,
c.hash, c.is_first, c.must_change, c.first_used_at, c.first_expires_at, c.changed_at, c.ends_at, c.failures,
c.failures_since, c.last_login_at, c.last_login_terminal_id, c.last_login_store_id,
o.secret_sealed, coalesce(o.active, false), o.pending_sealed, coalesce(o.last_step, 0),
x.session_id, x.staff_epoch, x.terminal_id, x.store_id, x.region_id, x.started_at, x.last_seen, x.is_locked,
x.must_change, x.must_enroll, x.ended_at, x.end_reason
"""
_VERSION = f"sha256(convert_to(row({_READ})::text, 'UTF8'))"
_PERSON = f"""
{_READ},
exists (select 1 from auth.staff_terminals k where k.staff_id = s.staff_id and k.terminal_id = a.terminal_id),
{_VERSION}
"""  # noqa: S608 - parts of ours, no values
_PERSON_FIELDS = tuple(Person.__dataclass_fields__)
_NEWEST_SESSION = """
left join lateral (
    select * from auth.sessions e where e.staff_id = s.staff_id
    order by e.started_at desc, e.ended_at desc nulls first limit 1
) x on true
"""

# The planner is not to know how many are asked for: one plan does for any number, and is not made anew for each group.
_TRIED = f"""
select a.ordinal, t.terminal_id, t.store_id, w.region_id, t.is_retired,
       (select count(*) from auth.terminal_failures f where f.terminal_id = t.terminal_id and f.failed_at > %(since)s),
       exists (select 1 from auth.terminal_failures f
               where f.terminal_id = t.terminal_id and f.attempt_key = a.failing_key and f.failed_at > %(since)s),
       (select count(distinct h.staff_id) from auth.lock_history h join auth.staff l on l.staff_id = h.staff_id
        where h.terminal_id = t.terminal_id and l.state = 'LOCKED' and h.locked_at >= l.state_since),
       w.name, w.hotline, {_PERSON}
from unnest((select %(staff)s::text[]), (select %(terminals)s::text[]), (select %(keys)s::text[]))
     with ordinality as a (staff_id, terminal_id, failing_key, ordinal)
join auth.terminals t on t.terminal_id = a.terminal_id
join auth.stores w on w.store_id = t.store_id
left join (auth.staff s join auth.credentials c on c.staff_id = s.staff_id) on s.staff_id = a.staff_id
left join auth.totp o on o.staff_id = s.staff_id
{_NEWEST_SESSION}
"""  # noqa: S608 - parts of ours, no values

# The place goes in the same statement: what it protects is as the last attempt left it, since that has committed.
_LOCKED = f"""
with held as (
    select key from auth.attempt_places where key = any(%(keys)s) and attempt_id = %(attempt)s order by key for update
), gone as (
    delete from auth.attempt_places p using held where p.key = held.key returning 1
)
select (select count(*) from gone), {_PERSON}
from (select %(terminal)s::text as terminal_id) a
cross join auth.staff s
join auth.credentials c on c.staff_id = s.staff_id
left join auth.totp o on o.staff_id = s.staff_id
{_NEWEST_SESSION}
where s.staff_id = %(staff)s
for no key update of s, c
"""  # noqa: S608 - parts of ours, no values


SAME = f"""
select s.staff_id
from asked a
join auth.staff s on s.staff_id = a.staff_id
join auth.credentials c on c.staff_id = s.staff_id
left join auth.totp o on o.staff_id = s.staff_id
{_NEWEST_SESSION}
where {_VERSION} = a.version
order by s.staff_id
for no key update of s, c skip locked
"""  # noqa: S608 - parts of ours, no values
"""Locks those of `asked` of whom nothing has changed since they were read, and whom nobody else has locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """Who is tried, where; `failing_key` is what failures of this staff ID at a terminal are kept under."""

    staff_key: str
    terminal_id: TerminalId
    failing_key: str


def trying(tries: Sequence[Try], *, failing_since: datetime) -> Statement:
    """Ask for what attempts are judged by; `tried` reads the answer."""
    return _TRIED, {
        "staff": [one.staff_key for one in tries],
        "terminals": [one.terminal_id for one in tries],
        "keys": [one.failing_key for one in tries],
        "since": failing_since,
    }


def tried(rows: Sequence[tuple[Any, ...]]) -> dict[int, Tried]:
    """What attempts are judged by, by their place in the question; terminals that do not exist are not there."""
    return {row[0] - 1: _tried(row[1:]) for row in rows}


def _tried(row: tuple[Any, ...]) -> Tried:
    terminal = TerminalStanding(
        terminal_id=row[0],
        store_id=row[1],
        region_id=row[2],
        is_retired=row[3],
        failing_keys=row[4],
        is_among_them=row[5],
        locked_here=row[6],
    )
    person = _person(row[9:]) if row[9] is not None else None
    return Tried(terminal=terminal, store_name=row[7], hotline=row[8], person=person)


def locking_giving_up(staff_id: StaffId, terminal_id: TerminalId, place: Place) -> Statement:
    """Give up the place, and lock the person as of now against changes by others until the transaction ends.

    `locked` reads the answer.
    """
    return _LOCKED, {"staff": staff_id, "terminal": terminal_id, "keys": place.keys, "attempt": place.attempt_id}


def locked(rows: Sequence[tuple[Any, ...]], place: Place) -> Person | None:
    """The person; None where the place, or a part of it, was no longer ours: roll back."""
    return _person(rows[0][1:]) if rows and rows[0][0] == len(place.keys) else None


async def set_state(
    conn: AsyncConnection[Any], staff_id: StaffId, state: StaffState, now: datetime, *, ends_sessions: bool
) -> None:
    """Write a state; with `ends_sessions` the epoch rises, so that no session begun before is good any more."""
    await conn.execute(
        "update auth.staff set state = %s, state_since = %s, epoch = epoch + %s where staff_id = %s",
        (state.value, now, int(ends_sessions), staff_id),
    )


async def add_lock(
    conn: AsyncConnection[Any], staff_id: StaffId, terminal_id: TerminalId, store_id: StoreId, now: datetime
) -> None:
    """Remember when and from where it was locked: evidence for whoever decides the unlock (RQ-3)."""
    await conn.execute(
        "insert into auth.lock_history (staff_id, locked_at, terminal_id, store_id) values (%s, %s, %s, %s)"
        " on conflict (staff_id, locked_at) do nothing",
        (staff_id, now, terminal_id, store_id),
    )


def _person(row: tuple[Any, ...]) -> Person:
    return Person(**dict(zip(_PERSON_FIELDS, row, strict=True)))
