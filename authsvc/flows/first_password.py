"""The first password: made by the system, known to the phone alone (ID-1, RQ-5).

Used by hiring, import and every approved way back. The hash is prepared before the transaction, so that none waits for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from authsvc.flows.attempts import Hasher
from authsvc.notices import Notices
from authsvc.passwords import first_password, normalise
from authsvc.profile import Profile
from authsvc.store import credentials
from authsvc.work import Message, Work
from infosec import sms
from infosec.ids import StaffId
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPassword:
    """A first password, hashed, with its SMS sealed: nothing readable is left."""

    hash: str
    message: Message


class FirstPasswords:
    """Prepares first passwords and puts them in force."""

    def __init__(self, *, hasher: Hasher, notices: Notices, profile: Profile) -> None:
        self._hasher = hasher
        self._notices = notices
        self._profile = profile

    async def prepare(self, staff_id: StaffId, phone: Secret, now: datetime, *, hotline: str = "") -> PreparedPassword:
        """Make, hash and seal one for the bound phone. Raises ResourceExhausted(OVERLOADED)."""
        password = first_password(secrets.randbelow, self._profile)
        life = self._profile.first_password_life
        message = self._notices.to_phone(
            sms.Template.FIRST_PASSWORD,
            staff_id,
            phone,
            now + life,
            password=Secret(password),
            hours=str(life // timedelta(hours=1)),
            hotline=hotline,
        )
        return PreparedPassword(hash=await self._hasher.hash(normalise(password)), message=message)

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
