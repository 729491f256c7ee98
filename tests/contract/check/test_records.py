"""What is decided is on record: a read before it is allowed, the rest through a durable queue, or nothing is allowed (CI-1)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from authsvc.journal import CheckJournal
from authsvc.recorder import AuditDelivery, GroupRecorder
from infosec.clock import ManualClock
from infosec.errors import AlreadyExists, InfosecError, Reason, Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import SystemId
from infosec.storage.outbox import Parcel
from tests.sim.check_nodes import READ, CheckNode, check_node, question
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.patience import PATIENCE, PATIENCE_S
from tests.sim.world import START, World


async def pair(world: World) -> tuple[LoginNode, CheckNode]:
    return await login_node(world), await check_node(world)


@pytest.mark.rule("CI-1")
async def test_a_read_is_allowed_only_with_its_record(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    answer = await node.front.check(question(token, READ, trace_id="t-1", order="o-9"))
    assert answer.decision.allowed
    (entry,) = [one for one in world.entries("check.decided") if one["facts"]["operation"] == READ]
    assert entry["id"] == answer.record_id
    assert entry["log"] == "east"
    facts = entry["facts"]
    assert (facts["staff_id"], facts["role_id"], facts["decision"], facts["trace_id"]) == (
        "li.na",
        "clerk",
        "ALLOWED",
        "t-1",
    )
    assert "o-9" not in str(entry)
    assert "13911112222" not in str(entry)
    assert (await node.front.check(question(token))).record_id == ""


@pytest.mark.rule("CI-1", "CI-4")
async def test_everything_else_that_is_decided_is_in_the_log_soon(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    await node.journal.drained()
    before = len(world.entries("check.decided"))
    assert await node.reason(token) == "OK"
    assert await node.reason(token, READ, purpose=None) == "REQUIREMENTS_MISSING"
    assert await node.reason("forged", READ) == "TOKEN_INVALID"
    assert await node.reason(token, store="nowhere") == "SYSTEM_NOT_REGISTERED"
    await node.front.check_all([question(token), question(token, "1507")])
    await node.journal.drained()
    told = [
        (one["facts"]["reason"], one["facts"].get("staff_id"), one["log"], one["facts"].get("operation_class"))
        for one in world.entries("check.decided")
    ]
    assert len(told) == before + 6
    assert set(told) >= {
        ("REQUIREMENTS_MISSING", "li.na", "east", "READ"),
        ("OK", "li.na", "east", "PAY"),
        ("TOKEN_INVALID", None, "east", None),
        ("SYSTEM_NOT_REGISTERED", "li.na", "carrier", None),
        ("OPERATION_UNKNOWN", "li.na", "east", None),
    }


@pytest.mark.rule("CI-1")
async def test_a_check_that_cannot_be_put_down_is_denied(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    node.journal.close()
    assert await node.reason(token) == "RECORD_UNAVAILABLE"
    assert await node.reason(token, "1507") == "OPERATION_UNKNOWN"


@pytest.mark.rule("CI-1")
async def test_denials_above_ten_a_second_are_one_event_with_their_count(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    for _ in range(300):
        assert await node.reason("forged") == "TOKEN_INVALID"
    await node.journal.drained()
    told = [
        one["facts"].get("count", 1)
        for one in world.entries("check.decided")
        if one["facts"]["reason"] == "TOKEN_INVALID"
    ]
    assert sum(told) == 300
    assert len(told) < 300


class Broken:
    """A recorder that cannot."""

    async def record(self, event: Event) -> None:
        raise Unavailable(Reason.RECORD_UNAVAILABLE)


@pytest.mark.rule("CI-1")
async def test_a_read_that_cannot_be_recorded_is_denied(world: World) -> None:
    login, node = await login_node(world), await check_node(world, recorder=Broken())
    token = await login.token("li.na")
    await node.soon(token, "OK")
    denied = await node.ask(token, READ)
    assert denied.reason.value == "RECORD_UNAVAILABLE"
    assert denied.masking.phone
    assert not denied.grants_used


class Gated:
    """A recorder that holds its answer back, and counts."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.arrived, self.go = asyncio.Event(), asyncio.Event()

    async def record(self, event: Event) -> None:
        self.events.append(event)
        self.arrived.set()
        await self.go.wait()


@pytest.mark.rule("ID-9")
async def test_a_revocation_that_comes_while_the_record_is_written_denies_the_read(world: World) -> None:
    gate = Gated()
    login, node = await login_node(world), await check_node(world, recorder=gate)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    asked = asyncio.create_task(node.front.check(question(token, READ)))
    await gate.arrived.wait()
    await login.sessions.logout(token, SystemId("crm"))
    await node.soon(token, "SESSION_ENDED")
    gate.go.set()
    answer = await asked
    assert answer.decision.reason.value == "SESSION_ENDED"
    assert answer.record_id == ""
    assert [event.facts["reason"] for event in gate.events] == ["OK"]
    await node.journal.drained()
    (withdrawn,) = [one["facts"] for one in world.entries("check.decided") if "withdraws" in one["facts"]]
    assert (withdrawn["withdraws"], withdrawn["reason"]) == (str(gate.events[0].event_id), "SESSION_ENDED")


async def test_in_a_batch_what_needs_no_wait_is_decided_after_what_does(world: World) -> None:
    gate = Gated()
    login, node = await login_node(world), await check_node(world, recorder=gate)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    questions = [question(token), question(token, READ), question(token, "1507")]
    asked = asyncio.create_task(node.front.check_all(questions))
    await gate.arrived.wait()
    await login.sessions.logout(token, SystemId("crm"))
    await node.soon(token, "SESSION_ENDED")
    gate.go.set()
    assert {answer.decision.reason.value for answer in await asked} == {"SESSION_ENDED"}


async def test_a_cancelled_check_leaves_no_allow_behind(world: World) -> None:
    gate = Gated()
    login, node = await login_node(world), await check_node(world, recorder=gate)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    asked = asyncio.create_task(node.front.check(question(token, READ)))
    await gate.arrived.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


# --- group commit into the log ---


def event_of(number: int = 0) -> Event:
    place = {"system_id": "crm", "store_id": "e1", "terminal_id": "e1-t1"}
    facts = {**place, "operation": READ, "reason": "OK", "revision": number}
    return Event(type=EventType.CHECK_DECIDED, at=START, facts=facts, event_id=uuid.UUID(int=number + 1))


class Log:
    """The audit service, which can be slow, away, or refuse one event for good."""

    def __init__(self) -> None:
        self.kept: dict[uuid.UUID, Event] = {}
        self.batches: list[int] = []
        self.go, self.arrived = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None
        self.refuses: set[uuid.UUID] = set()

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        self.batches.append(len(events))
        self.arrived.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        refused = [event.event_id in self.refuses for event in events]
        self.kept |= {event.event_id: event for event, no in zip(events, refused, strict=True) if not no}
        return [AlreadyExists(Reason.ALREADY_EXISTS) if no else None for no in refused]


@pytest.fixture
async def log() -> Log:
    return Log()


async def test_what_waits_together_is_recorded_together(log: Log) -> None:
    recorder = GroupRecorder(log, batch=3, deadline=PATIENCE)
    task = asyncio.create_task(recorder.run())
    first = asyncio.create_task(recorder.record(event_of(0)))
    await log.arrived.wait()
    rest = [asyncio.create_task(recorder.record(event_of(n))) for n in range(1, 6)]
    await asyncio.sleep(0)
    log.go.set()
    await asyncio.gather(first, *rest)
    assert log.batches == [1, 3, 2]
    assert len(log.kept) == 6
    task.cancel()


@pytest.mark.parametrize("error", [Unavailable(Reason.PEER_UNAVAILABLE), ValueError("a fault of ours")])
async def test_a_batch_that_fails_denies_all_of_it_and_the_next_goes_on(log: Log, error: Exception) -> None:
    recorder = GroupRecorder(log, deadline=PATIENCE)
    task = asyncio.create_task(recorder.run())
    log.go.set()
    log.error = error
    results = await asyncio.gather(*(recorder.record(event_of(n)) for n in range(4)), return_exceptions=True)
    assert {getattr(result, "reason", None) for result in results} == {Reason.RECORD_UNAVAILABLE}
    log.error = None
    await recorder.record(event_of(9))
    assert list(log.kept) == [event_of(9).event_id]
    task.cancel()


async def test_an_event_that_the_log_refuses_fails_no_other(log: Log) -> None:
    recorder = GroupRecorder(log, deadline=PATIENCE)
    task = asyncio.create_task(recorder.run())
    log.go.set()
    log.refuses = {event_of(1).event_id}
    results = await asyncio.gather(*(recorder.record(event_of(n)) for n in range(3)), return_exceptions=True)
    assert [isinstance(result, Unavailable) for result in results] == [False, True, False]
    task.cancel()


async def test_an_event_that_the_catalogue_does_not_know_never_gets_there(log: Log) -> None:
    recorder = GroupRecorder(log, deadline=PATIENCE)
    with pytest.raises(Unavailable):
        await recorder.record(Event(type=EventType.CHECK_DECIDED, at=START, facts={"password": "x"}))
    assert log.batches == []


async def test_a_full_queue_and_a_late_record_are_refused_and_not_recorded_afterwards(log: Log) -> None:
    recorder = GroupRecorder(log, max_waiting=2, deadline=timedelta(milliseconds=300))
    first = await asyncio.gather(*(recorder.record(event_of(n)) for n in range(3)), return_exceptions=True)
    assert {getattr(result, "reason", None) for result in first} == {Reason.RECORD_UNAVAILABLE}
    log.go.set()
    recorder._deadline_s = PATIENCE_S  # the next one is not to be late
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    await recorder.record(event_of(7))
    assert log.batches == [1], "who gave up waiting is not recorded as served"
    task.cancel()


async def test_a_log_that_hangs_is_given_up_at_the_deadline(log: Log) -> None:
    recorder = GroupRecorder(log, deadline=timedelta(milliseconds=100))
    task = asyncio.create_task(recorder.run())
    with pytest.raises(Unavailable) as caught:
        await recorder.record(event_of())
    assert caught.value.details["sink"] == "audit"
    log.go.set()
    task.cancel()


async def test_a_recorder_that_stops_tells_those_who_wait(log: Log) -> None:
    recorder = GroupRecorder(log, deadline=timedelta(seconds=60))
    task = asyncio.create_task(recorder.run())
    waiting = asyncio.create_task(recorder.record(event_of(0)))
    cancelled = asyncio.create_task(recorder.record(event_of(1)))
    await log.arrived.wait()
    cancelled.cancel()
    task.cancel()
    with pytest.raises(Unavailable):
        await waiting


# --- what the outbox brings ---


def parcel_of(event: Event) -> Parcel:
    return Parcel(event.event_id, event.body())


async def test_what_the_outbox_brings_is_recorded_in_one_batch_and_each_has_an_answer_of_its_own(log: Log) -> None:
    log.go.set()
    log.refuses = {event_of(1).event_id}
    unknown = Event(type=EventType.CHECK_DECIDED, at=START, facts={"password": "x"})
    parcels = [*map(parcel_of, (event_of(0), unknown, event_of(1), event_of(2))), Parcel(uuid.uuid4(), b"no event")]
    faults = await AuditDelivery(log).deliver(parcels)
    bad = Reason.INVALID_ARGUMENT
    assert list(faults) == [None, bad, Reason.ALREADY_EXISTS, None, bad]
    assert log.batches == [3]
    assert list(log.kept) == [event_of(0).event_id, event_of(2).event_id]


async def test_what_is_no_event_at_all_asks_nobody(log: Log) -> None:
    assert list(await AuditDelivery(log).deliver([Parcel(uuid.uuid4(), b"{}")])) == [Reason.INVALID_ARGUMENT]
    assert log.batches == []


async def test_a_log_that_is_away_has_taken_none_of_it(log: Log) -> None:
    log.go.set()
    log.error = Unavailable(Reason.PEER_UNAVAILABLE)
    with pytest.raises(Unavailable):
        await AuditDelivery(log).deliver([parcel_of(event_of(0))])


# --- the durable queue ---


@pytest.mark.rule("CI-1")
async def test_what_a_dead_process_left_is_delivered_by_the_next(log: Log, tmp_path: Path) -> None:
    log.go.set()
    dying = CheckJournal(tmp_path, log, ManualClock(START))
    for number in range(700):
        dying.allowed(event_of(number))
    dying.close()
    (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
    journal = CheckJournal(tmp_path, log, ManualClock(START))
    journal.allowed(event_of(1000))
    running = asyncio.create_task(journal.run())
    while len(log.kept) < 701:
        await asyncio.sleep(0.01)
    await journal.drained()
    while left.exists():
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.rule("CI-1")
async def test_a_full_queue_denies_and_says_so(log: Log, tmp_path: Path) -> None:
    journal = CheckJournal(tmp_path, log, ManualClock(START), max_bytes=2000)
    with pytest.raises(Unavailable) as caught:
        for number in range(100):
            journal.allowed(event_of(number))
    assert caught.value.reason is Reason.RECORD_UNAVAILABLE
    assert journal.backlog().count
    journal.close()
    assert list(tmp_path.iterdir()), "what is undelivered waits for the next process"


async def test_the_queue_waits_for_a_log_that_is_away_and_sets_aside_what_is_refused(log: Log, tmp_path: Path) -> None:
    log.error = Unavailable(Reason.PEER_UNAVAILABLE)
    log.go.set()
    log.refuses = {event_of(1).event_id}
    journal = CheckJournal(tmp_path, log, ManualClock(START))
    for number in range(3):
        journal.allowed(event_of(number))
    running = asyncio.create_task(journal.run())
    while not log.batches:
        await asyncio.sleep(0.01)
    assert journal.backlog().count == 3
    log.error = None
    await journal.drained()
    assert set(log.kept) == {event_of(0).event_id, event_of(2).event_id}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()


@pytest.mark.rule("CI-8")
async def test_what_waits_or_was_delivered_is_in_clear_in_no_file(log: Log, tmp_path: Path) -> None:
    journal = CheckJournal(tmp_path, log, ManualClock(START))
    journal.allowed(replace(event_of(1), facts={**event_of(1).facts, "order_id": "order-marked"}))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 200
    assert not [path for path in files if b"order-marked" in path.read_bytes() or b"check.decided" in path.read_bytes()]
    log.go.set()
    running = asyncio.create_task(journal.run())
    await journal.drained()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    assert list(tmp_path.iterdir()) == [], "the key goes with the spool"
