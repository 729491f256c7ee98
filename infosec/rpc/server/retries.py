"""Recognising a retried write by its request_id: the same again is answered again, something else is refused.

What is kept is a keyed digest that leaves secret fields out (ID-7). Knows no table: the store is the service's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from infosec import ids
from infosec.errors import InvalidInput, Reason
from infosec.ids import RequestId
from infosec.keys import MacKey
from infosec.rpc.limits import limit_of

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """What is remembered of a write that was carried out."""

    fingerprint: bytes
    outcome: bytes
    """What to answer from: identifiers of what was made. Never a secret."""


class Fingerprints:
    """Digests of requests under the installation's key for them."""

    def __init__(self, key: MacKey) -> None:
        self._key = key

    def fingerprint(self, *, method: str, caller: str, request: Message, actor: str = "") -> bytes:
        """32 bytes. `actor` is the person who acts: their token is secret and so not in the digest, but they are."""
        return self._key.digest(*_parts(method, caller, actor, request))

    def check_same(self, stored: StoredCall, *, method: str, caller: str, request: Message, actor: str = "") -> None:
        """Raises InvalidInput(REQUEST_ID_REUSED) unless `stored` is of this very request; holds across rotations."""
        if not self._key.matches(stored.fingerprint, *_parts(method, caller, actor, request)):
            raise InvalidInput(Reason.REQUEST_ID_REUSED, field="request_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How one call is recognised when it comes again."""

    caller: str
    request_id: RequestId
    fingerprint: bytes
    check_same: Callable[[StoredCall], None]
    """Raises InvalidInput(REQUEST_ID_REUSED) if another call used this request_id."""


class Retries:
    """Makes the Retry of a call: method, caller, person, request_id, and every field that is not secret.

    `actor` is the staff ID that acts: their token is secret and not compared.
    """

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints

    def of(self, method: str, request: Message, *, request_id: str, caller: str, actor: str) -> Retry:
        """Raises InvalidInput for a request_id that is no UUID."""
        fingerprint = self._fingerprints.fingerprint(method=method, caller=caller, request=request, actor=actor)

        def check_same(stored: StoredCall) -> None:
            self._fingerprints.check_same(stored, method=method, caller=caller, request=request, actor=actor)

        return Retry(
            caller=caller, request_id=ids.request_id(request_id), fingerprint=fingerprint, check_same=check_same
        )


def without_secrets(request: M) -> M:
    """A copy with every field cleared that the contract marks secret, in nested messages too."""
    copy = type(request)()
    copy.CopyFrom(request)
    _clear_secrets(copy)
    return copy


def _parts(method: str, caller: str, actor: str, request: Message) -> tuple[bytes, ...]:
    body = without_secrets(request).SerializeToString(deterministic=True)
    return method.encode(), caller.encode(), actor.encode(), body


def _clear_secrets(message: Message) -> None:
    for field, value in message.ListFields():
        if limit_of(field).secret:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                _clear_secrets(inner)
