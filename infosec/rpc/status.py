"""Errors on the wire: one table from error class to gRPC status, applied one way by servers and the other by the SDK.

What leaves is a reason of the closed list, short public facts, and a sentence in the caller's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from infosec.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InfosecError,
    Internal,
    InvalidInput,
    Misconfigured,
    NotFound,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from infosec.messages import Locale, localized

DOMAIN = "infosec"
DETAILS_KEY = "grpc-status-details-bin"
MAX_STATUS_BYTES = 4096
"""A status travels in the trailing metadata, of which a peer takes 8 KiB by default."""
_OMITTED = "violations_omitted"

STATUS_OF: Mapping[type[InfosecError], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    Aborted: grpc.StatusCode.ABORTED,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    Internal: grpc.StatusCode.INTERNAL,
    # Of start-up and server-side commands: no serving method raises it, and the table has no hole.
    Misconfigured: grpc.StatusCode.UNKNOWN,
}

_CLASS_OF = {code: cls for cls, code in STATUS_OF.items()}

# What a status without our details means: it was made by a proxy, the transport, or a peer that is not ours.
_COME_BACK = timedelta(seconds=1)
_FOREIGN: Mapping[grpc.StatusCode, tuple[type[InfosecError], Reason]] = {
    grpc.StatusCode.UNAVAILABLE: (Unavailable, Reason.PEER_UNAVAILABLE),
    grpc.StatusCode.CANCELLED: (Unavailable, Reason.PEER_UNAVAILABLE),
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlineExceeded, Reason.DEADLINE_EXCEEDED),
    grpc.StatusCode.UNIMPLEMENTED: (Unimplemented, Reason.UNIMPLEMENTED),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (ResourceExhausted, Reason.OVERLOADED),
    grpc.StatusCode.UNAUTHENTICATED: (Unauthenticated, Reason.CALLER_UNKNOWN),
    grpc.StatusCode.PERMISSION_DENIED: (PermissionDenied, Reason.CALLER_NOT_ALLOWED),
}


def code_of(error: InfosecError) -> grpc.StatusCode:
    """The status that `error` travels as."""
    return next(STATUS_OF[cls] for cls in type(error).__mro__ if cls in STATUS_OF)


def to_status(error: InfosecError, locale: Locale) -> tuple[grpc.StatusCode, bytes]:
    """The code, and the google.rpc.Status for the trailing metadata: at most MAX_STATUS_BYTES of it.

    More violations than fit are left out from the end, and counted.
    """
    code, kept = code_of(error), len(error.violations)
    while True:
        body = _packed(error, code, locale, kept).SerializeToString()
        if len(body) <= MAX_STATUS_BYTES or not kept:
            return code, body
        kept //= 2


def from_status(code: grpc.StatusCode, body: bytes | None) -> InfosecError:
    """The same error again; from a status that is not ours, the nearest by its code."""
    status = _parsed(body)
    info = error_details_pb2.ErrorInfo()
    if status is None or not _unpack(status, info) or info.domain != DOMAIN:
        cls, reason = _FOREIGN.get(code, (Internal, Reason.INTERNAL))
        # The library's own refusals of a crowd (UNAVAILABLE, CANCELLED, RESOURCE_EXHAUSTED) do not say when to come back.
        return cls(reason, retry_after=_COME_BACK if issubclass(cls, Unavailable | ResourceExhausted) else None)
    # A newer server may know reasons that we do not: its class still tells what to do.
    known = info.reason in Reason.__members__
    cls = _CLASS_OF.get(code, Internal)
    retry, bad = error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    has_retry = _unpack(status, retry)
    _unpack(status, bad)
    error = cls(
        Reason(info.reason) if known else _reason_of(code),
        retry_after=retry.retry_delay.ToTimedelta() if has_retry else None,
        violations=tuple(violation.reason for violation in bad.field_violations),
    )
    error.details.update(info.metadata)
    return error


def from_rpc_error(error: grpc.RpcError) -> InfosecError:
    """What a failed call means. The RpcError itself belongs into `__cause__`."""
    code = getattr(error, "code", lambda: None)()
    if not isinstance(code, grpc.StatusCode):
        return Internal(Reason.INTERNAL)
    return from_status(code, _details_of(error))


def _packed(error: InfosecError, code: grpc.StatusCode, locale: Locale, kept: int) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=error.reason.value)
    metadata = dict(error.details)
    if kept < len(error.violations):
        metadata[_OMITTED] = str(len(error.violations) - kept)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata))
    status.details.add().Pack(
        error_details_pb2.LocalizedMessage(locale=locale.value, message=localized(error, locale)[:1000])
    )
    if error.retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(max(error.retry_after, timedelta(0)))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if kept:
        field = error.details.get("field", "")
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, reason=violation)
            for violation in error.violations[:kept]
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    return status


def _details_of(error: grpc.RpcError) -> bytes | None:
    metadata = getattr(error, "trailing_metadata", lambda: None)()
    return next(
        (bytes(value) for key, value in metadata or () if key == DETAILS_KEY and isinstance(value, bytes)), None
    )


def _parsed(body: bytes | None) -> status_pb2.Status | None:
    if not body:
        return None
    try:
        status: status_pb2.Status = status_pb2.Status.FromString(body)
    except DecodeError:
        return None
    return status if status.code in code_pb2.Code.values() else None


def _unpack(
    status: status_pb2.Status,
    into: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo | error_details_pb2.BadRequest,
) -> bool:
    for detail in status.details:
        if detail.Is(into.DESCRIPTOR):
            try:
                detail.Unpack(into)
            except DecodeError:
                return False
            return True
    return False


def _reason_of(code: grpc.StatusCode) -> Reason:
    return _FOREIGN.get(code, (Internal, Reason.INTERNAL))[1]
