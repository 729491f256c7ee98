"""Signed notes and verifier keys (C2SP signed-note; golang.org/x/mod/sumdb/note): text with lines of signatures under it.

A note says nothing until a key that the reader already has verified it. Unknown signatures are passed over, so that
witnesses may add theirs and keys may change; a signature in a known key's name that is not the key's is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infosec.secret import SecretBytes
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.spelling import decode_base64, encode_base64

ED25519 = 0x01
"""The signature type of NoteKey."""
KEY_BYTES = 32
KEY_ID_BYTES = 4
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class Verifier(Protocol):
    """A key that the reader knows and trusts."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes:
        """Four bytes, which with the name say which signatures are this key's."""

    def verify(self, text: str, signature: bytes) -> None:
        """Raises NotVerified(BAD_SIGNATURE) unless the key made this signature over this text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line. Nothing about it is verified."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        return f"— {self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text, which ends in a newline, and its signatures. Nothing about it is verified."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return (self.text + "\n" + "".join(one.line() for one in self.signatures)).encode("utf-8")

    def with_signatures(self, *more: Signature) -> SignedNote:
        """The same text with signatures added; one that is there already is not added again."""
        return replace(self, signatures=tuple(dict.fromkeys((*self.signatures, *more))))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """An Ed25519 public key (32 bytes) under a name, for signatures of one type: what a verifier key is."""

    kind: ClassVar[int]
    """The signature type, a byte."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_key(self.name, self.public)

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.kind, self.public)

    def vkey(self) -> str:
        """One line of text to publish the key by."""
        return format_vkey(self.name, self.kind, self.public)

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Raises NotVerified(MALFORMED_KEY)."""
        name, public = parse_vkey(vkey, cls.kind)
        return cls(name=name, public=public)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey(NamedKey):
    """A key whose signatures are over the text alone. A Verifier."""

    kind = ED25519

    def verify(self, text: str, signature: bytes) -> None:
        verify_ed25519(self, self.public, text.encode("utf-8"), signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSigner:
    """A key with its private half behind a function: where that half is kept is the caller's."""

    key: NoteKey
    sign_bytes: Callable[[bytes], bytes]

    @classmethod
    def of_seed(cls, name: str, seed: SecretBytes) -> Self:
        """From the 32 private bytes (RFC 8032)."""
        private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        return cls(key=NoteKey(name=name, public=private.public_key().public_bytes_raw()), sign_bytes=private.sign)

    def sign(self, text: str) -> Signature:
        """Raises NotVerified: MALFORMED_NOTE for text that no note holds; BAD_SIGNATURE if the halves are of two keys."""
        check_text(text)
        signature = self.sign_bytes(text.encode("utf-8"))
        self.key.verify(text, signature)
        return Signature(name=self.key.name, key_id=self.key.key_id, signature=signature)


def sign_note(text: str, *signers: NoteSigner) -> SignedNote:
    """Raises NotVerified(MALFORMED_NOTE) for text without its final newline, with control characters or surrogates."""
    return SignedNote(text=text, signatures=tuple(signer.sign(text) for signer in signers))


def parse_note(data: bytes) -> SignedNote:
    """The note, unverified. Raises NotVerified(MALFORMED_NOTE) with `detail`."""
    if len(data) > MAX_NOTE_BYTES:
        raise _malformed("too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("not UTF-8") from None
    check_text(whole)
    text, blank, lines = whole.rpartition("\n\n")
    if not blank:
        raise _malformed("no signatures")
    return SignedNote(text=text + "\n", signatures=parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """One or more signature lines, each with its newline. Raises NotVerified(MALFORMED_NOTE)."""
    *each, rest = lines.split("\n")
    if rest or not each:
        raise _malformed("no newline at the end")
    if len(each) > MAX_SIGNATURES:
        raise _malformed("too many signatures")
    return tuple(_parse_signature(line) for line in each)


def verify_note(note: SignedNote, known: Collection[Verifier]) -> tuple[Verifier, ...]:
    """The known keys that signed this text, at least one, each once.

    Raises NotVerified: BAD_SIGNATURE if a known key's signature does not hold, NOT_SIGNED if there is none.
    """
    signed_by = verified(note, known)
    if not signed_by:
        raise NotVerified(Fault.NOT_SIGNED)
    return tuple(dict.fromkeys(key for key, _ in signed_by))


def verified(note: SignedNote, known: Collection[Verifier]) -> tuple[tuple[Verifier, Signature], ...]:
    """The signatures by known keys, possibly none. Raises NotVerified(BAD_SIGNATURE)."""
    pairs = tuple(
        (key, one) for one in note.signatures for key in known if (key.name, key.key_id) == (one.name, one.key_id)
    )
    for key, one in pairs:
        key.verify(note.text, one.signature)
    return pairs


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Names a key, and proves nothing: anybody can make a key with the same identifier."""
    return sha256(name.encode("utf-8") + b"\n" + bytes((kind,)) + public).digest()[:KEY_ID_BYTES]


def format_vkey(name: str, kind: int, public: bytes) -> str:
    """`<name>+<key ID in hex>+<base64 of type and key>`."""
    return f"{name}+{key_id(name, kind, public).hex()}+{encode_base64(bytes((kind,)) + public)}"


def parse_vkey(vkey: str, kind: int) -> tuple[str, bytes]:
    """Name and public key of a verifier key of this type. Raises NotVerified(MALFORMED_KEY)."""
    name, _, rest = vkey.partition("+")
    identifier, _, encoded = rest.partition("+")
    try:
        data = decode_base64(encoded)
    except ValueError:
        raise NotVerified(Fault.MALFORMED_KEY, detail="not base64") from None
    if data[:1] != bytes((kind,)):
        raise NotVerified(Fault.MALFORMED_KEY, detail="another type of key")
    check_key(name, data[1:])
    if not _KEY_ID.fullmatch(identifier) or key_id(name, kind, data[1:]).hex() != identifier:
        raise NotVerified(Fault.MALFORMED_KEY, detail="the identifier is not this key's")
    return name, data[1:]


def check_key(name: str, public: bytes) -> None:
    """Raises NotVerified(MALFORMED_KEY) for a name that no signature line holds, or a key of another length."""
    if not _is_name(name):
        raise NotVerified(Fault.MALFORMED_KEY, detail="not a key name")
    if len(public) != KEY_BYTES:
        raise NotVerified(Fault.MALFORMED_KEY, detail="not 32 bytes")


def check_text(text: str) -> None:
    """Raises NotVerified(MALFORMED_NOTE) unless the text is UTF-8 without controls and ends in a newline."""
    if not text.endswith("\n"):
        raise _malformed("no newline at the end")
    if _CONTROL.search(text):
        raise _malformed("a control character")
    if not _is_utf8(text):
        raise _malformed("not UTF-8")


def verify_ed25519(key: Verifier, public: bytes, message: bytes, signature: bytes) -> None:
    """RFC 8032. Raises NotVerified(BAD_SIGNATURE) with the key's name."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise NotVerified(Fault.BAD_SIGNATURE, key=key.name) from None


def _parse_signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or not _is_name(name):
        raise _malformed("not a signature line")
    try:
        data = decode_base64(encoded)
    except ValueError:
        raise _malformed("a signature that is not base64") from None
    if len(data) <= KEY_ID_BYTES:
        raise _malformed("a signature without bytes")
    return Signature(name=name, key_id=data[:KEY_ID_BYTES], signature=data[KEY_ID_BYTES:])


def _is_name(name: str) -> bool:
    spaced = any(letter.isspace() or letter == "+" for letter in name)
    return bool(name) and not spaced and not _CONTROL.search(name) and _is_utf8(name)


def _is_utf8(text: str) -> bool:
    """False for lone surrogates, which only text made in this process can have."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _malformed(detail: str) -> NotVerified:
    return NotVerified(Fault.MALFORMED_NOTE, detail=detail)
