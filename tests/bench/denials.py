"""From the commit of a lock or revocation to the first denial: at a front of its own over gRPC, and at a Guard that follows it.

Both are asked again and again while the staff ID is locked (or its session ended) by a third process, with Redis between
them and without. All clocks are the machine's monotonic one.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.client.check import Asks
from infosec.client.connection import Connection, connect
from infosec.client.guard import Guard
from tests.bench.line import Line
from tests.bench.site import LEAVERS

TIMES, LIMIT_MS = 60, 50.0
_PAUSE_S = 0.001
"""Between two questions, so that who asks does not take the processor from who answers."""
_DENIED = {"lock": {"STAFF_NOT_ACTIVE", "SESSION_ENDED"}, "end": {"SESSION_ENDED"}}


def measure(site: dict[str, Any]) -> list[Line]:
    """With Redis against 50 ms, without against the poll interval; the front and the Guard each."""
    lines = []
    for number, how in enumerate(("redis", "polling")):
        at_front, at_guard, poll_ms = asyncio.run(_measured(site, first=site["people"] + number * TIMES, how=how))
        limit_ms = LIMIT_MS if how == "redis" else poll_ms
        for place, times_ms in (("front", at_front), ("guard", at_guard)):
            name = f"check.lock_to_denial.{how}.{place}"
            lines.append(Line.of_times(name, times_ms, limit_ms=limit_ms, at_most=1.0))
    return lines


async def _measured(site: dict[str, Any], *, first: int, how: str) -> tuple[list[float], list[float], float]:
    """Milliseconds at the front, at the Guard, and how often the front polls."""
    if TIMES * 2 > LEAVERS:
        raise AssertionError("the site has too few people who leave")
    folder, at_front, at_guard = Path(site["folder"]), list[float](), list[float]()
    redis = ("with-redis",) if how == "redis" else ()
    with (
        _beside("front_site", site["folder"], str(site["audit"]), *redis) as front,
        _beside("revoker", site["folder"]) as revoker,
    ):
        told = json.loads(front.stdout.readline())  # type: ignore[union-attr]
        async with _asked(site, told["front"], folder / f"guard-{how}") as (core, centre, guard):
            for number in range(TIMES):
                who, act = f"bench.{first + number}", ("lock", "end")[number % 2]
                question = await _allowed(site, core, who, (centre, guard))
                asking = [asyncio.create_task(_denied(place, question, act)) for place in (centre, guard)]
                # At any moment between two polls.
                await asyncio.sleep(random.Random(number).uniform(0.02, 0.02 + told["poll_ms"] / 1000))
                revoker.stdin.write(f"{act} {who}\n")  # type: ignore[union-attr]
                revoker.stdin.flush()  # type: ignore[union-attr]
                committed_at = float(await asyncio.to_thread(revoker.stdout.readline))  # type: ignore[union-attr]
                denied_at = await asyncio.gather(*asking)
                for times_ms, at in zip((at_front, at_guard), denied_at, strict=True):
                    times_ms.append((at - committed_at) * 1000)
        for process in (revoker, front):
            process.communicate("")
    return at_front, at_guard, told["poll_ms"]


@asynccontextmanager
async def _asked(site: dict[str, Any], port: int, spool: Path) -> AsyncIterator[tuple[Connection, Asks, Guard]]:
    """The core, where people log in; the front; and a Guard on it."""
    tls = {name: site[name] for name in ("ca", "cert", "key")} | {"server_name": "localhost"}
    async with (
        connect(f"127.0.0.1:{site['mutual']}", **tls) as core,
        connect(f"127.0.0.1:{site['audit']}", **tls) as audit,
        connect(f"127.0.0.1:{port}", **tls) as front,
    ):
        guard = Guard(front.check, audit.audit, spool_dir=spool)
        async with guard.running():
            yield core, front.check, guard


async def _allowed(site: dict[str, Any], core: Connection, who: str, places: tuple[Asks, ...]) -> pb.CheckRequest:
    """Logged in, and allowed at both: what is asked of them."""
    terminal = f"bench-{who.removeprefix('bench.')}"
    session = await core.login.login(who, site["password"], terminal_id=terminal)
    question = pb.CheckRequest(
        token=session.token, operation="1302", store_id="e1", terminal_id=terminal, customer="13912345678"
    )
    for place in places:
        answer = await place.ask(question)
        if not answer.allowed:
            raise AssertionError(f"not allowed before it was revoked: {answer}")
    return question


async def _denied(place: Asks, question: pb.CheckRequest, act: str) -> float:
    """The moment of the first denial; it has to be for what was done."""
    while (answer := await place.ask(question)).allowed:
        await asyncio.sleep(_PAUSE_S)
    at = time.monotonic()
    if answer.reason not in _DENIED[act]:
        raise AssertionError(f"denied for something else: {answer}")
    return at


def _beside(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
