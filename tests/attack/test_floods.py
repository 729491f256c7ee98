"""Many calls at once: each gets an answer or is told to come again, nobody else waits for them, nothing is lost.

ID-11 over the wire as well: a terminal is no weapon against its store, nor against approvers of another region.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from authsvc.hashing import Target
from authsvc.profile import TELECOM_HALL
from infosec.api.auth.v1 import login_pb2 as lpb
from infosec.client.calls import Invoker, Method
from infosec.client.check import CHECK, question
from infosec.client.login import LOGIN
from infosec.decision.operations import Purpose
from infosec.errors import InfosecError, Reason
from infosec.rpc.server.builder import ServerLimits
from infosec.storage.postgres import PoolLimits
from tests.sim.suite import Suite, served
from tests.sim.world import PASSWORD, Hire, World

AT_ONCE = 10_000
ANSWERED = {"OK", Reason.LOGIN_REFUSED.value}
TOLD_TO_WAIT = {Reason.OVERLOADED.value, Reason.ATTEMPT_DISCARDED.value, Reason.PEER_UNAVAILABLE.value}
"""The last is what the SDK makes of a call that gRPC itself cancelled, because too many waited to be taken up by the server."""
LONGEST_S = 300.0
"""Ends a test that would fail anyway; no call of it may take that long."""
MIB = 1 << 20


def memory() -> int:
    """Resident bytes of this process, clients and server together."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free is not held
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def outcome(work: Awaitable[object]) -> str:
    """OK or the reason; who is told to wait is told how long."""
    try:
        answer = await work
    except InfosecError as error:
        assert error.reason is not Reason.OVERLOADED or error.retry_after is not None
        assert error.reason is not Reason.OVERLOADED or timedelta(0) < error.retry_after < timedelta(minutes=1)  # type: ignore[operator]
        return error.reason.value
    return "OK" if getattr(answer, "allowed", True) else str(answer.reason)  # type: ignore[attr-defined]


async def all_at_once(count: int, make: Callable[[int], Awaitable[object]]) -> Counter[str]:
    """Start all, wait for all."""
    async with asyncio.timeout(LONGEST_S):
        return Counter(await asyncio.gather(*(outcome(make(number)) for number in range(count))))


def login(invoker: Invoker, staff: str, at: str, password: str = PASSWORD) -> Awaitable[object]:
    request = lpb.LoginRequest(staff_id=staff, password=password, terminal_id=at)
    return invoker.unary(LOGIN, request, deadline_s=LONGEST_S)


@pytest.mark.rule("ID-5")
async def test_ten_thousand_logins_at_once_are_answered_or_told_to_wait_and_none_is_lost(
    suite_world: World, tmp_path: Path
) -> None:
    people = [Hire(staff_id=f"clerk.{n:02}", store=f"e{n % 2 + 1}") for n in range(40)]
    async with served(suite_world, tmp_path, level="warning") as suite:
        await suite.hire(*people)
        invoker = suite.as_system().invoker

        def ask(number: int) -> Awaitable[object]:
            person = people[number % 40]
            at = f"{person.store}-t{number // 2 % 5 + 1}"
            return login(invoker, person.staff_id, at, PASSWORD if number % 3 else "wrong")

        await all_at_once(AT_ONCE // 10, ask)
        before, events, hashes = memory(), _outcomes(suite), sum(suite.verified.values())
        told = await all_at_once(AT_ONCE, ask)
        grown = memory() - before
        print(f"\nlogins {dict(told)}, memory {grown / MIB:+.1f} MiB")
        assert set(told) <= ANSWERED | TOLD_TO_WAIT, told
        answered = sum(told[each] for each in ANSWERED)
        assert answered > 0 and told.total() == AT_ONCE
        assert _outcomes(suite) - events == answered
        # Whose turn did not come in time was not hashed; whoever lost it while hashing was.
        assert answered <= sum(suite.verified.values()) - hashes <= answered + told["ATTEMPT_DISCARDED"]
        assert grown < 100 * MIB  # of 10,000 calls at both of their ends
        assert suite.world.one("select max(failures) from auth.credentials") <= 5
        assert await outcome(login(invoker, "ouyang.xue", "w1-t1")) == "OK"


def _outcomes(suite: Suite) -> int:
    return suite.counts("login.succeeded", "login.failed", "login.refused")


async def test_ten_thousand_checks_at_once_are_answered_or_told_to_wait(suite_world: World, tmp_path: Path) -> None:
    # All of it shares one loop with what keeps the snapshot fresh: how long that takes is not asked here.
    profile = replace(TELECOM_HALL, staleness_bound=timedelta(seconds=LONGEST_S))
    async with served(suite_world, tmp_path, profile=profile, level="warning") as suite:
        token = await suite.session("li.na")
        ask = _asking(suite, token, "1302")
        await all_at_once(AT_ONCE // 2, ask)
        before = memory()
        told = await all_at_once(AT_ONCE, ask)
        grown = memory() - before
        print(f"\nchecks {dict(told)}, memory {grown / MIB:+.1f} MiB")
        assert set(told) <= {"OK"} | TOLD_TO_WAIT and told["OK"] > 0, told
        assert grown < 60 * MIB  # at both of their ends, with the audit service beside them
        assert await suite.reason(suite.check(token)) == "OK"


def _asking(suite: Suite, token: str, operation: str) -> Callable[[int], Awaitable[object]]:
    """A check that is not repeated by the SDK."""
    once = Method(path=CHECK.path, request=CHECK.request, response=CHECK.response, is_repeatable=False)
    request = question(
        token, operation, store_id="e1", terminal_id="e1-t1", customer="13911112222", purpose=Purpose.ORDER
    )
    return lambda _: suite.as_system().invoker.unary(once, request, deadline_s=LONGEST_S)


async def test_a_call_more_than_are_served_at_once_is_told_when_to_come_again(
    suite_world: World, tmp_path: Path
) -> None:
    async with served(suite_world, tmp_path, limits=ServerLimits(max_calls=4), level="warning") as suite:
        token = await suite.session("li.na")
        told = await all_at_once(200, _asking(suite, token, "1500"))
        assert set(told) == {"OK", "OVERLOADED"}, told
        reads = [one for one in suite.world.entries("check.decided") if one["facts"]["operation"] == "1500"]
        assert len(reads) == told["OK"]
        assert await suite.reason(suite.check(token)) == "OK"


@pytest.mark.rule("ID-5", "ID-11")
@pytest.mark.parametrize("victim", ["li.na", "nobody.here"])
async def test_a_flood_on_one_id_neither_delays_another_nor_drains_the_pool(
    suite_world: World, tmp_path: Path, victim: str
) -> None:
    async with served(suite_world, tmp_path, pool=PoolLimits(max_size=4), level="warning") as suite:
        invoker = suite.as_system().invoker
        flood = [asyncio.create_task(outcome(login(invoker, victim, f"e1-t{n % 4 + 1}", "wrong"))) for n in range(500)]
        while not sum(suite.verified.values()):
            await asyncio.sleep(0.001)
        began = time.perf_counter()
        assert await outcome(login(suite.as_system("pos").invoker, "wang.wei", "e1-t5")) in {"OK", "OVERLOADED"}
        first = time.perf_counter() - began
        assert any(not task.done() for task in flood)
        while await outcome(login(suite.as_system("pos").invoker, "wang.wei", "e1-t5")) != "OK":
            await asyncio.sleep(0.01)
        assert any(not task.done() for task in flood)
        assert suite.db._in_use <= 4
        assert await suite.reason(suite.check(await _token(suite), at="e2-t1")) == "OK"
        still = sum(not task.done() for task in flood)
        told = Counter(await asyncio.gather(*flood))
        print(
            f"\nanother's login after {first * 1e3:.0f} ms, with {still} of 500 still waiting; the flood: {dict(told)}"
        )
        assert set(told) <= {"LOGIN_REFUSED"} | TOLD_TO_WAIT
        assert suite.db._in_use == 0 or suite.db._in_use <= 4
        assert suite.verified[Target.OWN] <= 5 + 3


async def _token(suite: Suite) -> str:
    made = await suite.login("zhang.min", at="e2-t1")
    await suite.fresh()
    return made.token


def _locked(suite: Suite) -> list[str]:
    return [row[0] for row in suite.world.rows("select staff_id from auth.staff where state = 'LOCKED' order by 1")]


@pytest.mark.rule("ID-11")
async def test_one_terminal_cannot_lock_a_store_however_parallel_its_guesses(suite: Suite) -> None:
    crowd = [f"clerk.{n:02}" for n in range(12)]
    await suite.hire(*(Hire(staff_id=staff) for staff in crowd))
    invoker = suite.as_system().invoker
    guesses = [(staff, number) for number in range(6) for staff in crowd]
    told = await all_at_once(len(guesses), lambda n: login(invoker, guesses[n][0], "e1-t1", "wrong"))
    assert set(told) <= {"LOGIN_REFUSED"} | TOLD_TO_WAIT, told
    for hours in range(3):
        suite.world.advance(hours=hours)
        for staff in crowd:
            for _ in range(5):
                assert await outcome(login(invoker, staff, "e1-t1", "wrong")) == "LOGIN_REFUSED"
    assert len(_locked(suite)) <= 3
    untouched = next(staff for staff in crowd if staff not in _locked(suite))
    assert await outcome(login(invoker, untouched, "e1-t2")) == "OK"
    assert "TERMINAL_REFUSED" in suite.world.findings()


@pytest.mark.rule("ID-11")
@pytest.mark.parametrize("approver", ["sun.yan", "zhou.tao"])
async def test_an_approver_of_another_region_cannot_be_locked_by_all_terminals_of_this_one(
    suite: Suite, approver: str
) -> None:
    invoker = suite.as_system().invoker
    told = await all_at_once(60, lambda n: login(invoker, approver, f"e{n % 2 + 1}-t{n // 2 % 5 + 1}", "wrong"))
    assert set(told) == {"LOGIN_REFUSED"}, told
    assert (suite.world.state(approver), suite.world.credentials(approver)["failures"]) == ("ACTIVE", 0)
    assert suite.verified[Target.OWN] == 0
    home = "w1-t1" if approver == "sun.yan" else "hq-t1"
    made = await suite.login(approver, at=home, code=suite.world.code(approver))
    assert made.failures_since == 0
    assert set(suite.world.findings()) == {"OUT_OF_REGION"}
