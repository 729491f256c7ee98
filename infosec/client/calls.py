"""One way to make a call: deadline, language, errors of the tree, and a repeat only where the contract says it is safe.

Knows no method; each service's file states its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from infosec.errors import InfosecError, Reason, ResourceExhausted, Unavailable
from infosec.ids import new_id
from infosec.rpc.deadlines import DEFAULT_CALL_S, Backoff
from infosec.rpc.status import from_rpc_error
from infosec.secret import Secret

LANGUAGE_KEY = "accept-language"

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")

SecretText = Secret | str
"""A secret as callers hold it: better as a handle, which shows itself nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[Request, Response]):
    """One method of the contract, as a client sees it."""

    path: str
    request: type[Request]
    response: type[Response]
    is_repeatable: bool
    """The contract says "Retry: safe"; what it does not say is not repeated."""
    deadline_s: float = DEFAULT_CALL_S


class Invoker:
    """Makes calls on a channel, which it opens at the first one."""

    def __init__(
        self,
        open_channel: Callable[[], grpc.aio.Channel],
        *,
        locale: str,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._open_channel = open_channel
        self._channel: grpc.aio.Channel | None = None
        self._callables: dict[str, Any] = {}
        self._metadata = ((LANGUAGE_KEY, locale),)
        self._backoff = backoff or Backoff()
        self._sleep = sleep

    async def unary(
        self, method: Method[Request, Response], request: Request, *, deadline_s: float | None = None
    ) -> Response:
        """The answer, or an InfosecError. Repeats within the deadline where the method allows it."""
        call = self._callable(method, "unary_unary")

        async def once(left_s: float) -> Response:
            answer: Response = await call(request, timeout=left_s, metadata=self._metadata)
            return answer

        return await self.repeated(method, once, deadline_s=deadline_s)

    async def repeated(
        self,
        method: Method[Any, Any],
        once: Callable[[float], Awaitable[Answer]],
        *,
        deadline_s: float | None = None,
    ) -> Answer:
        """Try `once(seconds left)`, again after what passes by itself, never beyond the deadline."""
        clock = asyncio.get_running_loop().time
        until, attempt = clock() + (deadline_s or method.deadline_s), 0
        while True:
            attempt += 1
            try:
                return await once(max(until - clock(), 0.001))
            except (grpc.aio.AioRpcError, InfosecError) as failure:
                error = failure if isinstance(failure, InfosecError) else from_rpc_error(failure)
                wait_s = self._wait_s(method, error, attempt)
                if wait_s is None or clock() + wait_s >= until:
                    if error is failure:
                        raise
                    raise error from failure
            await self._sleep(wait_s)

    async def server_stream(self, method: Method[Request, Response], request: Request) -> AsyncIterator[Response]:
        """The answers as they come; no deadline, and no repeat: whoever follows a stream opens the next one."""
        call = self._callable(method, "unary_stream")
        async for answer in _translated(call(request, metadata=self._metadata)):
            yield answer

    async def both_streams(
        self, method: Method[Request, Response], requests: AsyncIterable[Request], *, deadline_s: float | None = None
    ) -> AsyncIterator[Response]:
        """The answers as they come, while `requests` are sent. Not repeated here."""
        call = self._callable(method, "stream_stream")
        async for answer in _translated(call(requests, timeout=deadline_s, metadata=self._metadata)):
            yield answer

    async def close(self) -> None:
        """Close the channel; calls under way end with Unavailable."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
            self._callables.clear()

    def raw_stream(self, method: Method[Request, Response], requests: AsyncIterable[Request], left_s: float) -> Any:
        """A gRPC stream whose errors are gRPC's, for `repeated`."""
        return self._callable(method, "stream_stream")(requests, timeout=left_s, metadata=self._metadata)

    def _wait_s(self, method: Method[Any, Any], error: InfosecError, attempt: int) -> float | None:
        passes = isinstance(error, Unavailable) or (
            isinstance(error, ResourceExhausted) and error.retry_after is not None
        )
        if not method.is_repeatable or not passes or attempt >= self._backoff.attempts:
            return None
        return self._backoff.wait_s(attempt, told=error.retry_after, jitter=random.random())

    def _callable(self, method: Method[Any, Any], shape: str) -> Any:
        known = self._callables.get(method.path)
        if known is None:
            if self._channel is None:
                self._channel = self._open_channel()
            known = self._callables[method.path] = getattr(self._channel, shape)(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
        return known


async def _translated(call: Any) -> AsyncIterator[Any]:
    try:
        async for answer in call:
            yield answer
    except grpc.aio.AioRpcError as failure:
        raise from_rpc_error(failure) from failure
    finally:
        call.cancel()


def revealed(value: SecretText | None) -> str:
    """A secret as it goes onto the wire; nothing for None."""
    if value is None:
        return ""
    return value.reveal() if isinstance(value, Secret) else value


def retry_key(given: str | None) -> str:
    """The caller's request_id, or a new one: what makes a write safe to repeat."""
    return given or new_id()


def cut_off() -> Unavailable:
    """The other side ended a stream before its last message."""
    return Unavailable(Reason.PEER_UNAVAILABLE, detail="the stream ended early")
