"""What nodes are told of new revisions, and when they have heard it before."""

from __future__ import annotations

import asyncio

import pytest

from authsvc.announcing import Announcer
from infosec.ids import RegionId
from infosec.storage.redis import Hint

EAST, WEST = RegionId("east"), RegionId("west")


def hint(region: RegionId, number: int) -> Hint:
    return Hint(region=region, number=number, kind="", entity_id="")


@pytest.mark.rule("ID-9")
async def test_what_takes_away_is_told_at_once() -> None:
    read: list[None] = []
    await Announcer(lambda: read.append(None), None).at_once({EAST: 1})
    assert len(read) == 1


async def test_what_only_adds_is_told_together() -> None:
    told = asyncio.Event()
    read: list[None] = []

    def here() -> None:
        read.append(None)
        told.set()

    announcer = Announcer(here, None)
    running = asyncio.create_task(announcer.run())
    for number in range(1, 50):
        announcer.soon({EAST: number})
    await told.wait()
    running.cancel()
    assert len(read) == 1
    announcer.heard(hint(EAST, 49))
    assert len(read) == 1


async def test_its_own_hint_is_no_news_and_a_newer_or_a_lost_one_is() -> None:
    read: list[None] = []
    announcer = Announcer(lambda: read.append(None), None)
    await announcer.at_once({EAST: 7})
    for number, (come, times) in enumerate(
        [(hint(EAST, 7), 1), (hint(EAST, 6), 1), (hint(EAST, 8), 2), (hint(WEST, 1), 3), (None, 4)]
    ):
        announcer.heard(come)
        assert len(read) == times, number
