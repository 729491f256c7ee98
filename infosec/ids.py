"""Identifiers and their one spelling. Whatever two spellings mean the same thing becomes one string here (ID-5).

Knows no storage and no wire.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
import uuid
from datetime import datetime
from typing import NewType

from infosec.errors import InvalidInput, Reason

StaffId = NewType("StaffId", str)
RegionId = NewType("RegionId", str)
StoreId = NewType("StoreId", str)
TerminalId = NewType("TerminalId", str)
SystemId = NewType("SystemId", str)
RoleId = NewType("RoleId", str)
OperationCode = NewType("OperationCode", str)
SessionId = NewType("SessionId", str)
RequestId = NewType("RequestId", str)

CARRIER = RegionId("carrier")
"""The root of the organisation tree: region of staff and of changes that belong to no region."""

STAFF_ID = re.compile(r"[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]")
NODE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
OPERATION = re.compile(r"[a-z0-9]{4}")
"""These three are the one spelling of each, for who may not change what was given."""
_MAX_RAW = 256


def _folded(raw: str, field: str) -> str:
    """NFKC, casefolded, outer and inner spaces dropped; refuses what cannot be an identifier."""
    if len(raw) > _MAX_RAW:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="too long")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") for c in raw):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="control or unassigned characters")
    return "".join(unicodedata.normalize("NFKC", raw).casefold().split())


def staff_id(raw: str) -> StaffId:
    """The one spelling of a staff ID: 3 to 32 of a-z 0-9 . _ - (case, width, spaces and Unicode forms fold, ID-5).

    Raises InvalidInput for anything else, look-alike letters of other scripts included.
    """
    if STAFF_ID.fullmatch(raw):  # the one spelling already: nothing in it folds
        return StaffId(raw)
    text = _folded(raw, "staff_id")
    if not STAFF_ID.fullmatch(text):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="staff_id", detail="3 to 32 of a-z 0-9 . _ -")
    return StaffId(text)


def attempt_key(raw: str) -> str:
    """What an attempt on `raw` is counted under: its staff ID, or a bounded stand-in for what can be none (ID-5, ID-7)."""
    try:
        return staff_id(raw)
    except InvalidInput:
        digest = uuid.uuid5(uuid.NAMESPACE_OID, raw.encode("utf-8", "surrogatepass").hex()[:4096])
        return f"?{digest}"


def node_id(raw: str, field: str) -> str:
    """The one spelling of a region, store, terminal, system or role ID: 1 to 63 of a-z 0-9 . _ -."""
    if NODE_ID.fullmatch(raw):
        return raw
    text = _folded(raw, field)
    if not NODE_ID.fullmatch(text):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="1 to 63 of a-z 0-9 . _ -")
    return text


def operation_code(raw: str) -> OperationCode:
    """A BOSS operation code (section G): four of a-z 0-9."""
    if OPERATION.fullmatch(raw):
        return OperationCode(raw)
    text = _folded(raw, "operation")
    if not OPERATION.fullmatch(text):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="operation", detail="four of a-z 0-9")
    return OperationCode(text)


_BETWEEN_DIGITS = re.compile(r"[\s()\-.\u2010-\u2015]+")
_CHINA = re.compile(r"(?:\+|00)86(?=\d)|86(?=1\d{10}$)")


def customer_number(raw: str) -> str:
    """The one spelling of a customer's number, of which every digest is made: what is asked must be what was recorded (CI-8).

    Width and case fold, spaces, brackets and hyphens go, and so does the country code of a Chinese number. Never raises: a
    number is whatever the store systems call one.
    """
    text = _BETWEEN_DIGITS.sub("", unicodedata.normalize("NFKC", raw)).casefold()
    return _CHINA.sub("", text, count=1) if _CHINA.match(text) else text


def request_id(raw: str) -> RequestId:
    """A caller's retry key: a UUID, in its canonical spelling."""
    try:
        return RequestId(str(uuid.UUID(raw)))
    except ValueError:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="request_id", detail="a UUID") from None


def new_id() -> str:
    """A fresh random identifier (UUID4)."""
    return str(uuid.uuid4())


def time_ordered(at: datetime) -> uuid.UUID:
    """A fresh identifier that sorts by its moment to the microsecond: UUIDv7 (RFC 9562, 5.7 and method 3 of 6.2), 62 bits random.

    What is written in the order in which it happened then lies together in every index.
    """
    millisecond, rest_us = divmod(round(at.timestamp() * 1_000_000), 1000)
    ordered = (millisecond & (1 << 48) - 1) << 16 | 0x7000 | rest_us * 4096 // 1000
    return uuid.UUID(int=ordered << 64 | 0b10 << 62 | secrets.randbits(62))


_SPOKEN = "bcdfghjkmnpqrstvwxyz"


def new_incident() -> str:
    """What tells a fault of ours from all others, to be read out on the phone. Of letters: redaction may take digits for a number
    of somebody's, and what is told would not be found in the log."""
    return "-".join("".join(secrets.choice(_SPOKEN) for _ in range(4)) for _ in range(3))
