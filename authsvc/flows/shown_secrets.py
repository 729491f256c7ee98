"""The only secrets that are shown rather than sent: at the first set-up and by break-glass, once, to who stands there (ID-8)."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from authsvc.flows.attempts import Hasher
from authsvc.passwords import first_password, normalise
from authsvc.profile import Profile
from authsvc.store.installation import HeldCode
from infosec.secret import Secret

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_GROUPS, _GROUP = 6, 4
"""24 of 31 characters: 118 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPassword:
    """A first password for the screen, and its hash for the table."""

    password: Secret
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """One holder's break-glass code, for the envelope."""

    holder: str
    code: Secret


async def shown_password(hasher: Hasher, profile: Profile) -> ShownPassword:
    """A fresh one. Raises ResourceExhausted(OVERLOADED)."""
    password = first_password(secrets.randbelow, profile)
    return ShownPassword(password=Secret(password), hash=await hasher.hash(normalise(password)))


async def fresh_codes(hasher: Hasher, holders: Sequence[str]) -> tuple[list[IssuedCode], list[HeldCode]]:
    """A new code for each holder: for the envelopes, and for the table."""
    issued = [IssuedCode(holder=holder, code=_code()) for holder in holders]
    held = [HeldCode(holder=one.holder, hash=await hasher.hash(typed_code(one.code).reveal())) for one in issued]
    return issued, held


def typed_code(code: Secret) -> Secret:
    """A code as it is compared: without hyphens and spaces, in capitals."""
    text = unicodedata.normalize("NFKC", code.reveal()).upper()
    return Secret("".join(c for c in text if c.isalnum()))


def _code() -> Secret:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return Secret("-".join(groups))
