"""Right logins as one statement: of each it writes all that the login means, or nothing where anything was not as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authsvc.store import staff
from authsvc.store.places import Place
from authsvc.store.sessions import NewSession
from authsvc.store.staff import Person
from infosec.storage.outbox import Event
from infosec.storage.postgres import Statement

_ASKED = {
    "staff_id": "text",
    "version": "bytea",
    "live": "text",
    "staff_key": "text",
    "terminal_key": "text",
    "attempt": "uuid",
    "failing_key": "text",
    "reason": "text",
    "session_id": "text",
    "terminal_id": "text",
    "store_id": "text",
    "region_id": "text",
    "system_id": "text",
    "epoch": "integer",
    "now": "timestamptz",
    "ends": "timestamptz",
    "must_change": "boolean",
    "must_enroll": "boolean",
}
"""The columns of `Opening.row`, and their types."""

# `ended` is read by `begun`, so that old sessions have ended when new ones begin: one is alive (ID-9). One alive that
# is not the newest, because clocks differ, would fail the whole transaction: whoever has such a one goes alone. Of the failures
# at a terminal only the cleaning takes a row while its place is held: what it has in hand it forgets itself.
_OPEN = f"""
with asked as (
    select * from unnest({", ".join(f"%s::{kind}[]" for kind in _ASKED.values())}) as a ({", ".join(_ASKED)})
), still as (
    {staff.SAME}
), live as (
    select e.session_id from asked a join auth.sessions e on e.session_id = a.live
    where e.ended_at is null for no key update of e skip locked
), held as (
    select p.key, p.attempt_id from asked a join auth.attempt_places p
      on p.key in (a.staff_key, a.terminal_key) and p.attempt_id = a.attempt
    where a.staff_id in (select staff_id from still)
      and (a.live is null or a.live in (select session_id from live))
      and not exists (select from auth.sessions e where e.staff_id = a.staff_id and e.ended_at is null
                      and e.session_id is distinct from a.live)
    for update of p skip locked
), whole as (
    select attempt_id from held group by attempt_id having count(*) = 2
), gone as (
    delete from auth.attempt_places p using held join whole using (attempt_id) where p.key = held.key
    returning p.attempt_id
), ok as (
    select a.* from asked a where a.attempt in (select attempt_id from gone)
), counted as (
    update auth.credentials c
    set failures = 0, failures_since = 0, last_login_at = ok.now, last_login_terminal_id = ok.terminal_id,
        last_login_store_id = ok.store_id, first_used_at = case when c.is_first then ok.now else c.first_used_at end
    from ok where c.staff_id = ok.staff_id
), forgettable as (
    select f.terminal_id, f.attempt_key from auth.terminal_failures f
    join ok on f.terminal_id = ok.terminal_id and f.attempt_key = ok.failing_key
    for update of f skip locked
), forgotten as (
    delete from auth.terminal_failures f using forgettable o
    where f.terminal_id = o.terminal_id and f.attempt_key = o.attempt_key
), known as (
    insert into auth.staff_terminals (staff_id, terminal_id, first_at, last_at)
    select staff_id, terminal_id, now, now from ok
    on conflict (staff_id, terminal_id) do update set last_at = excluded.last_at
), ended as (
    update auth.sessions e set ended_at = ok.now, end_reason = ok.reason
    from ok where e.session_id = ok.live
    returning 1
), begun as (
    insert into auth.sessions (session_id, staff_id, terminal_id, store_id, region_id, system_id, staff_epoch,
                               started_at, last_seen, ends_at, must_change, must_enroll)
    select session_id, staff_id, terminal_id, store_id, region_id, system_id, epoch,
           now, now, ends, must_change, must_enroll
    from ok cross join (select count(*) from ended) e
), told as (
    insert into auth.outbox (event_id, topic, body, created_at, not_before)
    select put.event_id, put.topic, put.body, ok.now, ok.now
    from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bytea[])
         with ordinality as put (attempt, event_id, topic, body, ordinal)
    join ok on ok.attempt = put.attempt
    order by put.ordinal
)
select attempt from ok
"""  # noqa: S608 - parts of ours, no values


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A right login: `new` for `person` as they were read when `place` was taken.

    `reason` is why their live session ends, if there is one; `outgoing` is what is told of it all.
    """

    new: NewSession
    person: Person
    place: Place
    failing_key: str
    reason: str
    outgoing: Sequence[Event]

    def row(self) -> tuple[Any, ...]:
        """Its values, as `_ASKED` names them."""
        new, person, place = self.new, self.person, self.place
        return (
            *(person.staff_id, person.version, person.unended_session_id),
            *(place.staff_key, place.terminal_key, place.attempt_id, self.failing_key, self.reason),
            *(new.session_id, new.terminal_id, new.store_id, new.region_id, new.system_id, new.staff_epoch),
            *(new.started_at, new.ends_at, new.must_change, new.must_enroll),
        )


def opening(several: Sequence[Opening]) -> Statement:
    """Open them all, none twice for one person or terminal; `opened` reads the answer. At least one.

    Waits for nobody: whose rows somebody else has locked is not opened.
    """
    told = [
        (one.place.attempt_id, event.event_id, event.topic, event.body) for one in several for event in one.outgoing
    ]
    columns = (*zip(*(one.row() for one in several), strict=True), *zip(*told, strict=True))
    return _OPEN, [list(column) for column in columns]


def opened(rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
    """The attempts of which all was written; of the others nothing was."""
    return {attempt for (attempt,) in rows}
