"""Cosignatures (C2SP tlog-cosignature, version 1): "at this time, this was the largest consistent tree that I had seen".

With enough of them a reader need not trust the log to show everybody the same tree.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infosec.secret import SecretBytes
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import NamedKey, Signature, SignedNote, verified, verify_ed25519

TIMESTAMPED_ED25519 = 0x04
"""The signature type of WitnessKey."""

_TIMESTAMP = struct.Struct(">Q")
_ED25519_BYTES = 64
_LAST_SECOND = int(datetime.max.replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey(NamedKey):
    """A witness's key, whose signatures are over a time and the text. A notes.Verifier for cosignatures."""

    kind = TIMESTAMPED_ED25519

    def verify(self, text: str, signature: bytes) -> None:
        seconds = cosigned_seconds(self.name, signature)
        verify_ed25519(self, self.public, _message(text, seconds), signature[_TIMESTAMP.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSigner:
    """A witness's key with its private half behind a function."""

    key: WitnessKey
    sign_bytes: Callable[[bytes], bytes]

    @classmethod
    def of_seed(cls, name: str, seed: SecretBytes) -> Self:
        """From the 32 private bytes (RFC 8032). One witness, one key: the name is not part of what is signed."""
        private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        return cls(key=WitnessKey(name=name, public=private.public_key().public_bytes_raw()), sign_bytes=private.sign)

    def cosign(self, checkpoint: Checkpoint, *, now: datetime) -> Signature:
        """Only for a checkpoint that witness.judge let through and that is already persisted. `now` is aware UTC.

        Raises NotVerified(BAD_SIGNATURE) if the halves are of two keys.
        """
        text, seconds = checkpoint.body(), int(now.timestamp())
        signature = _TIMESTAMP.pack(seconds) + self.sign_bytes(_message(text, seconds))
        self.key.verify(text, signature)
        return Signature(name=self.key.name, key_id=self.key.key_id, signature=signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A witness said so, then."""

    witness: str
    at: datetime


def cosignatures(note: SignedNote, keys: Collection[WitnessKey]) -> tuple[Cosignature, ...]:
    """The cosignatures of known witnesses on this checkpoint, possibly none.

    Raises NotVerified: BAD_SIGNATURE if one in a known key's name does not hold, SHARED_WITNESS_KEY.
    """
    _check_distinct(keys)
    return tuple(
        Cosignature(witness=key.name, at=datetime.fromtimestamp(cosigned_seconds(key.name, one.signature), UTC))
        for key, one in verified(note, keys)
    )


def verified_witnesses(note: SignedNote, keys: Collection[WitnessKey]) -> frozenset[str]:
    """The names of the known witnesses that cosigned; a witness counts once, whatever keys it has. Raises as above."""
    return frozenset(one.witness for one in cosignatures(note, keys))


def require_witnesses(
    note: SignedNote, keys: Collection[WitnessKey], *, at_least: int, not_after: datetime | None = None
) -> frozenset[str]:
    """The witnesses that cosigned, no fewer than `at_least`.

    Raises NotVerified: TOO_FEW_WITNESSES; FROM_THE_FUTURE for a cosignature made after `not_after`; and as above.
    """
    found = cosignatures(note, keys)
    for one in found:
        if not_after is not None and one.at > not_after:
            raise NotVerified(Fault.FROM_THE_FUTURE, witness=one.witness, at=one.at.isoformat())
    names = frozenset(one.witness for one in found)
    if len(names) < at_least:
        raise NotVerified(Fault.TOO_FEW_WITNESSES, witnesses=len(names), required=at_least)
    return names


def cosigned_seconds(name: str, signature: bytes) -> int:
    """The time in a cosignature, seconds since 1970. Raises NotVerified(BAD_SIGNATURE) for one that holds no time."""
    if len(signature) != _TIMESTAMP.size + _ED25519_BYTES:
        raise NotVerified(Fault.BAD_SIGNATURE, key=name)
    (seconds,) = _TIMESTAMP.unpack_from(signature)
    # The format allows 2^63 - 1; no calendar here goes beyond the year 9999, and no honest clock either.
    if seconds > _LAST_SECOND:
        raise NotVerified(Fault.BAD_SIGNATURE, key=name)
    return int(seconds)


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _check_distinct(keys: Collection[WitnessKey]) -> None:
    names: dict[bytes, str] = {}
    for key in keys:
        other = names.setdefault(key.public, key.name)
        if other != key.name:
            raise NotVerified(Fault.SHARED_WITNESS_KEY, witness=key.name, other=other)
