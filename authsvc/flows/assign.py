"""Assigns customers to the people who may serve them alone (CI-2). Customers are keyed digests from here on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from authsvc.actor import Actor
from authsvc.profile import Profile
from authsvc.sight import ADMINISTRATOR, STORE_MANAGER
from authsvc.staff import StaffState
from authsvc.store import assignments, staff_admin
from authsvc.store.staff_admin import Listed
from authsvc.work import ChangeKind, Work
from infosec.errors import FailedPrecondition, InvalidInput, NotFound, PermissionDenied, Reason
from infosec.events.types import EventType
from infosec.ids import RegionId, StaffId

CustomerDigest = Callable[[str], bytes]
"""The 32-byte keyed digest of a customer's number, as the check computes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What a person has now."""

    count: int
    region_id: RegionId
    """Whose revision says that it is done."""


class CustomerLists:
    """Changes of the lists, in the caller's transaction."""

    def __init__(self, customer_digest: CustomerDigest, profile: Profile) -> None:
        self._digest = customer_digest
        self._profile = profile

    async def assign(self, work: Work, actor: Actor, staff_id: StaffId, customers: Iterable[str]) -> Assigned:
        """Raises NotFound, PermissionDenied(NOT_PERMITTED), InvalidInput for more than the profile's 10,000 in all,
        FailedPrecondition(STATE_CONFLICT) for a closed staff ID."""
        listed = await _held(work, actor, staff_id)
        if listed.state == StaffState.CLOSED:
            raise FailedPrecondition(Reason.STATE_CONFLICT, state=listed.state)
        digests = self._digests(customers)
        await assignments.add(work.conn, staff_id, digests, by=actor.staff_id, now=work.now)
        count = await assignments.count(work.conn, staff_id)
        if count > self._profile.max_assigned:
            raise InvalidInput(
                Reason.INVALID_ARGUMENT, field="customers", detail=f"at most {self._profile.max_assigned} a person"
            )
        return _changed(work, actor, listed, EventType.CUSTOMERS_ASSIGNED, len(digests), count)

    async def unassign(self, work: Work, actor: Actor, staff_id: StaffId, customers: Iterable[str]) -> Assigned:
        """Who is not assigned is no error. Raises NotFound, PermissionDenied(NOT_PERMITTED)."""
        listed = await _held(work, actor, staff_id)
        digests = self._digests(customers)
        await assignments.remove(work.conn, staff_id, digests)
        count = await assignments.count(work.conn, staff_id)
        return _changed(work, actor, listed, EventType.CUSTOMERS_UNASSIGNED, len(digests), count)

    def _digests(self, customers: Iterable[str]) -> list[bytes]:
        return sorted({self._digest(customer) for customer in customers})


async def _held(work: Work, actor: Actor, staff_id: StaffId) -> Listed:
    """The person, held: what is counted stays true. A store manager learns nothing of other stores' people."""
    actor.require_role(ADMINISTRATOR, STORE_MANAGER)
    listed = await staff_admin.hold(work.conn, staff_id, work.now)
    is_own = listed is not None and (actor.role_id == ADMINISTRATOR or listed.store_id == actor.store_id)
    if listed is None or not is_own:
        if actor.role_id == ADMINISTRATOR:
            raise NotFound(Reason.NOT_FOUND, field="staff_id")
        raise PermissionDenied(Reason.NOT_PERMITTED, field="staff_id")
    return listed


def _changed(work: Work, actor: Actor, listed: Listed, event: EventType, named: int, count: int) -> Assigned:
    work.event(
        event,
        listed.region_id,
        staff_id=actor.staff_id,
        subject_staff_id=listed.staff_id,
        named=named,
        count=count,
    )
    work.change(listed.region_id, ChangeKind.ASSIGNMENT, listed.staff_id)
    return Assigned(count=count, region_id=listed.region_id)
