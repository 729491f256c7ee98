"""What makes two calls the same write: method, caller, person, request_id, and every field that is not secret."""

from __future__ import annotations

from google.protobuf.message import Message

from authsvc.flows.once import Retry
from infosec import ids
from infosec.rpc.server.retries import Fingerprints, StoredCall


class Retries:
    """Makes the Retry of a call. `actor` is the staff ID that acts: their token is secret and not compared."""

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
