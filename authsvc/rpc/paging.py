"""Pages of requests, newest first, and moments, on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from authsvc.requests import Request
from infosec.rpc.server.newest_first import token_after


def page_token(found: Sequence[Request], size: int) -> str:
    """Where the next page begins; empty when there is none. `found` may be one longer than the page."""
    return token_after([(each.submitted_at, each.id) for each in found], size)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment on the wire; unset for None."""
    if moment is None:
        return None
    wire = Timestamp()
    wire.FromDatetime(moment)
    return wire
