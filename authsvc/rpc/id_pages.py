"""Pages of lists that are ordered by an ID: a token is the last ID of the page before it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from infosec import ids
from infosec.errors import InfosecError, InvalidInput, Reason


def token_after(keys: Sequence[str], size: int) -> str:
    """Where the next page begins; empty when there is none. `keys` may be one longer than the page."""
    return base64.urlsafe_b64encode(keys[size - 1].encode()).decode() if len(keys) > size else ""


def start_of(token: str) -> str:
    """The ID behind which the page begins; empty for the first one. Raises InvalidInput."""
    if not token:
        return ""
    try:
        return ids.node_id(base64.b64decode(token, altchars=b"-_", validate=True).decode(), "page_token")
    except (ValueError, binascii.Error, InfosecError):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="page_token", detail="not one of ours") from None
