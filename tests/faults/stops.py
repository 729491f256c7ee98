"""Stop points between every pair of steps of a process: the leaves of its wiring, wrapped. The code between them is untouched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from authsvc.hashing import PasswordHasher, Verdict
from infosec.storage.postgres import Database, Ends, Isolation

Stop = Callable[[str], Awaitable[None]]
"""Told of the step that comes next, or was just done."""


class SteppedConnection:
    """A connection whose every statement is a step."""

    def __init__(self, connection: Any, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop

    async def execute(self, query: Any, *values: Any, **more: Any) -> Any:
        await self._stop("execute")
        return await self._connection.execute(query, *values, **more)

    def cursor(self, *values: Any, **more: Any) -> Any:
        return SteppedCursor(self._connection.cursor(*values, **more), self._stop)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class SteppedCursor:
    """The same of a cursor."""

    def __init__(self, cursor: Any, stop: Stop) -> None:
        self._cursor = cursor
        self._stop = stop

    async def execute(self, query: Any, *values: Any, **more: Any) -> Any:
        await self._stop("execute")
        return await self._cursor.execute(query, *values, **more)

    async def executemany(self, query: Any, *values: Any, **more: Any) -> None:
        await self._stop("executemany")
        await self._cursor.executemany(query, *values, **more)

    async def __aenter__(self) -> SteppedCursor:
        await self._cursor.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._cursor.__aexit__(*failure)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


async def _go_on(_step: str) -> None:
    return None


class SteppedDatabase(Database):
    """The real pool; begin, every statement and commit are steps. `stop` is set once it is wired."""

    stop: Stop = staticmethod(_go_on)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.in_transaction: list[Any] = []
        """Connections in the middle of one."""

    @asynccontextmanager
    async def transaction(
        self, isolation: Isolation = Isolation.READ_COMMITTED, *, ends: Ends | None = None
    ) -> AsyncIterator[Any]:
        await self.stop("begin")
        async with super().transaction(isolation, ends=ends) as connection:
            self.in_transaction.append(connection)
            try:
                await self.stop("begun")
                yield SteppedConnection(connection, self.stop)
                await self.stop("commit")
            finally:
                self.in_transaction.remove(connection)
        await self.stop("committed")

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Any]:
        await self.stop("take connection")
        async with super().statements() as connection:
            yield SteppedConnection(connection, self.stop)
        await self.stop("gave connection back")


@dataclass(kw_only=True)
class SteppedHasher:
    """The real hasher; each hash begins and ends with a step."""

    inner: PasswordHasher
    stop: Stop = _go_on

    async def hash(self, password: str) -> str:
        return await self._between(self.inner.hash(password))

    async def verify(self, stored: str, password: str) -> Verdict:
        return await self._between(self.inner.verify(stored, password))

    async def verify_dummy(self, password: str) -> None:
        await self._between(self.inner.verify_dummy(password))

    async def matches_any(self, password: str, hashes: Iterable[str]) -> bool:
        return await self._between(self.inner.matches_any(password, hashes))

    def close(self) -> None:
        self.inner.close()

    async def _between(self, work: Awaitable[Any]) -> Any:
        await self.stop("hash")
        done = await work
        await self.stop("hashed")
        return done
