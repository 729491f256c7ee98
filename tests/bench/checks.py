"""Unary Check over grpc.aio, one server process, driven by h2load; the limit is grpc.aio answering a fixed body.

The bytes received are asserted, and a real client beside it verifies every field of a sample.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.client.connection import connect
from tests.bench import h2load
from tests.bench.line import Line

ROUNDS, CALLS, CONNECTIONS, STREAMS = 3, 20_000, 8, 16
PATH = "/infosec.api.auth.v1.CheckService/Check"
_SAMPLE = CALLS // 100
_GUARD = 0.25
"""The budget has no bound for this server, only for the front that is made for the load; this one is ours, so that nobody
slows it down unseen. A check is on record when it is answered, a bare answer is not.
"""


def measure(site: dict[str, Any]) -> Line:
    """Rounds of (ours, bare) requests per second, plaintext on loopback, same connections and streams."""
    request = request_of(asyncio.run(token_at(site)), is_read=False)
    answer = asyncio.run(_sampled(site["plain"], request, 1))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare", str(answer)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as bare:
        port = json.loads(bare.stdout.readline())["port"]  # type: ignore[union-attr]
        rounds = [
            (_driven(site["plain"], request, answer, verify=True), _driven(port, request, answer, verify=False))
            for _ in range(ROUNDS)
        ]
        bare.communicate("")
    return Line.of("check.unary.grpc_aio", rounds, unit="1/s", at_least=_GUARD)


def measure_audited(site: dict[str, Any]) -> Line:
    """Rounds of (reads, each in the log before it is answered; other checks) per second, at the same front."""
    token = asyncio.run(token_at(site))
    read, other = request_of(token, is_read=True), request_of(token, is_read=False)
    answers = [asyncio.run(_sampled(site["plain"], request, 1)) for request in (read, other)]
    rounds = [
        (
            _driven(site["plain"], read, answers[0], verify=True, connections=10, streams=20),
            _driven(site["plain"], other, answers[1], verify=True, connections=10, streams=20),
        )
        for _ in range(ROUNDS)
    ]
    return Line.of("check.read.audited", rounds, unit="1/s", at_least=0.4)


def request_of(token: str, *, is_read: bool) -> pb.CheckRequest:
    request = pb.CheckRequest(
        token=token,
        operation="1500" if is_read else "1302",
        store_id="e1",
        terminal_id="bench-0",
        customer="13912345678",
        order_id="order-1",
    )
    if is_read:
        request.purpose = pb.PURPOSE_ORDER
    return request


async def token_at(site: dict[str, Any]) -> str:
    address = f"127.0.0.1:{site['mutual']}"
    async with connect(address, ca=site["ca"], cert=site["cert"], key=site["key"], server_name="localhost") as suite:
        return (await suite.login.login("bench.0", site["password"], terminal_id="bench-0")).token


async def _sampled(port: int, request: pb.CheckRequest, count: int) -> int:
    """Ask with a real client and verify every field; answers the bytes of one answer."""
    is_read = request.purpose == pb.PURPOSE_ORDER
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(PATH, pb.CheckRequest.SerializeToString, bytes)
        for _ in range(count):
            body = await ask(request)
            answer = pb.CheckResponse.FromString(body)
            if not (
                answer.allowed
                and answer.reason == "OK"
                and answer.operation_class == (pb.OPERATION_CLASS_READ if is_read else pb.OPERATION_CLASS_PAY)
                and answer.masking.phone
                and answer.HasField("holds_until")
                and {entry.region_id for entry in answer.revisions} == {"carrier", "east"}
                and answer.mode == pb.DECISION_MODE_CENTRAL
                and bool(answer.record_id) == is_read
                and not (answer.text or answer.required)
            ):
                raise AssertionError(f"a wrong answer under load: {answer}")
    return len(body)


def _driven(
    port: int,
    request: pb.CheckRequest,
    answer_bytes: int,
    *,
    verify: bool,
    connections: int = CONNECTIONS,
    streams: int = STREAMS,
) -> float:
    """Requests per second by h2load. Raises when one failed or answered in another length."""
    with tempfile.TemporaryDirectory() as folder:
        data = h2load.request_file(Path(folder) / "request", request.SerializeToString())
        load = h2load.start(port, PATH, data, "-n", str(CALLS), "-c", str(connections), "-m", str(streams))
        if verify:
            asyncio.run(_sampled(port, request, _SAMPLE))
        outcome = h2load.outcome(load)
    # A Timestamp's length may differ by a few bytes from call to call.
    outcome.must_be(answer_bytes=answer_bytes, within=4)
    return outcome.per_s
