"""Signed handles: session tokens and grants as one line of text, `<kind>.<payload>.<signature>`.

One payload has one text, so a handle may be remembered by the digest of its text. Says who signed, not whether the
claims still hold: expiry and revocation are the caller's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from infosec.canonical import Json, decode_strict, encode
from infosec.errors import InfosecError, Reason, Unauthenticated
from infosec.keys import SigningKeys

MAX_BYTES = 4096


def sign(kind: str, claims: Mapping[str, Json], keys: SigningKeys) -> str:
    """Sign `claims` with the active key. The member `kid` is ours: claims must not have one."""
    if keys.kind != kind:
        raise ValueError(f"keys of kind {keys.kind} do not sign a {kind}")
    if "kid" in claims:
        raise ValueError("`kid` is not a claim")
    payload = encode({**claims, "kid": keys.active.kid})
    return f"{kind}.{_text(payload)}.{_text(keys.sign(_message(kind, payload)))}"


def open_signed(
    kind: str, text: str, public_keys: Mapping[str, bytes], *, max_bytes: int = MAX_BYTES
) -> dict[str, Json]:
    """The claims of a handle of this kind, without `kid`.

    Raises Unauthenticated(TOKEN_INVALID), always the same, for anything that was not signed in just these bytes by
    one of `public_keys` (kid -> 32 bytes, of this kind alone).
    """
    # The length is looked at before anything is parsed; nothing in the text is believed before the signature holds.
    if len(text) > max_bytes or not text.isascii():
        raise _invalid()
    pieces = text.split(".")
    if len(pieces) != 3 or pieces[0] != kind:
        raise _invalid()
    try:
        payload, signature = _bytes(pieces[1]), _bytes(pieces[2])
        claims = decode_strict(payload)
    except (InfosecError, binascii.Error, ValueError):
        raise _invalid() from None
    if not isinstance(claims, dict):
        raise _invalid()
    kid = claims.pop("kid", None)
    key = public_keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise _invalid()
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _message(kind, payload))
    except InvalidSignature:
        raise _invalid() from None
    return claims


def _message(kind: str, payload: bytes) -> bytes:
    """What is signed names the kind and version, so that no signature serves for something else."""
    return f"infosec/{kind}/v1\n".encode() + payload


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    # Unused bits in the last character, padding given by hand, or `+/`: another text for the same bytes.
    if _text(data) != text:
        raise ValueError("not the one spelling")
    return data


def _invalid() -> Unauthenticated:
    return Unauthenticated(Reason.TOKEN_INVALID)
