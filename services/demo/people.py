"""The people of the demo: each with a phone, a password in their head, and an authenticator. Their secrets are random."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyotp

from authsvc.flows.setup import FirstAdministrator
from infosec.api.auth.v1 import staff_pb2
from infosec.secret import Secret
from services.demo.places import rows

_CONSONANTS = "bcdfghjkmnpqrstvwxz"
_LETTERS = 16
_ON_ITS_WAY = timedelta(seconds=10)
"""What a code may take to be looked at. The oldest one ends with the step that it is shown in."""
_TEST_RANGE = "1990000"
"""Eleven digits in all; nobody's phone, and nothing is sent anyway."""


class Authenticator:
    """The app on the phone. Every code is used once (RQ-3), so it never shows one twice."""

    def __init__(self, uri: Secret) -> None:
        totp = pyotp.parse_uri(uri.reveal())
        if not isinstance(totp, pyotp.TOTP):
            raise ValueError("codes by counter are not used here")
        self._totp = totp
        self._last = 0

    def code(self, now: datetime) -> Secret | None:
        """The next unused code that is accepted at `now` and for some seconds more, or None: wait for the next one."""
        oldest, newest = self._totp.timecode(now + _ON_ITS_WAY) - 1, self._totp.timecode(now) + 1
        step = max(self._last + 1, oldest)
        if step > newest:
            return None
        self._last = step
        return Secret(self._totp.generate_otp(step))


@dataclass(slots=True, kw_only=True)
class Person:
    """One person and what they have at hand. `tokens` are those of the running session, by system."""

    staff_id: str
    name: str
    role_id: str
    store_id: str
    birthday: str
    phone: Secret
    password: Secret = field(default_factory=lambda: Secret(""))
    authenticator: Authenticator | None = None
    terminal: str = ""
    tokens: dict[str, Secret] = field(default_factory=dict)

    @property
    def as_new(self) -> staff_pb2.NewStaff:
        """The person as an administrator types them in."""
        return staff_pb2.NewStaff(
            staff_id=self.staff_id,
            name=self.name,
            phone=self.phone.reveal(),
            role_id=self.role_id,
            store_id=self.store_id,
            birthday=self.birthday,
        )

    @property
    def as_first(self) -> FirstAdministrator:
        """The person as the set-up wants the first administrators."""
        return FirstAdministrator(staff_id=self.staff_id, name=self.name, phone=self.phone.reveal())


def listed(text: str, taken: set[str]) -> list[Person]:
    """The people of a list, each with a new phone; `taken` holds the numbers that are given out."""
    return [
        Person(
            staff_id=row["staff_id"],
            name=row["name"],
            role_id=row["role_id"],
            store_id=row["store_id"],
            birthday=row["birthday"],
            phone=_phone(taken),
        )
        for row in rows(text)
    ]


def new_password() -> Secret:
    """A random password that no rule refuses: one long run of consonants cannot be a name, a word or a row of keys."""
    letters = "".join(secrets.choice(_CONSONANTS) for _ in range(_LETTERS))
    return Secret(f"{letters}-{secrets.randbelow(8) + 2}")


def _phone(taken: set[str]) -> Secret:
    while True:
        number = f"{_TEST_RANGE}{secrets.randbelow(10_000):04d}"
        if number not in taken:
            taken.add(number)
            return Secret(number)
