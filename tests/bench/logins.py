"""Logins per second against what the hash alone allows (cores / hash time), taken in turns in one run."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from authsvc.hash_schemes import HashParameters
from infosec.api.auth.v1 import login_pb2 as pb
from infosec.client.login import LOGIN
from tests.bench import raw
from tests.bench.line import Line

ROUNDS, SECONDS, AT_ONCE = 15, 2.0, 24
_LEAD_S = (0.8, 1.4)
"""Until everybody is under way. Not always the same: answers come in clumps, and none is to be cut off or let in each time."""


def measure(site: dict[str, Any]) -> Line:
    """Rounds of (logins, hashes) per second."""
    hashed = HashParameters().hasher().hash(site["password"])
    asyncio.run(drive(site))  # connections are made and statements prepared: not what is measured
    rounds = [(_steady(asyncio.run(drive(site))), _hashes(hashed, site["password"])) for _ in range(ROUNDS)]
    return Line.of("logins", rounds, unit="1/s", at_least=0.85)


def _hashes(hashed: str, password: str) -> float:
    cores = os.cpu_count() or 1
    hasher = HashParameters().hasher()
    until = time.monotonic() + SECONDS

    def work() -> int:
        done = 0
        while time.monotonic() < until:
            hasher.verify(hashed, password)
            done += 1
        return done

    started = time.monotonic()
    with ThreadPoolExecutor(cores) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in range(cores)])
    return done / (time.monotonic() - started)


def _steady(answered: Sequence[float]) -> float:
    """Logins per second while as many as ever were under way: a limit has neither a beginning nor an end."""
    lead_s = random.uniform(*_LEAD_S)
    return sum(lead_s <= moment < lead_s + SECONDS for moment in answered) / SECONDS


async def drive(site: dict[str, Any]) -> list[float]:
    """When each login was answered, in seconds from the first call. Every answer is a real session: a refusal raises."""
    people = site["people"] // AT_ONCE * AT_ONCE  # nobody comes upon one whom another is logging in
    requests = [_request(site, who) for who in range(people)]
    answered: list[float] = []
    answers: list[bytes] = []
    async with raw.channel(site["mutual"], ca=site["ca"], cert=site["cert"], key=site["key"]) as channel:
        login = channel.unary_unary(LOGIN.path)
        await channel.channel_ready()
        started = time.monotonic()

        async def one_after_another(number: int) -> None:
            who = number
            while time.monotonic() - started < _LEAD_S[1] + SECONDS:
                answers.append(await login(requests[who % people], timeout=30))
                answered.append(time.monotonic() - started)
                who += AT_ONCE

        await asyncio.gather(*(one_after_another(number) for number in range(AT_ONCE)))
    for answer in map(pb.LoginResponse.FromString, answers):
        if not answer.token or answer.duties:
            raise AssertionError(f"not a full session: {answer.duties}")
    return answered


def _request(site: dict[str, Any], who: int) -> bytes:
    request = pb.LoginRequest(staff_id=f"bench.{who}", password=site["password"], terminal_id=f"bench-{who}")
    return request.SerializeToString()
