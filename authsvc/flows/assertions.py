"""Says, signed, who a person is: for services that must not ask authsvc. Changes nothing, so nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from authsvc.actor import Actors
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion, issue_assertion
from infosec.ids import SystemId
from infosec.keys import SigningKeys
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Asserted:
    """An assertion's text, and when it ends."""

    text: Secret
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertions:
    """Signs identity assertions of this installation."""

    actors: Actors
    keys: SigningKeys
    installation: str
    clock: Clock
    life: timedelta

    async def of(self, token: str, system_id: SystemId) -> Asserted:
        """Who acts in this session now, for `system_id` alone. Raises as Actors.of: from PostgreSQL, at this moment."""
        handle = self.actors.handle(token, system_id)
        actor = await self.actors.of(token, system_id)
        issued_s = int(self.clock.now().timestamp())
        # Never beyond the session's own end (ID-9): its token says when that is.
        expires_s = min(issued_s + int(self.life.total_seconds()), handle.expires_s)
        assertion = IdentityAssertion(
            staff_id=actor.staff_id,
            role_id=actor.role_id,
            store_id=actor.store_id,
            region_id=actor.region_id,
            session_id=actor.session_id,
            system_id=actor.system_id,
            terminal_id=actor.terminal_id,
            installation=self.installation,
            issued_s=issued_s,
            expires_s=expires_s,
            stepped_up_until_s=0 if actor.stepped_up_until is None else int(actor.stepped_up_until.timestamp()),
        )
        text = Secret(issue_assertion(assertion, self.keys))
        return Asserted(text=text, expires_at=datetime.fromtimestamp(expires_s, UTC))
