"""Hints and rate limits: embedded, outside, and with no Redis at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from infosec.errors import Misconfigured, Unavailable
from infosec.ids import RegionId
from infosec.storage.addresses import RedisAddress
from infosec.storage.redis import Hint, Hints, connect, health
from tests.sim.links import Link
from tests.sim.servers import SharedServers, TcpServers


def hint(number: int) -> Hint:
    return Hint(region=RegionId("east"), number=number, kind="staff", entity_id="li.wei")


@pytest.fixture
def address(embedded: SharedServers) -> RedisAddress:
    assert embedded.addresses.redis is not None
    return embedded.addresses.redis


@pytest.fixture(params=["socket", "tls"])
def either(request: pytest.FixtureRequest, address: RedisAddress) -> RedisAddress:
    if request.param == "socket":
        return address
    tcp: TcpServers = request.getfixturevalue("tcp_servers")
    outside = tcp.redis()
    assert outside is not None
    return outside


async def following(hints: Hints) -> tuple[AsyncIterator[Hint | None], asyncio.Queue[Hint | None], asyncio.Task[None]]:
    stream = hints.follow()
    seen: asyncio.Queue[Hint | None] = asyncio.Queue()

    async def pump() -> None:
        async for item in stream:
            seen.put_nowait(item)

    return stream, seen, asyncio.create_task(pump())


async def test_a_hint_reaches_every_follower(either: RedisAddress) -> None:
    writer, first, second = Hints(either), Hints(either), Hints(either)
    runs = [await following(first), await following(second)]
    try:
        async with asyncio.timeout(20):
            for _, seen, _ in runs:
                assert await seen.get() is None, "first of all: look at the table"
            await writer.publish(hint(7), hint(8))
            for _, seen, _ in runs:
                assert [await seen.get(), await seen.get()] == [hint(7), hint(8)]
        assert writer.lost == 0
    finally:
        for _, _, task in runs:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in runs), return_exceptions=True)
        for hints in (writer, first, second):
            await hints.close()


async def test_an_outage_loses_hints_raises_nothing_and_is_followed_by_a_look_at_the_table(
    address: RedisAddress,
) -> None:
    assert address.socket is not None
    link = Link(address.socket)
    outside = replace(address, socket=None, host="127.0.0.1", port=link.port)
    hints = Hints(outside)
    _, seen, task = await following(hints)
    try:
        async with asyncio.timeout(30):
            assert await seen.get() is None
            link.cut()
            await hints.publish(hint(1))
            await hints.publish(hint(2), hint(3))
            assert hints.lost == 3
            link.heal()
            assert await seen.get() is None
            while seen.empty():
                await hints.publish(hint(4))
                await asyncio.sleep(0.05)
            assert await seen.get() == hint(4)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await hints.close()
        link.close()


async def test_foreign_entries_in_the_stream_are_passed_over(address: RedisAddress) -> None:
    client, hints = connect(address), Hints(address)
    async with aclosing(client), aclosing(_Closing(hints)):
        stream = hints.follow()
        async with asyncio.timeout(20), aclosing(stream):
            assert await anext(stream) is None
            await client.xadd("infosec:changes", {"number": "no number"})
            await hints.publish(hint(9))
            assert await anext(stream) == hint(9)


class _Closing:
    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    async def aclose(self) -> None:
        await self._hints.close()


@pytest.mark.parametrize(
    "command",
    [
        ("EVAL", "return 1", "0"),
        ("EVALSHA", "a" * 40, "0"),
        ("SCRIPT", "LOAD", "return 1"),
        ("CONFIG", "GET", "*"),
        ("SHUTDOWN", "NOSAVE"),
        ("DEBUG", "SLEEP", "0"),
        ("ACL", "LIST"),
        ("MODULE", "LIST"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("MONITOR",),
        ("SAVE",),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("CLIENT", "LIST"),
        ("GET", "other:key"),
        ("SET", "other:key", "1"),
    ],
)
async def test_scripts_administration_and_foreign_keys_are_closed(
    address: RedisAddress, command: tuple[str, ...]
) -> None:
    async with aclosing(connect(address)) as client:
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command)
        await health(client)


async def test_nobody_gets_in_without_the_password(address: RedisAddress) -> None:
    async with aclosing(connect(replace(address, password_file=None))) as client:
        with pytest.raises(Unavailable):
            await health(client)


async def test_a_server_under_another_ca_is_not_used(tcp_servers: TcpServers, tmp_path: Path) -> None:
    from tests.sim.servers import server_tls

    server_tls(tmp_path)
    outside = tcp_servers.redis()
    assert outside is not None
    async with aclosing(connect(replace(outside, tls_ca=tmp_path / "ca.pem"))) as client:
        with pytest.raises(Unavailable):
            await health(client)


def test_another_machine_without_tls_is_refused() -> None:
    with pytest.raises(Misconfigured):
        connect(RedisAddress(host="cache.example"))
