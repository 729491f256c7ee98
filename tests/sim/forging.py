"""Texts that are certainly not what they were."""

from __future__ import annotations


def altered(text: str, at: int) -> str:
    """Another character at this place. Not the last of base64, some of whose bits count for nothing."""
    at %= len(text)
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
