"""Stored password hashes: which kinds are known, what their parameters may cost at most, and comparing with one. Blocking calls.

Own hashes are argon2id. The other kinds are imported from older systems and replaced at the next login; their parameters are
bounded at import and again at each use, so that no row can cost unbounded work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import argon2
from argon2.low_level import Type
from passlib.exc import PasswordValueError
from passlib.hash import bcrypt, ldap_salted_sha1, pbkdf2_sha256, pbkdf2_sha512, sha512_crypt

from infosec.errors import InvalidInput, Reason

MAX_HASH_CHARACTERS = 512
MAX_ARGON2_MEMORY_KIB = 256 * 1024
MAX_ARGON2_WORK_KIB = 1024 * 1024
"""Memory times passes: what one verification may write."""
MAX_ARGON2_PARALLELISM = 8
MAX_BCRYPT_COST = 14
MAX_SHA512_CRYPT_ROUNDS = 1_000_000
MAX_PBKDF2_ROUNDS = 2_000_000

_BCRYPT_BYTES = 72
_SHA512_CRYPT_DEFAULT_ROUNDS = 5000


class Scheme(StrEnum):
    """The kinds of stored hash."""

    ARGON2ID = "argon2id"
    BCRYPT = "bcrypt"
    SHA512_CRYPT = "sha512-crypt"
    SSHA = "ssha"
    PBKDF2_SHA256 = "pbkdf2-sha256"
    PBKDF2_SHA512 = "pbkdf2-sha512"


@dataclass(frozen=True, slots=True, kw_only=True)
class HashParameters:
    """What one argon2id hash costs. The default is what OWASP asks for at least."""

    memory_kib: int = 19_456
    time_cost: int = 2
    parallelism: int = 1

    def hasher(self) -> argon2.PasswordHasher:
        """The library's object for them."""
        return argon2.PasswordHasher(
            time_cost=self.time_cost, memory_cost=self.memory_kib, parallelism=self.parallelism, type=Type.ID
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    scheme: Scheme
    pattern: re.Pattern[str]
    """Group `cost`, where there is one, is what the bound applies to."""
    default_cost: int
    max_cost: int


_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=(?P<memory>\d{1,8}),t=(?P<passes>\d{1,5}),p=(?P<lanes>\d{1,3})"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<digest>[A-Za-z0-9+/]{16,171})"
)

_SHAPES = (
    _Shape(
        Scheme.BCRYPT,
        re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}"),
        0,
        MAX_BCRYPT_COST,
    ),
    _Shape(
        Scheme.SHA512_CRYPT,
        re.compile(r"\$6\$(?:rounds=(?P<cost>\d{1,10})\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}"),
        _SHA512_CRYPT_DEFAULT_ROUNDS,
        MAX_SHA512_CRYPT_ROUNDS,
    ),
    _Shape(Scheme.SSHA, re.compile(r"\{SSHA\}(?P<cost>)[A-Za-z0-9+/]{32,64}={0,2}"), 0, 0),
    _Shape(
        Scheme.PBKDF2_SHA256,
        re.compile(r"\$pbkdf2-sha256\$(?P<cost>\d{1,10})\$[./A-Za-z0-9]{0,128}\$[./A-Za-z0-9]{43}"),
        0,
        MAX_PBKDF2_ROUNDS,
    ),
    _Shape(
        Scheme.PBKDF2_SHA512,
        re.compile(r"\$pbkdf2-sha512\$(?P<cost>\d{1,10})\$[./A-Za-z0-9]{0,128}\$[./A-Za-z0-9]{86}"),
        0,
        MAX_PBKDF2_ROUNDS,
    ),
)

_LEGACY = {
    Scheme.BCRYPT: bcrypt,
    Scheme.SHA512_CRYPT: sha512_crypt,
    Scheme.SSHA: ldap_salted_sha1,
    Scheme.PBKDF2_SHA256: pbkdf2_sha256,
    Scheme.PBKDF2_SHA512: pbkdf2_sha512,
}


def validate_imported(hash_text: str) -> Scheme:
    """The kind of a hash from elsewhere. Raises InvalidInput if it is of no known kind, malformed, or costs too much."""
    if len(hash_text) > MAX_HASH_CHARACTERS or not hash_text.isascii():
        raise _refused("too long, or not ASCII")
    if hash_text.startswith("$argon2"):
        _validate_argon2(hash_text)
        return Scheme.ARGON2ID
    for shape in _SHAPES:
        found = shape.pattern.fullmatch(hash_text)
        if found:
            if int(found["cost"] or shape.default_cost) > shape.max_cost:
                raise _refused(f"{shape.scheme} parameter above {shape.max_cost}")
            return _parsed(shape.scheme, hash_text)
    raise _refused("of no known kind, or malformed")


def matches_legacy(scheme: Scheme, stored: str, password: str) -> bool:
    """Whether `password` (normalised) is the one that a validated imported hash was made of."""
    secret = password.encode()
    if scheme is Scheme.BCRYPT:
        # bcrypt never saw more than 72 bytes; the library now refuses more, and would refuse a right password.
        secret = secret[:_BCRYPT_BYTES]
    try:
        return bool(_LEGACY[scheme].verify(secret, stored))
    except PasswordValueError:
        return False  # NUL bytes: no such password could have been hashed


def _parsed(scheme: Scheme, hash_text: str) -> Scheme:
    try:
        _LEGACY[scheme].from_string(hash_text)
    except (ValueError, TypeError):
        raise _refused(f"malformed {scheme}") from None
    return scheme


def _validate_argon2(hash_text: str) -> None:
    found = _ARGON2ID.fullmatch(hash_text)
    if not found or any(len(found[part]) % 4 == 1 for part in ("salt", "digest")):
        raise _refused("argon2id, version 19, well-formed, only")
    memory_kib, passes, lanes = int(found["memory"]), int(found["passes"]), int(found["lanes"])
    bearable = memory_kib <= MAX_ARGON2_MEMORY_KIB and memory_kib * passes <= MAX_ARGON2_WORK_KIB
    if not (bearable and passes >= 1 and 1 <= lanes <= MAX_ARGON2_PARALLELISM and memory_kib >= 8 * lanes):
        raise _refused("argon2 parameters out of bounds")


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field="password_hash", detail=detail)
