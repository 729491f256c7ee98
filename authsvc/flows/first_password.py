"""The first password: made by the system, known to the phone alone (ID-1, RQ-5).

Used by hiring, import and every approved way back. The hash is prepared before the transaction, so that none waits for it.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from authsvc.hashing import PasswordHasher
from authsvc.passwords import first_password, normalise
from authsvc.profile import Profile
from authsvc.store import credentials
from authsvc.work import Message, Work
from infosec import sms
from infosec.ids import StaffId
from infosec.keys import SealingKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPassword:
    """A first password, hashed, with its SMS sealed: nothing readable is left."""

    hash: str
    message: Message


class FirstPasswords:
    """Prepares first passwords and puts them in force."""

    def __init__(self, hasher: PasswordHasher, message_keys: SealingKeys, profile: Profile) -> None:
        self._hasher = hasher
        self._message_keys = message_keys
        self._profile = profile

    async def prepare(self, staff_id: StaffId, phone: str, now: datetime) -> PreparedPassword:
        """Make, hash and seal one for the bound phone. Raises ResourceExhausted(OVERLOADED)."""
        password = first_password(secrets.randbelow, self._profile)
        expires_at = now + self._profile.first_password_life
        text = sms.render(sms.Template.FIRST_PASSWORD, "zh-CN", staff_id=staff_id, password=password)
        message_id = uuid.uuid4()
        sealed = sms.seal_message(self._message_keys, message_id, sms.Template.FIRST_PASSWORD, phone, text)
        hashed = await self._hasher.hash(normalise(password))
        message = Message(
            message_id=message_id, template=sms.Template.FIRST_PASSWORD.value, sealed=sealed, expires_at=expires_at
        )
        return PreparedPassword(hash=hashed, message=message)

    async def put_in_force(self, work: Work, staff_id: StaffId, prepared: PreparedPassword) -> None:
        """Replace whatever credential there is: count cleared, one use, 24 h. The caller moves the state and ends sessions."""
        work.message(prepared.message)
        await credentials.put_first(
            work.conn,
            staff_id,
            hash=prepared.hash,
            expires_at=prepared.message.expires_at,
            delivery_id=prepared.message.message_id,
            now=work.now,
        )
