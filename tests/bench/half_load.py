"""How long an audited read takes at half of the rate that the front can give: open loop, arrivals by chance.

Measured from the moment at which each was to be sent, so that what waits because others are slow counts (coordinated
omission). The peer is the mean time at saturation, with 200 at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import grpc

from infosec.api.auth.v1 import check_pb2 as pb
from tests.bench import checks
from tests.bench.line import Line

CALLS, AT_ONCE = 4000, 200
_WARM = 200


def measure(site: dict[str, Any], *, saturated: float) -> Line:
    """`saturated` is what tests.bench.checks found, in reads per second. Reported, and held against nothing."""
    request = checks.request_of(asyncio.run(checks.token_at(site)), is_read=True)
    times_ms = asyncio.run(_driven(site["plain"], request, saturated / 2))
    return Line.of_times("check.read.half_load", times_ms, limit_ms=AT_ONCE / saturated * 1000)


async def _driven(port: int, request: pb.CheckRequest, rate: float) -> list[float]:
    """Milliseconds from the intended moment to the answer; every answer is an allow with its record, or it raises."""
    draw, body = random.Random(port), request.SerializeToString()
    answers = list[tuple[float, bytes]]()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.unary_unary(checks.PATH)

        async def one(intended: float) -> None:
            answer = await ask(body)
            answers.append(((time.monotonic() - intended) * 1000, answer))

        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            for _ in range(_WARM + CALLS):
                due += draw.expovariate(rate)
                if (wait_s := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait_s)
                group.create_task(one(due))
    for _, answer in answers:  # only now: who asks shares the processor with who answers
        told = pb.CheckResponse.FromString(answer)
        if not (told.allowed and told.record_id):
            raise AssertionError(f"a wrong answer under load: {told}")
    return [took_ms for took_ms, _ in answers[_WARM:]]
