"""What Redis is for: hints that something changed. Any of them may be lost at any moment.

Nothing here makes a caller fail because Redis is away: a lost hint is only slower.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from infosec.cancellation import raise_if_cancelled
from infosec.errors import Reason, Unavailable
from infosec.ids import RegionId
from infosec.private_files import read_secret
from infosec.storage.addresses import RedisAddress, require_private_path

_LOG = logging.getLogger(__name__)

Client: TypeAlias = redis.asyncio.Redis

_Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]

STREAM = "infosec:changes"
_STREAM_LENGTH = 10_000
_BLOCK_S = 1.0
"""Short, because the driver can lose a cancellation, and a follower then ends only after its block."""

_READ_WITHIN_S = 5.0
_LONGEST_BACKOFF_S = 5.0
_HOLD_OFF_S = 1.0
"""After a failure nobody waits for Redis for this long."""

_FAILURES = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)


def connect(address: RedisAddress, *, timeout_s: float = 0.25, max_connections: int = 50) -> Client:
    """A client; connects when first used, and again after every failure. `timeout_s` bounds connecting and each answer.

    Raises Misconfigured if the address would send a password over a network in the clear.
    """
    require_private_path(host=str(address.socket or address.host), tls_ca=address.tls_ca, key="redis")
    password = read_secret(address.password_file).reveal() if address.password_file else None
    return redis.asyncio.Redis(
        unix_socket_path=str(address.socket) if address.socket is not None else None,
        host=address.host,
        port=address.port,
        db=address.db,
        username=address.user if password else None,
        password=password,
        ssl=address.tls_ca is not None,
        ssl_ca_certs=str(address.tls_ca) if address.tls_ca is not None else None,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_min_version=ssl.TLSVersion.TLSv1_2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        protocol=2,
        driver_info=None,  # CLIENT SETINFO is administration to our access list
        retry=Retry(NoBackoff(), 0),  # who calls decides; here waiting is worse than losing
        max_connections=max_connections,
    )


async def health(client: Client) -> None:
    """Raises Unavailable unless the server answers."""
    try:
        await client.ping()
    except _FAILURES:
        raise Unavailable(Reason.STORAGE_UNAVAILABLE, retry_after=timedelta(seconds=1)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something changed: read the region's changes up to `number`. It proves nothing; the tables do."""

    region: RegionId
    number: int
    kind: str
    entity_id: str


class Hints:
    """Publishes and follows hints over one capped stream."""

    def __init__(self, address: RedisAddress) -> None:
        self._writer = connect(address)
        self._reader = connect(address, timeout_s=_READ_WITHIN_S)
        self._away_until = 0.0
        self.lost = 0
        """How many hints could not be published; a metric."""

    async def publish(self, *hints: Hint) -> None:
        """Never raises and never waits long: a hint that is lost is counted, and the table is polled anyway."""
        if not hints:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            self.lost += len(hints)
            return
        try:
            pipe = self._writer.pipeline(transaction=False)
            for hint in hints:
                pipe.xadd(STREAM, _fields(hint), maxlen=_STREAM_LENGTH, approximate=True)
            await pipe.execute()
        except _FAILURES as error:
            self.lost += len(hints)
            self._away_until = loop.time() + _HOLD_OFF_S
            _LOG.warning("change hints are not published: %s", type(error).__name__)

    async def follow(self) -> AsyncIterator[Hint | None]:
        """Every hint from now on, for ever. None says that some may have been missed: poll the table now.

        The first item is None, and one comes after every outage. Outages are waited out with a growing pause.
        """
        pause = 0.05
        while True:
            try:
                last = await self._newest()
                yield None
                pause = 0.05
                while True:
                    entries = await self._read_after(last)
                    raise_if_cancelled()
                    for entry_id, hint in entries:
                        last = entry_id
                        if hint is not None:
                            yield hint
            except _FAILURES as error:
                raise_if_cancelled()
                _LOG.warning("change hints are not followed: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_BACKOFF_S)

    async def close(self) -> None:
        """Close both connections."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def _newest(self) -> bytes:
        """The ID of the newest entry, to read on from: with `$` at each call, entries between two calls would be lost."""
        entries = cast(_Entries, await self._reader.xrevrange(STREAM, count=1))
        return entries[0][0] if entries else b"0-0"

    async def _read_after(self, last: bytes) -> list[tuple[bytes, Hint | None]]:
        answer = await self._reader.xread({STREAM: last}, count=500, block=int(_BLOCK_S * 1000))
        streams = cast(list[tuple[bytes, _Entries]], answer or [])
        return [(entry_id, _hint(fields)) for _stream, entries in streams for entry_id, fields in entries]


_Field: TypeAlias = bytes | bytearray | memoryview | str | int | float


def _fields(hint: Hint) -> dict[_Field, _Field]:
    return {"region": hint.region, "number": hint.number, "kind": hint.kind, "entity": hint.entity_id}


def _hint(fields: dict[bytes, bytes]) -> Hint | None:
    """None for an entry that is not of ours: whatever stands in Redis is input."""
    try:
        return Hint(
            region=RegionId(fields[b"region"].decode()),
            number=int(fields[b"number"]),
            kind=fields[b"kind"].decode(),
            entity_id=fields[b"entity"].decode(),
        )
    except (KeyError, ValueError):
        return None
