"""Typed reading of a signed text's claims: what is missing or of another type is not the text that we signed."""

from __future__ import annotations

from collections.abc import Mapping

from infosec.errors import Reason, Unauthenticated


class Claims:
    """Verified claims. Every reader raises Unauthenticated(TOKEN_INVALID) for a claim that is not as it should be."""

    def __init__(self, claims: Mapping[str, object]) -> None:
        self._claims = claims

    def text(self, name: str) -> str:
        """A string that is there and not empty."""
        value = self.optional_text(name)
        if not value:
            raise Unauthenticated(Reason.TOKEN_INVALID)
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None for a claim that was left out."""
        value = self._claims.get(name)
        if value is not None and not isinstance(value, str):
            raise Unauthenticated(Reason.TOKEN_INVALID)
        return value

    def number(self, name: str) -> int:
        """A whole number, zero or more."""
        value = self._claims.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Unauthenticated(Reason.TOKEN_INVALID)
        return value
