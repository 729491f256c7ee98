"""Keys in files: one file a kind, keys with identifiers, one active, the retired ones kept for what they once made.

A key is good for one kind only: the kind is part of everything that is signed, sealed or digested. Knows no database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, NoReturn, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infosec.errors import AlreadyExists, Internal, Misconfigured, Reason
from infosec.private_files import locked, private_directory, read_private, write_private
from infosec.secret import SecretBytes


class SigningKind(StrEnum):
    """What is signed, each under a key of its own."""

    SESSION = "session"
    GRANT_APPROVAL = "grant-approval"
    GRANT_CONSENT = "grant-consent"
    GRANT_IDENTITY = "grant-identity"
    CHECKPOINT = "checkpoint"
    ASSERTION = "assertion"


class SealingKind(StrEnum):
    """What is sealed at rest."""

    MESSAGES = "seal-messages"
    FACTS = "seal-facts"
    TOTP = "seal-totp"
    SUBJECTS = "seal-subjects"


class MacKind(StrEnum):
    """What is kept as a keyed digest only."""

    REQUESTS = "mac-requests"
    CODES = "mac-codes"
    CUSTOMERS = "mac-customers"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key. A retired signing key has no private half any more: it can be checked against, not used."""

    kid: str
    created: datetime
    private: SecretBytes | None = None
    public: bytes | None = None
    retired: datetime | None = None

    @property
    def is_active(self) -> bool:
        return self.retired is None


class _Keys:
    """The keys of one kind, active one first."""

    __slots__ = ("kind", "path", "records")
    retired_keep_private: ClassVar[bool] = True

    def __init__(self, kind: str, records: tuple[KeyRecord, ...], path: Path | None = None) -> None:
        self.kind = kind
        self.records = tuple(sorted(records, key=lambda record: (not record.is_active, record.created)))
        self.path = path

    @classmethod
    def generate(cls, kind: str, *, now: datetime) -> Self:
        """Fresh keys in memory, in no file."""
        return cls(kind, (cls._fresh(now),))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys in `<kind>.json`. Raises Misconfigured for a file that others may read, or that is not whole."""
        kind, records = _parse(path, read_private(path))
        return cls(kind, records, path)

    def write_new(self, path: Path) -> bool:
        """Write these keys into a file that is not there yet. False where one is, which stays as it is."""
        return write_private(path, self._document(), replace=False)

    def rotate(self, *, now: datetime) -> Self:
        """A new active key; the present one is retired. Written before it is used; answers with the new set."""
        if self.path is None:
            return type(self)(self.kind, (self._fresh(now), *self._all_retired(now)))
        with locked(self.path.parent):
            current = type(self).load(self.path)
            turned = type(self)(self.kind, (self._fresh(now), *current._all_retired(now)), self.path)
            write_private(self.path, turned._document())
        return turned

    def _all_retired(self, now: datetime) -> tuple[KeyRecord, ...]:
        return tuple(
            replace(
                record,
                retired=record.retired or now,
                private=record.private if self.retired_keep_private else None,
            )
            for record in self.records
        )

    def _active_private(self) -> bytes:
        private = self.records[0].private
        if private is None:
            raise Misconfigured(
                Reason.CONFIGURATION,
                path=str(self.path),
                detail="only the public half is here",
                hint="this process may check with these keys, not make",
            )
        return private.reveal()

    @classmethod
    def _fresh(cls, now: datetime) -> KeyRecord:
        return KeyRecord(kid=secrets.token_hex(8), created=now, private=SecretBytes(secrets.token_bytes(32)))

    def _document(self) -> bytes:
        document = {"kind": self.kind, "keys": [_entry(record) for record in self.records]}
        return json.dumps(document, indent=2).encode() + b"\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind}, {', '.join(record.kid for record in self.records)})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys are not copied or pickled")


class SigningKeys(_Keys):
    """Ed25519 keys (RFC 8032) of one kind."""

    __slots__ = ("_signer",)
    retired_keep_private = False

    def __init__(self, kind: str, records: tuple[KeyRecord, ...], path: Path | None = None) -> None:
        super().__init__(kind, records, path)
        self._signer: Ed25519PrivateKey | None = None

    @property
    def active(self) -> KeyRecord:
        """The key that signs now."""
        return self.records[0]

    def sign(self, message: bytes) -> bytes:
        """64 bytes. The caller puts the kind into `message`: see infosec.signed."""
        if self._signer is None:
            self._signer = Ed25519PrivateKey.from_private_bytes(self._active_private())
        return self._signer.sign(message)

    def public_keys(self) -> Mapping[str, bytes]:
        """Every key that a signature of this kind may be checked with: kid -> 32 bytes."""
        return MappingProxyType({record.kid: record.public or b"" for record in self.records})

    def forget_retired(self) -> Self:
        """Keep the active key alone: what the others signed is no longer good."""
        if self.path is None:
            return type(self)(self.kind, self.records[:1])
        with locked(self.path.parent):
            left = type(self)(self.kind, type(self).load(self.path).records[:1], self.path)
            write_private(self.path, left._document())
        return left

    @classmethod
    def _fresh(cls, now: datetime) -> KeyRecord:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        return KeyRecord(
            kid=_b64(hashlib.sha256(public).digest()[:9]),
            created=now,
            private=SecretBytes(key.private_bytes_raw()),
            public=public,
        )


class SealingKeys(_Keys):
    """AES-256-GCM. A sealed value is key id (8 bytes), nonce (12, random), ciphertext and tag.

    A random nonce is safe for 2^32 values a key: rotate long before.
    """

    __slots__ = ()
    _OVERHEAD: ClassVar[int] = 8 + 12 + 16

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal for one place: `context` names it (table, column and row, say), and opening elsewhere fails."""
        kid = bytes.fromhex(self.records[0].kid)
        nonce = os.urandom(12)
        return kid + nonce + AESGCM(self._active_private()).encrypt(nonce, plaintext, self._bound(kid, context))

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises Internal for an unknown key, another context, or a single changed bit."""
        kid, nonce = sealed[:8], sealed[8:20]
        key = next((record for record in self.records if record.kid == kid.hex()), None)
        if key is None or key.private is None or len(sealed) < self._OVERHEAD:
            raise Internal(Reason.INTERNAL, detail="a sealed value does not open")
        try:
            return AESGCM(key.private.reveal()).decrypt(nonce, sealed[20:], self._bound(kid, context))
        except InvalidTag:
            raise Internal(Reason.INTERNAL, detail="a sealed value does not open") from None

    def _bound(self, kid: bytes, context: bytes) -> bytes:
        if not context:
            raise ValueError("sealing needs a context")
        return b"infosec/seal/v1\n" + framed(self.kind.encode(), kid, context)


class MacKey(_Keys):
    """HMAC-SHA-256 digests of what must not be stored: one-time codes, customer numbers, retried calls."""

    __slots__ = ()

    def digest(self, *parts: bytes) -> bytes:
        """32 bytes under the active key. The parts are framed: no two lists of parts give the same input."""
        return self._with(self._active_private(), parts)

    def digests(self, *parts: bytes) -> tuple[bytes, ...]:
        """Under every key, active first: what to look for when the record may be older than a rotation."""
        return tuple(self._with(record.private.reveal(), parts) for record in self.records if record.private)

    def matches(self, digest: bytes, *parts: bytes) -> bool:
        """Whether `digest` (32 bytes) is that of `parts` under any key here; in constant time."""
        # Every key is compared, so that the time does not tell which one it was.
        return any([hmac.compare_digest(digest, own) for own in self.digests(*parts)])

    def _with(self, key: bytes, parts: tuple[bytes, ...]) -> bytes:
        return hmac.digest(key, b"infosec/mac/v1\n" + framed(self.kind.encode(), *parts), "sha256")


AnyKeys = TypeVar("AnyKeys", bound=_Keys)

KINDS: Mapping[str, type[_Keys]] = {
    **dict.fromkeys(SigningKind, SigningKeys),
    **dict.fromkeys(SealingKind, SealingKeys),
    **dict.fromkeys(MacKind, MacKey),
}
"""Every kind, and what its keys are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """All keys of an installation, from one directory."""

    signing: Mapping[SigningKind, SigningKeys]
    sealing: Mapping[SealingKind, SealingKeys]
    mac: Mapping[MacKind, MacKey]

    @classmethod
    def load(cls, directory: Path) -> KeyRing:
        """Every key file. Raises Misconfigured for the first that is missing, open to others, or broken."""
        return cls(
            signing={kind: _kept(SigningKeys, directory, kind) for kind in SigningKind},
            sealing={kind: _kept(SealingKeys, directory, kind) for kind in SealingKind},
            mac={kind: _kept(MacKey, directory, kind) for kind in MacKind},
        )

    @classmethod
    def create_missing(cls, directory: Path, *, now: datetime) -> KeyRing:
        """Make the key files that are not there, never touching one that is; safe for two starters at once."""
        private_directory(directory)
        for kind in KINDS:
            if not (directory / f"{kind}.json").exists():
                _create(directory, kind, now=now)
        return cls.load(directory)

    @staticmethod
    def add(directory: Path, kind: str, *, now: datetime) -> None:
        """Make the keys of one of KINDS, one that a new release brought. Raises AlreadyExists: no file is replaced."""
        private_directory(directory)
        if not _create(directory, kind, now=now):
            raise AlreadyExists(Reason.ALREADY_EXISTS, kind=kind)

    def public_keys(self) -> Mapping[SigningKind, Mapping[str, bytes]]:
        """What another process needs to check what is signed here."""
        return {kind: keys.public_keys() for kind, keys in self.signing.items()}


def framed(*parts: bytes) -> bytes:
    """The parts, each behind its length in 8 bytes, so that where one ends cannot be argued about."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _kept(made: type[AnyKeys], directory: Path, kind: str) -> AnyKeys:
    path = directory / f"{kind}.json"
    if not path.exists():
        is_new = not any((directory / f"{other}.json").exists() for other in KINDS)
        # A new key in the place of a lost one opens nothing that the lost one sealed: only a person knows which it is.
        later = f"restore it from the backup; if this release brought it: `infosec keys add {kind}`"
        raise _broken(path, "no such key file", "run `infosec init`, or restore the backup" if is_new else later)
    return made.load(path)


def _create(directory: Path, kind: str, *, now: datetime) -> bool:
    """Write fresh keys. False where a file is there already, which stays as it is."""
    return KINDS[kind].generate(kind, now=now).write_new(directory / f"{kind}.json")


def _entry(record: KeyRecord) -> dict[str, str]:
    entry = {"kid": record.kid, "created": record.created.isoformat()}
    entry["state"] = "active" if record.is_active else "retired"
    if record.retired is not None:
        entry["retired"] = record.retired.isoformat()
    if record.public is not None:
        entry["public"] = _b64(record.public)
    if record.private is not None:
        entry["private"] = _b64(record.private.reveal())
    return entry


def _parse(path: Path, data: bytes) -> tuple[str, tuple[KeyRecord, ...]]:
    try:
        document = json.loads(data)
        records = tuple(_record(entry) for entry in document["keys"])
        kind = str(document["kind"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        # The parser's own text may quote the file, and the file is secret.
        raise _broken(path, "not a whole key file", "restore it from the backup") from None
    if kind != path.stem:
        raise _broken(path, f"keys of kind {kind}", f"a file of this kind is named {kind}.json")
    if sum(record.is_active for record in records) != 1 or len({record.kid for record in records}) != len(records):
        raise _broken(path, "not exactly one active key, or an identifier twice", "restore it from the backup")
    return kind, records


def _record(entry: Mapping[str, str]) -> KeyRecord:
    private = _unb64(entry["private"]) if "private" in entry else None
    public = _unb64(entry["public"]) if "public" in entry else None
    if (private is None and public is None) or any(len(half) != 32 for half in (private, public) if half is not None):
        raise ValueError("a key is 32 bytes")
    if public and private and Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() != public:
        raise ValueError("the halves are of different keys")
    if not re.fullmatch(r"[A-Za-z0-9_-]{12}|[0-9a-f]{16}", entry["kid"]) or entry["state"] not in ("active", "retired"):
        raise ValueError("bad identifier or state")
    return KeyRecord(
        kid=entry["kid"],
        created=datetime.fromisoformat(entry["created"]),
        private=None if private is None else SecretBytes(private),
        public=public,
        retired=datetime.fromisoformat(entry["retired"]) if entry["state"] == "retired" else None,
    )


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _broken(path: Path, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, path=str(path), detail=detail, hint=hint)
