"""What a hostile reading of the audit service found: one caller in the way of the others, refusals that left no trace (CI-1)."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import infosec.journal
from auditsvc.appending import AppendLimits
from auditsvc.batch import Outcome, Receipt, Submission
from auditsvc.permits import permitted
from authsvc.front import Answer
from authsvc.journal import CheckJournal
from authsvc.recorder import GroupRecorder
from infosec.api.audit.v1 import admin_pb2, read_pb2, record_pb2
from infosec.api.auth.v1 import check_pb2
from infosec.certificates import Authority, CallerKind
from infosec.client.audit_read import audit_filter
from infosec.client.connection import connect
from infosec.decision.operations import Purpose
from infosec.errors import InfosecError, InvalidInput, Reason, ResourceExhausted, Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId
from infosec.rpc.limits import limit_of
from infosec.spool import Spool
from infosec.transparency.witness import Refused
from services.auditing import AuditOverRpc
from tests.attack.test_audit_witness import _files, _note, _request, _witness
from tests.attack.test_marker import Marks, _tables
from tests.attack.test_marker import _files as engine_files
from tests.sim.audit import CARRIER_NAME, EAST, RECORDER, START, WEST, AuditStand
from tests.sim.audit_office import office
from tests.sim.check_nodes import READ, check_node, question, served, until
from tests.sim.installation import free_port
from tests.sim.login_nodes import login_node
from tests.sim.patience import PATIENCE
from tests.sim.servers import sync_connection
from tests.sim.signing import checkpoint_keys
from tests.sim.suite import Suite
from tests.sim.world import Hire, World

pytestmark = pytest.mark.rule("CI-1")

SYSTEM = "system/crm"


def ordered(audit: AuditStand, numbers: Sequence[int], region: RegionId) -> list[Event]:
    """Events of these numbers for one log; the same number is the same event ID in every log."""
    return [replace(audit.check(n, region=region, customer=None), event_id=uuid.UUID(int=n)) for n in numbers]


SLOWLY = """
create function audit.slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return new; end';
create trigger slowly before insert on audit.entries for each row execute function audit.slowly()"""


async def test_two_logs_that_are_sent_the_same_ids_in_opposite_order_do_not_lock_each_other_out(
    audit: AuditStand,
) -> None:
    await audit.append(audit.check(1), audit.check(2, region=WEST))
    for statement in SLOWLY.split(";\ncreate trigger"):
        audit.rows(statement if "function audit.slowly() returns" in statement else f"create trigger{statement}")
    appender = audit.appender()
    there, back = ordered(audit, (10, 11), EAST), ordered(audit, (11, 10), WEST)
    east, west = await asyncio.gather(
        *(appender.append([Submission(one, RECORDER) for one in ids], may_begin_log=True) for ids in (there, back))
    )
    assert [isinstance(one, Receipt) for one in (*east, *west)].count(True) == 2
    assert {one.reason for one in (*east, *west) if isinstance(one, InfosecError)} == {Reason.ALREADY_EXISTS}
    assert audit.rows("select count(*) from audit.entries") == [(4,)]


async def test_a_customer_whose_key_does_not_open_stops_nobody_else(audit: AuditStand) -> None:
    await audit.append(audit.check(1))
    audit.rows("update audit.subjects set data_key = 'not sealed by us'")
    appender = audit.appender()
    with audit.blocked(EAST):
        first = asyncio.create_task(appender.append([Submission(audit.check(9), RECORDER)], may_begin_log=True))
        await asyncio.sleep(0.1)
        waiting = [
            asyncio.create_task(appender.append([Submission(audit.check(n), RECORDER)], may_begin_log=True))
            for n in (2, 1, 3)
        ]
        await asyncio.sleep(0.1)
    assert isinstance((await first)[0], Receipt)
    (two,), (broken,), (three,) = await asyncio.gather(*waiting)
    assert isinstance(two, Receipt)
    assert isinstance(three, Receipt)
    assert isinstance(broken, InfosecError)
    assert broken.reason is Reason.RECORD_UNAVAILABLE


async def test_one_system_that_floods_leaves_room_for_the_others(audit: AuditStand) -> None:
    await audit.append(audit.check(0))
    appender = audit.appender(AppendLimits(max_waiting=100, max_of_systems=50))

    def send(number: int, by: str) -> asyncio.Task[list[Outcome]]:
        submission = Submission(audit.check(number), by)
        return asyncio.create_task(appender.append([submission], may_begin_log=by != SYSTEM))

    with audit.blocked(EAST):
        flood = [send(n, SYSTEM) for n in range(1, 200)]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        ours = [send(n, RECORDER) for n in range(200, 210)]
        await asyncio.sleep(0.1)
    assert all(isinstance(one, Receipt) for outcomes in await asyncio.gather(*ours) for one in outcomes)
    refused = [one for outcomes in await asyncio.gather(*flood) for one in outcomes if not isinstance(one, Receipt)]
    assert refused
    assert all(isinstance(one, ResourceExhausted) for one in refused)


async def test_a_system_that_names_regions_without_end_takes_no_connection_from_the_others(audit: AuditStand) -> None:
    await audit.append(audit.check(0))
    appender = audit.appender()
    made_up = [Submission(audit.check(n, region=RegionId(f"r{n}")), SYSTEM) for n in range(1000)]
    flood = [asyncio.create_task(appender.append(made_up, may_begin_log=False)) for _ in range(4)]
    await asyncio.sleep(0)
    for number in range(20):
        (outcome,) = await appender.append([Submission(audit.check(5000 + number), RECORDER)], may_begin_log=True)
        assert isinstance(outcome, Receipt), outcome
    refused = [one for outcomes in await asyncio.gather(*flood) for one in outcomes]
    assert not any(isinstance(one, Receipt) for one in refused)


async def test_an_announcement_that_the_log_refuses_holds_up_no_other(audit: AuditStand, tmp_path: Path) -> None:
    desk = office(audit, tmp_path)
    await audit.append(audit.check(1), audit.check(1, region=CARRIER))
    act = await desk.erase()
    squatted = uuid.uuid5(uuid.UUID(act.act_id), "confirmed")
    await audit.append(replace(audit.check(7, region=CARRIER), event_id=squatted), recorded_by=SYSTEM)
    with pytest.raises(InfosecError) as refused:
        await desk.confirm(act.act_id)
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    subjects = desk.subjects()
    hold = await desk.hold(number="13800000007")
    assert hold.hold_id
    assert "hold-placed" in [kind.replace("_", "-").replace(".", "-") for kind in desk.told_types()], desk.told_types()
    with pytest.raises(InfosecError):
        await desk.work()
    assert desk.subjects() == subjects, "what the log does not tell of is not carried out"


async def test_an_announcement_of_another_release_holds_up_no_other(audit: AuditStand, tmp_path: Path) -> None:
    desk = office(audit, tmp_path)
    await audit.append(audit.check(1))
    strange = Event(type=EventType.AUDIT_ACT_EXPIRED, at=audit.clock.now(), facts={"unheard_of": "x"})
    with sync_connection(audit.addresses.postgres) as connection:
        for body in (strange.body(), b"{}"):
            row = (uuid.uuid4(), body)
            connection.execute("insert into audit.announcements (event_id, body) values (%s, %s)", row)
    assert (await desk.hold()).hold_id
    assert "hold.placed" in [kind.replace("_", ".").replace("-", ".") for kind in desk.told_types()], desk.told_types()


def test_a_system_uses_no_id_that_the_suite_derives() -> None:
    facts = {"store_id": "e1", "system_id": "crm"}
    audit_event = Event(type=EventType.CUSTOMER_VISITED, at=START, region_id=EAST, facts=facts)
    derived = replace(audit_event, event_id=uuid.uuid5(uuid.uuid4(), "confirmed"))
    with pytest.raises(InvalidInput) as refused:
        permitted(derived, kind=CallerKind.SYSTEM, name="crm", customer_digest="a" * 64)
    assert refused.value.details["field"] == "event_id"
    assert permitted(audit_event, kind=CallerKind.SYSTEM, name="crm", customer_digest="a" * 64)


async def test_what_a_batch_is_refused_event_by_event_is_on_record_as_well(suite: Suite) -> None:
    await suite.as_system("crm").audit.record_batch([Event(type=EventType.CALL_REFUSED, at=START)] * 3)

    def refused() -> list[dict[str, Any]]:
        return [one["facts"] for one in suite.world.entries("audit.call-refused")]

    found = refused()
    assert len(found) == 3
    assert {one["caller"] for one in found} == {"system/crm"}
    assert {one["reason"] for one in found} == {"NOT_PERMITTED"}
    assert {one["method"] for one in found} == {"/infosec.api.audit.v1.AuditService/RecordBatch"}
    await suite.as_system("crm").audit.record_batch([Event(type=EventType.CALL_REFUSED, at=START)] * 500)

    async def told() -> int:
        return sum(one["count"] for one in refused())

    await until(told, 503)
    assert len(refused()) < 103  # ten, and their sum, for each second that it took


async def test_anybody_with_a_published_checkpoint_fills_no_witness_with_evidence(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys, files = checkpoint_keys(tmp_path, audit), _files(tmp_path, audit)
    witness = _witness(audit, keys, files)
    witness.add_checkpoint(_request(0, _note(keys, size=2, leaf=b"one")))
    published = _note(keys, size=3, leaf=b"one")
    for number in range(250):
        with pytest.raises(Refused):
            witness.add_checkpoint(_request(2, published, proof=[number.to_bytes(32)]))
    assert len(list((tmp_path / "w" / "evidence").iterdir())) == 1
    with pytest.raises(Refused):
        witness.add_checkpoint(_request(2, _note(keys, size=2, leaf=b"other")))
    assert len(list((tmp_path / "w" / "evidence").iterdir())) == 2


async def test_a_batch_that_the_wire_refuses_whole_fails_only_what_it_is_refused_for(audit: AuditStand) -> None:
    class Wire:
        async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
            if any(event.facts["trace_id"] == "bad" for event in events):
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="events[3].texts")
            return [None] * len(events)

    recorder = GroupRecorder(Wire(), deadline=PATIENCE)
    running = asyncio.create_task(recorder.run())
    answers = await asyncio.gather(
        *(recorder.record(audit.check(n, trace_id="bad" if n == 7 else "good")) for n in range(20)),
        return_exceptions=True,
    )
    running.cancel()
    assert [n for n, answer in enumerate(answers) if answer is not None] == [7]


async def test_a_log_that_answers_too_little_is_no_record_and_stops_nothing(audit: AuditStand) -> None:
    class Short:
        async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
            return []

    recorder = GroupRecorder(Short(), deadline=PATIENCE)
    running = asyncio.create_task(recorder.run())
    for _ in range(2):
        with pytest.raises(InfosecError):
            await recorder.record(audit.check(1))
    assert not running.done()
    running.cancel()


@pytest.mark.rule("CI-8")
def test_whoever_can_be_recorded_can_be_asked_about_and_erased() -> None:
    recorded = limit_of(record_pb2.Event.DESCRIPTOR.fields_by_name["customer"]).max_bytes
    for message in (
        read_pb2.Filter,
        read_pb2.WhoAccessedRequest,
        admin_pb2.EraseSubjectRequest,
        admin_pb2.PlaceHoldRequest,
        check_pb2.CheckRequest,
    ):
        assert limit_of(message.DESCRIPTOR.fields_by_name["customer"]).max_bytes == recorded, message


@pytest.mark.parametrize(
    "statement",
    [
        "update auth.outbox set event_id = gen_random_uuid()",
        "update auth.outbox set topic = 'notify'",
        "update auth.outbox set created_at = now()",
    ],
)
def test_the_service_makes_no_other_event_of_one_that_waits(suite_world: World, statement: str) -> None:
    with (
        sync_connection(suite_world.addresses.role("auth_service")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.rule("ID-7", "CI-8")
async def test_no_customers_number_is_anywhere_the_audit_service_writes(suite: Suite, tmp_path: Path) -> None:
    marks, began = Marks(), time.time()
    world = suite.world
    token = await suite.session("li.na", at="e1-t1")
    number, order, work_order = (marks.mark(name) for name in ("customer", "order", "work order"))
    for operation, purpose in (("1302", None), ("1500", Purpose.ORDER), ("1500", None)):
        await suite.call(
            suite.check(token, operation, customer=number, purpose=purpose, order_id=order, work_order=work_order)
        )
    crm = suite.as_system("crm").audit
    for facts in ({"store_id": "e1"}, {"store_id": "e1", "unknown": "x"}, {"store_id": "not a store"}):
        visit = Event(type=EventType.CUSTOMER_VISITED, at=START, region_id=EAST, facts=facts)
        await crm.record_batch([visit], customers={visit.event_id: number})
        await crm.record_batch([replace(visit, region_id=RegionId("nowhere"))], customers={visit.event_id: number})
    for facts in ({"unknown": "x"}, {"store_id": "e1"}):
        visit = Event(type=EventType.CUSTOMER_VISITED, at=START, region_id=EAST, facts=facts)
        await suite.call(crm.record(visit, customer=number))
    people = [await suite.session(who, system="cli", step_up=True) for who in await _two_auditors(suite)]
    cli = suite.as_system("cli")
    ann, bea = [(await cli.login.issue_assertion(one)).text for one in people]
    read, admin = cli.audit_read, cli.audit_admin
    for customer in (number, marks.mark("unknown customer")):
        await suite.call(read.query(ann, audit_filter(customer=customer)))
        await suite.call(read.who_accessed(ann, customer))
        _ = [part async for part in read.export(ann, audit_filter(customer=customer))]
        hold = await suite.call(admin.place_hold(ann, customer, reason="a complaint"))
        await suite.call(admin.erase_subject(ann, customer, reason="asked for"))
        if not isinstance(hold, InfosecError):
            release = await admin.release_hold(ann, hold.hold_id, reason="settled")
            await admin.confirm_act(bea, release.act_id)
            act = await admin.erase_subject(ann, customer, reason="asked for")
            await admin.confirm_act(bea, act.act_id)
    await suite.app.work_once()
    await suite.audit.work_once()
    kinds = {one["type"] for one in world.entries()}
    assert {"check.decided", "customer.visited", "audit.subject-erased"} <= kinds, kinds
    bodies = b"\n".join(bytes(row[0]) for row in world.rows("select body from audit.entries"))  # type: ignore[arg-type]
    outputs = _tables(world) | {
        "audit.entries as text": bodies,
        "log": suite.log.getvalue().encode(),
        "metrics": suite.metrics().encode(),
        "refusals": "\n".join(suite.refusals).encode(),
        "answers": b"\n".join(suite.seen),
    }
    assert {where: found for where, data in outputs.items() if (found := marks.found_in(data))} == {}
    written = [path for name in ("audit", "spool") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"erasures.journal", "checkpoints.json"}
    in_spools = {"order", "work order"}
    for path in (*written, *engine_files(world, since=began - 1)):
        found = set(marks.found_in_binary(path.read_bytes()))
        assert found <= (in_spools if path.suffix == ".segment" else set()), path


async def _two_auditors(suite: Suite) -> tuple[str, str]:
    await suite.hire(Hire(staff_id="second.auditor", role="auditor", store="hq", totp=True))
    return "hu.bin", "second.auditor"


class LosesAnswers:
    """A recorder that records, and whose answer never comes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.hangs = False
        self.arrived = asyncio.Event()

    async def record(self, event: Event) -> None:
        self.events.append(event)
        self.arrived.set()
        if self.hangs:
            await asyncio.Event().wait()
        raise Unavailable(Reason.RECORD_UNAVAILABLE)


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("hangs", [False, True], ids=["denied", "given up by the caller"])
async def test_every_read_that_released_nothing_is_taken_back_in_a_flood_too(world: World, hangs: bool) -> None:
    recorder = LosesAnswers()
    login, node = await login_node(world), await check_node(world, recorder=recorder)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    recorder.hangs = hangs
    reads = [asyncio.create_task(node.front.check(question(token, READ))) for _ in range(40)]
    await recorder.arrived.wait()
    while len(recorder.events) < 40:
        await asyncio.sleep(0)
    if hangs:
        for one in reads:
            one.cancel()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert not any(isinstance(one, Answer) and one.decision.allowed for one in answers)
    await node.journal.drained()
    taken_back = [one["facts"]["withdraws"] for one in world.entries("check.decided") if "withdraws" in one["facts"]]
    assert sorted(taken_back) == sorted(str(event.event_id) for event in recorder.events)


async def test_one_customer_at_once_in_two_regions_is_one_subject(audit: AuditStand) -> None:
    appenders = [audit.appender() for _ in range(2)]
    for number in range(20):
        customer = audit.customer(f"1370000{number:04}")
        both = [
            appender.append(
                [Submission(audit.check(n, region=region, customer=customer), RECORDER)], may_begin_log=True
            )
            for n, (region, appender) in enumerate(zip((EAST, WEST), appenders, strict=True))
        ]
        outcomes = await asyncio.gather(*both)
        assert all(isinstance(one, Receipt) for outcome in outcomes for one in outcome)
    assert audit.rows("select count(*), count(distinct subject_id) from audit.entries") == [(40, 20)]
    assert audit.rows("select count(*) from audit.subjects") == [(20,)]


async def test_a_centre_that_starts_before_the_audit_process_denies_reads_until_it_is_there(
    world: World, tmp_path: Path
) -> None:
    port = free_port()
    authority = Authority.create_or_load(tmp_path / "tls", carrier=CARRIER_NAME, now=datetime.now(UTC))
    files = authority.issue_service("suite", now=datetime.now(UTC))
    async with connect(f"127.0.0.1:{port}", ca=files.ca, cert=files.certificate, key=files.key) as there:
        recorder = GroupRecorder(AuditOverRpc(lambda: there.audit), deadline=PATIENCE)
        running = asyncio.create_task(recorder.run())
        login, node = await login_node(world), await check_node(world, recorder=recorder)
        token = await login.token("li.na")
        await node.soon(token, "OK")
        assert await node.reason(token, READ) == "RECORD_UNAVAILABLE"
        assert await node.reason(token) == "OK"
        async with served(node, tmp_path, port=port):
            await until(lambda: node.reason(token, READ), "OK")
            (read,) = [
                one
                for one in world.entries("check.decided")
                if one["facts"]["decision"] == "ALLOWED"
                and one["facts"]["operation"] == READ
                and one["by"] == "service/suite"
            ][-1:]
            assert read["facts"]["staff_id"] == "li.na"
        assert await node.reason(token, READ) == "RECORD_UNAVAILABLE"
        running.cancel()


class Kept:
    """An audit log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        self.events += events
        return [None] * len(events)


async def test_what_a_process_leaves_that_dies_later_is_delivered_by_those_that_live(
    audit: AuditStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infosec.journal, "LOOK_AGAIN_S", 0.02)
    log = Kept()
    journal, dying = (CheckJournal(tmp_path, log, audit.clock) for _ in range(2))
    running = asyncio.create_task(journal.run())
    await asyncio.sleep(0.1)
    dying.allowed(audit.check(1))
    dying.close()
    while not log.events:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    assert len(log.events) == 1


async def test_a_damaged_spool_that_a_dead_process_left_is_told_of(
    audit: AuditStand, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool.open(tmp_path / "dead", max_bytes=1 << 20) as left:
        for number in range(3):
            left.put(audit.check(number).body())
    (segment,) = (tmp_path / "dead").glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[60] ^= 1
    segment.write_bytes(data)
    log = Kept()
    journal = CheckJournal(tmp_path, log, audit.clock)
    running = asyncio.create_task(journal.run())
    await until(lambda: _told(caplog, str(segment)), True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()
    assert segment.read_bytes() == data
    assert log.events == []


async def _told(caplog: pytest.LogCaptureFixture, what: str) -> bool:
    return any(what in record.getMessage() for record in caplog.records if record.levelname == "ERROR")
