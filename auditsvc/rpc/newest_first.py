"""Pages of acts and holds, newest first: where a page ended, as its token. Holds no secret, and is checked by its form."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from infosec.errors import InvalidInput, Reason

DEFAULT_SIZE = 50
Position = tuple[datetime, UUID]


def token(last: Position) -> str:
    """Where the next page begins: after the last row of this one."""
    at, row_id = last
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
