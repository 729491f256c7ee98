"""Groups: what is asked for together is done together, and nobody is in it who has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from authsvc.flows.groups import Groups


class Acts:
    """Remembers groups; waits at a gate where there is one."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.groups: list[list[int]] = []
        self.dropped: list[int] = []
        self.begun = asyncio.Event()
        self.fault: Exception | None = None
        self._gate = gate

    async def __call__(self, wanted: Sequence[int]) -> list[int]:
        self.groups.append(list(wanted))
        self.begun.set()
        if self._gate is not None:
            await self._gate.wait()
        if self.fault is not None:
            raise self.fault
        return [10 * one for one in wanted]

    def collected(self) -> Groups[int, int]:
        return Groups(self, pause_s=lambda: 0.0, dropped=self.dropped.append)


async def test_who_asks_at_the_same_time_is_answered_by_one_call_each_with_its_own() -> None:
    acts = Acts()
    groups = acts.collected()
    assert await asyncio.gather(*(groups.one(n) for n in range(5))) == [0, 10, 20, 30, 40]
    assert acts.groups == [[0, 1, 2, 3, 4]]
    assert await groups.one(7) == 70


async def test_a_crowd_is_more_than_one_group() -> None:
    acts = Acts()
    groups = acts.collected()
    await asyncio.gather(*(groups.one(n) for n in range(70)))
    assert sorted(map(len, acts.groups)) == [6, 32, 32]


async def test_a_group_does_not_wait_for_the_one_before() -> None:
    gate = asyncio.Event()
    acts = Acts(gate)
    groups = acts.collected()
    first = asyncio.create_task(groups.one(1))
    await acts.begun.wait()
    acts.begun.clear()
    second = asyncio.create_task(groups.one(2))
    await acts.begun.wait()
    gate.set()
    assert (await first, await second) == (10, 20)
    assert acts.groups == [[1], [2]]


async def test_who_has_gone_before_the_group_goes_is_not_in_it() -> None:
    acts = Acts()
    groups = Groups(acts, pause_s=lambda: 0.01, dropped=acts.dropped.append)
    gone, stays = (asyncio.create_task(groups.one(n)) for n in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 20
    assert (acts.groups, acts.dropped) == ([[2]], [])


@pytest.mark.parametrize("fault", [None, ValueError()])
async def test_what_was_done_for_somebody_who_went_meanwhile_is_told(fault: Exception | None) -> None:
    gate = asyncio.Event()
    acts = Acts(gate)
    acts.fault = fault
    groups = acts.collected()
    gone, stays = (asyncio.create_task(groups.one(n)) for n in (1, 2))
    await acts.begun.wait()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    gate.set()
    await groups.drain()
    assert acts.dropped == [1]
    [outcome] = await asyncio.gather(stays, return_exceptions=True)
    assert outcome == (20 if fault is None else fault)


@pytest.mark.parametrize("fault", [None, ValueError()])
async def test_what_was_done_for_somebody_who_goes_as_the_answer_comes_is_told(fault: Exception | None) -> None:
    acts = Acts()
    acts.fault = fault

    async def and_it_goes(wanted: Sequence[int]) -> list[int]:
        asyncio.get_running_loop().call_soon(gone.cancel)  # when the answer is there, and not yet heard
        return await acts(wanted)

    groups = Groups(and_it_goes, pause_s=lambda: 0.0, dropped=acts.dropped.append)
    gone = asyncio.create_task(groups.one(1))
    await asyncio.gather(gone, return_exceptions=True)
    assert gone.cancelled()
    assert acts.dropped == [1]
