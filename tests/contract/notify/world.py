"""What the tests of the notify service need around it: a maker of messages, a gateway with moods, tokens."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from infosec import sms
from infosec.clock import ManualClock
from infosec.errors import Reason, Unauthenticated
from infosec.ids import RoleId, StaffId
from infosec.keys import SealingKeys, SealingKind
from infosec.rpc.server.identity import Caller
from infosec.secret import Secret
from infosec.sms import Template
from infosec.storage.postgres import Database
from services.notify import app
from services.notify.deliveries import Submission
from services.notify.ports import Gateway, Receipt

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PHONE = "13812345678"
MARKER = "Mk7#first-password"
TOKENS = {
    "admin": (StaffId("ops.1"), RoleId("administrator")),
    "audit": (StaffId("aud.1"), RoleId("auditor")),
    "clerk": (StaffId("bj-1"), RoleId("clerk")),
}


class MoodyGateway:
    """Takes messages, or raises what it is told to; `gate` holds it up while it is cleared."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []
        self.asked = 0
        self.fault: Exception | None = None
        self.receipt = Receipt.ACCEPTED
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, message_id: str, phone: Secret, text: Secret) -> Receipt:
        self.asked += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.taken.append((message_id, phone.reveal(), text.reveal()))
        return self.receipt

    async def health(self) -> None:
        """Always there."""


async def read_token(token: str, _caller: Caller) -> tuple[StaffId, RoleId]:
    """A TokenReader."""
    if token not in TOKENS:
        raise Unauthenticated(Reason.TOKEN_INVALID)
    return TOKENS[token]


class NotifyWorld:
    """One process of the notify service; `another` is a second one on the same database and keys."""

    def __init__(
        self,
        *,
        db: Database,
        clock: ManualClock,
        gateway: Gateway,
        keys: SealingKeys | None = None,
        answer_wait_s: float = 0,
    ) -> None:
        self.db = db
        self.clock = clock
        self.gateway = gateway
        self.keys = keys or SealingKeys.generate(SealingKind.MESSAGES, now=START)
        self.app = app.build(
            db=db,
            keys=self.keys,
            gateway=gateway,
            clock=clock,
            read_token=read_token,
            is_loopback=True,
            answer_wait_s=answer_wait_s,
        )

    def another(self, gateway: Gateway) -> NotifyWorld:
        return NotifyWorld(db=self.db, clock=self.clock, gateway=gateway, keys=self.keys)

    def message(self, *, text: str = MARKER, life: timedelta = timedelta(hours=24)) -> Submission:
        """A sealed first password, as its maker would hand it in."""
        message_id = uuid.uuid4()
        template = Template.FIRST_PASSWORD
        sealed = sms.seal_message(
            self.keys, message_id=message_id, template=template, phone=Secret(PHONE), text=Secret(text)
        )
        return Submission(
            message_id=message_id, template=template.value, sealed=sealed, expires_at=self.clock.now() + life
        )
