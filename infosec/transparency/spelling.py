"""Base64 and decimals with one spelling: what is signed must not have a second text for the same value."""

from __future__ import annotations

import base64

MAX_SIZE = 2**63 - 1
"""What every implementation's tree size holds."""


def encode_base64(data: bytes) -> str:
    """RFC 4648, section 4, padded."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Raises ValueError unless `text` is just what encode_base64 gives for the bytes."""
    data = base64.b64decode(text, validate=True)
    # The decoder lets unused bits in the last character through.
    if encode_base64(data) != text:
        raise ValueError("not the one base64 spelling")
    return data


def decode_decimal(text: str) -> int:
    """Raises ValueError unless `text` is ASCII digits without a leading zero, at most 2^63 - 1."""
    # The length is looked at first: int() of many digits is slow, and takes signs, spaces and foreign digits.
    if len(text) > len(str(MAX_SIZE)) or not (text.isascii() and text.isdigit()):
        raise ValueError("not a decimal")
    value = int(text)
    if str(value) != text or value > MAX_SIZE:
        raise ValueError("not the one decimal spelling")
    return value
