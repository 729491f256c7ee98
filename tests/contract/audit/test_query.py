"""Pages of the record: every filter against a plain one, in both orders, across logs, with work that stays bounded."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditsvc.flows import reading as reading_flow
from auditsvc.flows.reading import Question
from auditsvc.selection import Selection
from auditsvc.store import entries
from auditsvc.store.entries import LogHead, Wanted
from infosec.errors import InvalidInput, Reason, Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import CARRIER, OperationCode, RegionId, StaffId, StoreId
from tests.sim.audit import EAST, START, WEST, AuditStand
from tests.sim.audit_reading import ReadStand, Stored, read_stand
from tests.sim.forging import altered

LOGS = (EAST, WEST, CARRIER)
NUMBERS = [f"1380000{number:04}" for number in range(8)]


@pytest.fixture
async def stand(audit: AuditStand, tmp_path: Path) -> ReadStand:
    return await read_stand(audit, tmp_path)


def drawn_event(audit: AuditStand, draw: random.Random, number: int) -> Event:
    region = draw.choice(LOGS)
    if draw.random() < 0.2:
        facts = {"staff_id": f"clerk.{draw.randrange(4)}", "session_id": "7e57ab1e-0000-4000-8000-000000000001"}
        return Event(
            type=EventType.SESSION_LOCKED,
            at=audit.clock.now(),
            region_id=region,
            facts={**facts, "terminal_id": "e1-t1"},
        )
    return audit.check(
        number,
        region=region,
        customer=audit.customer(draw.choice(NUMBERS)),
        operation=draw.choice(("1500", "1302", "1104")),
        decision=draw.choice(("ALLOWED", "DENIED")),
        staff_id=f"clerk.{draw.randrange(4)}",
    )


async def filled(stand: ReadStand, draw: random.Random, count: int = 400) -> list[Stored]:
    """A record of some logs over some time, several entries at the same moment among them."""
    left = count
    while left > 0:
        some = min(left, draw.randrange(1, 40))
        await stand.audit.append(*(drawn_event(stand.audit, draw, left - n) for n in range(some)))
        left -= some
        if draw.random() < 0.7:
            stand.audit.advance(seconds=draw.randrange(1, 50))
    return stand.stored()


def drawn_selection(stand: ReadStand, draw: random.Random, stored: list[Stored]) -> tuple[Selection, str | None]:
    """A selection, and the number of its customer."""

    def some(values: list[str]) -> tuple[str, ...]:
        return tuple(draw.sample(values, draw.randrange(1, 3))) if draw.random() < 0.35 else ()

    moments = sorted(draw.choice(stored).recorded_at + timedelta(microseconds=draw.choice((-1, 0, 1))) for _ in "ab")
    number = draw.choice([*NUMBERS, "13999999999"]) if draw.random() < 0.35 else None
    return (
        Selection(
            since=moments[0] if draw.random() < 0.4 else None,
            until=moments[1] if draw.random() < 0.4 else None,
            log_ids=tuple(RegionId(one) for one in some([*LOGS])),
            types=(draw.choice((EventType.CHECK_DECIDED, EventType.SESSION_LOCKED)),) if draw.random() < 0.3 else (),
            store_ids=tuple(StoreId(one) for one in some(["e1", "e2", "w1", "c3"])),
            staff_ids=tuple(StaffId(one) for one in some(["clerk.0", "clerk.1", "nobody"])),
            operations=tuple(OperationCode(one) for one in some(["1500", "1302"])),
            decision=draw.choice(("ALLOWED", "DENIED")) if draw.random() < 0.3 else None,
            customer=stand.customer(number) if number else None,
        ),
        number,
    )


def matches(chosen: Selection, subject: str | None, one: Stored) -> bool:
    """The plain filter: of the entry itself, without any column or index."""
    told = one.entry
    checks = (
        chosen.since is None or told.recorded_at >= chosen.since,
        chosen.until is None or told.recorded_at < chosen.until,
        not chosen.log_ids or told.log_id in chosen.log_ids,
        not chosen.types or told.type in chosen.types,
        not chosen.store_ids or told.text("store_id") in chosen.store_ids,
        not chosen.staff_ids or told.text("staff_id") in chosen.staff_ids,
        not chosen.operations or told.text("operation") in chosen.operations,
        chosen.decision is None or told.text("decision") == chosen.decision,
        chosen.customer is None or (subject is not None and str(told.subject_id) == subject),
    )
    return all(checks)


def subject_of(stand: ReadStand, number: str | None) -> str | None:
    rows = stand.audit.rows(
        "select subject_id from audit.subjects where digest = %s", bytes.fromhex(stand.audit.customer(number or ""))
    )
    return str(rows[0][0]) if rows else None


@pytest.mark.parametrize("seed", range(3))
async def test_a_page_has_what_a_plain_filter_finds_in_the_same_order(stand: ReadStand, seed: int) -> None:
    draw = random.Random(seed)
    await filled(stand, draw)
    for _ in range(15):
        stored = stand.stored()
        chosen, number = drawn_selection(stand, draw, stored)
        subject = subject_of(stand, number)
        wanted = [one for one in stored if matches(chosen, subject, one)]
        oldest_first, size = draw.random() < 0.5, draw.choice((1 + len(wanted) // 5, 7, 60, 1000))
        found = [
            (hit.place.log_id, hit.place.position, hit.row.body)
            async for page in stand.pages(chosen, size=max(size, 1 + len(wanted) // 12), oldest_first=oldest_first)
            for hit in page.hits
        ]
        expected = [(one.log_id, one.index, one.body) for one in wanted]
        assert found == (expected if oldest_first else expected[::-1]), chosen


async def test_reading_on_ends_though_each_page_adds_to_the_record(stand: ReadStand) -> None:
    await stand.audit.append(*(stand.audit.check(number, region=CARRIER) for number in range(5)))
    for oldest_first in (True, False):
        before = len(stand.stored())
        pages = [page async for page in stand.pages(Selection(), size=1, oldest_first=oldest_first)]
        assert [len(page.hits) for page in pages] == [1] * before


async def test_what_is_rare_is_found_page_by_page_with_bounded_work(
    stand: ReadStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_flow, "_LOOKED_AT", 400)
    rare = {7: "rare.one", 350: "rare.one", 990: "rare.one"}
    for region in (EAST, WEST):
        await stand.audit.append(
            *(stand.audit.check(n, region=region, operation="1104" if n in rare else "1500") for n in range(1000))
        )
        stand.audit.advance(seconds=1)
    chosen = Selection(operations=(OperationCode("1104"),), log_ids=(EAST, WEST))
    for oldest_first in (True, False):
        pages = [page async for page in stand.pages(chosen, size=10, oldest_first=oldest_first)]
        assert len(pages) > 4
        found = [(hit.place.log_id, hit.place.position) for page in pages for hit in page.hits]
        expected = [(region, at) for region in (EAST, WEST) for at in sorted(rare)]
        assert found == (expected if oldest_first else expected[::-1])


@pytest.mark.parametrize("removed", [0.0, 0.5, 0.95])
async def test_a_period_is_found_by_probing_whatever_retention_has_taken(stand: ReadStand, removed: float) -> None:
    draw = random.Random(3)
    for number in range(60):
        await stand.audit.append(*(stand.audit.check(number) for _ in range(draw.randrange(1, 30))))
        stand.audit.advance(seconds=draw.randrange(3))
    stored = stand.stored()
    gone = [one.index for one in stored if draw.random() < removed]
    stand.audit.rows("delete from audit.entries where index = any(%s)", gone)
    left = [one for one in stored if one.index not in set(gone)]
    ends = LogHead(log_id=EAST, size=len(stored), first_index=0, recorded_at=stored[-1].recorded_at)
    for moment in {one.recorded_at + timedelta(seconds=by) for one in stored for by in (-1, 0, 1)}:
        before = [one.index for one in left if one.recorded_at < moment]
        after = [one.index for one in left if one.recorded_at >= moment]
        async with stand.audit.db.transaction() as conn:
            found = await entries.boundary(conn, ends, moment)
        assert found == (before[-1] + 1 if before else 0, after[0] if after else len(stored))


@pytest.mark.rule("CI-1")
async def test_who_reads_is_on_record_and_the_number_is_not(stand: ReadStand) -> None:
    await stand.audit.append(*(stand.audit.check(number) for number in range(40)))
    chosen = Selection(customer=stand.customer("13800000003"), staff_ids=(StaffId("clerk.3"),), log_ids=(EAST,))
    page = await stand.reading.query(Question(selection=chosen, size=10), stand.person())
    (told,) = stand.own("audit.queried")
    assert told.log_id == CARRIER
    assert told.recorded_by == "service/auditd"
    assert told.facts == {
        "staff_id": "sun.qi", "role_id": "auditor", "session_id": str(stand.person().session_id), "system_id": "cli",
        "terminal_id": "hq-t1", "count": len(page.hits), "region_id": "east", "subject_staff_id": "clerk.3",
        "filter": "customer=named logs=east staff=clerk.3",
    }  # fmt: skip
    assert str(told.subject_id) == subject_of(stand, "13800000003")


@pytest.mark.rule("CI-8")
async def test_nobody_becomes_known_by_being_asked_for(stand: ReadStand) -> None:
    await stand.audit.append(stand.audit.check(1))
    before = stand.audit.rows("select * from audit.subjects")
    chosen = Selection(customer=stand.customer("13999999999"))
    assert (await stand.reading.query(Question(selection=chosen, size=10), stand.person())).hits == []
    assert stand.audit.rows("select * from audit.subjects") == before
    assert stand.own("audit.queried")[0].subject_id is None


@pytest.mark.rule("CI-1")
async def test_what_cannot_be_recorded_is_not_read(stand: ReadStand, audit: AuditStand) -> None:
    await audit.append(audit.check(1))
    await audit.append(audit.check(1, region=CARRIER))
    audit.rows("revoke insert on audit.entries from audit_service")
    with pytest.raises(Unavailable) as refused:
        await stand.reading.query(Question(selection=Selection(), size=10), stand.person())
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    assert refused.value.details == {"sink": "audit"}
    audit.rows("grant insert on audit.entries to audit_service")
    assert (await stand.reading.query(Question(selection=Selection(), size=10), stand.person())).hits


async def test_a_token_is_good_for_its_own_question_alone(stand: ReadStand) -> None:
    await stand.audit.append(*(stand.audit.check(number) for number in range(20)))
    asked = Question(selection=Selection(), size=5)
    token = (await stand.reading.page(asked)).next_token
    assert len(token) <= 512
    other = Selection(decision="ALLOWED")
    changed = [
        token[:-4],
        token + "AAAA",
        altered(token, 0),
        altered(token, 60),
    ]
    refused = [replace(asked, token=text) for text in (*changed, "x", "é", "AAAA", "=")]
    refused += [replace(asked, token=token, selection=other), replace(asked, token=token, oldest_first=True)]
    for question in refused:
        with pytest.raises(InvalidInput) as error:
            await stand.reading.page(question)
        assert error.value.details["field"] == "page_token"
    assert len((await stand.reading.page(replace(asked, token=token, size=9))).hits) == 9  # another size is no matter


async def test_a_filter_that_cannot_be_meant_is_refused(stand: ReadStand) -> None:
    await stand.audit.append(stand.audit.check(1))
    for wrong in (
        {"since": START, "until": START - timedelta(seconds=1)},
        {"decision": "PERHAPS"},
    ):
        with pytest.raises(InvalidInput):
            Selection(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await stand.reading.page(Question(selection=Selection(log_ids=(RegionId("north"),)), size=5))


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_customer_and_a_clerk_are_found_by_their_index(stand: ReadStand, newest_first: bool) -> None:
    rare = {number: {"staff_id": "clerk.rare"} for number in range(0, 3000, 100)}
    await stand.audit.append(*(stand.audit.check(number, **rare.get(number, {})) for number in range(3000)))
    stand.audit.rows("analyze audit.entries")
    (row,) = stand.audit.rows("select array_agg(subject_id) from audit.subjects limit 1")
    subjects = tuple(row[0][:2])  # type: ignore[index]
    by_customer = Wanted(selection=Selection(decision="ALLOWED"), subjects=subjects)
    by_clerk = Wanted(selection=Selection(staff_ids=(StaffId("clerk.rare"),)), subjects=None)
    for wanted, index in ((by_customer, "entries_subject"), (by_clerk, "entries_staff")):
        query, values = entries.looking(EAST, wanted, 0, 3000, newest_first=newest_first, limit=100)
        async with stand.audit.db.transaction() as conn:
            (plan,) = await (await conn.execute("explain (analyze, format json) " + query, values)).fetchone() or ()
        nodes = scans(plan[0]["Plan"])
        used = {node["Index Name"] for node in nodes if "Index Name" in node}
        assert used == {index, "entries_pkey"}, json.dumps(plan)
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}
        # Rows that were touched, in all: what each of them has, and once more those that are shown.
        touched = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes if "Relation Name" in node)
        assert touched < 3000 / 5, json.dumps(plan)


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a plan that read the table or an index."""
    below = [node for child in plan.get("Plans", ()) for node in scans(child)]
    return [*([plan] if {"Relation Name", "Index Name"} & plan.keys() else []), *below]
