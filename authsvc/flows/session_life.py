"""What a person does with their own session: lock, resume, log off, and a token for another system (ID-9)."""

from __future__ import annotations

from dataclasses import dataclass

from authsvc.actor import Actors
from authsvc.flows.attempts import Attempts, nothing
from authsvc.flows.counting import Scene
from authsvc.flows.login import Tokens
from authsvc.flows.own_session import ask_in_session, require_same_session
from authsvc.flows.transitions import record_end
from authsvc.lockout import Purpose
from authsvc.sessions import EndReason
from authsvc.store import places, sessions
from authsvc.work import ChangeKind, Work, Works
from infosec.clock import Clock
from infosec.errors import PermissionDenied, Reason
from infosec.events.types import EventType
from infosec.ids import RegionId, SystemId
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRevision:
    """The revision at which every node knows what was done."""

    region_id: RegionId
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLife:
    """The life of a session after its login."""

    works: Works
    actors: Actors
    attempts: Attempts
    tokens: Tokens
    clock: Clock

    async def lock(self, token: str, system_id: SystemId) -> AtRevision:
        """Lock it at its terminal. Locking a locked one changes nothing."""
        actor = await self.actors.of_any(token, system_id)
        region = actor.region_id
        async with self.works.begin() as work:
            if await sessions.lock(work.conn, actor.session_id):
                work.event(EventType.SESSION_LOCKED, region, staff_id=actor.staff_id, session_id=actor.session_id)
                work.change(region, ChangeKind.SESSION, actor.session_id)
            known = await sessions.revision(work.conn, region)
        return AtRevision(region_id=region, number=work.revisions.get(region, known))

    async def resume(self, token: str, system_id: SystemId, *, password: Secret) -> AtRevision:
        """Unlock it with the password: no new session, and no count is reset."""
        actor = await self.actors.of_any(token, system_id)
        region = actor.region_id

        async def settle(work: Work, scene: Scene, _: None) -> int:
            require_same_session(actor, scene)
            if await sessions.resume(work.conn, actor.session_id, work.now):
                work.event(EventType.SESSION_RESUMED, region, staff_id=actor.staff_id, session_id=actor.session_id)
                work.change(region, ChangeKind.SESSION, actor.session_id)
            return await sessions.revision(work.conn, region)

        ask = ask_in_session(actor, Purpose.RESUME, password=password)
        settled = await self.attempts.run(ask, nothing, settle)
        return AtRevision(region_id=region, number=settled.revisions.get(region, settled.value))

    async def logout(self, token: str, system_id: SystemId) -> AtRevision:
        """End it. One that has ended is left as it is, so a repeated call does no harm."""
        handle = self.actors.handle(token, system_id)
        async with self.works.begin() as work:
            ended = await sessions.end(work.conn, handle.session_id, work.now, EndReason.LOGOUT.value)
            if ended is not None:
                record_end(work, ended, EndReason.LOGOUT)
            known = await sessions.revision(work.conn, handle.region)
        return AtRevision(region_id=handle.region, number=work.revisions.get(handle.region, known))

    async def token_for(self, token: str, system_id: SystemId, *, target: SystemId) -> Secret:
        """A token with which `target` acts in this session. Raises PermissionDenied(CALLER_OUT_OF_PLACE)."""
        handle = self.actors.handle(token, system_id)
        actor = await self.actors.of_any(token, system_id)
        async with self.works.read() as conn:
            if not await places.is_registered(conn, target, actor.terminal_id):
                raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE, system=target, terminal=actor.terminal_id)
            revision = await sessions.revision(conn, handle.region)
        return self.tokens.issue(
            session_id=actor.session_id,
            staff_id=actor.staff_id,
            system_id=target,
            terminal_id=actor.terminal_id,
            region_id=handle.region,
            revision=revision,
            expires_s=handle.expires_s,
            now=self.clock.now(),
        )
