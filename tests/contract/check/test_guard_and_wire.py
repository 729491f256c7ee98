"""The wire and the Guard, end to end over mutual TLS: the same answers, in both languages, whoever makes them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authsvc.watching import View
from authsvc.work import ChangeKind
from infosec.api.audit.v1 import record_pb2
from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.client.check import question
from infosec.client.guard import Guard
from infosec.decision.operations import CATALOGUE, Purpose
from infosec.decision.reasons import DenyReason, reason_text
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
from infosec.ids import CARRIER, RegionId, StoreId, SystemId, TerminalId
from infosec.messages import Locale
from infosec.rpc import snapshot_codec
from tests.sim.check_nodes import PAY, READ, CheckNode, CheckWire, check_node, served, until
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.world import World

EAST = RegionId("east")
ALL_FACTS = {"store_id": "e1", "terminal_id": "e1-t1", "customer": "13911112222"}


def ask(token: str, operation: str = PAY, **facts: Any) -> pb.CheckRequest:
    return question(token, operation, **(ALL_FACTS | facts))


@pytest.fixture
async def login(world: World) -> LoginNode:
    return await login_node(world)


@pytest.fixture
async def node(world: World) -> CheckNode:
    return await check_node(world)


@pytest.fixture
async def wire(node: CheckNode, tmp_path: Path) -> AsyncIterator[CheckWire]:
    async with served(node, tmp_path) as up:
        yield up


@pytest.mark.rule("CI-2")
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_denials_are_answers_with_a_text_in_the_callers_language(
    login: LoginNode, node: CheckNode, wire: CheckWire, locale: str
) -> None:
    token = await login.token("li.na")
    async with wire.connection(locale=locale) as crm:
        allowed = await crm.check.ask(ask(token))
        assert (allowed.allowed, allowed.reason, allowed.text) == (True, "OK", "")
        assert allowed.masking.phone
        assert allowed.holds_until.ToMicroseconds() / 1e6 == pytest.approx(node.feeder.snapshot.as_of_s + 5, abs=10)
        assert {entry.region_id for entry in allowed.revisions} == {"carrier", "east"}
        for request, reason in (
            (ask(token + "x"), DenyReason.TOKEN_INVALID),
            (ask(token, "1507"), DenyReason.OPERATION_UNKNOWN),
            (ask(token, terminal_id="e1-t2"), DenyReason.TOKEN_MISMATCH),
        ):
            denied = await crm.check.ask(request)
            assert (denied.allowed, denied.reason) == (False, reason.value)
            assert denied.text == reason_text(reason, Locale(locale))
        missing = await crm.check.ask(ask(token, "1121"))
        assert {need.kind for need in missing.required} == {"IDENTITY", "SECOND_PERSON"}
        assert ("值班经理" if locale == "zh-CN" else "Duty manager") in missing.text
        assert ("护照" if locale == "zh-CN" else "passport") in missing.text
        read = await crm.check.ask(ask(token, READ, purpose=Purpose.ORDER))
        assert read.record_id == world_record(node)


def world_record(node: CheckNode) -> str:
    (entry,) = [one for one in node.world.entries("check.decided") if one["facts"]["operation"] == READ]
    return str(entry["id"])


def test_every_reason_has_a_text_in_both_languages() -> None:
    for reason in DenyReason:
        assert reason_text(reason, Locale.ZH_CN) != reason_text(reason, Locale.EN)


async def test_a_batch_keeps_its_order_and_names_the_question_that_is_none(login: LoginNode, wire: CheckWire) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm:
        codes = [PAY, "1507", READ] * 16 + [PAY, "x005"]
        answers = await crm.check.batch(
            [ask(token, code, purpose=Purpose.ORDER if code == READ else None) for code in codes]
        )
        expected = {PAY: "OK", "1507": "OPERATION_UNKNOWN", READ: "OK", "x005": "OPERATION_NOT_PERMITTED"}
        assert [answer.reason for answer in answers] == [expected[code] for code in codes]
        with pytest.raises(InvalidInput) as caught:
            await crm.check.batch([ask(token), ask(token, "not a code")])
        assert caught.value.details["field"] == "checks[1].operation"
        with pytest.raises(InvalidInput):
            await crm.check.batch([ask(token)] * 51)


async def test_a_stream_answers_every_question_by_its_number(login: LoginNode, wire: CheckWire) -> None:
    token = await login.token("li.na")

    async def questions() -> AsyncIterator[tuple[int, pb.CheckRequest]]:
        for number in range(300):
            yield number, ask(token, READ if number % 7 == 0 else PAY, purpose=Purpose.ORDER)

    async with wire.connection() as crm:
        answers = {number: answer.reason async for number, answer in crm.check.stream(questions())}
    assert answers == dict.fromkeys(range(300), "OK")


async def test_a_question_that_is_none_ends_the_stream_with_its_own_error(login: LoginNode, wire: CheckWire) -> None:
    token = await login.token("li.na")

    async def questions() -> AsyncIterator[tuple[int, pb.CheckRequest]]:
        yield 1, ask(token)
        yield 2, ask(token, "no-code")

    async with wire.connection() as crm:
        with pytest.raises(InvalidInput) as caught:
            async for _ in crm.check.stream(questions()):
                pass
    assert caught.value.details["field"] == "operation"


async def test_a_client_that_leaves_a_stream_leaves_nothing_behind(login: LoginNode, wire: CheckWire) -> None:
    token = await login.token("li.na")

    async def endless() -> AsyncIterator[tuple[int, pb.CheckRequest]]:
        number = 0
        while True:
            number += 1
            yield number, ask(token)

    async with wire.connection() as crm:
        stream = crm.check.stream(endless())
        async for number, _ in stream:
            if number > 100:
                break
        await stream.aclose()

    async def readers() -> int:
        return sum("CheckStream" in repr(task.get_coro()) for task in asyncio.all_tasks())

    await until(readers, 0)


async def test_a_client_that_takes_no_answers_is_not_read_any_further(login: LoginNode, node: CheckNode) -> None:
    """At most 64 questions are between being read and being answered."""
    from infosec.certificates import CallerKind
    from infosec.rpc.server.identity import Caller, bind

    token, context, read = await login.token("li.na"), object(), 0
    bind(context, Caller(kind=CallerKind.SYSTEM, name="crm", locale=Locale.EN, peer="test"))

    async def endless() -> AsyncIterator[pb.CheckStreamRequest]:
        nonlocal read
        while True:
            read += 1
            yield pb.CheckStreamRequest(number=read, check=ask(token))

    stream = node.servicer.CheckStream(endless(), context)
    assert (await anext(stream)).answer.allowed
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert 1 <= read <= 66
    await stream.aclose()  # type: ignore[attr-defined]


async def test_only_systems_ask(login: LoginNode, node: CheckNode) -> None:
    from infosec.certificates import CallerKind
    from infosec.errors import PermissionDenied
    from infosec.rpc.server.identity import Caller, bind

    context = object()
    bind(context, Caller(kind=CallerKind.SERVICE, name="notifyd", locale=Locale.EN, peer="test"))
    with pytest.raises(PermissionDenied):
        await node.servicer.Check(ask("t"), context)


@pytest.mark.rule("CI-2", "ID-9")
async def test_a_guard_answers_as_the_centre_does(
    world: World, login: LoginNode, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    tokens = [
        await login.token("li.na"),
        await login.token("zhang.min", at="e2-t1"),
        await login.token("ouyang.xue", at="w1-t1", system="pos"),
        "nonsense",
    ]
    draw = random.Random(20260302)
    await node.soon(tokens[0], "OK")
    async with wire.connection() as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=tmp_path / "guard", now=world.clock.now)
        async with guard.running():
            local = 0
            at_least: list[Revision] = []
            for round_ in range(250):
                if round_ % 50 == 49:
                    world.rows(
                        "update auth.staff set role_id = %s where staff_id = 'li.na'",
                        draw.choice(["clerk", "receptionist", "community-manager", "store-manager"]),
                    )
                    async with node.works.begin() as work:
                        work.change(EAST, ChangeKind.STAFF, "li.na")
                    # From now on: a Guard that hears of it later than the centre must not answer from before it.
                    at_least = [Revision(region_id=region, number=n) for region, n in work.revisions.items()]
                terminal = draw.choice(["e1-t1", "e1-t1", "e1-t2", "e2-t1", "w1-t1", "zz-t9"])
                request = question(
                    draw.choice([tokens[0], *tokens]),
                    draw.choice([PAY, "1333", READ, "1507", *CATALOGUE]),
                    store_id=draw.choice([terminal.partition("-")[0], "e1"]),
                    terminal_id=terminal,
                    customer=draw.choice(["", "13911112222"]),
                    purpose=draw.choice([None, *Purpose]),
                    work_order=draw.choice(["", "w-1"]),
                    at_least=at_least,
                )
                mine, centre = await guard.ask(request), await crm.check.ask(request)
                local += mine.mode == pb.DECISION_MODE_GUARD
                assert (mine.allowed, mine.reason) == (centre.allowed, centre.reason)
                assert mine.text == centre.text
            assert local > 50


@pytest.mark.rule("ID-9")
async def test_a_revocation_reaches_the_guard(login: LoginNode, world: World, wire: CheckWire, tmp_path: Path) -> None:
    async with wire.connection() as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=tmp_path / "guard", now=world.clock.now)
        async with guard.running():
            token = await login.token("li.na")

            async def answer() -> tuple[str, int]:
                told = await guard.check(token, PAY, store_id="e1", terminal_id="e1-t1", customer="1")
                return told.reason, told.mode

            await until(answer, ("OK", pb.DECISION_MODE_GUARD))
            await login.sessions.logout(token, SystemId("crm"))

            async def reason() -> str:
                return (await guard.ask(ask(token))).reason

            await until(reason, "SESSION_ENDED")


@pytest.mark.rule("ID-9")
async def test_a_guard_stays_local_all_day_and_reports_what_it_served(
    login: LoginNode, world: World, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    async with wire.connection() as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=tmp_path / "guard", now=world.clock.now, report_every_s=3600)
        async with guard.running():
            token = await login.token("li.na")
            for _ in range(12):
                # Until it has heard that the clock was moved, it asks the centre.
                await until(lambda: _answer(guard, token), (True, pb.DECISION_MODE_GUARD))
                world.advance(minutes=5)
                await node.feeder.refresh()
            await until(lambda: _ok(guard, token), True)
            await guard.report()
            await node.activity.flush()
            late_by = world.clock.now() - world.one("select last_seen from auth.sessions")
            assert late_by < timedelta(minutes=1)


async def _answer(guard: Guard, token: str) -> tuple[bool, int]:
    told = await guard.ask(ask(token))
    return told.allowed, told.mode


async def _ok(guard: Guard, token: str) -> bool:
    return (await guard.ask(ask(token))).allowed


async def test_a_guard_that_hears_nothing_goes_stale_and_denies(
    login: LoginNode, world: World, node: CheckNode, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    quick = await check_node(world, staleness_s=3.0)
    async with served(quick, tmp_path) as up, up.connection() as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=tmp_path / "guard", now=world.clock.now)
        async with guard.running():
            assert (await guard.ask(ask(token))).allowed
            await quick.stop()
            await until(lambda: _stale(guard, token), "SNAPSHOT_STALE")
            assert not guard.is_fresh
            with pytest.raises(Unavailable):
                async for _ in crm.check.watch_snapshot():
                    pass
    assert node is not quick


async def _stale(guard: Guard, token: str) -> str:
    return (await guard.ask(ask(token))).reason


async def test_a_view_tells_nothing_of_other_stores_and_nothing_that_names(world: World, login: LoginNode) -> None:
    node = await check_node(world)
    for who, where in (("li.na", "e1-t1"), ("zhang.min", "e2-t1"), ("ouyang.xue", "w1-t1")):
        await login.token(who, at=where)
    await node.feeder.refresh()
    view = View(SystemId("queue"))
    seen = view.whole(node.feeder.snapshot)
    body = snapshot_codec.encode(seen).decode()
    for absent in ("zhang.min", "ouyang.xue", '"e2', '"w1', "李娜", "13800000", '"crm"', "grant-"):
        assert absent not in body
    assert set(json.loads(body)["staff"]) == {"li.na"}
    for who in ("zhang.min", "li.na"):
        async with node.works.begin() as work:
            row = await (
                await work.conn.execute(
                    "update auth.sessions set ended_at = %s where staff_id = %s returning session_id", (work.now, who)
                )
            ).fetchone()
            assert row is not None
            work.change(EAST, ChangeKind.SESSION, row[0])
            work.change(EAST, ChangeKind.STAFF, who)
    async with node.feeder.watched() as queue:
        node.feeder.snapshot = node.feeder.snapshot.with_changes(seen.__class__())
        await node.feeder.refresh()
        assert queue is not None
    known = node.feeder.snapshot
    from infosec.decision.snapshot import Changes

    told = view.of(Changes(sessions=dict.fromkeys(seen.sessions) | {"foreign": None}), known)  # type: ignore[dict-item]
    assert set(told.sessions) == set(seen.sessions)
    assert dict(told.staff) == {"li.na": None}


async def test_a_terminal_carried_out_of_view_is_gone_and_one_registered_alone_is_followed(world: World) -> None:
    from infosec.decision.snapshot import Changes
    from infosec.decision.tables import System, Terminal

    node = await check_node(world, runs=False)
    await node.feeder.refresh()
    view = View(SystemId("queue"))
    assert TerminalId("e1-t1") in view.whole(node.feeder.snapshot).terminals
    away = Changes(terminals={TerminalId("e1-t1"): Terminal(terminal_id=TerminalId("e1-t1"), store=StoreId("w1"))})
    assert dict(view.of(away, node.feeder.snapshot).terminals) == {"e1-t1": None}
    assert dict(view.of(away, node.feeder.snapshot).terminals) == {}
    only = System(system_id=SystemId("queue"), terminals=frozenset({TerminalId("w1-t2")}))
    snapshot = node.feeder.snapshot.with_changes(Changes(systems={only.system_id: only}))
    seen = view.whole(snapshot)
    assert (set(seen.terminals), set(seen.stores)) == ({"w1-t2"}, {"w1"})
    moved = Changes(terminals={TerminalId("w1-t2"): Terminal(terminal_id=TerminalId("w1-t2"), store=StoreId("e1"))})
    assert view.must_restart(moved)
    retired = snapshot.with_changes(Changes(systems={only.system_id: System(system_id=only.system_id, active=False)}))
    gone = view.whole(retired)
    assert (dict(gone.terminals), dict(gone.stores), dict(gone.sessions)) == ({}, {}, {})


async def test_a_system_that_is_unregistered_sees_nothing_from_then_on(
    login: LoginNode, world: World, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=tmp_path / "guard", now=world.clock.now)
        async with guard.running():
            assert (await guard.ask(ask(token))).allowed
            async with node.works.begin() as work:
                await work.conn.execute("update auth.systems set is_retired = true where system_id = 'crm'")
                work.change(CARRIER, ChangeKind.SYSTEM, "crm")
            await until(lambda: _sessions(guard), 0)
            assert await _stale(guard, token) == "SYSTEM_NOT_REGISTERED"


async def _sessions(guard: Guard) -> int:
    return len(guard.snapshot.sessions)


class Canned:
    """A centre that sends what the test puts in."""

    def __init__(self, view: bytes) -> None:
        self.queue: asyncio.Queue[pb.WatchSnapshotResponse | InfosecError] = asyncio.Queue()
        self.view, self.opened = view, 0
        self.reports: list[tuple[list[str], int]] = []
        self.away = False

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        return pb.CheckResponse(allowed=False, reason="ASKED")

    async def watch_snapshot(self) -> AsyncIterator[pb.WatchSnapshotResponse]:
        self.opened += 1
        while True:
            entry = await self.queue.get()
            if isinstance(entry, InfosecError):
                raise entry
            yield entry

    async def record_wire(self, request: record_pb2.RecordBatchRequest) -> Sequence[record_pb2.RecordOutcome]:
        return [record_pb2.RecordOutcome(receipt=record_pb2.Receipt()) for _ in request.events]

    async def report_activity(self, tokens: Any, *, seconds_ago: int) -> None:
        if self.away:
            raise Unavailable(Reason.PEER_UNAVAILABLE)
        self.reports.append((list(tokens), seconds_ago))

    def message(
        self, number: int, read_at_ms: int, *, is_whole: bool = True, age_ms: int = 1
    ) -> pb.WatchSnapshotResponse:
        return pb.WatchSnapshotResponse(
            body=self.view if is_whole else b"{}",
            is_whole=is_whole,
            revisions=[Revision(region_id="east", number=number)],
            read_at_ms=read_at_ms,
            age_ms=age_ms,
        )


async def canned(world: World) -> Canned:
    node = await check_node(world, runs=False)
    await node.feeder.refresh()
    return Canned(snapshot_codec.encode(View(SystemId("crm")).whole(node.feeder.snapshot)))


async def test_a_message_that_lay_in_a_buffer_is_as_old_as_it_is(world: World, tmp_path: Path) -> None:
    centre = await canned(world)
    guard = Guard(centre, centre, spool_dir=tmp_path)
    centre.queue.put_nowait(centre.message(1, 100_000))
    async with guard.running():
        assert guard.is_fresh
        confirmed = guard._confirmed_at
        # Sent ten seconds before the first by the centre's own clock, however late it comes and whatever the wall clocks say.
        centre.queue.put_nowait(centre.message(2, 90_000, is_whole=False))
        await until(lambda: _number(guard), 2)
        assert guard._confirmed_at == pytest.approx(confirmed - 10)
        assert not guard.is_fresh
        centre.queue.put_nowait(centre.message(2, 100_001, is_whole=False))
        await until(lambda: _is_fresh(guard), True)


async def _number(guard: Guard) -> int:
    return guard.snapshot.revisions.get(EAST, 0)


async def _is_fresh(guard: Guard) -> bool:
    return guard.is_fresh


async def test_a_node_that_lags_does_not_take_back_what_the_guard_knows(world: World, tmp_path: Path) -> None:
    centre = await canned(world)
    guard = Guard(centre, centre, spool_dir=tmp_path)
    centre.queue.put_nowait(centre.message(7, 100_000))
    async with guard.running():
        centre.queue.put_nowait(Unavailable(Reason.PEER_UNAVAILABLE))
        centre.queue.put_nowait(centre.message(5, 200_000))
        centre.queue.put_nowait(centre.message(8, 300_000))
        await until(lambda: _number(guard), 8)
        assert centre.opened == 3, "the one that lagged was left"
        centre.queue.put_nowait(pb.WatchSnapshotResponse(body=b"nonsense", is_whole=True))
        await until(lambda: _opened(centre), 4)
        guard._confirmed_at -= 3600
        centre.queue.put_nowait(centre.message(2, 400_000))
        await until(lambda: _number(guard), 2)


async def _opened(centre: Canned) -> int:
    return centre.opened


async def test_reports_that_cannot_be_made_are_made_later_with_their_age(world: World, tmp_path: Path) -> None:
    centre = await canned(world)
    guard = Guard(centre, centre, spool_dir=tmp_path, report_every_s=0.01)
    centre.queue.put_nowait(centre.message(1, 100_000))
    async with guard.running():
        centre.away = True
        guard._served.add("one")
        await until(lambda: _waiting(guard), 1)
        guard._unreported = [(since - 60, tokens) for since, tokens in guard._unreported]
        guard._unreported.append((guard._unreported[0][0] - 7200, ["long ago"]))
        centre.away = False
        await until(lambda: _waiting(guard), 0)
    assert [(tokens, ago >= 60) for tokens, ago in centre.reports] == [(["one"], True)]


async def _waiting(guard: Guard) -> int:
    return len(guard._unreported)


async def test_a_guard_that_cannot_run_says_so(world: World, tmp_path: Path) -> None:
    centre = await canned(world)

    async def broken() -> AsyncIterator[pb.WatchSnapshotResponse]:
        raise RuntimeError("a fault of ours")
        yield

    centre.watch_snapshot = broken  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup):
        async with Guard(centre, centre, spool_dir=tmp_path).running():
            pass
