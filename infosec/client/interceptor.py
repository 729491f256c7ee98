"""Guards the methods of another Python gRPC server: one line a method, closed whatever fails.

A `read` is guarded only with a plan of what its response shows, and leaves masked as the decision says (CI-5). The
decision is within the handler's reach while it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.client.check import question
from infosec.client.masking import NOTHING_SHOWN, Masks, apply
from infosec.decision.operations import CATALOGUE, OperationClass, Purpose
from infosec.errors import InfosecError, Internal, Misconfigured, PermissionDenied, Reason, Unauthenticated, Unavailable
from infosec.ids import OperationCode
from infosec.messages import Locale, negotiate
from infosec.rpc.status import DETAILS_KEY, to_status

TOKEN_KEY = "infosec-token"  # noqa: S105 - its name
STORE_KEY = "infosec-store"
TERMINAL_KEY = "infosec-terminal"
GRANT_KEY = "infosec-grant"
"""May stand in the metadata more than once."""
CHECK_DOMAIN = "infosec.check"
"""Domain of the ErrorInfo of a denial; its reason is the decision's."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Checker(Protocol):
    """Decides: `Connection.check`, or what decides in this process."""

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """The decision. Raises InfosecError when none can be made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """How one method is guarded: its operation code, where the facts stand in its request, and what its response shows.

    Raises Misconfigured for a `read` without `masks`.
    """

    operation: str
    customer: Callable[[Any], str] | None = None
    purpose: Purpose | Callable[[Any], Purpose | None] | None = None
    product: Callable[[Any], str] | None = None
    order_id: Callable[[Any], str] | None = None
    work_order: Callable[[Any], str] | None = None
    masks: Masks | None = None
    """MaskedFields of the response, or NOTHING_SHOWN. Must be said for a `read`; masks any other response too."""

    def __post_init__(self) -> None:
        known = CATALOGUE.get(OperationCode(self.operation))
        if known is not None and known.cls is OperationClass.READ and self.masks is None:
            raise _unmasked(self.operation)


_MAY_SHOW = (pb.OPERATION_CLASS_READ, pb.OPERATION_CLASS_UNSPECIFIED)
"""A code that only this installation has may turn out to be a read when it is asked for."""
_MARK = "__infosec_guarded__"
_DECISION: ContextVar[pb.CheckResponse | None] = ContextVar("infosec_decision", default=None)


def guarded(
    operation: str,
    *,
    customer: Callable[[Any], str] | None = None,
    purpose: Purpose | Callable[[Any], Purpose | None] | None = None,
    product: Callable[[Any], str] | None = None,
    order_id: Callable[[Any], str] | None = None,
    work_order: Callable[[Any], str] | None = None,
    masks: Masks | None = None,
) -> Callable[[Handler], Handler]:
    """Marks a servicer's method for the GuardInterceptor; on a server without one the method refuses to run."""
    how = Guarded(
        operation=operation,
        customer=customer,
        purpose=purpose,
        product=product,
        order_id=order_id,
        work_order=work_order,
        masks=masks,
    )

    def mark(handler: Handler) -> Handler:
        @wraps(handler)
        def checked(*args: Any, **kwargs: Any) -> Any:
            decision()
            return handler(*args, **kwargs)

        setattr(checked, _MARK, how)
        return checked  # type: ignore[return-value]

    return mark


def decision() -> pb.CheckResponse:
    """The decision that let this call through, with its masking. Raises PermissionDenied where nobody has asked."""
    made = _DECISION.get()
    if made is None:
        raise PermissionDenied(Reason.NOT_PERMITTED, detail="this method runs behind a GuardInterceptor only")
    return made


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Asks before every guarded method. What is not named here and not marked passes: name what must be guarded."""

    def __init__(self, checker: Checker, methods: Mapping[str, Guarded] | None = None) -> None:
        """`methods`: path (`/pkg.Service/Method`) -> how; methods marked with `guarded` are found by themselves."""
        self._checker = checker
        self._methods = dict(methods or {})

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        how = self._methods.get(handler_call_details.method) or getattr(behaviour, _MARK, None)
        return handler if how is None else self._around(handler, behaviour, how)

    def _around(self, handler: Any, behaviour: Any, how: Guarded) -> Any:
        async def unary(request: Any, context: Any) -> Any:
            made = await self._decided(how, request, context)
            answer = await behaviour(request, context)
            return await _masked(how, made, answer, context)

        async def stream(request: Any, context: Any) -> None:
            made = await self._decided(how, request, context)
            masking = _MaskingContext(how, made, context)
            answers = behaviour(request, masking)
            if not hasattr(answers, "__aiter__"):  # it writes to its context
                await answers
                return
            async for answer in answers:
                await masking.write(answer)

        async def refused(_requests: Any, context: Any) -> None:
            # The customer stands in a message that has not come yet: nothing can be decided.
            await _abort(context, Internal(Reason.INTERNAL, detail="a stream of requests cannot be guarded"))

        if handler.request_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.response_streaming
                else (grpc.stream_unary_rpc_method_handler)
            )
            return make(refused, handler.request_deserializer, handler.response_serializer)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(unary, handler.request_deserializer, handler.response_serializer)

    async def _decided(self, how: Guarded, request: Any, context: Any) -> pb.CheckResponse:
        """The decision that allows; every other end is an abort."""
        try:
            made = await self._checker.ask(_question(how, request, context))
            if made.allowed and made.operation_class in _MAY_SHOW and how.masks is None:
                raise _unmasked(how.operation)
        except InfosecError as error:
            await _abort(context, error)
            raise
        except Exception:
            await _abort(context, Unavailable(Reason.PEER_UNAVAILABLE, detail="no decision could be made"))
            raise
        if not made.allowed:
            await _deny(context, made)
        _DECISION.set(made)
        return made


def _question(how: Guarded, request: Any, context: Any) -> pb.CheckRequest:
    metadata = [(key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)]
    given = dict(metadata)
    if not given.get(TOKEN_KEY):
        raise Unauthenticated(Reason.TOKEN_INVALID)

    def fact(read: Callable[[Any], str] | None) -> str:
        return "" if read is None else read(request)

    return question(
        given[TOKEN_KEY],
        how.operation,
        store_id=given.get(STORE_KEY, ""),
        terminal_id=given.get(TERMINAL_KEY, ""),
        customer=fact(how.customer),
        purpose=how.purpose(request) if callable(how.purpose) else how.purpose,
        product=fact(how.product),
        order_id=fact(how.order_id),
        work_order=fact(how.work_order),
        grants=[value for key, value in metadata if key == GRANT_KEY],
    )


class _MaskingContext:
    """The handler's context, but what it writes is masked first."""

    def __init__(self, how: Guarded, made: pb.CheckResponse, context: Any) -> None:
        self._how, self._made, self._context = how, made, context

    async def write(self, answer: Any) -> None:
        await self._context.write(await _masked(self._how, self._made, answer, self._context))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


async def _masked(how: Guarded, made: pb.CheckResponse, answer: Any, context: Any) -> Any:
    """As the decision lets it leave; where that cannot be done, nothing leaves."""
    if how.masks is None or how.masks is NOTHING_SHOWN:
        return answer
    try:
        return apply(how.masks, answer, made)
    except InfosecError as error:
        await _abort(context, error)
        raise
    except Exception:
        await _abort(context, Internal(Reason.INTERNAL, detail="the response could not be masked"))
        raise


async def _deny(context: Any, made: pb.CheckResponse) -> None:
    status = status_pb2.Status(code=grpc.StatusCode.PERMISSION_DENIED.value[0], message=made.reason)
    metadata = {need.kind: "|".join(need.any_of) for need in made.required}
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=made.reason, domain=CHECK_DOMAIN, metadata=metadata))
    status.details.add().Pack(
        error_details_pb2.LocalizedMessage(locale=_locale(context).value, message=made.text or made.reason)
    )
    body = status.SerializeToString()
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, made.reason, ((DETAILS_KEY, body),))


async def _abort(context: Any, error: InfosecError) -> None:
    code, body = to_status(error, _locale(context))
    await context.abort(code, error.reason.value, ((DETAILS_KEY, body),))


def _locale(context: Any) -> Locale:
    values: Sequence[Any] = [v for key, v in context.invocation_metadata() or () if key == "accept-language"]
    return negotiate(values[0] if values and isinstance(values[0], str) else None)


def _unmasked(operation: str) -> Misconfigured:
    return Misconfigured(
        Reason.CONFIGURATION,
        key=operation,
        detail="a read without a masking plan (CI-5)",
        hint="give `masks=MaskedFields(Response, {...})` with what the response shows of a customer; where it shows nothing,"
        " say `masks=NOTHING_SHOWN`",
    )
