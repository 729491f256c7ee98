"""The outbox: an event if and only if its change, and at the receiver exactly once whatever dies in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest

from infosec.clock import ManualClock
from infosec.errors import Reason, Unavailable
from infosec.storage.outbox import Event, Outbox, Parcel, Relay, RelayTimes
from infosec.storage.postgres import Database
from tests.contract.storage.conftest import SCHEMA, START

TIMES = RelayTimes(poll_s=0.01)


class Receiver:
    """Keeps one event of each ID, like every receiver of ours; can be made to fail."""

    def __init__(self) -> None:
        self.kept: dict[uuid.UUID, bytes] = {}
        self.calls = 0
        self.failure: BaseException | None = None

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        self.kept = {**dict(parcels), **self.kept}
        return [None] * len(parcels)


def relay(database: Database, receiver: Receiver, clock: ManualClock, **options: object) -> Relay:
    return Relay(
        database,
        schema=SCHEMA,
        topic="notify",
        deliver=receiver.deliver,
        clock=clock,
        **{"times": TIMES, **options},  # type: ignore[arg-type]
    )


async def put(database: Database, *bodies: bytes, topic: str = "notify") -> list[uuid.UUID]:
    events = [Event(event_id=uuid.uuid4(), topic=topic, body=body) for body in bodies]
    async with database.transaction() as connection:
        await Outbox(SCHEMA).put_many(connection, events, START)
    return [event.event_id for event in events]


async def row(database: Database, event_id: uuid.UUID) -> tuple[object, ...]:
    found = await database.read_one(
        f"SELECT body, attempts, last_error, delivered_at FROM {SCHEMA}.outbox WHERE event_id = %s", (event_id,)
    )
    assert found is not None
    return tuple(found)


async def test_an_event_exists_if_and_only_if_its_transaction_commits(database: Database) -> None:
    receiver, clock = Receiver(), ManualClock(START)
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            await Outbox(SCHEMA).put(connection, "notify", uuid.uuid4(), b"never", START)
            raise RuntimeError
    (event_id,) = await put(database, b"told")
    await put(database, b"of another topic", topic="audit")
    assert await relay(database, receiver, clock).deliver_due() == 1
    assert receiver.kept == {event_id: b"told"}
    assert await row(database, event_id) == (b"told", 1, None, START)


@pytest.mark.rule("ID-1")
async def test_a_sealed_body_is_erased_at_delivery(database: Database) -> None:
    receiver = Receiver()
    (event_id,) = await put(database, b"sealed")
    await relay(database, receiver, ManualClock(START), erase_body=True).deliver_due()
    assert receiver.kept == {event_id: b"sealed"}
    assert (await row(database, event_id))[0] == b""


async def test_a_crash_between_delivering_and_noting_it_delivers_again_with_the_same_id(database: Database) -> None:
    receiver, clock = Receiver(), ManualClock(START)
    (event_id,) = await put(database, b"once")

    async def deliver_and_die(parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        await receiver.deliver(parcels)
        raise asyncio.CancelledError  # what a dying process looks like to its relay

    dying = Relay(database, schema=SCHEMA, topic="notify", deliver=deliver_and_die, clock=clock, times=TIMES)
    with pytest.raises(asyncio.CancelledError):
        await dying.deliver_due()
    successor = relay(database, receiver, clock)
    assert await successor.deliver_due() == 0, "the dead one's lease is not over"
    clock.advance(TIMES.lease)
    assert await successor.deliver_due() == 1
    assert (receiver.kept, receiver.calls) == ({event_id: b"once"}, 2)
    clock.advance(TIMES.lease)
    assert await successor.deliver_due() == 0


async def test_many_relays_deliver_each_event_once(database: Database) -> None:
    receiver, clock = Receiver(), ManualClock(START)
    ids = await put(database, *(str(number).encode() for number in range(200)))
    relays = [relay(database, receiver, clock, batch=7) for _ in range(5)]

    async def drain(one: Relay) -> None:
        while await one.deliver_due():
            pass

    await asyncio.gather(*map(drain, relays))
    assert set(receiver.kept) == set(ids)
    assert receiver.calls == len(ids)


async def test_of_a_shipment_each_is_settled_by_its_own_answer(database: Database) -> None:
    ids = await put(database, b"good", b"bad", b"good as well", b"of the next shipment")
    shipments = []

    async def deliver(parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        shipments.append([parcel.body for parcel in parcels])
        return [Reason.INVALID_ARGUMENT if parcel.body == b"bad" else None for parcel in parcels]

    one = Relay(database, schema=SCHEMA, topic="notify", deliver=deliver, clock=ManualClock(START), shipment=3)
    assert await one.deliver_due() == len(ids)
    assert sorted(map(len, shipments)) == [1, 3]
    told = [(await row(database, event_id))[2:] for event_id in ids]
    assert told == [(None, START), ("INVALID_ARGUMENT", None), (None, START), (None, START)]


async def test_a_receiver_that_does_not_answer_for_each_has_taken_none(database: Database) -> None:
    ids = await put(database, b"one", b"two")

    async def deliver(_parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        return [None]

    one = Relay(database, schema=SCHEMA, topic="notify", deliver=deliver, clock=ManualClock(START), shipment=2)
    assert await one.deliver_due() == len(ids)
    assert [(await row(database, event_id))[2:] for event_id in ids] == [("INTERNAL", None)] * 2


async def test_failures_are_retried_with_growing_waits_and_only_their_reason_is_kept(database: Database) -> None:
    receiver, clock = Receiver(), ManualClock(START)
    (event_id,) = await put(database, b"secret body")
    one = relay(database, receiver, clock)
    receiver.failure = Unavailable(Reason.PEER_UNAVAILABLE, detail="secret body")
    for attempt in range(1, 14):
        assert await one.deliver_due() == 1
        assert await row(database, event_id) == (b"secret body", attempt, "PEER_UNAVAILABLE", None)
        assert await one.deliver_due() == 0
        clock.advance(min(TIMES.longest_retry, TIMES.first_retry * 2 ** (attempt - 1)) * 1.2)
    receiver.failure = ValueError("secret body")
    await one.deliver_due()
    assert (await row(database, event_id))[2] == "INTERNAL"
    assert (await one.backlog()).count == 1
    assert (await one.backlog()).oldest == START
    receiver.failure = None
    clock.advance(TIMES.longest_retry * 1.2)
    await one.deliver_due()
    assert receiver.kept == {event_id: b"secret body"}
    assert (await one.backlog()).count == 0


async def test_an_event_past_its_time_is_given_up_and_its_body_erased(database: Database) -> None:
    receiver, clock = Receiver(), ManualClock(START)
    (event_id,) = await put(database, b"sealed")
    one = relay(database, receiver, clock, times=RelayTimes(give_up_after=timedelta(hours=24)))
    clock.advance(timedelta(hours=25))
    assert await one.deliver_due() == 0
    assert await row(database, event_id) == (b"", 0, "DEADLINE_EXCEEDED", None)
    assert (await one.backlog()).count == 0


async def test_what_was_delivered_long_ago_is_forgotten(database: Database) -> None:
    clock = ManualClock(START)
    one = relay(database, Receiver(), clock)
    await put(database, b"old")
    await one.deliver_due()
    await put(database, b"undelivered")
    assert await one.forget_delivered(START) == 0
    assert await one.forget_delivered(START + timedelta(seconds=1)) == 1
    assert (await one.backlog()).count == 1


async def test_a_nudged_relay_looks_at_once(database: Database) -> None:
    receiver = Receiver()
    one = relay(database, receiver, ManualClock(START), times=RelayTimes(poll_s=3600))
    task = asyncio.create_task(one.run())
    try:
        (event_id,) = await put(database, b"now")
        async with asyncio.timeout(20):
            while event_id not in receiver.kept:
                one.nudge()
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
