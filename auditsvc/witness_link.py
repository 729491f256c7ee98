"""Reaches a witness over HTTP, with TLS beyond loopback: one request, one short answer, a deadline."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp

from auditsvc.cosigning import Answer
from infosec.errors import Misconfigured, Reason, Unavailable

DEADLINE_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024


class HttpLink:
    """A `cosigning.Link` to `<url>/add-checkpoint`. Ended by `close`."""

    def __init__(self, url: str, *, ca: Path | None = None, deadline_s: float = DEADLINE_S) -> None:
        """`ca` is the PEM file to verify the witness with, instead of the system's. Raises Misconfigured."""
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None
        try:
            self._tls = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError):
            raise Misconfigured(
                Reason.CONFIGURATION, path=str(ca), detail="not a CA in PEM", hint="name the witness's CA"
            ) from None

    async def add_checkpoint(self, body: bytes) -> Answer:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._post(body)
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise Unavailable(Reason.PEER_UNAVAILABLE, detail="witness") from None

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes) -> Answer:
        if self._session is None:  # belongs to the loop that asks
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=2)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.post(self._url, data=body, allow_redirects=False) as answer:
            content = await answer.content.read(MAX_ANSWER_BYTES + 1)
            while len(content) <= MAX_ANSWER_BYTES and (more := await answer.content.read(MAX_ANSWER_BYTES)):
                content += more
            return Answer(status=answer.status, body=content[:MAX_ANSWER_BYTES])
