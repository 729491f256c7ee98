"""Logins per second against what the hash alone allows (cores / hash time), taken in turns in one run."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from authsvc.hash_schemes import HashParameters
from infosec.api.auth.v1 import login_pb2 as pb
from infosec.client.login import LOGIN
from tests.bench import h2load
from tests.bench.line import Line

ROUNDS, SECONDS, AT_ONCE = 15, 2.0, 24
BESIDE = 3 * AT_ONCE
"""Logins of a `drive` that are not in its answer: two of each person by the client that verifies, one under way at the end."""
_LEAD_S = (0.8, 1.4)
"""Until everybody is under way. Not always the same: answers come in clumps, and none is to be cut off or let in each time."""
_RUN_S = 4
_REST_S = 1
"""Until what is under way at the end is over, so that hashes are counted alone."""
_VARIES = 24
"""Bytes by which answers may differ, for what they tell of times and of the login before."""


def measure(site: dict[str, Any]) -> Line:
    """Rounds of (logins, hashes) per second."""
    hashed = HashParameters().hasher().hash(site["password"])
    drive(site, 0)  # statements are prepared: not what is measured
    rounds = [(_steady(drive(site, number)), _hashes(hashed, site["password"])) for number in range(ROUNDS)]
    return Line.of("logins", rounds, unit="1/s", at_least=0.85)


def drive(site: dict[str, Any], number: int) -> list[float]:
    """When each login was answered, in seconds from the first of them.

    People of the round's own log in over and over, each on a plaintext connection of their own. Every answer is a real
    session, or it raises AssertionError.
    """
    people = [(number * AT_ONCE + one) % site["people"] for one in range(AT_ONCE)]
    answer_bytes = asyncio.run(_sampled(site, people))
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{who}.log" for who in people]
        loads = [
            h2load.start(
                site["plain"],
                LOGIN.path,
                h2load.request_file(log.with_suffix(".request"), _request(site, who).SerializeToString()),
                *("-c", "1", "-m", "1", "-D", str(_RUN_S), "--log-file", str(log)),
            )
            for who, log in zip(people, logs, strict=True)
        ]
        for load in loads:
            h2load.outcome(load).must_be(answer_bytes=answer_bytes, within=_VARIES)
        moments = sorted(moment for log in logs for moment in h2load.answered_at(log))
    time.sleep(_REST_S)
    return [moment - moments[0] for moment in moments]


async def _sampled(site: dict[str, Any], people: Sequence[int]) -> int:
    """Two logins of each by a real client, which verifies the answers; answers the bytes of a usual one."""
    lengths = list[int]()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{site['plain']}") as channel:
        login = channel.unary_unary(LOGIN.path, pb.LoginRequest.SerializeToString, bytes)
        for who in (*people, *people):
            body = await login(_request(site, who), timeout=30)
            answer = pb.LoginResponse.FromString(body)
            if not (
                answer.token
                and answer.staff_id == f"bench.{who}"
                and answer.store_id == "e1"
                and answer.HasField("ends_at")
                and answer.HasField("revision")
                and not (answer.duties or answer.failures_since)
            ):
                raise AssertionError(f"not a full session: {answer.duties}")
            lengths.append(len(body))
    return lengths[-1]


def _request(site: dict[str, Any], who: int) -> pb.LoginRequest:
    return pb.LoginRequest(staff_id=f"bench.{who}", password=site["password"], terminal_id=f"bench-{who}")


def _steady(answered: Sequence[float]) -> float:
    """Logins per second while as many as ever were under way: a limit has neither a beginning nor an end."""
    lead_s = random.uniform(*_LEAD_S)
    return sum(lead_s <= moment < lead_s + SECONDS for moment in answered) / SECONDS


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
