"""Making an approver, auditor or administrator takes a second administrator (ID-8): proposed here, carried out on approval."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Protocol

from authsvc.actor import Actor
from authsvc.flows.hire import Hiring, known_in
from authsvc.hiring import Applicant, Hire, hired
from authsvc.requests import Kind, Request
from authsvc.work import Work
from infosec import canonical
from infosec.clock import carrier_date
from infosec.errors import FailedPrecondition, Internal, InvalidInput, Reason
from infosec.ids import RegionId, StoreId
from infosec.keys import SealingKeys
from infosec.sms import masked_phone


class SealFor(Protocol):
    """Seals a payload for the request of this ID."""

    def __call__(self, request_id: uuid.UUID, /) -> bytes: ...


class Submitting(Protocol):
    """What is needed of authsvc.flows.submit.Submissions."""

    async def submit_to_administrators(
        self,
        work: Work,
        actor: Actor,
        *,
        kind: Kind,
        subject_id: str,
        region_id: RegionId,
        store_id: StoreId,
        reason: str,
        change: Mapping[str, str | bool],
        change_sealed: SealFor | None = None,
    ) -> Request: ...


class PrivilegedHires:
    """Keeps the person sealed in the request until it is decided, and makes the staff ID when it is approved."""

    def __init__(self, hiring: Hiring, change_keys: SealingKeys) -> None:
        self._hiring = hiring
        self._keys = change_keys

    async def propose(self, work: Work, actor: Actor, hire: Hire, reason: str, submitting: Submitting) -> Request:
        """Raises AlreadyExists for an ID that is or was in use, or whose proposal is open; FailedPrecondition(NO_APPROVER)."""
        await self._hiring.check_free(work, hire.staff_id)
        return await submitting.submit_to_administrators(
            work,
            actor,
            kind=Kind.CREATE_PRIVILEGED,
            subject_id=hire.staff_id,
            region_id=hire.region_id,
            store_id=hire.store_id,
            reason=reason,
            change={
                "role_id": hire.role_id,
                "store_id": hire.store_id,
                "summary": f"{hire.staff_id} {hire.name} {hire.role_id} @{hire.store_id} {masked_phone(hire.phone)}",
            },
            change_sealed=lambda request_id: self._keys.seal(_payload(hire), _context(request_id)),
        )

    async def carry_out(self, work: Work, request: Request) -> uuid.UUID | None:
        """Make the staff ID; it is done when the gateway has taken the SMS with the first password.

        What was proposed is judged again: roles and stores may have changed. Raises FailedPrecondition(STATE_CONFLICT),
        AlreadyExists.
        """
        applicant = self._opened(request)
        try:
            hire = hired(applicant, await known_in(work.conn), carrier_date(work.now))
        except InvalidInput as error:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="; ".join(error.violations)) from None
        if not hire.is_privileged:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="the role is not privileged any more")
        prepared = await self._hiring.prepare(hire)
        await self._hiring.put(work, prepared, request.submitted_by)
        return prepared.password.message.message_id if prepared.password else None

    def _opened(self, request: Request) -> Applicant:
        opened = canonical.decode_strict(self._keys.open(request.change_sealed or b"", _context(request.id)))
        if not isinstance(opened, dict):
            raise Internal(Reason.INTERNAL, detail="a proposal that is none")
        return Applicant(**{name: str(value) for name, value in opened.items()})


def _payload(hire: Hire) -> bytes:
    return canonical.encode(
        {
            "staff_id": hire.staff_id,
            "name": hire.name,
            "phone": hire.phone,
            "role_id": hire.role_id,
            "store_id": hire.store_id,
            "birthday": hire.birthday.isoformat() if hire.birthday else "",
            "id_number": hire.id_number,
        }
    )


def _context(request_id: uuid.UUID) -> bytes:
    return canonical.encode(["infosec/auth.requests/v1", str(request_id), "hire"])
