"""A hasher that stops in the middle of a verification until a test lets it go on: what happens meanwhile is the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from authsvc.hashing import PasswordHasher, Verdict


@dataclass(kw_only=True)
class GatedHasher:
    """As the real one, but every verification waits at the gate."""

    inner: PasswordHasher
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    """How many have come to the gate."""

    async def hash(self, password: str) -> str:
        return await self.inner.hash(password)

    async def verify(self, stored: str, password: str) -> Verdict:
        verdict = await self.inner.verify(stored, password)
        self.arrived.set()
        self.waiting += 1
        await self.gate.wait()
        return verdict

    async def verify_dummy(self, password: str) -> None:
        await self.inner.verify_dummy(password)
        self.arrived.set()
        self.waiting += 1
        await self.gate.wait()

    async def matches_any(self, password: str, hashes: Iterable[str]) -> bool:
        return await self.inner.matches_any(password, hashes)

    def close(self) -> None:
        self.inner.close()
