"""Time-based one-time codes (RFC 6238), each accepted once (RQ-3). Pure: the secret's bytes and the time come in."""

from __future__ import annotations

import base64
import hmac
import unicodedata
from datetime import datetime

import pyotp

from authsvc.profile import Profile
from infosec.ids import StaffId
from infosec.secret import Secret, SecretBytes

SECRET_BYTES = 20
"""As long as the digest of SHA-1, as RFC 4226 recommends."""
DIGITS = 6
ISSUER = "infosec"


def accepted_step(secret: SecretBytes, code: Secret, *, now: datetime, last_step: int, profile: Profile) -> int | None:
    """The time step whose code this is, or None. `last_step` is the last one accepted: it and older ones are used up.

    pyotp's own `verify` takes a code twice; here the caller keeps the step. Every candidate is compared.
    """
    given = "".join(unicodedata.normalize("NFKC", code.reveal()).split()).encode("utf-8", "surrogatepass")
    generator = pyotp.TOTP(_base32(secret), digits=DIGITS, interval=int(profile.totp_step.total_seconds()))
    current = generator.timecode(now)
    found = None
    for step in range(current - profile.totp_drift_steps, current + profile.totp_drift_steps + 1):
        expected = generator.generate_otp(max(0, step)).encode()
        if hmac.compare_digest(expected, given) and step > last_step and found is None:
            found = step
    return found


def provisioning_uri(secret: SecretBytes, staff_id: StaffId, profile: Profile) -> Secret:
    """The otpauth:// URI that an authenticator reads."""
    generator = pyotp.TOTP(_base32(secret), digits=DIGITS, interval=int(profile.totp_step.total_seconds()))
    return Secret(generator.provisioning_uri(name=staff_id, issuer_name=ISSUER))


def _base32(secret: SecretBytes) -> str:
    return base64.b32encode(secret.reveal()).decode()
