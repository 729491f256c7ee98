"""The contract of the Gateway port, run on every implementation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from infosec.clock import ManualClock
from infosec.secret import Secret
from services.notify.ports import Gateway, Receipt
from services.notify.sink import Sink
from tests.contract.notify.world import START

PHONE, TEXT = Secret("13812345678"), Secret("工号bj-1的身份验证码：\n482913")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A gateway, and what arrived at a phone behind it: (phone, text), oldest first."""

    gateway: Gateway
    arrived: Callable[[], list[tuple[str, str]]]


def a_sink() -> Subject:
    sink = Sink(ManualClock(START))
    return Subject(
        gateway=sink, arrived=lambda: [(one.phone.reveal(), one.text.reveal()) for one in reversed(sink.newest(1000))]
    )


@pytest.fixture(params=[a_sink])
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.param()
    return made


async def test_what_is_sent_arrives_whole(subject: Subject) -> None:
    receipt = await subject.gateway.send(str(uuid.uuid4()), PHONE, TEXT)
    assert receipt in Receipt
    assert subject.arrived() == [(PHONE.reveal(), TEXT.reveal())]


async def test_the_same_message_sent_again_is_taken_again(subject: Subject) -> None:
    message_id = str(uuid.uuid4())
    for _ in range(2):
        assert await subject.gateway.send(message_id, PHONE, TEXT) in Receipt
    assert set(subject.arrived()) == {(PHONE.reveal(), TEXT.reveal())}


async def test_messages_to_one_phone_arrive_in_the_order_sent(subject: Subject) -> None:
    for number in range(5):
        await subject.gateway.send(str(uuid.uuid4()), PHONE, Secret(f"message {number}"))
    assert [text for _, text in subject.arrived()] == [f"message {number}" for number in range(5)]


async def test_a_gateway_that_takes_messages_is_healthy(subject: Subject) -> None:
    await subject.gateway.health()


async def test_the_sink_shows_a_repeated_message_once_and_keeps_the_newest_alone() -> None:
    sink = Sink(ManualClock(START), capacity=3)
    for number in (0, 1, 1, 2, 3, 3):
        await sink.send(str(number), PHONE, Secret(f"m{number}"))
    assert [kept.text.reveal() for kept in sink.newest(10)] == ["m3", "m2", "m1"]
    assert [kept.text.reveal() for kept in sink.newest(1)] == ["m3"]
    assert sink.newest(10, phone=Secret("10086")) == ()


@pytest.mark.rule("ID-7")
async def test_the_sink_shows_nothing_of_its_messages_by_accident() -> None:
    sink = Sink(ManualClock(START))
    await sink.send("1", PHONE, TEXT)
    assert "482913" not in repr(sink.newest(1)) and "1381" not in repr(sink.newest(1))
