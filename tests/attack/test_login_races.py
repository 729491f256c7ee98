"""Many guesses at once, on many nodes and in many spellings: never more than five are answered (ID-5)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from authsvc.hashing import Target
from tests.sim.login_nodes import REFUSED, login_node, outcome
from tests.sim.world import PASSWORD, ROLE, World

SPELLINGS = (
    "li.na",
    "LI.NA",
    "Li.Na",
    " li.na",
    "li.na ",
    "l i . n a",
    "ｌｉ.ｎａ",
    "ＬＩ．ＮＡ",
    "lI.nA",
    "\tli.na".strip("\t") + "\u3000",
)


@pytest.mark.rule("ID-5")
async def test_a_hundred_wrong_passwords_at_once_on_three_nodes_are_verified_five_times(world: World) -> None:
    nodes = [await login_node(world) for _ in range(3)]
    guesses = [nodes[n % 3].try_login("li.na", f"wrong-{n}", at=f"e1-t{n % 5 + 1}") for n in range(100)]
    assert Counter(await asyncio.gather(*guesses)) == {REFUSED: 100}
    assert sum(node.verified[Target.OWN] for node in nodes) == 5
    assert sum(node.verified[Target.DUMMY] for node in nodes) == 95
    assert len(world.events("login.failed")) == 5
    assert (world.state("li.na"), world.credentials("li.na")["failures"]) == ("LOCKED", 5)
    assert {await node.try_login("li.na") for node in nodes} == {REFUSED}
    assert len(world.messages("LOCKED")) == 1


@pytest.mark.rule("ID-5")
async def test_three_processes_together_verify_five_wrong_passwords(world: World) -> None:
    guessers = [_guesser(world, password="wrong", times=34, terminal=f"e1-t{n + 1}") for n in range(3)]
    answers = await asyncio.to_thread(_race, guessers)
    assert sum((Counter(answer["outcomes"]) for answer in answers), Counter()) == {REFUSED: 102}
    assert sum(answer["verified"].get("own", 0) for answer in answers) == 5
    assert (world.state("li.na"), world.credentials("li.na")["failures"]) == ("LOCKED", 5)


@pytest.mark.rule("ID-5")
async def test_a_hundred_right_passwords_at_once_are_all_answered_ok_and_one_session_lives(world: World) -> None:
    nodes = [await login_node(world) for _ in range(3)]
    logins = [nodes[n % 3].try_login("li.na", at=f"e1-t{n % 5 + 1}") for n in range(100)]
    assert Counter(await asyncio.gather(*logins)) == {"OK": 100}
    assert len(world.live_sessions("li.na")) == 1
    assert world.credentials("li.na")["failures"] == 0


@pytest.mark.rule("ID-5")
async def test_right_and_wrong_ones_mixed_never_give_five_wrong_answers_without_a_lock(world: World) -> None:
    nodes = [await login_node(world) for _ in range(3)]
    passwords = [PASSWORD if n % 3 == 0 else "wrong" for n in range(60)]
    await asyncio.gather(*(nodes[n % 3].try_login("li.na", text) for n, text in enumerate(passwords)))
    in_a_row = 0
    for event in world.events():
        if event["type"] == "login.succeeded":
            assert in_a_row < 5
            in_a_row = 0
        in_a_row += event["type"] == "login.failed"
    assert in_a_row <= 5
    assert (world.state("li.na") == "LOCKED") is (in_a_row == 5)


@pytest.mark.rule("ID-5")
async def test_ten_spellings_of_one_staff_id_share_one_count(world: World) -> None:
    node = await login_node(world)
    assert len(set(SPELLINGS)) == 10
    assert {await node.try_login(spelling, "wrong") for spelling in SPELLINGS} == {REFUSED}
    assert node.verified[Target.OWN] == 5
    assert world.state("li.na") == "LOCKED"


@pytest.mark.rule("ID-5")
async def test_every_path_adds_to_the_same_count(world: World) -> None:
    node = await login_node(world)
    token = await node.token("chen.jing")
    await node.enroll(token)
    await node.try_login("chen.jing", "wrong")
    for attempt in (node.change(token, "wrong", "Quiet#river8"), node.resume(token, "wrong")):
        assert await outcome(attempt) == REFUSED
    assert await outcome(node.activate(token, "000000")) == REFUSED
    assert world.credentials("chen.jing")["failures"] == 4
    assert await outcome(node.resume(token)) == "OK"
    assert world.credentials("chen.jing")["failures"] == 4  # only a login is a success
    assert await outcome(node.enroll(token, "wrong")) == REFUSED
    assert world.state("chen.jing") == "LOCKED"
    assert world.live_sessions("chen.jing") == []


@pytest.mark.rule("ID-5")
async def test_a_caller_who_hangs_up_is_counted_all_the_same(world: World) -> None:
    node = await login_node(world)
    for _ in range(5):
        call = asyncio.create_task(node.try_login("li.na", "wrong"))
        while not call.done() and node.verified[Target.OWN] <= world.credentials("li.na")["failures"]:
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await node.attempts.drain()
    assert world.state("li.na") == "LOCKED"
    assert node.verified[Target.OWN] == 5


@pytest.mark.rule("ID-5", "RQ-3")
async def test_a_second_factor_code_is_accepted_once_however_parallel(world: World) -> None:
    nodes = [await login_node(world) for _ in range(3)]
    code = world.code("zhao.lei")
    outcomes = await asyncio.gather(*(node.try_login("zhao.lei", code=code) for node in nodes))
    assert sorted(outcomes) == sorted([REFUSED, REFUSED, "OK"])
    assert world.credentials("zhao.lei")["failures"] == 2


def _guesser(world: World, **how: object) -> tuple[subprocess.Popen[str], str]:
    postgres = world.addresses.postgres
    told = {
        "host": postgres.host,
        "dbname": postgres.dbname,
        "user": ROLE,
        "passwords": str(world.addresses.passwords),
        "keys": str(world.keys_dir),
        "staff": "li.na",
        **how,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sim.guesser"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, json.dumps(told)


def _race(guessers: list[tuple[subprocess.Popen[str], str]]) -> list[dict[str, dict[str, int]]]:
    """Tell each what to do, wait until all are ready, and let them go at once."""
    for process, told in guessers:
        assert process.stdin is not None
        process.stdin.write(told + "\n")
        process.stdin.flush()
    for process, _ in guessers:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
    return [json.loads(process.communicate(timeout=180)[0]) for process, _ in _gone(guessers)]


def _gone(guessers: list[tuple[subprocess.Popen[str], str]]) -> list[tuple[subprocess.Popen[str], str]]:
    for process, _ in guessers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return guessers
