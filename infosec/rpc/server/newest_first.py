"""Pages of rows, newest first: where a page ended, as its token. Holds no secret, and is checked by its form."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from infosec.errors import InvalidInput, Reason

DEFAULT_SIZE = 50
Position = tuple[datetime, UUID]


def size_of(page_size: int) -> int:
    """How many to answer with; the contract bounds it from above."""
    return page_size or DEFAULT_SIZE


def token_after(places: Sequence[Position], size: int) -> str:
    """Where the next page begins; empty when there is none. `places` may be one longer than the page."""
    if len(places) <= size:
        return ""
    at, row_id = places[size - 1]
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{row_id}".encode()).decode()


def position(text: str) -> Position | None:
    """The place of a token of ours; None for the first page. Raises InvalidInput."""
    if not text:
        return None
    try:
        at, _, row_id = base64.urlsafe_b64decode(text).decode().partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment, UUID(row_id)
    except (ValueError, binascii.Error):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="page_token", detail="not one of ours") from None
