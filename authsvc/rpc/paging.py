"""Pages of requests, newest first, and moments, on the wire."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from authsvc.requests import Request
from infosec.errors import InvalidInput, Reason

DEFAULT_SIZE = 50


def size_of(page_size: int) -> int:
    """How many to answer with; the contract bounds it from above."""
    return page_size or DEFAULT_SIZE


def page_token(found: Sequence[Request], size: int) -> str:
    """Where the next page begins; empty when there is none. `found` may be one longer than the page."""
    if len(found) <= size:
        return ""
    last = found[size - 1]
    return base64.urlsafe_b64encode(f"{last.submitted_at.isoformat()}|{last.id}".encode()).decode()


def position(token: str) -> tuple[datetime, uuid.UUID] | None:
    """The place of a token of ours; None for the first page. Raises InvalidInput."""
    if not token:
        return None
    try:
        at, _, request_id = base64.urlsafe_b64decode(token).decode().partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment, uuid.UUID(request_id)
    except (ValueError, binascii.Error):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="page_token", detail="not one of ours") from None


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment on the wire; unset for None."""
    if moment is None:
        return None
    wire = Timestamp()
    wire.FromDatetime(moment)
    return wire
