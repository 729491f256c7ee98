"""Subjects: the random IDs that stand for customers in the log, and the data keys under which their values are sealed.

Without its row a subject is nobody: that is what erasure is (CI-8). Sealing is deterministic (AES-SIV, RFC 5297), bound
to event and field, so that a retried event gives the same entry.
"""

from __future__ import annotations

import base64
import binascii
import os
import uuid
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from infosec.errors import Internal, Reason
from infosec.keys import SealingKeys

_KEY_BYTES = 64
_CONTEXT = b"infosec/entry/v1"


@dataclass(frozen=True, slots=True, repr=False)
class Subject:
    """One subject with its data key."""

    id: uuid.UUID
    _cipher: AESSIV
    id_text: str

    def seal(self, event_id: uuid.UUID, field: str, value: str) -> str:
        """Sealed for this field of this event: URL-safe base64 without padding."""
        sealed = self._cipher.encrypt(value.encode(), [_place(event_id, field)])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, event_id: uuid.UUID, field: str, sealed: str) -> str:
        """The value. Raises Internal for another event, field or subject, or a single changed bit."""
        try:
            data = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(data, [_place(event_id, field)]).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise Internal(Reason.INTERNAL, detail="a sealed value does not open") from None

    def __repr__(self) -> str:
        return f"Subject({self.id_text})"


def _place(event_id: uuid.UUID, field: str) -> bytes:
    # One string, of which only the last part may be of any length, so that no two places have the same.
    return _CONTEXT + event_id.bytes + field.encode()


def new_row(keys: SealingKeys) -> tuple[uuid.UUID, bytes]:
    """A fresh subject: its ID, and its data key sealed for the row of that ID."""
    subject_id = uuid.uuid4()
    return subject_id, keys.seal(os.urandom(_KEY_BYTES), subject_id.bytes)


def opened(subject_id: uuid.UUID, data_key: bytes, keys: SealingKeys) -> Subject:
    """The subject of a row. Raises Internal when the key file does not open it."""
    return Subject(subject_id, AESSIV(keys.open(data_key, subject_id.bytes)), str(subject_id))
