"""Where a page ended, across logs, and the token that says so: opaque, and good for one selection and order alone.

Entries are ordered by (recorded_at, log, index). Within a log that is the order of indices, because time never goes back
in it; so a place in this order is an index in every log. Knows no storage.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NoReturn, cast

from infosec import canonical
from infosec.errors import InvalidInput, Reason
from infosec.ids import RegionId
from infosec.keys import MacKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAG_BYTES = 32
_CONTEXT = b"audit page"


class Place(NamedTuple):
    """An entry's place in the order across logs."""

    recorded_at: datetime
    log_id: RegionId
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where to go on."""

    after: Place
    """The last entry that was looked at."""
    as_of: datetime
    """Nothing that was recorded later is looked at: reading is on record itself, and would never reach the end."""
    own_end: int
    """Where the log ended in which reading is recorded, when the first page was read."""


class PageTokens:
    """Writes and reads tokens, under `key` of MacKind.REQUESTS."""

    def __init__(self, key: MacKey) -> None:
        self._key = key

    def written(self, cursor: Cursor, bound_to: bytes) -> str:
        """The token of a cursor."""
        body = canonical.encode(
            {
                "at": _micros(cursor.after.recorded_at),
                "log": cursor.after.log_id,
                "index": cursor.after.position,
                "as_of": _micros(cursor.as_of),
                "own": cursor.own_end,
            }
        )
        tag = self._key.digest(_CONTEXT, bound_to, body)
        return base64.urlsafe_b64encode(tag + body).rstrip(b"=").decode()

    def read(self, token: str, bound_to: bytes) -> Cursor | None:
        """The cursor of a token of ours for the same question; None for the first page. Raises InvalidInput."""
        if not token:
            return None
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            _refuse()
        tag, body = data[:_TAG_BYTES], data[_TAG_BYTES:]
        if not self._key.matches(tag, _CONTEXT, bound_to, body):
            _refuse()
        fields = cast("Mapping[str, str | int]", canonical.decode_strict(body))
        place = Place(_at(fields["at"]), RegionId(str(fields["log"])), int(fields["index"]))
        return Cursor(after=place, as_of=_at(fields["as_of"]), own_end=int(fields["own"]))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _at(micros: str | int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))


def _refuse() -> NoReturn:
    raise InvalidInput(Reason.INVALID_ARGUMENT, field="page_token", detail="not one of ours for this question")
