"""What can be asked of the notify service, without the wire: submit, look, list what was given up, retry.

Nothing that it answers holds a body or a whole phone number.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from infosec import canonical, sms
from infosec.clock import Clock
from infosec.errors import InvalidInput, Reason
from infosec.storage.postgres import Database
from services.notify import store
from services.notify.messages import MAX_LIFE, Delivery, DeliveryState, RetryPolicy, retried, seen_at
from services.notify.sender import Sender

Position = tuple[datetime, uuid.UUID]
"""Where a page of dead letters ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A sealed message as it is handed in."""

    message_id: uuid.UUID
    template: str
    sealed: bytes
    expires_at: datetime

    def digest(self) -> bytes:
        """32 bytes that tell this message from another. Over sealed bytes: it says nothing about what they hold."""
        end = self.expires_at.isoformat(timespec="microseconds")
        return hashlib.sha256(canonical.encode([self.template, end, self.sealed.hex()])).digest()


class Deliveries:
    """The messages of one installation."""

    def __init__(
        self, *, db: Database, keys: sms.Sealer, sender: Sender, clock: Clock, policy: RetryPolicy, answer_wait_s: float
    ) -> None:
        self._db = db
        self._keys = keys
        self._sender = sender
        self._clock = clock
        self._policy = policy
        self._answer_wait_s = answer_wait_s

    async def submit(self, submission: Submission, *, wait_s: float | None = None) -> Delivery:
        """Take a message and say how its delivery stands, after waiting a moment for the gateway's first word (ID-1).

        The message is durable before its delivery begins; one that comes after its end is recorded as EXPIRED, without
        its body. Raises InvalidInput where it does not open or would be kept too long, AlreadyExists for other content
        under the same ID; the same content again is the same message.
        """
        wait = self._answer_wait_s if wait_s is None else min(wait_s, self._answer_wait_s)
        fresh = self._checked(submission)
        with self._sender.watching(submission.message_id) as answered:
            async with self._db.transaction() as conn:
                sealed = submission.sealed if fresh.keeps_body else b""
                await store.insert(conn, fresh, sealed=sealed, digest=submission.digest())
                (present,) = await store.find(conn, [submission.message_id])
            if present.state is not DeliveryState.QUEUED or present.attempts:
                return seen_at(present, self._clock.now())
            self._sender.nudge()
            try:
                async with asyncio.timeout(wait):
                    await answered.wait()
            except TimeoutError:
                pass  # read below: another process may have sent it
        (present,) = await self.find([submission.message_id])
        return present

    async def find(self, message_ids: Sequence[uuid.UUID]) -> list[Delivery]:
        """How these fared, in the order asked for; unknown ones are left out."""
        async with self._db.statements() as conn:
            found = await store.find(conn, message_ids)
        return [seen_at(delivery, self._clock.now()) for delivery in found]

    async def dead_letters(self, *, before: Position | None, count: int) -> list[Delivery]:
        """At most `count` messages that were given up, newest first."""
        async with self._db.statements() as conn:
            found = await store.dead(conn, before=before, count=count)
        return [seen_at(delivery, self._clock.now()) for delivery in found]

    async def retry(self, message_id: uuid.UUID, *, request_id: uuid.UUID) -> Delivery:
        """Another round for a message that was given up; once per request ID, whatever became of that round.

        Raises NotFound, or FailedPrecondition(STATE_CONFLICT) when the body is gone.
        """
        now = self._clock.now()
        async with self._db.transaction() as conn:
            present = await store.locked(conn, message_id)
            if await store.retry_begun(conn, message_id, request_id):
                return seen_at(present, now)
            again = retried(present, now=now, policy=self._policy)
            if again is not present:
                await store.save(conn, again)
                await store.begin_retry(conn, message_id, request_id)
        self._sender.nudge()
        return again

    def _checked(self, submission: Submission) -> Delivery:
        """The message as it begins. It is opened once here, so that what can never be sent is refused at once."""
        message = sms.open_message(
            self._keys, message_id=submission.message_id, template=submission.template, sealed=submission.sealed
        )
        now = self._clock.now()
        if submission.expires_at > now + MAX_LIFE:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="expires_at", detail="within seven days")
        fresh = Delivery(
            message_id=submission.message_id,
            template=submission.template,
            masked_phone=sms.masked_phone(message.phone.reveal()),
            created_at=now,
            updated_at=now,
            next_try_at=now,
            expires_at=submission.expires_at,
        )
        return seen_at(fresh, now)
