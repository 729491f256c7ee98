"""TOTP: enrolling, activating, and stepping up for decisions (RQ-3). Failures count as wrong passwords do (ID-5)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from authsvc import totp
from authsvc.actor import Actors
from authsvc.flows.attempts import Attempts, nothing, totp_context
from authsvc.flows.counting import Scene
from authsvc.flows.own_session import ask_in_session, complete, require_open, require_same_session
from authsvc.lockout import Purpose
from authsvc.profile import Profile
from authsvc.sessions import Duty
from authsvc.store import credentials, sessions
from authsvc.work import Work, Works
from infosec.errors import FailedPrecondition, Reason
from infosec.events.types import EventType
from infosec.ids import StaffId, SystemId
from infosec.keys import SealingKeys
from infosec.secret import Secret, SecretBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactors:
    """The person's own second factor, from their own session."""

    works: Works
    actors: Actors
    attempts: Attempts
    totp_keys: SealingKeys
    profile: Profile

    async def step_up(self, token: str, system_id: SystemId, *, code: Secret) -> datetime:
        """Prove it again; answers until when it serves. Raises FailedPrecondition(STATE_CONFLICT) where none is active."""
        actor = await self.actors.of(token, system_id)
        await self._require(actor.staff_id, active=True)

        async def settle(work: Work, scene: Scene, _: None) -> datetime:
            require_same_session(actor, scene)
            until = work.now + self.profile.step_up_life
            await sessions.step_up(work.conn, actor.session_id, until)
            work.event(
                EventType.STEP_UP_SUCCEEDED, actor.region_id, staff_id=actor.staff_id, session_id=actor.session_id
            )
            return until

        settled = await self.attempts.run(ask_in_session(actor, Purpose.STEP_UP, code=code), nothing, settle)
        return settled.value

    async def enroll(self, token: str, system_id: SystemId, *, password: Secret, code: Secret) -> Secret:
        """A new secret as an otpauth:// URI, shown this once. The password, and a code of the device in use, are asked for."""
        actor = await self.actors.of_any(token, system_id)
        require_open(actor)
        secret = SecretBytes(secrets.token_bytes(totp.SECRET_BYTES))

        async def settle(work: Work, scene: Scene, _: None) -> None:
            require_same_session(actor, scene)
            sealed = self.totp_keys.seal(secret.reveal(), totp_context(actor.staff_id))
            await credentials.put_pending_totp(work.conn, actor.staff_id, sealed)
            work.event(EventType.TOTP_ENROLLED, actor.region_id, staff_id=actor.staff_id)

        ask = ask_in_session(actor, Purpose.ENROLL_TOTP, password=password, code=code)
        await self.attempts.run(ask, nothing, settle)
        return totp.provisioning_uri(secret, actor.staff_id, self.profile)

    async def activate(self, token: str, system_id: SystemId, *, code: Secret) -> tuple[Duty, ...]:
        """Put the enrolled secret in force with a first code; answers what is left to do in the session.

        Raises FailedPrecondition(STATE_CONFLICT) where none was enrolled.
        """
        actor = await self.actors.of_any(token, system_id)
        require_open(actor)
        await self._require(actor.staff_id, active=False)

        async def settle(work: Work, scene: Scene, _: None) -> tuple[Duty, ...]:
            require_same_session(actor, scene)
            await credentials.activate_totp(work.conn, actor.staff_id)
            work.event(EventType.TOTP_ACTIVATED, actor.region_id, staff_id=actor.staff_id)
            ends = scene.person.ends_at
            return await complete(work, actor, scene, self.profile, duty=Duty.ENROLL_TOTP, password_ends_at=ends)

        ask = ask_in_session(actor, Purpose.ACTIVATE_TOTP, code=code)
        return (await self.attempts.run(ask, nothing, settle)).value

    async def _require(self, staff_id: StaffId, *, active: bool) -> None:
        """That there is a secret to prove: the active one, or the pending one."""
        async with self.works.read() as conn:
            has = await credentials.totp_standing(conn, staff_id)
        if not (has.active if active else has.pending):
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="no second factor to prove")
