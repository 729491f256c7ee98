"""Turns within a process: one at a time per key, bounded, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from authsvc.flows.turns import Turns
from infosec.errors import Reason, ResourceExhausted


@pytest.mark.rule("ID-5")
async def test_one_at_a_time_per_key_and_others_side_by_side() -> None:
    turns, running, most = Turns(), {"a": 0, "b": 0}, {"a": 0, "b": 0}

    async def one(key: str) -> None:
        async with turns.of(f"s:{key}", "t:shared" if key == "a" else f"t:{key}"):
            running[key] += 1
            most[key] = max(most[key], running[key])
            await asyncio.sleep(0)
            running[key] -= 1

    await asyncio.gather(*(one(key) for key in "ab" * 20))
    assert most == {"a": 1, "b": 1}
    assert len(turns) == 0


@pytest.mark.rule("ID-5")
async def test_keys_in_any_order_never_wait_in_a_circle() -> None:
    turns = Turns()

    async def one(*keys: str) -> None:
        async with turns.of(*keys):
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(*(one(*keys) for keys in (("x", "y"), ("y", "x")) * 20)), 30)


@pytest.mark.rule("ID-5")
async def test_more_than_may_wait_are_sent_away_at_once_and_the_cancelled_leave_no_trace() -> None:
    turns, release = Turns(max_waiting=1), asyncio.Event()

    async def hold() -> None:
        async with turns.of("k"):
            await release.wait()

    holder, waiter = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as refused:
        await hold()
    assert refused.value.reason is Reason.OVERLOADED and refused.value.retry_after is not None
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    release.set()
    await holder
    assert len(turns) == 0
