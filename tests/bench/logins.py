"""Logins per second against what the hash alone allows (cores / hash time), taken in turns in one run."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from authsvc.hash_schemes import HashParameters
from infosec.client.connection import Connection, connect
from tests.bench.line import Line

ROUNDS, SECONDS, AT_ONCE = 3, 6.0, 24


def measure(site: dict[str, Any]) -> Line:
    """Rounds of (logins, hashes) per second."""
    hashed = HashParameters().hasher().hash(site["password"])
    asyncio.run(drive(site))  # connections are made and statements prepared: not what is measured
    rounds = [(asyncio.run(drive(site)), _hashes(hashed, site["password"])) for _ in range(ROUNDS)]
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


async def drive(site: dict[str, Any]) -> float:
    """Every answer is a real session: a refusal raises."""
    address = f"127.0.0.1:{site['mutual']}"
    async with connect(address, ca=site["ca"], cert=site["cert"], key=site["key"], server_name="localhost") as suite:
        until, started = time.monotonic() + SECONDS, time.monotonic()
        done = await asyncio.gather(*(_one_after_another(suite, site, n, until) for n in range(AT_ONCE)))
        return sum(done) / (time.monotonic() - started)


async def _one_after_another(suite: Connection, site: dict[str, Any], number: int, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        who = (number + done * AT_ONCE) % site["people"]
        answer = await suite.login.login(f"bench.{who}", site["password"], terminal_id=f"bench-{who}")
        if not answer.token or answer.duties:
            raise AssertionError(f"not a full session: {answer.duties}")
        done += 1
    return done
