"""CI-1: refusals are recorded; above ten a second from one caller as one event; a sink that fails loses nothing silently."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infosec.clock import ManualClock
from infosec.coalescing import Coalescer
from infosec.errors import PermissionDenied, Reason
from infosec.rpc.server.refusals import Refusal, RefusalReporter
from tests.sim.wire import Wire

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def _told(coalescer: Coalescer[int], count: int, *, caller: str | None = "system/crm", at_s: float = 0) -> list[int]:
    told = []
    for n in range(count):
        told += coalescer.offer(caller, n, now=NOON + timedelta(milliseconds=n), at_s=at_s)
    return [one.count for one in told]


@pytest.mark.rule("CI-1")
def test_ten_a_second_are_ten_events_and_the_rest_is_one() -> None:
    coalescer = Coalescer[int]()
    assert _told(coalescer, 500) == [1] * 10
    assert coalescer.due(at_s=0.999) == []
    (held,) = coalescer.due(at_s=1.0)
    assert (held.sample, held.count) == (10, 490)
    assert (held.first, held.last) == (NOON + timedelta(milliseconds=10), NOON + timedelta(milliseconds=499))
    assert coalescer.due(at_s=2.0) == []


@pytest.mark.rule("CI-1")
def test_a_new_second_reports_the_count_of_the_one_before() -> None:
    coalescer = Coalescer[int]()
    assert _told(coalescer, 12, at_s=0.5) == [1] * 10
    assert _told(coalescer, 1, at_s=1.6) == [2, 1]


def test_one_callers_flood_does_not_hide_another() -> None:
    coalescer = Coalescer[int]()
    _told(coalescer, 100)
    assert _told(coalescer, 1, caller=None) == [1]


class _Sink:
    def __init__(self) -> None:
        self.is_down = False
        self.events: list[Refusal] = []

    async def __call__(self, refusal: Refusal) -> None:
        if self.is_down:
            raise ConnectionError("no line to the log")
        self.events.append(refusal)


async def test_what_the_sink_did_not_take_is_brought_again() -> None:
    sink, faults = _Sink(), list[bool]()
    reporter = RefusalReporter(sink, clock=ManualClock(NOON), on_fault=lambda _error, is_lost: faults.append(is_lost))
    sink.is_down = True
    await reporter.report(caller=None, method="/x/Y", reason=Reason.CALLER_UNKNOWN, peer="p")
    assert (sink.events, faults) == ([], [False])
    sink.is_down = False
    await reporter.close()
    assert [event.reason for event in sink.events] == [Reason.CALLER_UNKNOWN]


@pytest.mark.rule("CI-1")
async def test_a_flood_over_the_wire_is_counted_to_the_last_call(wire: Wire) -> None:
    async with wire.suite("crm") as suite:
        for _ in range(40):
            with pytest.raises(PermissionDenied):
                await suite.login.logout("t")
    await wire.server.stop(grace_s=0)
    assert sum(event.count for event in wire.refusals) == 40
    assert all(event.first <= event.last for event in wire.refusals)
