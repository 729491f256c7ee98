"""What a Guard decides is on record too: before it is answered in a sealed spool, within a moment in the log (CI-1)."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from authsvc.work import ChangeKind
from infosec.api.audit.v1 import record_pb2
from infosec.client.guard import Guard
from infosec.client.guard_journal import Recorder
from infosec.errors import InfosecError, Misconfigured, Reason, Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.keys import MacKind
from infosec.spool import read_refused
from tests.sim.check_nodes import PAY, READ, CheckNode, CheckWire, check_node, served, until
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.world import World

CUSTOMER = "13911112222"
EAST = RegionId("east")
HERE: dict[str, Any] = {"store_id": "e1", "terminal_id": "e1-t1", "customer": CUSTOMER}


class AuditLink:
    """The way to the audit service, which a test can cut, or let lose the answers."""

    def __init__(self, there: Recorder) -> None:
        self._there = there
        self.is_cut = False
        self.loses_answers = 0
        self.sent = 0

    async def record_wire(self, request: record_pb2.RecordBatchRequest) -> Sequence[record_pb2.RecordOutcome]:
        if self.is_cut:
            raise Unavailable(Reason.PEER_UNAVAILABLE)
        outcomes = await self._there.record_wire(request)
        self.sent += len(request.events)
        if self.loses_answers:
            self.loses_answers -= 1
            raise Unavailable(Reason.PEER_UNAVAILABLE)
        return outcomes


@pytest.fixture
async def login(world: World) -> LoginNode:
    return await login_node(world)


@pytest.fixture
async def node(world: World) -> CheckNode:
    made = await check_node(world, staleness_s=600)
    # What the suite itself records of a region begins its log: here a check at the centre.
    await made.front._recorder.record(_by_centre(world))
    return made


@pytest.fixture
async def wire(node: CheckNode, tmp_path: Path) -> AsyncIterator[CheckWire]:
    async with served(node, tmp_path) as up:
        yield up


def _by_centre(world: World) -> Event:
    facts = {"system_id": "crm", "store_id": "e1", "terminal_id": "e1-t1", "operation": PAY, "reason": "OK"}
    return Event(type=EventType.CHECK_DECIDED, at=world.clock.now(), region_id=EAST, facts={**facts, "revision": 0})


@asynccontextmanager
async def guarding(world: World, crm: Any, folder: Path, **more: Any) -> AsyncIterator[tuple[Guard, AuditLink]]:
    """A Guard of `crm` that runs, and its way to the audit service."""
    link = AuditLink(crm.audit)
    guard = Guard(crm.check, link, spool_dir=folder / "guard", now=world.clock.now, **more)
    async with guard.running():
        yield guard, link


def told_by_guards(world: World) -> list[dict[str, Any]]:
    return [one for one in world.entries("check.decided") if one["facts"].get("mode") == "GUARD"]


async def ready(guard: Guard, token: str) -> None:
    """Wait until the Guard knows the session: everything before that was denied."""

    async def reason() -> str:
        return str((await guard.check(token, PAY, **HERE, trace_id="warm")).reason)

    await until(reason, "OK")


@pytest.mark.rule("CI-1", "CI-4")
async def test_what_a_guard_allows_and_denies_is_in_the_log(
    world: World, login: LoginNode, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        assert (await guard.check(token, PAY, **HERE, trace_id="t-1", order_id="o-1")).allowed
        assert (await guard.check("forged", PAY, **HERE, trace_id="t-2")).reason == "TOKEN_INVALID"
        assert (await guard.check(token, "x005", **HERE, trace_id="t-3")).reason == "OPERATION_NOT_PERMITTED"
        await until(lambda: _undelivered(guard), 0)
    found = {one["facts"].get("trace_id"): one for one in told_by_guards(world)}
    allowed, forged, denied = found["t-1"], found["t-2"], found["t-3"]
    assert (allowed["by"], allowed["log"], allowed["facts"]["system_id"]) == ("system/crm", "east", "crm")
    facts = allowed["facts"]
    assert (facts["staff_id"], facts["role_id"], facts["decision"], facts["reason"]) == (
        "li.na",
        "clerk",
        "ALLOWED",
        "OK",
    )
    assert facts["session_id"] == denied["facts"]["session_id"]
    assert "staff_id" not in forged["facts"]
    assert {forged["facts"]["decision"], denied["facts"]["decision"]} == {"DENIED"}
    # Named by number, and on record as the same subject as by the centre's digest.
    digest = node.keys.mac[MacKind.CUSTOMERS].digest(CUSTOMER.encode())
    assert allowed["subject"] == str(world.one("select subject_id from audit.subjects where digest = %s", digest))
    assert CUSTOMER not in str(allowed)
    assert "o-1" not in str(allowed)


async def _undelivered(guard: Guard) -> int:
    return guard.undelivered


@pytest.mark.rule("CI-1")
async def test_a_read_is_recorded_by_the_centre_alone(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path
) -> None:
    from infosec.decision.operations import Purpose

    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        answer = await guard.check(token, READ, **HERE, purpose=Purpose.ORDER)
        assert answer.allowed
        assert answer.record_id
        await until(lambda: _undelivered(guard), 0)
    (entry,) = [one for one in world.entries("check.decided") if one["facts"]["operation"] == READ]
    assert (entry["id"], entry["facts"]["mode"]) == (answer.record_id, "CENTRAL")


@pytest.mark.rule("CI-1")
async def test_a_full_queue_denies(world: World, login: LoginNode, wire: CheckWire, tmp_path: Path) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path, max_spool_bytes=20_000) as (guard, link):
        await ready(guard, token)
        await until(lambda: _undelivered(guard), 0)
        link.is_cut = True
        answers = [(await guard.check(token, PAY, **HERE, trace_id=f"t-{n}")).reason for n in range(200)]
        assert Counter(answers).keys() == {"OK", "RECORD_UNAVAILABLE"}
        assert answers == sorted(answers), "full stays full"
        link.is_cut = False
        await until(lambda: _undelivered(guard), 0)
        assert (await guard.check(token, PAY, **HERE)).allowed, "and takes in again what it has room for"
    allowed = {f"t-{n}" for n, reason in enumerate(answers) if reason == "OK"}
    told = Counter(one["facts"].get("trace_id") for one in told_by_guards(world))
    assert {trace: count for trace, count in told.items() if trace in allowed} == dict.fromkeys(allowed, 1)


@pytest.mark.rule("CI-1")
async def test_what_was_decided_while_the_audit_service_is_away_comes_later_and_once(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, link):
        await ready(guard, token)
        link.is_cut = True
        for number in range(30):
            assert (await guard.check(token, PAY, **HERE, trace_id=f"t-{number}")).allowed
        assert not [one for one in told_by_guards(world) if one["facts"].get("trace_id", "").startswith("t-")]
        link.is_cut, link.loses_answers = False, 2
        await until(lambda: _undelivered(guard), 0)
    assert link.sent > 60, "delivered again after lost answers"
    told = Counter(one["facts"]["trace_id"] for one in told_by_guards(world) if one["facts"].get("trace_id") != "warm")
    assert told == {f"t-{number}": 1 for number in range(30)}


@pytest.mark.rule("CI-1")
async def test_what_a_guard_left_the_next_one_delivers_and_nothing_stays_behind(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infosec.client.guard._LAST_DELIVERY_S", 0.0)
    token, folder = await login.token("li.na"), tmp_path / "guard"
    async with wire.connection() as crm:
        async with guarding(world, crm, tmp_path) as (guard, link):
            await ready(guard, token)
            link.is_cut = True
            await guard.check(token, PAY, **HERE, trace_id="left")
        data = b"".join(path.read_bytes() for path in folder.rglob("*.segment"))
        assert data
        assert CUSTOMER.encode() not in data, "sealed"
        assert b"li.na" not in data
        (key,) = folder.glob("seal-*.json")
        assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(key.stat().st_mode)) == (0o700, 0o600)
        async with guarding(world, crm, tmp_path) as (guard, _):

            async def left() -> int:
                return len([one for one in told_by_guards(world) if one["facts"].get("trace_id") == "left"])

            await until(left, 1)

            async def spools() -> int:
                return len([path for path in folder.iterdir() if path.is_dir()])

            await until(spools, 1)
    assert list(folder.iterdir()) == []


@pytest.mark.rule("CI-1")
async def test_a_flood_of_denials_is_counted_together(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        for _ in range(300):
            assert (await guard.check("forged", PAY, **HERE)).reason == "TOKEN_INVALID"
        await guard.settle(30)
    told = [one["facts"].get("count", 1) for one in told_by_guards(world) if one["facts"]["reason"] == "TOKEN_INVALID"]
    assert sum(told) == 300
    assert len(told) < 300


@pytest.mark.rule("CI-1")
async def test_a_region_whose_log_has_not_begun_is_waited_for(world: World, login: LoginNode, tmp_path: Path) -> None:
    token = await login.token("ouyang.xue", at="w1-t1", system="crm")
    node = await check_node(world, staleness_s=600)
    place = {"store_id": "w1", "terminal_id": "w1-t1", "customer": CUSTOMER}
    async with served(node, tmp_path) as up, up.connection() as crm, guarding(world, crm, tmp_path) as (guard, link):

        async def reason() -> str:
            return str((await guard.check(token, PAY, **place)).reason)

        await until(reason, "OK")
        link.is_cut = True
        await guard.check(token, PAY, **place, trace_id="west")
        link.is_cut = False
        begins = _by_centre(world)
        await node.front._recorder.record(
            Event(type=begins.type, at=begins.at, region_id=RegionId("west"), facts=dict(begins.facts))
        )
        await until(lambda: _undelivered(guard), 0)
    assert len([one for one in told_by_guards(world) if one["facts"].get("trace_id") == "west"]) == 1


@pytest.mark.rule("CI-1")
async def test_a_guard_that_let_go_of_its_spool_denies(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        guard.close()
        denied = await guard.check(token, PAY, **HERE)
        assert (denied.allowed, denied.reason) == (False, "RECORD_UNAVAILABLE")
        too_long = await guard.check(token, PAY, **(HERE | {"customer": "1" * 200}))
        assert not too_long.allowed


async def test_a_question_that_cannot_be_recorded_is_denied_and_disturbs_no_other(
    world: World, login: LoginNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        for bad in ({"customer": "1" * 200}, {"customer": "139\n"}, {"trace_id": "x" * 900}, {"order_id": "o" * 65}):
            assert (await guard.check(token, PAY, **(HERE | bad))).reason == "RECORD_UNAVAILABLE"
        assert (await guard.check(token, PAY, **HERE, trace_id="good")).allowed
        await until(lambda: _undelivered(guard), 0)
    assert len([one for one in told_by_guards(world) if one["facts"].get("trace_id") == "good"]) == 1


async def test_a_guard_needs_a_directory_of_its_own(world: World, wire: CheckWire, tmp_path: Path) -> None:
    async with wire.connection() as crm:
        with pytest.raises(TypeError):
            Guard(crm.check, crm.audit)  # type: ignore[call-arg]
        shared = tmp_path / "shared"
        shared.mkdir(mode=0o755)
        with pytest.raises(Misconfigured):
            Guard(crm.check, crm.audit, spool_dir=shared)
        (tmp_path / "file").write_text("")
        with pytest.raises(InfosecError):
            Guard(crm.check, crm.audit, spool_dir=tmp_path / "file" / "spool")


async def test_what_the_log_refuses_for_good_is_set_aside_and_holds_nothing_up(
    world: World, login: LoginNode, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, link):
        await ready(guard, token)

        class Refusing:
            async def record_wire(self, request: Any) -> Any:
                outcomes = await crm.audit.record_wire(request)
                is_bad = [b'"trace_id":"bad"' in event.facts for event in request.events]
                return [
                    record_pb2.RecordOutcome(reason="ALREADY_EXISTS") if no else outcome
                    for no, outcome in zip(is_bad, outcomes, strict=True)
                ]

        link._there = Refusing()
        for trace in ("one", "bad", "two"):
            await guard.check(token, PAY, **HERE, trace_id=trace)
        await until(lambda: _undelivered(guard), 0)
        (spool,) = [path for path in (tmp_path / "guard").iterdir() if path.is_dir()]
        assert len(read_refused(spool)) == 1
    assert spool.exists()
    assert list((tmp_path / "guard").glob("seal-*.json")), "with what was set aside stays what opens it"
    assert {"one", "two"} <= {one["facts"].get("trace_id") for one in told_by_guards(world)}


async def test_a_change_that_denies_is_on_record_with_its_reason(
    world: World, login: LoginNode, node: CheckNode, wire: CheckWire, tmp_path: Path
) -> None:
    token = await login.token("li.na")
    async with wire.connection() as crm, guarding(world, crm, tmp_path) as (guard, _):
        await ready(guard, token)
        world.rows("update auth.staff set role_id = 'receptionist' where staff_id = 'li.na'")
        async with node.works.begin() as work:
            work.change(EAST, ChangeKind.STAFF, "li.na")

        async def reason() -> str:
            return str((await guard.check(token, PAY, **HERE)).reason)

        await until(reason, "OPERATION_NOT_PERMITTED")
        await until(lambda: _undelivered(guard), 0)
    (last,) = {one["facts"]["role_id"] for one in told_by_guards(world) if one["facts"]["reason"] != "OK"} - {"clerk"}
    assert last == "receptionist"
