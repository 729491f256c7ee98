"""Second-person approval of one operation on one customer by one person (RQ-7): asking, the grant, and its one order.

Deciding is authsvc.flows.decide, as for any request. A customer is known here by a keyed digest alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from authsvc.actor import Actor
from authsvc.flows.carry_out import carried_out, facts
from authsvc.flows.once import once
from authsvc.flows.seating import Seating
from authsvc.profile import Profile
from authsvc.requests import (
    Event,
    Evidence,
    Kind,
    Level,
    Matter,
    Request,
    State,
    after,
    level_with_approver,
    opened,
)
from authsvc.store import grants, subjects
from authsvc.store import requests as store
from authsvc.store.grants import IssuedGrant
from authsvc.store.requests import Page, Viewer
from authsvc.work import ChangeKind, Work, Works
from infosec.decision.grants import Grant, GrantKind, issue_grant, open_grant, order_key
from infosec.decision.operations import Operation
from infosec.decision.policy import Policy, approver_roles
from infosec.errors import FailedPrecondition, Internal, InvalidInput, NotFound, PermissionDenied, Reason
from infosec.events.types import EventType
from infosec.ids import OperationCode, RegionId, StaffId, StoreId, SystemId
from infosec.keys import SigningKeys
from infosec.rpc.server.retries import Retry
from infosec.secret import Secret

OPERATION = "operation"
CUSTOMER = "customer"
PRODUCT = "product"
ORDER = "order"
SYSTEM = "system"
"""The members of `Request.change`; the customer is the hex of a keyed digest, the system is whose order it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsk:
    """What a second person is asked for."""

    operation: OperationCode
    customer: Secret | None
    product: str
    order_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An approval as one viewer sees it: the grant is for the person who asked, alone."""

    request: Request
    grant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A grant was bound or freed: the revision of its region that says so."""

    region_id: RegionId
    revision: int


class Approvals:
    """Takes and shows approvals, and binds grants to orders."""

    def __init__(
        self,
        works: Works,
        *,
        seating: Seating,
        policy: Callable[[], Policy],
        customer_digest: Callable[[str], bytes],
        system_serves: Callable[[SystemId, StoreId], Awaitable[bool]],
        keys: SigningKeys,
        installation: str,
        profile: Profile,
    ) -> None:
        self._works = works
        self._seating = seating
        self._policy = policy
        self._customer_digest = customer_digest
        self._system_serves = system_serves
        self._keys = keys
        self._installation = installation
        self._profile = profile

    async def submit(self, actor: Actor, ask: ApprovalAsk, retry: Retry) -> Seen:
        """Ask for a second person. Raises PermissionDenied(NOT_PERMITTED), FailedPrecondition(NO_APPROVER), InvalidInput."""
        policy = self._policy()
        operation = policy.operations.get(ask.operation)
        if operation is None or policy.permission(actor.role_id, ask.operation) is None:
            raise PermissionDenied(Reason.NOT_PERMITTED, role=actor.role_id)
        roles = approver_roles(operation, actor.role_id)
        if not roles:
            raise PermissionDenied(Reason.NOT_PERMITTED, detail="needs no second person")
        change = self._change(operation, ask, actor.system_id)

        async def act(work: Work) -> str:
            region_id = await self._region(work, actor.session_store_id)
            request = Request(
                id=uuid.uuid4(),
                kind=Kind.APPROVAL,
                state=State.PENDING,
                level=Level.SECOND_PERSON,
                subject_id=actor.staff_id,
                submitted_by=actor.staff_id,
                submitted_at=work.now,
                region_id=region_id,
                store_id=actor.session_store_id,
                reason=ask.reason,
                expires_at=work.now,
                change=change,
                evidence=Evidence(submitter_role_id=actor.role_id),
                decider_roles=roles,
            )
            await self._check_approver(work, request)
            await store.insert(work.conn, opened(request, self._profile))
            work.event(
                EventType.REQUEST_SUBMITTED,
                region_id,
                staff_id=request.submitted_by,
                operation=operation.code,
                **facts(request),
            )
            return str(request.id)

        done = await once(self._works, retry, act)
        return await self.get(actor, done.outcome)

    async def get(self, actor: Actor, request_id: str) -> Seen:
        """One approval, to who may see it. Raises NotFound."""
        async with self._works.read() as conn:
            now = self._works.clock.now()
            request = await store.seen(conn, self._viewer(actor), _uuid(request_id), now)
            if request is None or request.kind is not Kind.APPROVAL:
                raise NotFound(Reason.NOT_FOUND, field="id")
            grant = await grants.of_request(conn, request.id) if request.subject_id == actor.staff_id else None
        if grant is None or grant.is_revoked or grant.expires_at <= now:
            return Seen(request=request)
        return Seen(request=request, grant=self._text(request, grant))

    async def page(self, actor: Actor, wanted: Page) -> list[Request]:
        """What the actor asked for or may decide, newest first."""
        async with self._works.read() as conn:
            return await store.page(conn, self._viewer(actor), wanted, self._works.clock.now())

    async def redeem(self, system_id: SystemId, text: str, order_id: str) -> Binding:
        """Bind the grant to this order; the same order may come again.

        Raises PermissionDenied(GRANT_INVALID | CALLER_OUT_OF_PLACE), FailedPrecondition(GRANT_BOUND).
        """
        order = order_key(system_id, order_id)
        grant = await self._opened(system_id, text, order)
        async with self._works.begin() as work:
            issued = await self._held(work, grant)
            if issued.order_id == order:
                return await self._unchanged(work, issued)
            if issued.order_id is not None:
                raise FailedPrecondition(Reason.GRANT_BOUND)
            _check_in_time(issued, work)
            await grants.bind(work.conn, issued.grant_id, order, work.now)
            await self._follow(work, issued, Event.CARRY_OUT)
            self._say(work, issued, EventType.GRANT_BOUND, grant, system_id, order_id)
        return Binding(region_id=issued.region_id, revision=work.revisions[issued.region_id])

    async def release(self, system_id: SystemId, text: str, order_id: str) -> Binding:
        """Free the grant from an order that was not completed. At the grant's end a binding is final.

        Raises as `redeem`.
        """
        order = order_key(system_id, order_id)
        grant = await self._opened(system_id, text, order)
        async with self._works.begin() as work:
            issued = await self._held(work, grant)
            if issued.order_id is None:
                return await self._unchanged(work, issued)
            if issued.order_id != order:
                raise FailedPrecondition(Reason.GRANT_BOUND)
            _check_in_time(issued, work)
            await grants.bind(work.conn, issued.grant_id, None, work.now)
            await self._follow(work, issued, Event.RELEASE)
            self._say(work, issued, EventType.GRANT_RELEASED, grant, system_id, order_id)
        return Binding(region_id=issued.region_id, revision=work.revisions[issued.region_id])

    def who_and_whom(self, actor: Actor, customer: Secret | None) -> str:
        """What a retry is told apart by besides its public fields: the person, and the customer's digest (ID-7)."""
        digest = "" if customer is None else self._customer_digest(customer.reveal()).hex()
        return f"{actor.staff_id} {digest}"

    def _change(self, operation: Operation, ask: ApprovalAsk, system_id: SystemId) -> Mapping[str, str | bool]:
        """What it is bound to. Empty members are left out."""
        if operation.customer_bound is not (ask.customer is not None):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="customer", detail="as the operation needs it")
        customer = "" if ask.customer is None else self._customer_digest(ask.customer.reveal()).hex()
        system = system_id if ask.order_id else ""
        members = {
            OPERATION: operation.code,
            CUSTOMER: customer,
            PRODUCT: ask.product,
            ORDER: ask.order_id,
            SYSTEM: system,
        }
        return {name: value for name, value in members.items() if value}

    async def _region(self, work: Work, store_id: StoreId) -> RegionId:
        target = await subjects.target(work.conn, store_id)
        if target is None:
            raise Internal(Reason.INTERNAL, detail="a session in a store that is not there")
        return target.region_id

    async def _check_approver(self, work: Work, request: Request) -> None:
        seats = self._seating.second_person(request.decider_roles, request.region_id)
        people = await self._seating.people(work.conn, request.level, seats, request.region_id, work.now)
        matter = Matter(
            subject_id=request.subject_id,
            submitted_by=request.submitted_by,
            store_id=request.store_id,
            region_id=request.region_id,
            seats=seats,
        )
        level_with_approver(Level.SECOND_PERSON, matter, people)

    def _text(self, request: Request, issued: IssuedGrant) -> str:
        """The same claims, so the same text as often as it is asked for."""
        if request.decided_by is None or request.decider_role is None or request.decided_at is None:
            raise Internal(Reason.INTERNAL, detail="a grant that nobody gave")
        change = request.change
        customer, product, order = (str(change.get(name, "")) for name in (CUSTOMER, PRODUCT, ORDER))
        grant = Grant(
            kind=GrantKind.APPROVAL,
            grant_id=issued.grant_id,
            installation=self._installation,
            person=StaffId(request.subject_id),
            operation=OperationCode(str(change[OPERATION])),
            customer=bytes.fromhex(customer) if customer else None,
            store=issued.store_id,
            issued_s=int(request.decided_at.timestamp()),
            expires_s=int(issued.expires_at.timestamp()),
            product=product or None,
            order=order_key(SystemId(str(change[SYSTEM])), order) if order else None,
            approver=request.decided_by,
            approver_role=request.decider_role,
        )
        return issue_grant(grant, self._keys)

    def _viewer(self, actor: Actor) -> Viewer:
        return Viewer(
            staff_id=actor.staff_id,
            role_id=actor.role_id,
            store_id=actor.store_id,
            region_id=actor.region_id,
            reach=self._seating.reach(actor.role_id, approvals=True),
        )

    async def _opened(self, system_id: SystemId, text: str, order: str) -> Grant:
        grant = open_grant(text, {self._keys.kind: self._keys.public_keys()}, self._installation)
        if not await self._system_serves(system_id, grant.store):
            raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE)
        if grant.order not in (None, order):
            raise FailedPrecondition(Reason.GRANT_BOUND)
        return grant

    async def _held(self, work: Work, grant: Grant) -> IssuedGrant:
        issued = await grants.lock(work.conn, grant.grant_id)
        if issued is None or issued.is_revoked:
            raise PermissionDenied(Reason.GRANT_INVALID)
        return issued

    async def _unchanged(self, work: Work, issued: IssuedGrant) -> Binding:
        revision = await grants.revision(work.conn, issued.region_id)
        return Binding(region_id=issued.region_id, revision=revision)

    async def _follow(self, work: Work, issued: IssuedGrant, event: Event) -> None:
        """RQ-4: the approval is carried out when its grant is bound."""
        request = None if issued.request_id is None else await store.lock(work.conn, issued.request_id)
        if request is None:
            raise Internal(Reason.INTERNAL, detail="a grant that nobody asked for")
        try:
            to = after(request.state, event)
        except FailedPrecondition:
            raise PermissionDenied(Reason.GRANT_INVALID) from None
        if event is Event.CARRY_OUT:
            await store.save(work.conn, carried_out(work, request))
        else:
            await store.save(work.conn, replace(request, state=to, executed_at=None))

    def _say(
        self, work: Work, issued: IssuedGrant, kind: EventType, grant: Grant, system_id: SystemId, order_id: str
    ) -> None:
        work.change(issued.region_id, ChangeKind.GRANT, issued.grant_id)
        work.event(
            kind,
            issued.region_id,
            grant_id=issued.grant_id,
            request_id=str(issued.request_id),
            order_id=order_id,
            system_id=system_id,
            customer=grant.customer.hex() if grant.customer else None,
        )


def _check_in_time(issued: IssuedGrant, work: Work) -> None:
    if issued.expires_at <= work.now:
        raise PermissionDenied(Reason.GRANT_INVALID)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(Reason.NOT_FOUND, field="id") from None
