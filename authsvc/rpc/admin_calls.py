"""What every method of an administrator does first: who calls, who acts, and how the call is recognised when it comes again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from authsvc.actor import Actor, Actors
from authsvc.flows.once import Done
from authsvc.sight import ADMINISTRATOR
from authsvc.store.sessions import revision
from authsvc.work import Works
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.ids import RegionId
from infosec.messages import Locale
from infosec.rpc.server.identity import caller_of
from infosec.rpc.server.retries import Retries, Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, by a person known now."""

    actor: Actor
    caller: str
    system: str
    locale: Locale


class AdminCalls:
    """Resolves callers and actors for the administrators' services."""

    def __init__(self, *, works: Works, actors: Actors, retries: Retries) -> None:
        self._works = works
        self._actors = actors
        self._retries = retries

    async def by_anybody(self, token: str, context: Any) -> Call:
        """A full session of whatever role. Raises Unauthenticated, PermissionDenied."""
        caller = caller_of(context)
        actor = await self._actors.of(token, caller.system)
        return Call(actor=actor, caller=caller.id, system=caller.system, locale=caller.locale)

    async def by(self, token: str, context: Any, *roles: str) -> Call:
        """A full session of one of these roles. Raises Unauthenticated, PermissionDenied."""
        call = await self.by_anybody(token, context)
        call.actor.require_role(*roles)
        return call

    async def by_administrator(self, token: str, context: Any) -> Call:
        """An administrator's full session."""
        return await self.by(token, context, ADMINISTRATOR)

    def retry(self, method: str, request: Message, request_id: str, call: Call) -> Retry:
        """Raises InvalidInput for a request_id that is no UUID."""
        return self._retries.of(method, request, request_id=request_id, caller=call.caller, actor=call.actor.staff_id)

    async def revision(self, done: Done, region_id: RegionId) -> Revision:
        """The revision at which the write is in force; for a repetition the present one, which is no older."""
        number = done.revisions.get(region_id)
        if number is None:
            async with self._works.read() as conn:
                number = await revision(conn, region_id)
        return Revision(region_id=region_id, number=number)
