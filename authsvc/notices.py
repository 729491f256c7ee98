"""What is told to the bound phone alone (ID-7): makes sealed messages. Knows no gateway and no storage."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from authsvc.facts import FactSeal
from authsvc.work import Message
from infosec import sms
from infosec.clock import CARRIER_ZONE
from infosec.ids import StaffId
from infosec.keys import SealingKeys
from infosec.messages import Locale
from infosec.secret import Secret

NOTICE_LIFE = timedelta(hours=24)
"""After that a notice would confuse more than it tells."""
_LONGEST_HOTLINE = 16


class Notices:
    """Renders and seals SMS to members of staff."""

    def __init__(self, *, message_keys: SealingKeys, seal: FactSeal) -> None:
        self._message_keys = message_keys
        self._seal = seal

    def to_staff(
        self, template: sms.Template, staff_id: StaffId, phone_sealed: bytes, now: datetime, **facts: str
    ) -> Message:
        """A notice for the bound phone, good for a day. `hotline` and other empty facts may be given."""
        phone = self._seal.open_phone(staff_id, phone_sealed)
        return self.to_phone(template, staff_id, phone, now + NOTICE_LIFE, **facts)

    def to_phone(
        self, template: sms.Template, staff_id: StaffId, phone: Secret, expires_at: datetime, **facts: str | Secret
    ) -> Message:
        """A message about a staff ID for this very phone."""
        shown = {name: fact for name, fact in facts.items() if not _is_idle_talk(name, fact)}
        text = sms.render(template, Locale.ZH_CN, staff_id=staff_id, **shown)
        message_id = uuid.uuid4()
        sealed = sms.seal_message(self._message_keys, message_id=message_id, template=template, phone=phone, text=text)
        return Message(message_id=message_id, template=template.value, sealed=sealed, expires_at=expires_at)


def local_time(moment: datetime) -> str:
    """A moment as a person in a store reads it."""
    return moment.astimezone(CARRIER_ZONE).strftime("%Y-%m-%d %H:%M")


def _is_idle_talk(name: str, fact: str | Secret) -> bool:
    """An empty fact, or a hotline that would be clipped: half a telephone number helps nobody."""
    return isinstance(fact, str) and (not fact or (name == "hotline" and len(fact) > _LONGEST_HOTLINE))
