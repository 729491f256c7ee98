"""What happens around every handler, from the outside in: observe, bound, identify, allow, limit, serve.

The outermost part sees everything, calls refused before the handler included, and alone turns errors into statuses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from infosec.errors import (
    DeadlineExceeded,
    InfosecError,
    Internal,
    Misconfigured,
    Reason,
    ResourceExhausted,
    Unimplemented,
)
from infosec.ids import new_incident
from infosec.rpc.deadlines import ServerDeadlines
from infosec.rpc.server.identity import AllowList, Caller, Identify, bind, check_allowed, locale_of
from infosec.rpc.server.methods import Method
from infosec.rpc.server.metrics import ServerMetrics
from infosec.rpc.server.refusals import RefusalReporter, is_refusal
from infosec.rpc.status import DETAILS_KEY, to_status

UNKNOWN_METHOD = "unknown"
"""The one metric label of all methods that do not exist: a caller must not be able to make labels."""


@dataclass(slots=True, kw_only=True)
class Bound:
    """How many calls are served at once; one more is told to come again rather than queued."""

    most: int
    retry_after: timedelta = timedelta(milliseconds=500)
    _taken: dict[str, int] = field(default_factory=dict)

    def take(self, key: str) -> None:
        """A place under `key`. Raises ResourceExhausted(OVERLOADED) when all of its places are taken."""
        taken = self._taken.get(key, 0)
        if taken >= self.most:
            raise ResourceExhausted(Reason.OVERLOADED, retry_after=self.retry_after)
        self._taken[key] = taken + 1

    def give_back(self, key: str) -> None:
        left = self._taken[key] - 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]


@dataclass(slots=True)
class _Call:
    """One call while it runs."""

    label: str
    path: str
    started_s: float = field(default_factory=time.perf_counter)
    caller: Caller | None = None
    caller_id: str | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Wraps handlers. One object serves all methods of a server."""

    identify: Identify
    allow: AllowList
    unary_bound: Bound
    """Of each RPC service: a crowd at Login does not keep Check from being answered (ID-11)."""
    stream_bound: Bound
    caller_bound: Bound
    """Of each caller at each RPC service: one system that floods leaves places to the others."""
    deadlines: ServerDeadlines
    metrics: ServerMetrics
    refusals: RefusalReporter
    log: FilteringBoundLogger
    quiet: frozenset[str]
    """Paths of methods whose good answers leave no log line."""

    def handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        """What gRPC is given for `method`: it takes bytes, and everything else is done in here."""
        make = _SHAPES[method.takes_stream, method.gives_stream]
        return make(_behaviour(self, method), response_serializer=method.response_serializer)

    def unimplemented(self, path: str) -> grpc.RpcMethodHandler[Any, Any]:
        """For a path that nobody serves: refused, and recorded like any refusal."""

        async def behaviour(_raw: bytes, context: Any) -> None:
            await self._observed(_Call(UNKNOWN_METHOD, _shown(path)), context, lambda call: self._refuse(call, context))

        return grpc.unary_unary_rpc_method_handler(behaviour)

    async def serve(self, method: Method, context: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run `work` as one call of `method`."""
        return await self._observed(
            _Call(method.path, method.path), context, lambda call: self._admitted(call, method, context, work)
        )

    async def _observed(self, call: _Call, context: Any, inner: Callable[[_Call], Awaitable[Any]]) -> Any:
        self.metrics.in_flight.inc()
        try:
            answer = await inner(call)
        except grpc.aio.AbortError:
            code = context.code()
            self._answered(call, context, code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN", "")
            raise
        except asyncio.CancelledError:
            # gRPC cancels the handler when the caller goes away, and at the caller's deadline.
            left = context.time_remaining()
            self._answered(call, context, "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED", "")
            raise
        except Exception as error:
            await self._fail(call, context, self._ours(call, error))
        else:
            self._answered(call, context, "OK", "")
            return answer
        finally:
            self.metrics.in_flight.dec()

    async def _admitted(self, call: _Call, method: Method, context: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        if not method.is_bounded:
            return await self._identified(call, method, context, work)
        bound = self.stream_bound if method.is_stream else self.unary_bound
        bound.take(method.service)
        try:
            return await self._identified(call, method, context, work)
        finally:
            bound.give_back(method.service)

    async def _identified(self, call: _Call, method: Method, context: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        caller = self._who(call, context)
        check_allowed(caller, method.service, self.allow)
        if not method.is_implemented:
            raise Unimplemented(Reason.UNIMPLEMENTED)
        if not method.is_bounded:
            return await self._timed(method, context, work)
        share = f"{method.service} {call.caller_id}"
        self.caller_bound.take(share)
        try:
            return await self._timed(method, context, work)
        finally:
            self.caller_bound.give_back(share)

    async def _timed(self, method: Method, context: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        most_s = self.deadlines.granted_s(is_stream=method.is_stream, asked_s=context.time_remaining())
        if most_s is None:
            return await work()
        limit = asyncio.timeout(most_s)
        try:
            async with limit:
                return await work()
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(Reason.DEADLINE_EXCEEDED) from None

    def _who(self, call: _Call, context: Any) -> Any:
        name = self.identify(context)
        call.caller_id = str(name)
        bind(context, Caller(kind=name.kind, name=name.name, locale=locale_of(context), peer=context.peer()))
        return name

    async def _refuse(self, call: _Call, context: Any) -> None:
        self._who(call, context)
        raise Unimplemented(Reason.UNIMPLEMENTED)

    def _ours(self, call: _Call, error: Exception) -> InfosecError:
        """An error of the tree; what is none becomes INTERNAL with a number that stands in the log too."""
        if isinstance(error, InfosecError) and not isinstance(error, Internal | Misconfigured):
            return error
        call.incident = new_incident()
        self.log.error("call failed inside", method=call.path, incident=call.incident, exc_info=error)
        return Internal(Reason.INTERNAL, incident=call.incident)

    async def _fail(self, call: _Call, context: Any, error: InfosecError) -> None:
        if is_refusal(error):
            await self.refusals.report(
                caller=call.caller_id, method=call.path, reason=error.reason, peer=context.peer()
            )
        code, body = to_status(error, locale_of(context))
        self._answered(call, context, code.name, error.reason.value)
        await context.abort(code, error.reason.value, ((DETAILS_KEY, body),))

    def _answered(self, call: _Call, context: Any, grpc_code: str, reason: str) -> None:
        took_s = time.perf_counter() - call.started_s
        self.metrics.answered(call.label, grpc_code, reason, took_s)
        if grpc_code == "OK" and call.path in self.quiet:
            return
        self.log.info(
            "call",
            method=call.path,
            caller=call.caller_id,
            peer=context.peer(),
            grpc_code=grpc_code,
            reason=reason or None,
            took_ms=round(took_s * 1000, 2),
            incident=call.incident,
        )


_SHAPES: dict[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler[Any, Any]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _behaviour(calls: Calls, method: Method) -> Callable[[Any, Any], Awaitable[Any]]:
    behaviour, read = method.behaviour, method.read

    def given(raw: Any) -> Any:
        return _messages(raw, read) if method.takes_stream else read(raw)

    async def answer_one(raw: Any, context: Any) -> Any:
        return await calls.serve(method, context, lambda: behaviour(given(raw), context))

    async def answer_many(raw: Any, context: Any) -> None:
        await calls.serve(method, context, lambda: _written(behaviour(given(raw), context), context))

    return answer_many if method.gives_stream else answer_one


async def _messages(raw: AsyncIterator[bytes], read: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    """The messages of a stream, each checked as it comes."""
    async for each in raw:
        yield read(each)


async def _written(answers: Any, context: Any) -> None:
    """Send what an async generator yields; a coroutine writes by itself."""
    if not hasattr(answers, "__aiter__"):
        await answers
        return
    try:
        async for answer in answers:
            await context.write(answer)
    finally:
        # A generator that is left half-way cleans up now, in this task.
        await answers.aclose()


def _shown(path: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in path[:120])
