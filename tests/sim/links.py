"""A TCP link in front of an engine's Unix socket, with or without TLS, that a test can cut, hold, slow down and heal.

The packaged engines are built without TLS, so the server's side of it is spoken here; the client's side is the real one.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from pathlib import Path

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104


class Link:
    """Listens on a loopback port, in a thread of its own, until `close`."""

    def __init__(self, target: Path, *, tls: ssl.SSLContext | None = None, is_postgres: bool = False) -> None:
        self._target = target
        self._tls = tls
        self._is_postgres = is_postgres
        self._is_cut = False
        self._loses_answers = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Drop what is connected, and refuse what comes."""
        self._is_cut = True
        self._call(self._drop())

    def lose_answers(self) -> None:
        """Let what is asked through once more, but cut before the answer to it: nobody can say what became of it."""
        self._loses_answers = True

    def hold(self) -> None:
        """Keep connections, and let nothing through: neither side can tell."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def slow_down(self, delay_s: float) -> None:
        """Let everything through, each way so much later."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Let everything through again."""
        self._is_cut = self._loses_answers = False
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        tls = None if self._is_postgres else self._tls
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)

    async def _drop(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _shut(self) -> None:
        self._server.close()
        await self._drop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self._is_cut and (
                not self._is_postgres or self._tls is None or await self._upgraded(reader, writer)
            ):
                await self._join(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # an end of the link went away, which is what links do
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _upgraded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """PostgreSQL asks for TLS inside its own protocol; whoever does not ask is not served."""
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            if length == 8 and code == _SSL_REQUEST:
                writer.write(b"S")
                assert self._tls is not None
                await writer.start_tls(self._tls)
                return True
            if length != 8 or code != _GSS_REQUEST:
                return False
            writer.write(b"N")

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        self._writers.add(far_writer)
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump_back(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            far_writer.transport.abort()
            self._writers.discard(far_writer)

    async def _pump_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self._loses_answers:
                self._is_cut = True
                await self._drop()
                return
            await self._let_through(data, writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._let_through(data, writer)

    async def _let_through(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay_s)
        await self._flows.wait()
        writer.write(data)
        await writer.drain()
