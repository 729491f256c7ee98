"""What happens around a handler: errors, deadlines, bounds, logs, health, drain."""

from __future__ import annotations

import asyncio
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import CollectorRegistry

from infosec import logging
from infosec.api.auth.v1 import login_pb2
from infosec.certificates import CallerKind, CallerName
from infosec.config import Address
from infosec.errors import DeadlineExceeded, Internal, Misconfigured, Reason, ResourceExhausted
from infosec.rpc.credentials import channel_credentials, client_options
from infosec.rpc.deadlines import ServerDeadlines
from infosec.rpc.server.builder import Server, ServerLimits
from infosec.rpc.server.identity import always
from infosec.rpc.server.loop import run
from infosec.rpc.server.metrics import MetricsPage
from infosec.rpc.status import from_rpc_error
from tests.sim.patience import PATIENCE_S
from tests.sim.wire import CHECK, LOGIN, Wire, serving

MARKER = "Zebra-Marker-77"
HEALTH = "/grpc.health.v1.Health/Check"


async def _health(wire: Wire, service: str = "") -> int:
    answer = await wire.raw(HEALTH, health_pb2.HealthCheckRequest(service=service).SerializeToString())
    return health_pb2.HealthCheckResponse.FromString(answer).status


@pytest.mark.rule("ID-7")
async def test_an_exception_shows_a_number_and_nothing_of_its_text(wire: Wire) -> None:
    async def fail(request: Any) -> Any:
        raise RuntimeError(f"driver says: {request.password}")

    wire.login.login.act = fail
    async with wire.suite() as suite:
        with pytest.raises(Internal) as caught:
            await suite.login.login("li.na", MARKER, terminal_id="t1")
    assert caught.value.reason is Reason.INTERNAL
    assert MARKER not in str(caught.value.__cause__)
    assert caught.value.details["incident"] in {line.get("incident") for line in wire.lines if line["level"] == "error"}


@pytest.mark.rule("ID-7")
async def test_log_lines_and_metrics_hold_no_secret(wire: Wire) -> None:
    async def fail(_request: Any) -> Any:
        raise ValueError(MARKER)

    async with wire.suite() as suite:
        await suite.login.login("li.na", MARKER, terminal_id="t1", totp_code="123456")
        wire.login.login.act = fail
        with pytest.raises(Internal):
            await suite.login.login("li.na", MARKER, terminal_id="t1")
        with pytest.raises(grpc.aio.AioRpcError):
            await wire.raw(f"/{LOGIN}/Login", login_pb2.LoginRequest(password=MARKER + "\x01").SerializeToString())
    shown = wire.log.getvalue() + repr(list(wire.registry.collect()))
    assert MARKER not in shown
    assert "123456" not in shown
    calls = [line for line in wire.lines if line["event"] == "call"]
    assert [line["grpc_code"] for line in calls] == ["OK", "INTERNAL", "INVALID_ARGUMENT"]
    assert all(line["method"] == f"/{LOGIN}/Login" and line["caller"] == "system/billing" for line in calls)


async def test_the_server_ends_what_takes_too_long(tmp_path: Path) -> None:
    limits = ServerLimits(deadlines=ServerDeadlines(unary_s=0.05, stream_s=0.05))
    async with serving(tmp_path, limits=limits) as wire, wire.suite() as suite:

        async def hang(_request: Any) -> Any:
            await asyncio.Event().wait()

        wire.login.login.act = hang
        with pytest.raises(DeadlineExceeded) as caught:
            await suite.login.login("li.na", "secret-1", terminal_id="t1")
        assert caught.value.reason is Reason.DEADLINE_EXCEEDED
        with pytest.raises(DeadlineExceeded):
            async for _answer in suite.check.watch_snapshot():
                pass


async def test_a_callers_own_deadline_cancels_the_handler(wire: Wire) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(_request: Any) -> Any:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    wire.login.login.act = hang
    async with wire.channel() as channel:
        request = login_pb2.LoginRequest(staff_id="li.na", password="p", terminal_id="t1").SerializeToString()
        for timeout_s in (0.2, 2, 20):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(f"/{LOGIN}/Login")(request, timeout=timeout_s)
            assert isinstance(from_rpc_error(caught.value), DeadlineExceeded)
            if entered.is_set():
                break  # else the deadline passed before the call got there
    assert entered.is_set()
    await asyncio.wait_for(cancelled.wait(), PATIENCE_S)


async def test_a_timeout_of_the_handlers_own_is_not_taken_for_the_deadline(wire: Wire) -> None:
    async def fail(_request: Any) -> Any:
        raise TimeoutError

    wire.login.login.act = fail
    async with wire.suite() as suite:
        with pytest.raises(Internal):
            await suite.login.login("li.na", "secret-1", terminal_id="t1")


async def test_one_call_too_many_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=ServerLimits(max_calls=2)) as wire, wire.suite() as suite:
        entered, leave = asyncio.Semaphore(0), asyncio.Event()

        async def wait(_request: Any) -> Any:
            entered.release()
            await leave.wait()
            return login_pb2.LoginResponse(token="t")

        wire.login.login.act = wait
        running = [asyncio.create_task(suite.login.login("li.na", "p", terminal_id="t1")) for _ in range(2)]
        for _ in running:
            await entered.acquire()
        with pytest.raises(ResourceExhausted) as caught:
            await suite.login.login("li.na", "p", terminal_id="t1")
        assert caught.value.reason is Reason.OVERLOADED
        assert caught.value.retry_after is not None
        assert await _health(wire) == health_pb2.HealthCheckResponse.SERVING
        leave.set()
        await asyncio.gather(*running)
        wire.login.login.act = wait
        await suite.login.login("li.na", "p", terminal_id="t1")


async def test_health_asks_whether_each_service_is_ready(tmp_path: Path) -> None:
    ready = {"": True, LOGIN: True, CHECK: False}

    async def readiness(service: str) -> bool:
        return ready[service]

    async with serving(tmp_path, readiness=readiness) as wire:
        states = health_pb2.HealthCheckResponse
        assert [await _health(wire, s) for s in ready] == [states.SERVING, states.SERVING, states.NOT_SERVING]
        ready[""] = False
        assert await _health(wire) == states.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _health(wire, "no.such.Service")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_draining_says_so_first_and_lets_running_calls_finish(wire: Wire) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_request: Any) -> Any:
        entered.set()
        await leave.wait()
        return login_pb2.LoginResponse(token="done")

    wire.login.login.act = wait
    async with wire.suite() as suite, wire.channel() as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        states = health_pb2.HealthCheckResponse
        assert states.FromString(await watch.read()).status == states.SERVING
        running = asyncio.create_task(suite.login.login("li.na", "p", terminal_id="t1"))
        await entered.wait()
        stopping = asyncio.create_task(wire.server.stop(grace_s=30))
        assert states.FromString(await watch.read()).status == states.NOT_SERVING
        leave.set()
        assert (await running).token == "done"
        await stopping


async def test_reflection_lists_what_is_served(wire: Wire) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    async def once() -> Any:
        yield request.SerializeToString()

    async with wire.channel() as channel:
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        answers = [answer async for answer in channel.stream_stream(path)(once())]
    listed = reflection_pb2.ServerReflectionResponse.FromString(answers[0]).list_services_response.service
    assert {service.name for service in listed} == set(wire.server.services)


async def test_metrics_are_a_page_of_their_own(wire: Wire) -> None:
    async with wire.suite() as suite:
        await suite.login.login("li.na", "secret-1", terminal_id="t1")
    page = MetricsPage(wire.registry)
    try:
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{page.port}/").read().decode())
    finally:
        await asyncio.to_thread(page.close)
    assert f'infosec_rpc_calls_total{{grpc_code="OK",method="/{LOGIN}/Login",reason=""}} 1.0' in text
    assert "infosec_rpc_in_flight 0.0" in text


def _server(*, host: str = "127.0.0.1", port: int = 0, **given: Any) -> Server:
    async def sink(_refusal: object) -> None:
        return None

    return Server(
        [],
        address=Address(host=host, port=port),
        carrier="carrier.example",
        allow={},
        refusals=sink,
        registry=CollectorRegistry(),
        log=logging.get("tests"),
        **given,
    )


def test_plaintext_is_refused_without_a_named_caller_and_beyond_loopback() -> None:
    caller = always(CallerName(kind=CallerKind.SYSTEM, name="bench"))
    _server(tls=None, plaintext_caller=caller)
    for host, nobody in (("127.0.0.1", None), ("0.0.0.0", caller)):
        with pytest.raises(Misconfigured):
            _server(host=host, tls=None, plaintext_caller=nobody)


def _another(wire: Wire, port: int, *, shares_port: bool = False) -> Server:
    files = wire.authority.issue_service("suite", now=datetime.now(UTC))
    return _server(port=port, tls=files, shares_port=shares_port)


async def test_an_address_that_is_taken_is_said_so(wire: Wire) -> None:
    for shares_port in (False, True):
        with pytest.raises(Misconfigured) as caught:
            await _another(wire, wire.server.port, shares_port=shares_port).start()
        assert caught.value.details["key"] == "server.listen"


async def test_an_address_is_shared_by_those_who_all_say_so(wire: Wire) -> None:
    first = _another(wire, 0, shares_port=True)
    await first.start()
    second = _another(wire, first.port, shares_port=True)
    await second.start()
    assert second.port == first.port
    await first.stop(grace_s=0)
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{second.port}", channel_credentials(wire.files()), client_options(server_name="localhost")
    ) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
    await second.stop(grace_s=0)


def test_a_process_runs_its_one_loop_and_answers() -> None:
    async def answer() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(answer()).split(".")[0] in ("uvloop", "asyncio")


def test_a_server_answers_on_the_loop_that_a_process_runs(tmp_path: Path) -> None:
    async def serve_once() -> int:
        async with serving(tmp_path) as wire, wire.suite() as suite:
            await suite.login.login("li.na", "secret-1", terminal_id="t1")
            return wire.login.login.calls

    assert run(serve_once()) == 1
