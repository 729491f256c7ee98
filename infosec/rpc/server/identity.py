"""Who is calling, and which RPC services they may call. The name comes from the certificate that TLS verified.

Knows no staff: a caller is a system or a service, never a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from infosec.certificates import CallerKind, CallerName, caller_from_auth_context
from infosec.errors import Internal, PermissionDenied, Reason
from infosec.ids import SystemId
from infosec.messages import Locale, negotiate

LANGUAGE_KEY = "accept-language"


class Anybody(Enum):
    """The allow-list entry of a service that every caller with a certificate of ours may call."""

    ANYBODY = "anybody"


ANY: Final = Anybody.ANYBODY

AllowList = Mapping[str, frozenset[str] | Anybody]
"""Full name of an RPC service -> callers as `system/<name>` or `service/<name>`. What is not listed, nobody may call."""


class ServicerContext(Protocol):
    """What is read of a grpc.aio.ServicerContext here."""

    def auth_context(self) -> Mapping[str, Any]: ...

    def invocation_metadata(self) -> Any: ...

    def peer(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The system or service at the other end of this call."""

    kind: CallerKind
    name: str
    locale: Locale
    peer: str
    """The transport's address, as gRPC writes it: for logs."""

    @property
    def id(self) -> str:
        """`system/billing-front`: as in allow-lists and records."""
        return f"{self.kind}/{self.name}"

    @property
    def system(self) -> SystemId:
        """The store system that calls. Raises PermissionDenied(CALLER_NOT_ALLOWED) for a service of the same name."""
        if self.kind is not CallerKind.SYSTEM:
            raise PermissionDenied(Reason.CALLER_NOT_ALLOWED, detail="only a store system acts for a person")
        return SystemId(self.name)


Identify = Callable[[ServicerContext], CallerName]
"""Reads the caller's name off a connection, or raises Unauthenticated."""


def by_certificate(carrier: str) -> Identify:
    """The name in the client certificate, of this carrier's trust domain."""

    def identify(context: ServicerContext) -> CallerName:
        return caller_from_auth_context(context.auth_context(), carrier=carrier)

    return identify


def always(caller: CallerName) -> Identify:
    """One caller for every connection: for plaintext on loopback (measurements), where there is no certificate."""
    return lambda _context: caller


def check_allowed(caller: CallerName, service: str, allow: AllowList) -> None:
    """Raises PermissionDenied(CALLER_NOT_ALLOWED) for whom the service's list does not name."""
    listed = allow.get(service, frozenset())
    if not isinstance(listed, Anybody) and str(caller) not in listed:
        raise PermissionDenied(Reason.CALLER_NOT_ALLOWED, detail=service)


def locale_of(context: ServicerContext) -> Locale:
    """The language that the caller asked for."""
    for key, value in context.invocation_metadata() or ():
        if key == LANGUAGE_KEY:
            return negotiate(value if isinstance(value, str) else None)
    return Locale.ZH_CN


_CURRENT: ContextVar[tuple[object, Caller] | None] = ContextVar("infosec_caller", default=None)


def bind(context: object, caller: Caller) -> None:
    """Let `caller_of(context)` answer in this task; each call runs in a task of its own."""
    _CURRENT.set((context, caller))


def caller_of(context: object) -> Caller:
    """The caller of the call that this handler serves. Raises Internal outside of that call."""
    current = _CURRENT.get()
    if current is None or current[0] is not context:
        raise Internal(Reason.INTERNAL, detail="no caller is bound to this context")
    return current[1]
