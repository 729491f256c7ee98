"""Spot checks and odd patterns on a real log: drawn from what is signed, and on record before they are answered."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from auditsvc import entry
from auditsvc.flows import reviewing as flow
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.reviewing import Reviewing, SignedSample
from auditsvc.patterns import PatternKind
from auditsvc.review_profile import TELECOM_HALL
from auditsvc.rpc import review as wire
from auditsvc.store import checkpoints
from infosec.api.audit.v1 import read_pb2 as pb
from infosec.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unavailable
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import RegionId, StoreId
from infosec.review.sampling import Week, share
from infosec.transparency.ranges import EMPTY
from tests.sim.audit import EAST, START, WEST, AuditStand
from tests.sim.audit_reading import ReadStand, read_stand

WEEK = Week(monday=date(2026, 3, 2))
"""START is its Monday morning."""
STORE = StoreId("e1")


@pytest.fixture
async def stand(audit: AuditStand, tmp_path: Path) -> ReadStand:
    return await read_stand(audit, tmp_path)


@pytest.fixture
def reviewing(stand: ReadStand) -> Reviewing:
    return stand.reviewing


def work(audit: AuditStand, people: int, each: int = 12) -> list[Event]:
    """Reads of a week in one store, with what is not to be counted between them."""
    events = []
    for number in range(people):
        for n in range(each):
            events.append(audit.check(n, staff_id=f"clerk.{number:02}", store_id=STORE))
        events.append(audit.check(number, staff_id=f"clerk.{number:02}", store_id="e2"))
        events.append(audit.check(number, staff_id=f"guest.{number:02}", store_id=STORE, decision="DENIED"))
    events.append(audit.check(1, staff_id="boss.1", store_id=STORE, role_id="store-manager"))
    return events


async def next_week(stand: ReadStand, *, open_again: bool = True) -> None:
    stand.audit.advance(days=7)
    if open_again:
        await stand.audit.append(stand.audit.check(1, store_id="e2"))
    await stand.sign()


@pytest.mark.rule("CI-6")
@pytest.mark.parametrize("people", [0, 1, 5, 6, 20, 21])
async def test_the_share_of_a_store_and_week_is_drawn(stand: ReadStand, reviewing: Reviewing, people: int) -> None:
    await stand.audit.append(*work(stand.audit, people))
    await next_week(stand)
    found = (await reviewing.sample(STORE, EAST, WEEK, stand.person())).sample
    assert found.population == tuple(f"clerk.{number:02}" for number in range(people))
    assert len(found.drawn) == share(people)
    rows = {row.index: row.entry for row in stand.stored() if row.log_id == EAST}
    for person in found.drawn:
        assert len(person.indices) == 10
        for index in person.indices:
            assert (rows[index].text("staff_id"), rows[index].text("store_id")) == (person.staff, STORE)


@pytest.mark.rule("CI-6")
async def test_the_seed_is_of_the_tree_that_ends_with_the_first_check_after_the_week(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    await stand.audit.append(*work(stand.audit, 3))
    await stand.sign()
    await next_week(stand)
    signed = await reviewing.sample(STORE, EAST, WEEK, stand.person())
    closing = next(row.index for row in stand.stored() if row.log_id == EAST and row.recorded_at >= WEEK.ends)
    leaves = [hashlib.sha256(b"\0" + row.body).digest() for row in stand.stored() if row.log_id == EAST]
    whole, _ = EMPTY.extend(leaves[: closing + 1])
    root = base64.b64encode(whole.root()).decode()
    text = f"infosec/sample/v1\n{signed.sample.checkpoint.origin}\n{closing + 1}\n{root}\ne1\n2026-03-02\n"
    assert signed.sample.seed == hashlib.sha256(text.encode()).digest()
    assert stand.checkpoint(signed.note, EAST) == signed.sample.checkpoint


@pytest.mark.rule("CI-6")
async def test_the_sample_is_the_same_whoever_asks_and_however_much_was_recorded_and_signed_since(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    await stand.audit.append(*work(stand.audit, 9))
    await next_week(stand)
    first = await reviewing.sample(STORE, EAST, WEEK, stand.person())
    for _ in range(3):
        stand.audit.advance(hours=7)
        await stand.audit.append(*work(stand.audit, 2))
        await stand.sign()
    # Only some checkpoints are kept for ever; the seed rests on none of them.
    stand.audit.rows("delete from audit.checkpoints where size < (select max(size) from audit.checkpoints)")
    assert await reviewing.sample(STORE, EAST, WEEK, stand.person()) == first
    assert await reviewing.sample(STORE, EAST, WEEK, stand.person("auditor", system="crm")) == first


@pytest.mark.rule("CI-6")
async def test_what_is_kept_for_a_shorter_time_may_go_without_changing_the_sample(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    refused = {"method": "m", "reason": "NOT_PERMITTED", "peer": "p", "count": 1, "first": START.isoformat()}

    def passing() -> Event:
        return Event(type=EventType.CALL_REFUSED, at=stand.audit.clock.now(), region_id=EAST, facts=dict(refused))

    await stand.audit.append(*work(stand.audit, 9), passing())
    stand.audit.advance(days=7)
    await stand.audit.append(passing())
    await next_week(stand)
    first = await reviewing.sample(STORE, EAST, WEEK, stand.person())
    stand.audit.rows("delete from audit.entries where type = 'call.refused'")
    assert await reviewing.sample(STORE, EAST, WEEK, stand.person()) == first


@pytest.mark.rule("CI-6")
async def test_a_week_that_is_not_over_is_not_drawn(stand: ReadStand, reviewing: Reviewing) -> None:
    await stand.audit.append(*work(stand.audit, 3))
    stand.audit.clock.advance(WEEK.ends - stand.audit.clock.now() - timedelta(microseconds=1))
    await stand.sign()
    with pytest.raises(FailedPrecondition) as refused:
        await reviewing.sample(STORE, EAST, WEEK, stand.person())
    assert refused.value.reason is Reason.STATE_CONFLICT
    assert stand.own("audit.queried") == []


@pytest.mark.rule("CI-6")
async def test_a_week_after_which_nothing_was_recorded_is_closed_by_the_question_and_drawn_at_the_next_checkpoint(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    await stand.audit.append(*work(stand.audit, 6))
    await next_week(stand, open_again=False)
    for _ in range(2):  # asked twice, closed once
        with pytest.raises(FailedPrecondition) as refused:
            await reviewing.sample(STORE, EAST, WEEK, stand.person())
        assert refused.value.retry_after == timedelta(seconds=1)
    (question,) = [one for one in stand.own("audit.queried") if one.log_id == EAST]
    assert question.text("staff_id") == "sun.qi"
    await stand.sign()
    assert len((await reviewing.sample(STORE, EAST, WEEK, stand.person())).sample.drawn) == 3


@pytest.mark.rule("CI-6")
async def test_what_a_store_system_tells_does_not_fix_the_seed(stand: ReadStand, reviewing: Reviewing) -> None:
    await stand.audit.append(*work(stand.audit, 6))
    stand.audit.advance(days=7)
    await stand.audit.append(stand.audit.check(1), recorded_by="system/crm")
    await next_week(stand)
    found = (await reviewing.sample(STORE, EAST, WEEK, stand.person())).sample
    after = [row for row in stand.stored() if row.log_id == EAST and row.recorded_at >= WEEK.ends]
    assert [row.entry.recorded_by for row in after] == ["system/crm", "service/suite"]
    assert found.checkpoint.size == after[1].index + 1


@pytest.mark.rule("CI-6")
async def test_a_draw_is_on_record_before_it_is_answered(stand: ReadStand, reviewing: Reviewing) -> None:
    await stand.audit.append(*work(stand.audit, 21))
    await next_week(stand)
    found = (await reviewing.sample(STORE, EAST, WEEK, stand.person())).sample
    (event,) = stand.own("audit.sampled")
    assert event.log_id == "carrier"
    assert event.facts == {
        "staff_id": "sun.qi",
        "store_id": STORE,
        "region_id": EAST,
        "period": "2026-W10",
        "seed": found.seed.hex(),
        "tree_size": found.checkpoint.size,
        "population": 21,
        "count": 7,
    }


@pytest.mark.rule("CI-6", "CI-7")
async def test_what_cannot_be_put_on_record_is_not_answered(
    stand: ReadStand, reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.audit.append(*work(stand.audit, 3))
    await next_week(stand)

    async def refused(*_: object) -> None:
        raise Unavailable(Reason.RECORD_UNAVAILABLE)

    monkeypatch.setattr(OwnEvents, "record", refused)
    with pytest.raises(Unavailable):
        await reviewing.sample(STORE, EAST, WEEK, stand.person())
    with pytest.raises(Unavailable):
        await reviewing.patterns(START, START + timedelta(days=1), (), stand.person())


@pytest.mark.rule("CI-6")
async def test_a_log_that_was_changed_under_its_checkpoint_draws_nothing(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    await stand.audit.append(*work(stand.audit, 3))
    await next_week(stand)
    async with stand.audit.db.transaction() as conn:
        stored = await checkpoints.newest(conn, EAST)
    assert stored is not None
    forged = stored.note.replace(base64.b64encode(stored.root).decode(), base64.b64encode(b"\7" * 32).decode())
    stand.audit.rows("update audit.checkpoints set note = %s where log_id = %s", forged, EAST)
    with pytest.raises(Exception, match="INTERNAL"):
        await reviewing.sample(STORE, EAST, WEEK, stand.person())


@pytest.mark.rule("CI-6")
async def test_entries_past_their_term_are_not_drawn_from(stand: ReadStand, reviewing: Reviewing) -> None:
    await stand.audit.append(*work(stand.audit, 3))
    stand.audit.advance(days=3 * 366)
    with pytest.raises(FailedPrecondition):
        await reviewing.sample(STORE, EAST, WEEK, stand.person())


async def test_a_log_that_is_not_there_is_not_found(stand: ReadStand, reviewing: Reviewing) -> None:
    await next_week(stand)
    with pytest.raises(NotFound):
        await reviewing.sample(STORE, RegionId("nowhere"), WEEK, stand.person())
    with pytest.raises(InvalidInput):
        await reviewing.patterns(START, START + timedelta(days=1), (RegionId("nowhere"),), stand.person())


@pytest.mark.rule("CI-6")
async def test_a_sample_goes_over_the_wire_as_it_is(stand: ReadStand, reviewing: Reviewing) -> None:
    await stand.audit.append(*work(stand.audit, 7))
    await next_week(stand)
    request = pb.DrawSampleRequest(store_id="E1", log_id=EAST, week="2026-03-02")
    answer = await wire.draw_sample(reviewing, request, stand.person())
    signed: SignedSample = await reviewing.sample(STORE, EAST, WEEK, stand.person())
    assert (answer.checkpoint, answer.seed) == (signed.note, signed.sample.seed)
    assert [(one.staff_id, tuple(one.indices)) for one in answer.drawn] == [
        (one.staff, one.indices) for one in signed.sample.drawn
    ]
    with pytest.raises(InvalidInput):
        await wire.draw_sample(reviewing, pb.DrawSampleRequest(store_id="e1", log_id=EAST, week="w"), stand.person())


# Odd patterns


def told(audit: AuditStand, type: EventType, **facts: Fact) -> Event:
    plain: dict[str, Fact] = {
        "customer": audit.customer("13800000001"),
        "store_id": STORE,
        "system_id": "crm",
        "terminal_id": "e1-t1",
        "staff_id": "clerk.1",
    }
    return Event(type=type, at=audit.clock.now(), region_id=EAST, facts={**plain, **facts})


def look(audit: AuditStand, **facts: Fact) -> Event:
    return audit.check(1, **{"staff_id": "clerk.1", "store_id": STORE, "terminal_id": "e1-t1", **facts})


async def many_lookups(audit: AuditStand) -> None:
    await audit.append(*(look(audit) for _ in range(TELECOM_HALL.lookups_an_hour + 1)))


async def at_night(audit: AuditStand) -> None:
    audit.advance(hours=13)  # 22:00 carrier time
    await audit.append(look(audit))


async def out_of_store(audit: AuditStand) -> None:
    await audit.append(*(look(audit, store_id="e9", decision="DENIED", reason="OUT_OF_SCOPE") for _ in range(3)))


async def no_visit(audit: AuditStand) -> None:
    await audit.append(look(audit, purpose="WALK_IN"))


async def many_codes(audit: AuditStand) -> None:
    codes = [told(audit, EventType.CODE_SENT, code_id=str(uuid.uuid4())) for _ in range(21)]
    await audit.append(*codes)


async def fast_code(audit: AuditStand) -> None:
    code = str(uuid.uuid4())
    await audit.append(told(audit, EventType.CODE_SENT, code_id=code))
    audit.advance(seconds=9)
    await audit.append(told(audit, EventType.CODE_CONFIRMED, code_id=code))


async def soon_reversed(audit: AuditStand) -> None:
    order: dict[str, Fact] = {"order_id": "o-1", "operation": "1104"}
    await audit.append(told(audit, EventType.ORDER_COMPLETED, **order))
    audit.advance(minutes=29)
    await audit.append(told(audit, EventType.ORDER_REVERSED, **order))


@pytest.mark.rule("CI-7")
@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (many_lookups, PatternKind.MANY_LOOKUPS),
        (at_night, PatternKind.OUT_OF_HOURS),
        (out_of_store, PatternKind.OUT_OF_STORE),
        (no_visit, PatternKind.NO_VISIT),
        (many_codes, PatternKind.MANY_CODES),
        (fast_code, PatternKind.FAST_CODE),
        (soon_reversed, PatternKind.SOON_REVERSED),
    ],
)
async def test_each_pattern_is_found_in_a_real_log(
    stand: ReadStand, reviewing: Reviewing, happens: Callable[..., object], kind: PatternKind
) -> None:
    audit = stand.audit
    await happens(audit)  # type: ignore[misc]
    found = await reviewing.patterns(START, START + timedelta(days=2), (), stand.person())
    assert [(one.log_id, one.pattern.kind, one.pattern.staff) for one in found] == [(EAST, kind, "clerk.1")]
    bodies = {row.index: row.entry for row in stand.stored() if row.log_id == EAST}
    assert all(entry_about(bodies[index]) == "clerk.1" for index in found[0].pattern.indices)


def entry_about(one: entry.Entry) -> str | None:
    return one.text("staff_id")


@pytest.mark.rule("CI-7")
async def test_quiet_work_is_not_odd_and_visits_before_the_period_explain_what_is_in_it(
    stand: ReadStand, reviewing: Reviewing
) -> None:
    audit = stand.audit
    await audit.append(told(audit, EventType.CUSTOMER_VISITED, customer=audit.check(1).facts["customer"]))
    audit.advance(hours=1)
    await audit.append(look(audit, purpose="WALK_IN"), look(audit, region=WEST))
    since = START + timedelta(minutes=30)
    assert await reviewing.patterns(since, since + timedelta(days=1), (), stand.person()) == []
    # Somebody else's period leaves it out altogether.
    assert await reviewing.patterns(START + timedelta(hours=2), START + timedelta(hours=9), (), stand.person()) == []


@pytest.mark.rule("CI-7")
async def test_patterns_are_found_across_the_pieces_that_a_log_is_read_in(
    stand: ReadStand, reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_lookups(stand.audit)
    whole = await reviewing.patterns(START, START + timedelta(days=1), (EAST,), stand.person())
    monkeypatch.setattr(flow, "_PIECE", 7)
    assert await reviewing.patterns(START, START + timedelta(days=1), (EAST,), stand.person()) == whole
    assert len(whole) == 1


@pytest.mark.rule("CI-7")
async def test_looking_for_patterns_is_on_record(stand: ReadStand, reviewing: Reviewing) -> None:
    await no_visit(stand.audit)
    await reviewing.patterns(START, START + timedelta(days=1), (EAST,), stand.person())
    (event,) = stand.own("audit.queried")
    assert (event.text("staff_id"), event.text("region_id"), event.facts["count"]) == ("sun.qi", EAST, 1)


@pytest.mark.parametrize("days", [-1, 0, 32])
async def test_a_period_has_a_length_and_a_limit(stand: ReadStand, reviewing: Reviewing, days: int) -> None:
    with pytest.raises(InvalidInput):
        await reviewing.patterns(START, START + timedelta(days=days), (), stand.person())


async def test_too_many_patterns_are_refused_and_not_cut(
    stand: ReadStand, reviewing: Reviewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "MAX_PATTERNS", 2)
    await stand.audit.append(*(look(stand.audit, purpose="WALK_IN", staff_id=f"clerk.{n}") for n in range(3)))
    with pytest.raises(InvalidInput, match="shorter period"):
        await reviewing.patterns(START, START + timedelta(days=1), (), stand.person())


@pytest.mark.rule("CI-7")
async def test_patterns_go_over_the_wire_as_they_are(stand: ReadStand, reviewing: Reviewing) -> None:
    await no_visit(stand.audit)
    request = pb.ListPatternsRequest(log_ids=[EAST])
    request.since.FromDatetime(START)
    request.until.FromDatetime(START + timedelta(days=1))
    (one,) = (await wire.list_patterns(reviewing, request, stand.person())).patterns
    assert (one.kind, one.log_id, one.staff_id, one.store_id, one.terminal_id) == (
        "NO_VISIT",
        EAST,
        "clerk.1",
        STORE,
        "e1-t1",
    )
    assert (one.count, one.threshold, list(one.indices)) == (1, 0, [0])
    assert one.first.ToDatetime() == datetime(2026, 3, 2, 1, 0)
    with pytest.raises(InvalidInput):
        await wire.list_patterns(reviewing, pb.ListPatternsRequest(), stand.person())
