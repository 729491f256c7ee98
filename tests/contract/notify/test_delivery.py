"""Messages on their way, on a real database: taken once, sent, tried again, given up, and their bodies destroyed."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from infosec.clock import ManualClock
from infosec.errors import AlreadyExists, FailedPrecondition, InfosecError, InvalidInput, Misconfigured, NotFound
from infosec.storage.embedded import Addresses
from infosec.storage.postgres import Database
from services.notify import app
from services.notify.messages import DeliveryState, Fault, RetryPolicy
from services.notify.ports import GatewayRefused, GatewayUnreachable, Receipt
from services.notify.sender import SenderLimits
from services.notify.sink import Sink
from tests.contract.notify.world import MARKER, PHONE, START, MoodyGateway, NotifyWorld, read_token
from tests.sim.servers import sync_connection


def moody(world: NotifyWorld) -> MoodyGateway:
    assert isinstance(world.gateway, MoodyGateway)
    return world.gateway


async def body_of(world: NotifyWorld, message_id: uuid.UUID) -> bytes:
    row = await world.db.read_one("select sealed from notify.messages where message_id = %s", (message_id,))
    assert row is not None
    return bytes(row[0])


async def submitted(world: NotifyWorld, **changes: object) -> uuid.UUID:
    """A message that was taken and not yet tried."""
    message = replace(world.message(), **changes)  # type: ignore[arg-type]
    delivery = await world.app.deliveries.submit(message, wait_s=0)
    assert delivery.state is DeliveryState.QUEUED
    return message.message_id


async def state_of(world: NotifyWorld, message_id: uuid.UUID) -> tuple[DeliveryState, Fault, int]:
    (delivery,) = await world.app.deliveries.find([message_id])
    return delivery.state, delivery.fault, delivery.attempts


@pytest.mark.rule("ID-1")
@pytest.mark.parametrize("receipt", list(Receipt))
async def test_the_outcome_is_known_at_once_when_the_gateway_answers(running: NotifyWorld, receipt: Receipt) -> None:
    moody(running).receipt = receipt
    message = running.message()
    delivery = await running.app.deliveries.submit(message)
    assert delivery.state.value == receipt.value
    assert delivery.masked_phone == "138****5678"
    assert moody(running).taken == [(str(message.message_id), PHONE, MARKER)]


@pytest.mark.rule("ID-1")
async def test_a_slow_gateway_leaves_it_queued_and_it_is_sent_all_the_same(running: NotifyWorld) -> None:
    moody(running).gate.clear()
    message = running.message()
    assert (await running.app.deliveries.submit(message, wait_s=0)).state is DeliveryState.QUEUED
    with running.app.sender.watching(message.message_id) as answered:
        moody(running).gate.set()
        await answered.wait()
    assert (await state_of(running, message.message_id))[0] is DeliveryState.ACCEPTED


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize("receipt", list(Receipt))
async def test_the_body_is_destroyed_when_the_gateway_has_taken_it(world: NotifyWorld, receipt: Receipt) -> None:
    moody(world).receipt = receipt
    message_id = await submitted(world)
    assert await body_of(world, message_id)
    await world.app.sender.send_due()
    assert await body_of(world, message_id) == b""


async def test_the_same_message_again_is_one_message_before_and_after_its_delivery(world: NotifyWorld) -> None:
    message = world.message()
    for _ in range(2):
        await world.app.deliveries.submit(message, wait_s=0)
    assert await world.app.sender.send_due() == 1
    assert (await world.app.deliveries.submit(message)).state is DeliveryState.ACCEPTED
    assert await world.app.sender.send_due() == 0
    assert len(moody(world).taken) == 1


async def test_the_same_message_from_many_at_once_is_one_message(running: NotifyWorld) -> None:
    message = running.message()
    answers = await asyncio.gather(*(running.app.deliveries.submit(message) for _ in range(8)))
    assert {answer.message_id for answer in answers} == {message.message_id}
    assert len(moody(running).taken) == 1


async def test_other_content_under_the_same_id_is_refused(world: NotifyWorld) -> None:
    message, other = world.message(), world.message()
    await world.app.deliveries.submit(message, wait_s=0)
    with pytest.raises(AlreadyExists):
        await world.app.deliveries.submit(replace(message, expires_at=other.expires_at + timedelta(hours=1)))


async def test_what_does_not_open_is_refused_at_once(world: NotifyWorld) -> None:
    message = world.message()
    with pytest.raises(InvalidInput):
        await world.app.deliveries.submit(replace(message, template="LOCKED"))
    assert await world.app.deliveries.find([message.message_id]) == []


async def test_a_body_is_not_taken_for_longer_than_a_week(world: NotifyWorld) -> None:
    with pytest.raises(InvalidInput):
        await world.app.deliveries.submit(world.message(life=timedelta(days=8)))


async def test_an_unreachable_gateway_is_tried_again_later_and_not_sooner(world: NotifyWorld) -> None:
    message_id = await submitted(world)
    moody(world).fault = GatewayUnreachable()
    assert await world.app.sender.send_due() == 1
    assert await state_of(world, message_id) == (DeliveryState.QUEUED, Fault.GATEWAY_UNREACHABLE, 1)
    assert await world.app.sender.send_due() == 0
    moody(world).fault = None
    world.clock.advance(timedelta(seconds=5))
    assert await world.app.sender.send_due() == 1
    assert await state_of(world, message_id) == (DeliveryState.ACCEPTED, Fault.NONE, 2)


@pytest.mark.rule("ID-1")
async def test_it_is_given_up_after_the_last_try_and_one_retry_call_begins_one_round(world: NotifyWorld) -> None:
    message_id = await submitted(world)
    moody(world).fault = GatewayUnreachable()
    tries = RetryPolicy().max_tries
    for _ in range(tries + 3):
        await world.app.sender.send_due()
        world.clock.advance(timedelta(minutes=10))
    assert await state_of(world, message_id) == (DeliveryState.FAILED, Fault.GATEWAY_UNREACHABLE, tries)
    assert [dead.message_id for dead in await world.app.deliveries.dead_letters(before=None, count=9)] == [message_id]
    moody(world).fault = GatewayRefused()
    call = uuid.uuid4()
    for _ in range(3):
        await world.app.deliveries.retry(message_id, request_id=call)
        await world.app.sender.send_due()
    assert await state_of(world, message_id) == (DeliveryState.FAILED, Fault.GATEWAY_REFUSED, tries + 1)
    moody(world).fault = None
    await world.app.deliveries.retry(message_id, request_id=uuid.uuid4())
    await world.app.sender.send_due()
    assert (await state_of(world, message_id))[0] is DeliveryState.ACCEPTED
    assert await world.app.deliveries.dead_letters(before=None, count=9) == []


async def test_a_refused_message_is_not_tried_again(world: NotifyWorld) -> None:
    message_id = await submitted(world)
    moody(world).fault = GatewayRefused()
    await world.app.sender.send_due()
    world.clock.advance(timedelta(hours=1))
    assert await world.app.sender.send_due() == 0
    assert await state_of(world, message_id) == (DeliveryState.FAILED, Fault.GATEWAY_REFUSED, 1)


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize("fault", [None, GatewayRefused(), GatewayUnreachable()])
async def test_at_its_end_the_body_is_destroyed_and_nothing_brings_it_back(
    world: NotifyWorld, fault: Exception | None
) -> None:
    message_id = await submitted(world)
    if fault is not None:
        moody(world).fault = fault
        await world.app.sender.send_due()
    world.clock.advance(timedelta(hours=24))
    assert (await state_of(world, message_id))[:2] == (DeliveryState.EXPIRED, Fault.BODY_EXPIRED)
    assert await world.app.sender.send_due() == 0
    assert await world.app.sender.sweep() == 1
    assert await body_of(world, message_id) == b""
    with pytest.raises(FailedPrecondition):
        await world.app.deliveries.retry(message_id, request_id=uuid.uuid4())
    assert (await state_of(world, message_id))[:2] == (DeliveryState.EXPIRED, Fault.BODY_EXPIRED)


@pytest.mark.rule("ID-1", "ID-7")
async def test_a_message_that_comes_after_its_end_is_recorded_without_its_body(world: NotifyWorld) -> None:
    message = world.message(life=timedelta(hours=1))
    world.clock.advance(timedelta(hours=1))
    for _ in range(2):
        assert (await world.app.deliveries.submit(message)).state is DeliveryState.EXPIRED
    assert await body_of(world, message.message_id) == b""


async def test_two_processes_send_each_message_once(world: NotifyWorld) -> None:
    other_gateway = MoodyGateway()
    other = world.another(other_gateway)
    sent = {str(await submitted(world)) for _ in range(24)}
    rounds = [app.sender.send_due() for app in (world.app, other.app, world.app, other.app)]
    await asyncio.gather(*rounds)
    while await world.app.sender.send_due():
        pass
    taken = [message_id for message_id, _, _ in moody(world).taken + other_gateway.taken]
    assert sorted(taken) == sorted(sent)


async def test_a_message_whose_process_died_is_sent_by_another_after_the_lease(world: NotifyWorld) -> None:
    message_id = await submitted(world)
    moody(world).gate.clear()
    dying = asyncio.create_task(world.app.run())
    while not moody(world).asked:
        await asyncio.sleep(0)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    other = world.another(MoodyGateway())
    assert await other.app.sender.send_due() == 0
    await end_leases(world)
    assert await other.app.sender.send_due() == 1
    assert await state_of(world, message_id) == (DeliveryState.ACCEPTED, Fault.NONE, 2)


async def test_a_message_that_kills_every_process_is_given_up_unsent(world: NotifyWorld) -> None:
    message_id = await submitted(world)
    async with world.db.transaction() as conn:
        await conn.execute("update notify.messages set attempts = 8, tries = 8")
    await world.app.sender.send_due()
    assert await state_of(world, message_id) == (DeliveryState.FAILED, Fault.GATEWAY_UNREACHABLE, 9)
    assert moody(world).taken == []


@pytest.mark.rule("ID-7")
async def test_a_broken_gateway_neither_stops_the_worker_nor_gets_its_words_out(
    running: NotifyWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    moody(running).fault = RuntimeError(f"cannot send {MARKER} to {PHONE}")
    first = await running.app.deliveries.submit(running.message())
    assert (first.state, first.fault) == (DeliveryState.QUEUED, Fault.GATEWAY_UNREACHABLE)
    moody(running).fault = None
    assert (await running.app.deliveries.submit(running.message())).state is DeliveryState.ACCEPTED
    assert "RuntimeError" in caplog.text
    assert MARKER not in caplog.text and PHONE not in caplog.text


@pytest.mark.rule("ID-7")
async def test_the_database_holds_neither_the_text_nor_the_phone_in_any_state(world: NotifyWorld) -> None:
    for fault in (None, GatewayRefused(), GatewayUnreachable()):
        await submitted(world)
        moody(world).fault = fault
        await world.app.sender.send_due()
    await submitted(world)
    rows = await world.db.read_all("select m::text, sealed from notify.messages m")
    dump = repr(rows)
    assert len(rows) == 4 and "138****5678" in dump
    for secret in (MARKER, PHONE):
        assert secret not in dump and secret.encode().hex() not in dump
        assert not any(secret.encode() in bytes(sealed) for _, sealed in rows)


async def test_dead_letters_come_newest_first_in_pages(world: NotifyWorld) -> None:
    moody(world).fault = GatewayRefused()
    made = []
    for _ in range(5):
        made.append(await submitted(world))
        await world.app.sender.send_due()
        world.clock.advance(timedelta(seconds=1))
    first = await world.app.deliveries.dead_letters(before=None, count=3)
    rest = await world.app.deliveries.dead_letters(before=(first[-1].created_at, first[-1].message_id), count=3)
    assert [dead.message_id for dead in first + rest] == made[::-1]


async def test_deliveries_are_found_in_the_order_asked_for_without_unknown_ones(world: NotifyWorld) -> None:
    made = [await submitted(world) for _ in range(3)]
    asked = [made[2], uuid.uuid4(), made[0]]
    assert [found.message_id for found in await world.app.deliveries.find(asked)] == [made[2], made[0]]
    with pytest.raises(NotFound):
        await world.app.deliveries.retry(uuid.uuid4(), request_id=uuid.uuid4())


@pytest.mark.parametrize(
    "forbidden",
    [
        "delete from notify.messages",
        "update notify.messages set masked_phone = 'x'",
        "update notify.messages set digest = ''",
        "create table notify.more (x int)",
        "truncate notify.messages",
    ],
)
async def test_the_services_role_can_do_what_it_needs_and_no_more(world: NotifyWorld, forbidden: str) -> None:
    with pytest.raises(InfosecError):
        async with world.db.transaction() as conn:
            await conn.execute(forbidden.encode())


async def test_the_table_itself_refuses_a_body_that_outlives_its_use(world: NotifyWorld, addresses: Addresses) -> None:
    await submitted(world)
    with sync_connection(addresses.postgres) as admin, pytest.raises(psycopg.errors.CheckViolation):
        admin.execute("update notify.messages set state = 'DELIVERED'")


@pytest.mark.rule("ID-7")
async def test_the_sink_is_built_on_loopback_alone(world: NotifyWorld) -> None:
    def build(is_loopback: bool) -> app.NotifyApp:
        return app.build(
            db=world.db,
            keys=world.keys,
            gateway=Sink(world.clock),
            clock=world.clock,
            read_token=read_token,
            is_loopback=is_loopback,
        )

    assert len(build(True).registrations()) == 2
    assert len(world.app.registrations()) == 1
    with pytest.raises(Misconfigured):
        build(False)


async def test_the_worker_outlives_a_database_that_refuses_it(
    addresses: Addresses, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Database.connect(addresses.role(app.ROLE)) as db:
        world = NotifyWorld(db=db, clock=ManualClock(START), gateway=MoodyGateway())
        message = world.message()
        await world.app.deliveries.submit(message, wait_s=0)
        with sync_connection(addresses.postgres) as admin:
            admin.execute("revoke select on notify.messages from notify_service")
            worker = asyncio.create_task(world.app.run())
            while "cannot be read" not in caplog.text:
                await asyncio.sleep(0)
            admin.execute("grant select on notify.messages to notify_service")
        with world.app.sender.watching(message.message_id) as answered:
            world.app.sender.nudge()
            await answered.wait()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def end_leases(world: NotifyWorld) -> None:
    """As if the leases' real time were over."""
    async with world.db.transaction() as conn:
        await conn.execute("update notify.messages set leased_until = clock_timestamp() - interval '1 second'")


def test_a_lease_outlasts_a_send() -> None:
    limits = SenderLimits()
    assert limits.lease.total_seconds() > limits.send_s
