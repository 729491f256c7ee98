"""Changes of roles and operations (CI-2): proposed by one administrator, written when a second one approves (ID-8)."""

from __future__ import annotations

import json
import uuid

from authsvc.actor import Actor
from authsvc.flows.privileged import Submitting
from authsvc.policy_codec import operation_body, operation_from, role_body, role_from
from authsvc.requests import Kind, Request
from authsvc.roles import checked_operation, checked_role, operation_changes, role_changes
from authsvc.store import policy as store
from authsvc.work import ChangeKind, Work
from infosec.canonical import Json, encode
from infosec.decision.operations import Operation
from infosec.decision.roles import Role
from infosec.errors import FailedPrecondition, InvalidInput, Reason
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import CARRIER

ENTITY = "entity"
BODY = "body"
SUMMARY = "summary"
"""The members of `Request.change`."""


class PolicyChanges:
    """Judges a change when it is proposed, and again when it is written: others may have been approved in between."""

    async def propose_role(self, work: Work, actor: Actor, role: Role, reason: str, submitting: Submitting) -> Request:
        """Raises InvalidInput, PermissionDenied(STEP_UP_REQUIRED | NOT_PERMITTED), FailedPrecondition(NO_APPROVER)."""
        actor.require_step_up(work.now)
        roles, operations = await store.roles(work.conn), await store.operations(work.conn)
        role = checked_role(role, roles, operations)
        summary = role_changes(role, roles.get(role.role_id))
        return await self._propose(
            work, actor, ChangeKind.ROLE, role.role_id, role_body(role), summary, reason, submitting
        )

    async def propose_operation(
        self, work: Work, actor: Actor, operation: Operation, reason: str, submitting: Submitting
    ) -> Request:
        """Raises as `propose_role`."""
        actor.require_step_up(work.now)
        roles, operations = await store.roles(work.conn), await store.operations(work.conn)
        operation = checked_operation(operation, roles, operations)
        summary = operation_changes(operation, operations.get(operation.code))
        return await self._propose(
            work, actor, ChangeKind.OPERATION, operation.code, operation_body(operation), summary, reason, submitting
        )

    async def carry_out(self, work: Work, request: Request) -> uuid.UUID | None:
        """Write it. Raises FailedPrecondition(STATE_CONFLICT) for what the rules do not allow any more."""
        await store.hold(work.conn)
        kind = ChangeKind(str(request.change[ENTITY]))
        try:
            entity_id = await self._write(work, kind, json.loads(str(request.change[BODY])))
        except InvalidInput as error:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail=str(error.details.get("detail", ""))) from None
        work.event(
            EventType.POLICY_CHANGED,
            CARRIER,
            staff_id=request.decided_by,
            submitted_by=request.submitted_by,
            request_id=str(request.id),
            entity_kind=kind.value,
            entity_id=entity_id,
            summary=as_text(str(request.change[SUMMARY])),
        )
        work.change(CARRIER, kind, entity_id)
        return None

    async def _write(self, work: Work, kind: ChangeKind, body: dict[str, Json]) -> str:
        roles, operations = await store.roles(work.conn), await store.operations(work.conn)
        if kind is ChangeKind.ROLE:
            role = checked_role(role_from(body), roles, operations)
            await store.put_role(work.conn, role)
            return role.role_id
        operation = checked_operation(operation_from(body), roles, operations)
        await store.put_operation(work.conn, operation)
        return operation.code

    async def _propose(
        self,
        work: Work,
        actor: Actor,
        kind: ChangeKind,
        entity_id: str,
        body: dict[str, Json],
        summary: str,
        reason: str,
        submitting: Submitting,
    ) -> Request:
        return await submitting.submit_to_administrators(
            work,
            actor,
            kind=Kind.CHANGE_POLICY,
            subject_id=f"{kind.value}:{entity_id}",
            region_id=CARRIER,
            store_id=actor.store_id,
            reason=reason,
            change={ENTITY: kind.value, BODY: encode(body).decode(), SUMMARY: summary},
        )
