"""Submitting a request about a staff ID (RQ-1, ID-8), and looking at requests (RQ-3, RQ-6)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from authsvc.actor import Actor
from authsvc.facts import FactSeal
from authsvc.flows.carry_out import NEW_PHONE, NEW_ROLE, NEW_STORE, RESET_TOTP, CarryOut, facts
from authsvc.flows.once import once
from authsvc.flows.proof import ProofOfPhone, ProofOwner
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.profile import Profile
from authsvc.requests import (
    Evidence,
    Kind,
    Level,
    Matter,
    Request,
    State,
    Subject,
    Submitter,
    check_needed,
    check_submitter,
    effective_state,
    first_level,
    is_privileged,
    level_with_approver,
    needs_second_administrator,
    opened,
)
from authsvc.store import requests as store
from authsvc.store import subjects
from authsvc.store.requests import Page, Viewer
from authsvc.store.subjects import StaffRow
from authsvc.work import Work, Works
from infosec import sms
from infosec.decision.policy import Policy
from infosec.errors import (
    AlreadyExists,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Reason,
)
from infosec.events.types import EventType
from infosec.ids import RegionId, RoleId, StaffId, StoreId
from infosec.rpc.server.retries import Retry
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for. Of the last four, those that belong to the kind."""

    kind: Kind
    staff_id: StaffId
    reason: str
    phone: Secret | None = None
    reset_totp: bool = False
    store_id: StoreId | None = None
    role_id: RoleId | None = None

    def __post_init__(self) -> None:
        given = {
            Kind.REBIND_PHONE: self.phone is not None,
            Kind.MOVE_STORE: self.store_id is not None,
            Kind.CHANGE_ROLE: self.role_id is not None,
        }
        if needs_second_administrator(self.kind) or self.kind is Kind.APPROVAL:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="kind", detail="not submitted here")
        if any(has != (kind is self.kind) for kind, has in given.items()):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="change", detail="does not belong to the kind")


class Submissions:
    """Takes requests, and shows them to who may see them."""

    def __init__(
        self,
        works: Works,
        *,
        proofs: ProofOfPhone,
        clocks: RequestClocks,
        seating: Seating,
        carry_out: CarryOut,
        seal: FactSeal,
        policy: Callable[[], Policy],
        profile: Profile,
    ) -> None:
        self._works = works
        self._proofs = proofs
        self._clocks = clocks
        self._seating = seating
        self._carry_out = carry_out
        self._seal = seal
        self._policy = policy
        self._profile = profile

    async def submit(self, who: Actor | ProofOwner, ask: Ask, retry: Retry) -> Request:
        """Submit, in one's own session or with one's own proof.

        Raises PermissionDenied(NOT_PERMITTED | PROOF_REFUSED), FailedPrecondition(STATE_CONFLICT | NO_APPROVER),
        AlreadyExists (one is open), InvalidInput (no such store or role).
        """

        async def act(work: Work) -> str:
            if isinstance(who, ProofOwner):
                await self._proofs.use(work, who)
            # The person before the request, as in deciding: two transactions never wait for one another in a circle.
            await subjects.hold(work.conn, ask.staff_id)
            staff = await subjects.get(work.conn, ask.staff_id)
            submitter = await _submitter(work, who)
            if staff is None:
                raise PermissionDenied(Reason.NOT_PERMITTED)  # as for a staff ID of another store
            request = await self._checked(work, submitter, staff, ask)
            return await self._file(work, request, about_privileged=self._is_privileged(staff.role_id), ask=ask)

        return await self._done((await once(self._works, retry, act)).outcome)

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
        change_sealed: Callable[[uuid.UUID], bytes] | None = None,
    ) -> Request:
        """ID-8, CI-2: what a second administrator has to approve, in the transaction of the call that asks for it.

        `change["summary"]` is shown in words; `change_sealed` is given the request's ID. Raises PermissionDenied,
        FailedPrecondition(NO_APPROVER), AlreadyExists.
        """
        if not needs_second_administrator(kind):
            raise Internal(Reason.INTERNAL, detail="not a kind for administrators")
        actor.require_role("administrator")
        request_id = uuid.uuid4()
        request = Request(
            id=request_id,
            kind=kind,
            state=State.PENDING,
            level=Level.ADMINISTRATOR,
            subject_id=subject_id,
            submitted_by=actor.staff_id,
            submitted_at=work.now,
            region_id=region_id,
            store_id=store_id,
            reason=reason,
            expires_at=work.now,
            change=change,
            change_sealed=change_sealed(request_id) if change_sealed else None,
            evidence=Evidence(submitter_role_id=actor.role_id),
        )
        await self._file(work, request, about_privileged=True)
        return await self._reread(work, request_id)

    async def get(self, actor: Actor, request_id: str) -> Request:
        """One request, to who may see it. Raises NotFound."""
        async with self._works.read() as conn:
            request = await store.seen(conn, self.viewer(actor), _uuid(request_id), self._works.clock.now())
        if request is None or request.kind is Kind.APPROVAL:
            raise NotFound(Reason.NOT_FOUND, field="id")
        return request

    async def page(self, actor: Actor, wanted: Page) -> list[Request]:
        """What the actor may see, newest first (RQ-6)."""
        async with self._works.read() as conn:
            return await store.page(conn, self.viewer(actor), wanted, self._works.clock.now())

    def viewer(self, actor: Actor) -> Viewer:
        return Viewer(
            staff_id=actor.staff_id,
            role_id=actor.role_id,
            store_id=actor.store_id,
            region_id=actor.region_id,
            reach=self._seating.reach(actor.role_id, approvals=False),
        )

    async def _checked(self, work: Work, submitter: Submitter, staff: StaffRow, ask: Ask) -> Request:
        state = effective_state(staff.state, staff.password_ends_at, work.now)
        subject = Subject(
            staff_id=staff.staff_id,
            role_id=staff.role_id,
            store_id=staff.store_id,
            state=state,
            is_privileged=self._is_privileged(staff.role_id),
        )
        if ask.role_id is not None and ask.role_id not in self._policy().roles:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="change_role.role_id", detail="no such role")
        check_submitter(ask.kind, submitter, subject, to_privileged=self._is_privileged(ask.role_id))
        check_needed(ask.kind, state)
        request_id = uuid.uuid4()
        change = await self._change(work, staff, ask)
        evidence = await store.evidence(work.conn, staff.staff_id, work.now)
        return Request(
            id=request_id,
            kind=ask.kind,
            state=State.PENDING,
            level=Level.REGIONAL_MANAGER,
            subject_id=staff.staff_id,
            submitted_by=submitter.staff_id,
            submitted_at=work.now,
            region_id=staff.region_id,
            store_id=staff.store_id,
            reason=ask.reason,
            expires_at=work.now,
            change=change,
            change_sealed=None if ask.phone is None else self._carry_out.seal_phone(request_id, ask.phone),
            evidence=replace(
                evidence,
                staff_state=state.value,
                submitter_role_id=submitter.role_id,
                proved_by_phone=submitter.by_proof,
            ),
        )

    async def _change(self, work: Work, staff: StaffRow, ask: Ask) -> dict[str, str | bool]:
        """What would change, checked: it exists, and it is not so already."""
        if ask.phone is not None:
            if self._seal.open_phone(staff.staff_id, staff.phone_sealed) == ask.phone:
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="it is bound to this phone")
            return {NEW_PHONE: sms.masked_phone(ask.phone.reveal()), RESET_TOTP: ask.reset_totp}
        if ask.store_id is not None:
            target = await subjects.target(work.conn, ask.store_id)
            if target is None or target.is_closed:
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="move_store.store_id", detail="no such store")
            _check_differs(target.store_id, staff.store_id)
            return {NEW_STORE: target.store_id}
        if ask.role_id is not None:
            _check_differs(ask.role_id, staff.role_id)
            return {NEW_ROLE: ask.role_id}
        return {}

    async def _file(self, work: Work, request: Request, *, about_privileged: bool, ask: Ask | None = None) -> str:
        """Find out who decides, and add it. One of its kind may be open for a person."""
        if request.kind is not Kind.CHANGE_POLICY:
            before = await store.open_of(work.conn, request.subject_id, request.kind)
            if before is not None and (await self._clocks.settle(work, before)).state in (
                State.PENDING,
                State.APPROVED,
            ):
                raise AlreadyExists(Reason.ALREADY_EXISTS)
        to_privileged = self._is_privileged(ask.role_id if ask else None)
        first = first_level(request.kind, subject_is_privileged=about_privileged, to_privileged=to_privileged)
        matter = Matter(
            subject_id=request.subject_id,
            submitted_by=request.submitted_by,
            store_id=request.store_id,
            region_id=request.region_id,
            seats=(),
        )
        people = await self._seating.people(work.conn, first, (), request.region_id, work.now)
        request = opened(replace(request, level=level_with_approver(first, matter, people)), self._profile)
        await store.insert(work.conn, request)
        work.event(EventType.REQUEST_SUBMITTED, request.region_id, staff_id=request.submitted_by, **facts(request))
        return str(request.id)

    def _is_privileged(self, role_id: RoleId | None) -> bool:
        return role_id is not None and is_privileged(role_id, self._policy().roles)

    async def _reread(self, work: Work, request_id: uuid.UUID) -> Request:
        request = await store.get(work.conn, request_id)
        if request is None:
            raise Internal(Reason.INTERNAL, detail="a request that was just made is gone")
        return request

    async def _done(self, request_id: str) -> Request:
        async with self._works.begin() as work:
            return await self._reread(work, uuid.UUID(request_id))


async def _submitter(work: Work, who: Actor | ProofOwner) -> Submitter:
    """Who asks, as they are now."""
    person = await subjects.person(work.conn, who.staff_id, work.now)
    if person is None:
        raise PermissionDenied(Reason.NOT_PERMITTED)
    return Submitter(
        staff_id=person.staff_id,
        role_id=person.role_id,
        store_id=person.store_id,
        by_proof=isinstance(who, ProofOwner),
    )


def _check_differs(new: str, old: str) -> None:
    if new == old:
        raise FailedPrecondition(Reason.STATE_CONFLICT, detail="it is so already")


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(Reason.NOT_FOUND, field="id") from None
