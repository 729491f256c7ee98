"""What the ready reports say, from entries and lists as the services give them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from infosec import canonical
from infosec.events.types import EventType
from infosec.messages import Locale
from infosec.reports import access, exceptions, listed, locks
from infosec.reports.record import Record, record
from infosec.reports.report import Report

NOW = datetime(2026, 11, 16, 4, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(days=7)
Fact = str | int | bool


def entry(index: int, type: EventType, at: datetime, log: str = "east", subject: str = "", **facts: Fact) -> Record:
    text = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    fields: dict[str, canonical.Json] = {
        "at": text,
        "by": "service/suite",
        "facts": dict(facts),
        "id": str(uuid.UUID(int=index)),
        "log": log,
        "recorded": text,
        "type": type.value,
        "v": 1,
    }
    if subject:
        fields["subject"] = subject
    found = record(log, index, canonical.encode(fields))
    assert found is not None
    return found


def minutes(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


# locks-and-unlocks


def locked(at: datetime, staff: str = "clerk.1") -> Record:
    facts: dict[str, Fact] = {"failures": 5, "terminal": "e1-t1", "store": "e1", "system": "crm"}
    return entry(0, EventType.STAFF_LOCKED, at, staff=staff, **facts)


def request(type: EventType, at: datetime, number: str = "r1", **facts: Fact) -> Record:
    about: dict[str, Fact] = {
        "request_id": number,
        "request_kind": "unlock",
        "submitted_by": "boss.1",
        "level": "REGIONAL_MANAGER",
        "store_id": "e1",
        "subject_staff_id": "clerk.1",
    }
    return entry(1, type, at, **{**about, **facts})


def unlocks(*entries: Record) -> Report:
    return locks.build(entries, since=NOW, until=UNTIL, made_at=minutes(600))


@pytest.mark.rule("ID-5", "RQ-6")
def test_a_lock_says_who_asked_who_decided_and_how_long_it_took() -> None:
    (row,) = unlocks(
        locked(minutes(0)),
        request(EventType.REQUEST_SUBMITTED, minutes(5)),
        request(
            EventType.REQUEST_APPROVED,
            minutes(60),
            staff_id="region.1",
            role_id="regional-manager",
            flags="RECIPROCAL",
        ),
        request(EventType.REQUEST_CARRIED_OUT, minutes(61)),
    ).rows
    assert row == {
        "staff_id": "clerk.1",
        "region": "east",
        "store": "e1",
        "terminal": "e1-t1",
        "locked_at": minutes(0),
        "asked_by": "boss.1",
        "asked_at": minutes(5),
        "decided_by": "region.1",
        "decider_role": "regional-manager",
        "decided_at": minutes(60),
        "flags": "RECIPROCAL",
        "outcome": "CARRIED_OUT",
        "ended_at": minutes(61),
        "locked_for": "1 h 01 min",
    }


def test_a_lock_for_which_nobody_asked_is_still_a_lock() -> None:
    (row,) = unlocks(locked(minutes(0))).rows
    assert (row["outcome"], row["locked_for"]) == ("NOT_REQUESTED", "≥ 10 h 00 min")


def test_a_second_request_for_one_lock_is_a_line_of_its_own() -> None:
    first, second = unlocks(
        locked(minutes(0)),
        request(EventType.REQUEST_SUBMITTED, minutes(5)),
        request(EventType.REQUEST_REJECTED, minutes(6), staff_id="region.1", role_id="regional-manager"),
        request(EventType.REQUEST_SUBMITTED, minutes(90), "r2"),
        request(EventType.REQUEST_CARRIED_OUT, minutes(120), "r2"),
    ).rows
    assert (first["outcome"], second["outcome"]) == ("REJECTED", "CARRIED_OUT")
    assert (second["locked_at"], second["locked_for"]) == (minutes(0), "2 h 00 min")


def test_a_second_lock_after_an_unlock_is_not_the_first_one() -> None:
    first, second = unlocks(
        locked(minutes(0)),
        request(EventType.REQUEST_SUBMITTED, minutes(5)),
        request(EventType.REQUEST_CARRIED_OUT, minutes(10)),
        locked(minutes(30)),
        request(EventType.REQUEST_EXPIRED, minutes(400), "r2"),
    ).rows
    assert (first["locked_for"], second["locked_at"], second["outcome"]) == ("0 h 10 min", minutes(30), "EXPIRED")


def test_requests_of_other_kinds_and_locks_before_the_period_do_not_confuse_it() -> None:
    other = request(EventType.REQUEST_SUBMITTED, minutes(1), "r9", request_kind="rebind-phone")
    (row,) = unlocks(other, request(EventType.REQUEST_CARRIED_OUT, minutes(2))).rows
    assert (row["locked_at"], row["outcome"], row["locked_for"]) == (None, "CARRIED_OUT", None)


# customer-access


def check(index: int, **facts: Fact) -> Record:
    plain: dict[str, Fact] = {
        "staff_id": "clerk.1",
        "role_id": "clerk",
        "store_id": "e1",
        "operation": "1500",
        "purpose": "ORDER",
        "decision": "ALLOWED",
        "reason": "OK",
    }
    subject = str(uuid.UUID(int=int(facts.pop("subject", 1))))
    return entry(index, EventType.CHECK_DECIDED, minutes(index), subject=subject, **{**plain, **facts})


@pytest.mark.rule("CI-4")
def test_access_is_counted_by_store_and_role_with_its_purposes_and_what_was_refused() -> None:
    made = access.build(
        [
            check(1),
            check(2, purpose="WALK_IN", subject=2),
            check(3, staff_id="clerk.2"),
            check(4, decision="DENIED", reason="OUT_OF_HOURS", count=7),
            check(5, operation="1302"),
            check(6, store_id="e2", role_id="store-manager", purpose="COMPLAINT"),
            check(7, subject=3),
            check(8, decision="DENIED", reason="RECORD_UNAVAILABLE", withdraws=str(uuid.UUID(int=7))),
        ],
        since=NOW,
        until=UNTIL,
        made_at=NOW,
    )
    first, second = made.rows
    assert first == {
        "region": "east",
        "store": "e1",
        "role": "clerk",
        "people": 2,
        "reads": 3,
        "customers": 2,
        "for_order": 2,
        "for_complaint": 0,
        "for_work_order": 0,
        "for_walk_in": 1,
        "withdrawn": 1,
        "denied": 8,
        "mostly": ["OUT_OF_HOURS", "RECORD_UNAVAILABLE"],
    }
    assert (second["store"], second["role"], second["for_complaint"]) == ("e2", "store-manager", 1)


@pytest.mark.rule("CI-4")
def test_an_operation_of_an_installations_own_is_a_read_by_the_class_that_was_decided() -> None:
    told = [
        check(1, operation="8001", operation_class="READ"),
        check(2, operation="8002", operation_class="PAY"),
        check(3, operation="8003"),  # of no class that is told: rather one look too many
        check(4, operation="1302"),
    ]
    (row,) = access.build(told, since=NOW, until=UNTIL, made_at=NOW).rows
    assert row["reads"] == 2


# exceptions


def test_what_is_not_everyday_is_listed_with_who_and_why() -> None:
    broken = entry(
        1, EventType.BREAK_GLASS_USED, minutes(1), subject_staff_id="admin.1", people="a and b", grounds="lost"
    )
    plain = request(EventType.REQUEST_APPROVED, minutes(2), staff_id="r.1", role_id="regional-manager")
    flagged = request(
        EventType.REQUEST_APPROVED, minutes(3), staff_id="r.1", role_id="regional-manager", flags="RECIPROCAL"
    )
    made = exceptions.build([broken, plain, flagged], since=NOW, until=UNTIL, made_at=NOW)
    first, second = made.rows
    assert (first["who"], first["whom"], first["why"]) == ("a and b", "admin.1", "lost; people=a and b")
    assert "flags=RECIPROCAL" in str(second["why"])
    english = made.cells(first, Locale.EN)
    assert "Break-glass codes let an administrator in" in english


def test_every_type_that_is_listed_has_words_in_both_languages() -> None:
    rows = [entry(n, type, minutes(n), flags="X") for n, type in enumerate(exceptions.TYPES)]
    made = exceptions.build(rows, since=NOW, until=UNTIL, made_at=NOW)
    for locale in Locale:
        assert all(made.cells(row, locale)[1] != row["type"] for row in made.rows)


# lists


@pytest.mark.rule("ID-4", "ID-10")
def test_blacklisted_and_stale_ids_stand_by_region_and_store() -> None:
    staff = [
        {"staff_id": "b.1", "state": "BLACKLISTED", "region_id": "west", "store_id": "w1", "state_since": NOW},
        {"staff_id": "d.1", "state": "ACTIVE", "region_id": "east", "store_id": "e1", "last_login_at": NOW},
        {"staff_id": "fine.1", "state": "ACTIVE", "region_id": "east", "store_id": "e1"},
    ]
    findings = [{"kind": "DORMANT", "staff_id": "d.1", "at": NOW, "store_id": None, "terminal_id": None}]
    rows = listed.stale(staff, findings, made_at=NOW).rows
    assert [(row["region"], row["store"], row["staff_id"], row["kind"]) for row in rows] == [
        ("east", "e1", "d.1", "DORMANT"),
        ("west", "w1", "b.1", "BLACKLISTED"),
    ]


@pytest.mark.rule("CI-7")
def test_odd_patterns_and_deviations_are_shown_as_they_are_told() -> None:
    pattern = {"kind": "NO_VISIT", "staff_id": "c.1", "count": 2, "threshold": 0, "indices": [4, 9]}
    made = listed.odd_patterns([pattern], since=NOW, until=UNTIL, made_at=NOW)
    cells = dict(zip(made.headings(Locale.EN), made.cells(made.rows[0], Locale.EN), strict=True))
    assert (cells["Pattern"], cells["Count"], cells["Entries"]) == ("no visit", 2, "4, 9")
    told = listed.deviations(
        [{"standard": "NIST", "clause": "3", "departure": "d", "why": "w"}], profile="p", made_at=NOW
    )
    assert told.cells(told.rows[0], Locale.ZH_CN) == ["NIST", "3", "d", "w"]


def test_an_entry_whose_payload_is_gone_is_no_line() -> None:
    assert record("east", 4, b"") is None
