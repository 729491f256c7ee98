"""Crowds of logins spread over three real processes, each with its own pools and event loop (ID-5): one count, one session."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.attack.test_login_races import SPELLINGS
from tests.faults.stages import breeder
from tests.sim.login_nodes import REFUSED
from tests.sim.world import PASSWORD, ROLE, Hire, World

__all__ = ["breeder"]

Login = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One of the processes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def try_all(self, logins: Sequence[Login]) -> dict[str, Any]:
        """Have it try them at once; outcomes and verifications."""
        self.writer.write(json.dumps(logins).encode() + b"\n")
        said: dict[str, Any] = json.loads(await self.reader.readline())
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Three:
    """Three processes on one carrier."""

    servers: tuple[Server, ...]

    async def try_all(self, logins: Sequence[Login]) -> tuple[Counter[str], Counter[str]]:
        """Spread over the three, at once: outcomes, and verifications against what, in sum."""
        said = await asyncio.gather(*(one.try_all(logins[n::3]) for n, one in enumerate(self.servers)))
        outcomes, verified = Counter[str](), Counter[str]()
        for each in said:
            outcomes.update(each["outcomes"])
            verified.update(each["verified"])
        return outcomes, verified


@pytest.fixture
async def three(world: World, breeder: Path) -> AsyncIterator[Three]:
    address = world.addresses.role(ROLE)
    told = {
        "act": "serve",
        "host": address.host,
        "port": address.port,
        "dbname": address.dbname,
        "user": ROLE,
        "passwords": str(world.addresses.passwords),
        "keys": str(world.keys_dir),
        "now": world.clock.now().isoformat(),
    }
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(str(breeder))
            writer.write(json.dumps(told).encode() + b"\n")
            stack.callback(os.kill, json.loads(await reader.readline())["pid"], signal.SIGKILL)
            assert json.loads(await reader.readline()) == {"ready": True}
            servers.append(Server(reader=reader, writer=writer))
        yield Three(servers=tuple(servers))


def _logins(*passwords: str, staff: Sequence[str] = ("li.na",)) -> list[Login]:
    """One for each password, at all terminals of the store in turn."""
    return [
        {"staff": staff[n % len(staff)], "password": text, "at": f"e1-t{n % 5 + 1}"} for n, text in enumerate(passwords)
    ]


@pytest.mark.rule("ID-5")
async def test_a_hundred_wrong_passwords_on_three_processes_are_verified_five_times_in_sum(
    world: World, three: Three
) -> None:
    outcomes, verified = await three.try_all(_logins(*(f"wrong-{n}" for n in range(100))))
    assert outcomes == {REFUSED: 100}
    assert verified == {"own": 5, "dummy": 95}
    assert len(world.events("login.failed")) == world.credentials("li.na")["failures"] == 5
    outcomes, verified = await three.try_all(_logins(PASSWORD, PASSWORD, PASSWORD))
    assert (outcomes, verified) == ({REFUSED: 3}, {"dummy": 3})
    assert (world.state("li.na"), world.live_sessions("li.na")) == ("LOCKED", [])
    assert len(world.messages("LOCKED")) == 1


@pytest.mark.rule("ID-5", "ID-9")
async def test_a_hundred_right_passwords_on_three_processes_are_all_ok_and_one_session_lives(
    world: World, three: Three
) -> None:
    outcomes, verified = await three.try_all(_logins(*[PASSWORD] * 100))
    assert outcomes == {"OK": 100}
    assert verified == {"own": 100}
    assert len(world.live_sessions("li.na")) == 1
    assert world.credentials("li.na")["failures"] == 0


@pytest.mark.rule("ID-5")
async def test_ten_spellings_share_one_count_across_processes(world: World, three: Three) -> None:
    outcomes, verified = await three.try_all(_logins(*["wrong"] * 30, staff=SPELLINGS))
    assert outcomes == {REFUSED: 30}
    assert verified == {"own": 5, "dummy": 25}
    assert (world.state("li.na"), world.credentials("li.na")["failures"]) == ("LOCKED", 5)


def _crowd(staff: Sequence[str], passwords: Sequence[str]) -> list[Login]:
    """All at once: each of them with every password, at their own terminal."""
    halls = [f"{hall}-t{n}" for hall in ("e1", "e2") for n in range(1, 6)]
    return [{"staff": who, "password": text, "at": halls[n]} for text in passwords for n, who in enumerate(staff)]


@pytest.mark.rule("ID-5", "ID-9")
async def test_a_crowd_of_people_on_three_processes_each_has_a_count_and_a_session_of_their_own(
    world: World, three: Three
) -> None:
    """Ten people are in company with each other in every process, and with themselves in none."""
    wrong, right = [f"one.{n}" for n in range(10)], [f"two.{n}" for n in range(10)]
    world.hire(*(Hire(staff_id=staff, phone="13800000000") for staff in wrong + right))
    outcomes, verified = await three.try_all(_crowd(right, [PASSWORD] * 9))
    assert (outcomes, verified) == ({"OK": 90}, {"own": 90})
    assert [len(world.live_sessions(staff)) for staff in right] == [1] * 10
    assert len(world.events("login.succeeded")) == 90
    assert len(world.events("session.ended")) == 80
    assert len(world.messages("NEW_TERMINAL")) == 10
    outcomes, verified = await three.try_all(_crowd(right, [PASSWORD, "wrong"] * 2))
    assert outcomes == {"OK": 20, REFUSED: 20}
    outcomes, verified = await three.try_all(_crowd(wrong, ["wrong"] * 12))
    assert (outcomes, verified) == ({REFUSED: 120}, {"own": 50, "dummy": 70})
    assert [(world.state(staff), world.credentials(staff)["failures"]) for staff in wrong] == [("LOCKED", 5)] * 10
    assert len(world.messages("LOCKED")) == 10
    assert world.rows("select key from auth.attempt_places") == []
