"""A right login as one statement: it writes all that the login means, or nothing where anything was not as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authsvc.store import staff
from authsvc.store.places import Place
from authsvc.store.sessions import NewSession
from authsvc.store.staff import Person
from infosec.storage.outbox import Event
from infosec.storage.postgres import Statement

# `ended` is read by `begun`, so that the old session has ended when the new one begins: one is alive (ID-9). One alive that
# is not the newest, because clocks differ, would fail the whole transaction: whoever has such a one goes alone.
_OPEN = f"""
with still as (
    {staff.SAME}
), live as (
    select 1 from auth.sessions where session_id = %(live)s and ended_at is null for no key update skip locked
), held as (
    select key from auth.attempt_places
    where key = any(%(keys)s) and attempt_id = %(attempt)s
      and exists (select from still) and (%(live)s::text is null or exists (select from live))
      and not exists (select from auth.sessions e where e.staff_id = %(staff)s and e.ended_at is null
                      and e.session_id is distinct from %(live)s)
    order by key for update
), gone as (
    delete from auth.attempt_places p using held where p.key = held.key returning 1
), ok as (
    select 1 from (select count(*) as places from gone) g where g.places = 2
), counted as (
    update auth.credentials
    set failures = 0, failures_since = 0, last_login_at = %(now)s, last_login_terminal_id = %(terminal)s,
        last_login_store_id = %(store)s, first_used_at = case when is_first then %(now)s else first_used_at end
    where staff_id = %(staff)s and exists (select from ok)
), forgotten as (
    delete from auth.terminal_failures
    where terminal_id = %(terminal)s and attempt_key = %(key)s and exists (select from ok)
), known as (
    insert into auth.staff_terminals (staff_id, terminal_id, first_at, last_at)
    select %(staff)s, %(terminal)s, %(now)s, %(now)s from ok
    on conflict (staff_id, terminal_id) do update set last_at = excluded.last_at
), ended as (
    update auth.sessions set ended_at = %(now)s, end_reason = %(reason)s
    where session_id = %(live)s and exists (select from ok)
    returning 1
), begun as (
    insert into auth.sessions (session_id, staff_id, terminal_id, store_id, region_id, system_id, staff_epoch,
                               started_at, last_seen, ends_at, must_change, must_enroll)
    select %(session)s, %(staff)s, %(terminal)s, %(store)s, %(region)s, %(system)s, %(epoch)s,
           %(now)s, %(now)s, %(ends)s, %(must_change)s, %(must_enroll)s
    from ok cross join (select count(*) from ended) e
), told as (
    insert into auth.outbox (event_id, topic, body, created_at, not_before)
    select put.event_id, put.topic, put.body, %(now)s, %(now)s
    from ok cross join unnest(%(ids)s::uuid[], %(topics)s::text[], %(bodies)s::bytea[])
         with ordinality as put (event_id, topic, body, ordinal)
    order by put.ordinal
)
select count(*) from ok
"""  # noqa: S608 - parts of ours, no values


def opening(
    new: NewSession, person: Person, place: Place, *, failing_key: str, reason: str, outgoing: Sequence[Event]
) -> Statement:
    """Open `new` for `person` as they were read when the place was taken; `opened` reads the answer.

    Waits for nobody but another taker of the place. `reason` is why the live session of the person ends, if there is one.
    """
    return (
        _OPEN,
        {
            "staff": person.staff_id,
            "version": person.version,
            "live": person.unended_session_id,
            "keys": place.keys,
            "attempt": place.attempt_id,
            "now": new.started_at,
            "terminal": new.terminal_id,
            "store": new.store_id,
            "key": failing_key,
            "reason": reason,
            "session": new.session_id,
            "region": new.region_id,
            "system": new.system_id,
            "epoch": new.staff_epoch,
            "ends": new.ends_at,
            "must_change": new.must_change,
            "must_enroll": new.must_enroll,
            "ids": [event.event_id for event in outgoing],
            "topics": [event.topic for event in outgoing],
            "bodies": [event.body for event in outgoing],
        },
    )


def opened(rows: Sequence[tuple[Any, ...]]) -> bool:
    """Whether it was all written; else nothing was."""
    return bool(rows[0][0])
