"""Odd patterns (CI-7): for each threshold what trips it and what does not, at the very border."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditsvc.patterns import SHOWN, Pattern, PatternKind, Watch
from auditsvc.review_profile import TELECOM_HALL, ReviewProfile
from infosec.review.seen import Seen

P = TELECOM_HALL
NOON = datetime(2026, 11, 16, 4, 0, tzinfo=UTC)
"""12:00 carrier time, a Monday."""
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def seen(type: str, at: datetime, **facts: object) -> Seen:
    plain = Seen(
        position=0,
        event_id="",
        type=type,
        at=at,
        recorded=at,
        staff="clerk.1",
        role="clerk",
        store="e1",
        terminal="e1-t1",
        operation="1500",
        subject="subject-1",
        decision="ALLOWED",
        reason="OK",
        purpose="ORDER",
        withdraws="",
        by="service/suite",
        code="",
        times=1,
    )
    return plain._replace(**facts)


def read(at: datetime = NOON, **facts: object) -> Seen:
    return seen("check.decided", at, **facts)


def denied(at: datetime, reason: str, **facts: object) -> Seen:
    return seen("check.decided", at, decision="DENIED", reason=reason, **facts)


def told(type: str, at: datetime, **facts: object) -> Seen:
    """From a store system."""
    return seen(type, at, **{"decision": "", "reason": "", "purpose": "", "operation": "", "role": "", **facts})


def found(
    *entries: Seen, profile: ReviewProfile = P, since: datetime = NOON - DAY, until: datetime = NOON + DAY
) -> list[Pattern]:
    """Recorded in this order; each is given its index and event ID."""
    watch = Watch(since, until, profile)
    go_by(
        watch,
        [
            entry._replace(position=position, event_id=entry.event_id or f"event-{position}")
            for position, entry in enumerate(entries)
        ],
    )
    return watch.finish()


def go_by(watch: Watch, entries: Sequence[Seen]) -> None:
    """Tell all of them, and foretell each as far ahead of the others as it has to be."""
    coming = deque(entries)
    for entry in entries:
        while coming and coming[0].recorded <= watch.horizon(entry):
            watch.foretell(coming.popleft())
        watch.tell(entry)


def kinds(*entries: Seen, profile: ReviewProfile = P) -> list[PatternKind]:
    return [one.kind for one in found(*entries, profile=profile)]


def spread(count: int, over: timedelta, **facts: object) -> list[Seen]:
    """So many reads, the first at noon, the last `over` later."""
    return [read(NOON + over * n / max(count - 1, 1), **facts) for n in range(count)]


# MANY_LOOKUPS

HOUR = P.burst


@pytest.mark.rule("CI-7")
def test_many_lookups_in_an_hour_begin_with_one_more_than_is_allowed() -> None:
    within = HOUR - TICK
    assert found(*spread(P.lookups_an_hour, within)) == []
    (pattern,) = found(*spread(P.lookups_an_hour + 1, within))
    assert pattern.kind is PatternKind.MANY_LOOKUPS
    assert (pattern.count, pattern.threshold) == (P.lookups_an_hour + 1, P.lookups_an_hour)
    assert (pattern.staff, pattern.store, pattern.terminal) == ("clerk.1", "e1", "e1-t1")
    assert (pattern.first, pattern.last) == (NOON, NOON + within)
    assert pattern.indices == tuple(range(SHOWN))


@pytest.mark.rule("CI-7")
def test_lookups_an_hour_apart_are_not_in_one_hour() -> None:
    assert found(*spread(P.lookups_an_hour + 1, HOUR)) == []


@pytest.mark.rule("CI-7")
def test_lookups_count_for_each_person_alone_and_only_reads_that_were_allowed() -> None:
    allowed = spread(P.lookups_an_hour, HOUR / 2)
    for other in ({"staff": "clerk.2"}, {"operation": "1302"}, {"decision": "DENIED", "reason": "PURPOSE_NOT_ALLOWED"}):
        assert found(*allowed, read(NOON + HOUR / 2, **other)) == []


@pytest.mark.rule("CI-7")
def test_a_burst_that_goes_on_is_one_pattern_and_the_next_day_is_another() -> None:
    burst = spread(3 * P.lookups_an_hour, HOUR)
    (pattern,) = found(*burst)
    assert pattern.count == 3 * P.lookups_an_hour
    later = [entry._replace(at=entry.at + DAY / 2, recorded=entry.recorded + DAY / 2) for entry in burst]
    assert [one.count for one in found(*burst, *later) if one.kind is PatternKind.MANY_LOOKUPS] == [180, 180]


@pytest.mark.rule("CI-7")
def test_a_flood_in_one_entry_counts_for_what_it_stands_for() -> None:
    few = P.denials_out_of_store
    assert kinds(denied(NOON, "OUT_OF_SCOPE", times=few)) == []
    assert kinds(denied(NOON, "OUT_OF_SCOPE", times=few + 1)) == [PatternKind.OUT_OF_STORE]


# OUT_OF_HOURS


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize(
    ("hour", "is_odd"),
    [
        (time(21, 59, 59, 999999), False),
        (time(22, 0), True),
        (time(23, 59), True),
        (time(0, 0), True),
        (time(6, 59, 59, 999999), True),
        (time(7, 0), False),
    ],
)
def test_a_read_at_night_is_odd(hour: time, is_odd: bool) -> None:
    carrier = timedelta(hours=8)
    at = datetime.combine(NOON.date(), hour, tzinfo=UTC) - carrier
    assert kinds(read(at)) == ([PatternKind.OUT_OF_HOURS] if is_odd else [])
    assert kinds(read(at, operation="1302")) == []


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize("reason", ["OUT_OF_HOURS", "STORE_CLOSED"])
def test_trying_again_and_again_out_of_hours_is_odd(reason: str) -> None:
    tries = [denied(NOON + n * timedelta(minutes=1), reason) for n in range(P.denials_out_of_hours + 1)]
    assert kinds(*tries[:-1]) == []
    assert kinds(*tries) == [PatternKind.OUT_OF_HOURS]
    apart = [denied(NOON + n * HOUR / P.denials_out_of_hours, reason) for n in range(P.denials_out_of_hours + 1)]
    assert kinds(*apart) == []


# OUT_OF_STORE


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize("reason", ["OUT_OF_SCOPE", "TERMINAL_OUT_OF_PLACE"])
def test_trying_again_and_again_elsewhere_is_odd(reason: str) -> None:
    tries = [denied(NOON + n * timedelta(minutes=1), reason, store="e9") for n in range(P.denials_out_of_store + 1)]
    assert kinds(*tries[:-1]) == []
    assert kinds(*tries) == [PatternKind.OUT_OF_STORE]
    by_two = [*tries[:-1], tries[-1]._replace(staff="clerk.2")]
    assert kinds(*by_two) == []


@pytest.mark.rule("CI-7")
def test_attempts_that_name_nobody_count_for_the_terminal() -> None:
    tries = [denied(NOON, "TERMINAL_OUT_OF_PLACE", staff="") for _ in range(P.denials_out_of_store + 1)]
    (pattern,) = found(*tries)
    assert (pattern.staff, pattern.terminal) == ("", "e1-t1")


@pytest.mark.rule("CI-7")
def test_one_person_in_two_stores_sooner_than_the_way_takes_is_odd() -> None:
    there = read(NOON, operation="1302")
    assert kinds(there, read(NOON + P.between_stores, store="e2")) == []
    (pattern,) = found(there, read(NOON + P.between_stores - TICK, store="e2"))
    assert (pattern.kind, pattern.indices) == (PatternKind.OUT_OF_STORE, (0, 1))


@pytest.mark.rule("CI-7")
def test_who_works_by_telephone_may_be_in_many_stores() -> None:
    calls = [read(NOON, role="service-agent"), read(NOON, role="service-agent", store="e2")]
    assert kinds(*calls) == []


# NO_VISIT


def visit(at: datetime, **facts: object) -> Seen:
    return told("customer.visited", at, **facts)


def walk_in(at: datetime = NOON, **facts: object) -> Seen:
    return read(at, purpose="WALK_IN", **facts)


@pytest.mark.rule("CI-7")
def test_a_walk_in_needs_a_visit_in_the_hours_before() -> None:
    assert kinds(walk_in()) == [PatternKind.NO_VISIT]
    assert kinds(visit(NOON - P.visit_life), walk_in()) == []
    assert kinds(visit(NOON - P.visit_life - TICK), walk_in()) == [PatternKind.NO_VISIT]


@pytest.mark.rule("CI-7")
def test_a_visit_counts_for_its_customer_and_store() -> None:
    assert kinds(visit(NOON, subject="other"), walk_in()) == [PatternKind.NO_VISIT]
    assert kinds(visit(NOON, store="e2"), walk_in()) == [PatternKind.NO_VISIT]
    assert kinds(read(purpose="ORDER")) == []


@pytest.mark.rule("CI-7")
def test_a_visit_may_be_told_a_little_late() -> None:
    assert kinds(walk_in(), visit(NOON + P.settling)) == []
    assert kinds(walk_in(), visit(NOON + P.settling + TICK)) == [PatternKind.NO_VISIT]
    early_but_told_late = visit(NOON - HOUR / 2)._replace(recorded=NOON + P.settling - TICK)
    assert kinds(walk_in(), early_but_told_late) == []


# MANY_CODES, FAST_CODE


def code(type: str, at: datetime, **facts: object) -> Seen:
    return told(type, at, **{"code": "code-1", **facts})


@pytest.mark.rule("CI-7")
def test_many_codes_on_one_terminal_in_an_hour_are_odd() -> None:
    sent = [
        code(
            "code.sent",
            NOON + (HOUR - TICK) * n / P.codes_an_hour,
            code=f"code-{n}",
            subject=f"s{n}",
            staff=f"clerk.{n % 2}",
        )
        for n in range(P.codes_an_hour + 1)
    ]
    assert kinds(*sent[:-1]) == []
    (pattern,) = found(*sent)
    assert (pattern.kind, pattern.count, pattern.staff) == (PatternKind.MANY_CODES, P.codes_an_hour + 1, "")
    assert kinds(*sent[:-1], sent[-1]._replace(terminal="e1-t2")) == []
    late = sent[-1]._replace(at=NOON + HOUR, recorded=NOON + HOUR)
    assert kinds(*sent[:-1], late) == []


@pytest.mark.rule("CI-7")
def test_a_code_that_is_typed_sooner_than_an_sms_is_read_is_odd() -> None:
    sent = code("code.sent", NOON)
    assert kinds(sent, code("code.confirmed", NOON + P.code_takes)) == []
    (pattern,) = found(sent, code("code.confirmed", NOON + P.code_takes - TICK))
    assert (pattern.kind, pattern.threshold, pattern.indices) == (PatternKind.FAST_CODE, 10, (0, 1))


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize("other", [{"subject": "other"}, {"terminal": "e1-t2"}, {"code": "code-2"}])
def test_a_code_is_fast_only_against_its_own_sending(other: dict[str, object]) -> None:
    assert kinds(code("code.sent", NOON), code("code.confirmed", NOON, **other)) == []


# SOON_REVERSED


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize("by_check", [False, True])
def test_an_order_that_is_soon_reversed_is_odd(by_check: bool) -> None:
    def back(at: datetime, **facts: object) -> Seen:
        return read(at, operation="b083", **facts) if by_check else told("order.reversed", at, **facts)

    order = told("order.completed", NOON, operation="1104")
    assert kinds(order, back(NOON + P.reversal)) == []
    (pattern,) = found(order, back(NOON + P.reversal - TICK))
    assert (pattern.kind, pattern.threshold, pattern.indices) == (PatternKind.SOON_REVERSED, 30, (0, 1))
    for other in ({"subject": "other"}, {"staff": "clerk.2"}):
        assert kinds(order, back(NOON, **other)) == []


@pytest.mark.rule("CI-7")
def test_an_order_is_reversed_once_though_the_check_and_the_order_both_tell_it() -> None:
    minute = timedelta(minutes=1)
    order = told("order.completed", NOON, operation="1104")
    (pattern,) = found(
        order, read(NOON + minute, operation="1121"), told("order.reversed", NOON + 2 * minute, operation="1121")
    )
    assert pattern.count == 1


# withdrawals, periods, bounds


@pytest.mark.rule("CI-7")
def test_what_was_withdrawn_released_nothing_and_is_not_odd() -> None:
    back = denied(NOON + P.settling - TICK, "RECORD_UNAVAILABLE", withdraws="it")
    assert kinds(walk_in(event_id="it"), back) == []
    assert kinds(back, walk_in(NOON + P.settling, event_id="it")) == []
    assert kinds(walk_in(event_id="another"), back) == [PatternKind.NO_VISIT]


@pytest.mark.rule("CI-7")
def test_what_names_nobody_is_nobodys_pattern() -> None:
    assert kinds(*[read(staff="") for _ in range(P.lookups_an_hour + 1)]) == []
    assert kinds(*[denied(NOON, "OUT_OF_HOURS", staff="", terminal="") for _ in range(100)]) == []


@pytest.mark.rule("CI-7")
def test_a_period_ends_where_it_says_and_what_went_before_explains() -> None:
    assert found(walk_in(NOON), since=NOON - DAY, until=NOON) == []
    assert len(found(walk_in(NOON), since=NOON, until=NOON + TICK)) == 1
    assert found(walk_in(NOON), since=NOON + TICK, until=NOON + DAY) == []
    # The burst began before the period and reaches into it.
    assert len(found(*spread(P.lookups_an_hour + 1, HOUR / 2), since=NOON + HOUR / 2)) == 1


@pytest.mark.rule("CI-7")
def test_a_store_system_cannot_date_things_into_the_future() -> None:
    ahead = code("code.confirmed", NOON + timedelta(days=400))._replace(recorded=NOON + timedelta(seconds=3))
    assert kinds(code("code.sent", NOON), ahead) == [PatternKind.FAST_CODE]


@pytest.mark.rule("CI-7")
def test_odd_patterns_in_a_long_quiet_log_are_found_and_memory_stays_with_the_windows() -> None:
    watch = Watch(NOON, NOON + 400 * DAY)
    entries = []
    for number in range(12_000):
        at = NOON + number * timedelta(minutes=5)
        entry = walk_in(at, staff=f"clerk.{number}", subject=f"s{number}", role="clerk")
        entries.append(visit(at, subject=f"s{number}")._replace(position=2 * number, event_id=f"v{number}"))
        entries.append(entry._replace(position=2 * number + 1, event_id=f"e{number}"))
        if number % 10 == 0:
            back = denied(at, "RECORD_UNAVAILABLE", withdraws=f"e{number}", staff=f"clerk.{number}")
            entries.append(back._replace(position=2 * number + 1, event_id=f"w{number}"))
    go_by(watch, entries)
    assert not [one for one in watch.patterns if one.kind is PatternKind.NO_VISIT]
    held = sum(map(len, (watch._tallies, watch._visits, watch._stores, watch._withdrawn)))
    assert held < 3 * 4096


@pytest.mark.rule("CI-7")
def test_however_many_lookups_one_person_makes_in_an_hour_no_more_of_them_are_held_than_are_allowed() -> None:
    watch = Watch(NOON - DAY, NOON + DAY)
    flood = spread(20_000, HOUR / 2)
    go_by(watch, [entry._replace(position=n, event_id=f"event-{n}") for n, entry in enumerate(flood)])
    assert max(len(tally.hits) for tally in watch._tallies.values()) <= P.lookups_an_hour + 1
    (pattern,) = watch.finish()
    assert (pattern.count, pattern.first, pattern.last) == (20_000, NOON, NOON + HOUR / 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(min_value=0, max_value=10_000))
def test_nothing_is_odd_under_a_profile_that_allows_everything_and_nothing_ever_raises(number: int) -> None:
    draw = random.Random(number)
    entries, at = [], NOON
    for _ in range(200):
        at += timedelta(seconds=draw.choice((0, 1, 9, 600, 3600)))
        make = draw.choice((read, walk_in, lambda at: denied(at, "OUT_OF_SCOPE"), visit))
        made = make(at) if draw.random() < 0.6 else code(draw.choice(("code.sent", "code.confirmed")), at)
        entries.append(
            made._replace(at=at - timedelta(seconds=draw.choice((0, 5, 7200))), subject=f"s{draw.randrange(3)}")
        )
    generous = replace(
        P,
        lookups_an_hour=10**6,
        night_begins=time(0),
        night_ends=time(0),
        denials_out_of_hours=10**6,
        denials_out_of_store=10**6,
        between_stores=timedelta(0),
        reads_without_visit=10**6,
        codes_an_hour=10**6,
        code_takes=timedelta(0),
        reversal=timedelta(0),
    )
    assert found(*entries, profile=generous) == []
    ours = found(*entries)
    assert all(one.first <= one.last and 0 < len(one.indices) <= SHOWN for one in ours)
