"""The notify service over a real connection: who may ask what, and what no answer holds."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime

import grpc
import pytest
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from infosec.api.notify.v1 import notify_pb2 as pb
from infosec.api.notify.v1 import notify_pb2_grpc
from infosec.certificates import CallerKind, CallerName
from infosec.config import Address
from infosec.errors import InfosecError, Reason
from infosec.ids import new_id
from infosec.rpc.server.builder import ANY, Server, always
from infosec.rpc.status import from_rpc_error
from services.notify import app
from services.notify.deliveries import Submission
from services.notify.ports import GatewayRefused
from services.notify.sink import Sink
from tests.contract.notify.world import MARKER, PHONE, MoodyGateway, NotifyWorld


async def forgotten(refusal: object) -> None:
    """A RefusalSink that keeps nothing."""


@asynccontextmanager
async def served(world: NotifyWorld, kind: CallerKind) -> AsyncIterator[grpc.aio.Channel]:
    server = Server(
        world.app.registrations(),
        address=Address(host="127.0.0.1", port=0),
        tls=None,
        carrier="carrier.example",
        allow={app.NOTIFY_SERVICE: ANY, app.SINK_SERVICE: ANY},
        refusals=forgotten,
        registry=CollectorRegistry(),
        log=structlog.get_logger(),
        plaintext_caller=always(CallerName(kind=kind, name="tester")),
    )
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield channel
    finally:
        await server.stop(grace_s=0)


def stub_of(channel: grpc.aio.Channel) -> notify_pb2_grpc.NotifyServiceStub:
    return notify_pb2_grpc.NotifyServiceStub(channel)  # type: ignore[no-untyped-call]


def stamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def on_the_wire(message: Submission) -> pb.SubmitRequest:
    return pb.SubmitRequest(
        message_id=str(message.message_id),
        template=message.template,
        sealed=message.sealed,
        expires_at=stamp(message.expires_at),
    )


async def refusal(call: Awaitable[object]) -> InfosecError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


@pytest.mark.rule("ID-1")
async def test_a_service_submits_and_learns_the_outcome(running: NotifyWorld) -> None:
    message = running.message()
    async with served(running, CallerKind.SERVICE) as channel:
        stub = stub_of(channel)
        submitted = await stub.Submit(on_the_wire(message))
        asked = await stub.GetDelivery(pb.GetDeliveryRequest(message_ids=[str(message.message_id), new_id()]))
    assert submitted.delivery.state == pb.DELIVERY_STATE_ACCEPTED
    assert list(asked.deliveries) == [submitted.delivery]
    assert (submitted.delivery.masked_phone, submitted.delivery.attempts) == ("138****5678", 1)
    assert submitted.delivery.created_at.ToDatetime() == running.clock.now().replace(tzinfo=None)


@pytest.mark.rule("ID-7")
async def test_no_answer_holds_the_text_or_the_phone(world: NotifyWorld) -> None:
    assert isinstance(world.gateway, MoodyGateway)
    world.gateway.fault = GatewayRefused()
    message = world.message()
    async with served(world, CallerKind.SERVICE) as channel:
        stub = stub_of(channel)
        answers = [await stub.Submit(on_the_wire(message))]
        await world.app.sender.send_due()
        answers.append(await stub.GetDelivery(pb.GetDeliveryRequest(message_ids=[str(message.message_id)])))
        answers.append(await stub.ListDeadLetters(pb.ListDeadLettersRequest()))
        answers.append(
            await stub.Retry(pb.RetryRequest(request_id=new_id(), token="admin", message_id=str(message.message_id)))
        )
    wire = b"".join(answer.SerializeToString() for answer in answers)
    for secret in (MARKER.encode(), PHONE.encode(), message.sealed):
        assert secret not in wire


async def test_a_caller_in_a_hurry_is_answered_before_its_deadline(patient: NotifyWorld) -> None:
    async with served(patient, CallerKind.SERVICE) as channel:
        answer = await stub_of(channel).Submit(on_the_wire(patient.message()), timeout=8.0)
    assert answer.delivery.state == pb.DELIVERY_STATE_QUEUED


async def test_a_store_system_submits_nothing(world: NotifyWorld) -> None:
    async with served(world, CallerKind.SYSTEM) as channel:
        error = await refusal(stub_of(channel).Submit(on_the_wire(world.message())))
    assert error.reason is Reason.CALLER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.TOKEN_INVALID),
        ("forged", Reason.TOKEN_INVALID),
        ("clerk", Reason.NOT_PERMITTED),
        ("audit", None),
        ("admin", None),
    ],
)
async def test_a_store_system_looks_with_an_administrators_or_auditors_token_alone(
    world: NotifyWorld, token: str, reason: Reason | None
) -> None:
    async with served(world, CallerKind.SYSTEM) as channel:
        stub = stub_of(channel)
        look = stub.GetDelivery(pb.GetDeliveryRequest(token=token, message_ids=[new_id()]))
        dead = stub.ListDeadLetters(pb.ListDeadLettersRequest(token=token))
        if reason is None:
            assert (list((await look).deliveries), list((await dead).deliveries)) == ([], [])
        else:
            assert {(await refusal(look)).reason, (await refusal(dead)).reason} == {reason}


@pytest.mark.parametrize("kind", list(CallerKind))
@pytest.mark.parametrize(
    ("token", "reason"),
    [("audit", Reason.NOT_PERMITTED), ("clerk", Reason.NOT_PERMITTED), ("admin", Reason.NOT_FOUND)],
)
async def test_only_an_administrator_retries(world: NotifyWorld, kind: CallerKind, token: str, reason: Reason) -> None:
    async with served(world, kind) as channel:
        call = pb.RetryRequest(request_id=new_id(), token=token, message_id=new_id())
        assert (await refusal(stub_of(channel).Retry(call))).reason is reason


async def test_dead_letters_are_paged(world: NotifyWorld) -> None:
    assert isinstance(world.gateway, MoodyGateway)
    world.gateway.fault = GatewayRefused()
    for _ in range(5):
        await world.app.deliveries.submit(world.message(), wait_s=0)
    await world.app.sender.send_due()
    seen: list[str] = []
    token = ""
    async with served(world, CallerKind.SERVICE) as channel:
        while True:
            call = pb.ListDeadLettersRequest(page_size=2, page_token=token)
            page = await stub_of(channel).ListDeadLetters(call)
            seen += [dead.message_id for dead in page.deliveries]
            token = page.next_page_token
            if not token:
                break
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("token", ["x", "W10=", "WyIyMDI2IiwiMSJd", "é"])
async def test_a_page_token_of_somebody_elses_making_is_refused(world: NotifyWorld, token: str) -> None:
    async with served(world, CallerKind.SERVICE) as channel:
        error = await refusal(stub_of(channel).ListDeadLetters(pb.ListDeadLettersRequest(page_token=token)))
    assert (error.reason, error.details["field"]) == (Reason.INVALID_ARGUMENT, "page_token")


async def test_ids_that_are_none_are_refused(world: NotifyWorld) -> None:
    async with served(world, CallerKind.SERVICE) as channel:
        error = await refusal(stub_of(channel).GetDelivery(pb.GetDeliveryRequest(message_ids=["1"])))
    assert error.reason is Reason.INVALID_ARGUMENT


async def test_the_demo_shows_what_the_phone_would(world: NotifyWorld) -> None:
    demo = world.another(Sink(world.clock))
    await demo.app.deliveries.submit(demo.message(), wait_s=0)
    await demo.app.sender.send_due()
    async with served(demo, CallerKind.SYSTEM) as channel:
        sink = notify_pb2_grpc.SinkServiceStub(channel)  # type: ignore[no-untyped-call]
        shown = await sink.ListMessages(pb.ListMessagesRequest(phone=PHONE))
        others = await sink.ListMessages(pb.ListMessagesRequest(phone="10086"))
    assert [(one.phone, one.text) for one in shown.messages] == [(PHONE, MARKER)]
    assert list(others.messages) == []


@pytest.mark.rule("ID-7")
async def test_without_the_sink_there_is_no_such_method(world: NotifyWorld) -> None:
    async with served(world, CallerKind.SYSTEM) as channel:
        sink = notify_pb2_grpc.SinkServiceStub(channel)  # type: ignore[no-untyped-call]
        assert (await refusal(sink.ListMessages(pb.ListMessagesRequest()))).reason is Reason.UNIMPLEMENTED


async def test_a_message_id_has_one_spelling(world: NotifyWorld) -> None:
    message = world.message()
    shouted = on_the_wire(message)
    shouted.message_id = str(message.message_id).upper()
    async with served(world, CallerKind.SERVICE) as channel:
        for call in (on_the_wire(message), shouted):
            answer = await stub_of(channel).Submit(call)
            assert uuid.UUID(answer.delivery.message_id) == message.message_id
