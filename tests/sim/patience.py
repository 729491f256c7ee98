"""Waiting for what comes in its own time: a busy machine makes a test slower, and not another test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from infosec.errors import Unavailable
from infosec.storage.postgres import Database

PATIENCE_S = 60.0
"""Ends only what would fail anyway."""
PATIENCE = timedelta(seconds=PATIENCE_S)
_T = TypeVar("_T")


async def once_available(ask: Callable[[], Awaitable[_T]]) -> _T:
    """The first answer; whoever is Unavailable is asked again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except Unavailable:
                await asyncio.sleep(0.02)


async def connected(database: Database) -> Database:
    """With its first connection, which may take longer than the pool's own patience with the next."""
    await once_available(lambda: database.read_one("select 1"))
    return database
