"""Makes staff IDs: one (CreateStaff), or many at once (ImportStaff), with the first password on its way to the phone (ID-1).

A person who brings the hash of an older system logs in with the password of that time: no first password is sent, the
staff ID is active, the hash is replaced at the first login, and the password ends as if it had been chosen today (ID-4).
"""

from __future__ import annotations

from dataclasses import dataclass

from authsvc.facts import Facts, FactSeal
from authsvc.flows.first_password import FirstPasswords, PreparedPassword
from authsvc.hiring import Hire, Known
from authsvc.passwords import expires_on
from authsvc.profile import Profile
from authsvc.sessions import NEVER
from authsvc.staff import StaffState
from authsvc.store import directory, policy, staff_admin
from authsvc.store.staff_admin import NewRow
from authsvc.work import ChangeKind, Connection, Work, Works
from infosec.clock import Clock
from infosec.errors import Aborted, AlreadyExists, NotFound, Reason
from infosec.events.types import EventType
from infosec.ids import StaffId
from infosec.secret import Secret
from infosec.sms import masked_phone


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedHire:
    """A hire with everything that takes time done: its first password is hashed and sealed."""

    hire: Hire
    password: PreparedPassword | None
    """None for who brings a hash along."""


async def known_in(conn: Connection) -> Known:
    """The roles and stores as a transaction sees them."""
    operations = await policy.operations(conn)
    return Known(
        roles=await policy.roles(conn),
        stores=await directory.places(conn),
        second_persons=frozenset(role for one in operations.values() for role in one.second_person_roles),
    )


class Hiring:
    """Prepares hires, and writes them in the caller's transaction."""

    def __init__(
        self, works: Works, *, seal: FactSeal, first_passwords: FirstPasswords, profile: Profile, clock: Clock
    ) -> None:
        self._works = works
        self._seal = seal
        self._first_passwords = first_passwords
        self._profile = profile
        self._clock = clock

    async def known(self) -> Known:
        """The roles and stores that there are now."""
        async with self._works.read() as conn:
            return await known_in(conn)

    async def prepare(self, hire: Hire) -> PreparedHire:
        """Hash and seal the first password. Raises ResourceExhausted(OVERLOADED)."""
        if hire.legacy_hash:
            return PreparedHire(hire=hire, password=None)
        password = await self._first_passwords.prepare(hire.staff_id, Secret(hire.phone), self._clock.now())
        return PreparedHire(hire=hire, password=password)

    async def check_free(self, work: Work, *staff_ids: StaffId) -> None:
        """ID-10: an ID is never used again, a closed one neither. Raises AlreadyExists."""
        taken = await staff_admin.taken(work.conn, staff_ids)
        if taken:
            raise AlreadyExists(Reason.ALREADY_EXISTS, field="staff_id", staff_id=min(taken))

    async def put(self, work: Work, prepared: PreparedHire, by: StaffId) -> None:
        """Write one. Raises AlreadyExists, NotFound, Aborted as `put_all`."""
        await self.put_all(work, (prepared,), by)

    async def put_all(self, work: Work, prepared: tuple[PreparedHire, ...], by: StaffId) -> None:
        """Write them all.

        Raises AlreadyExists for an ID that is or was in use, NotFound for a store that went away, Aborted(STATE_CONFLICT)
        for one that changed region meanwhile.
        """
        await self.check_free(work, *(one.hire.staff_id for one in prepared))
        regions = await staff_admin.hold_stores(work.conn, [one.hire.store_id for one in prepared])
        for one in prepared:
            region_id = regions.get(one.hire.store_id)
            if region_id is None:
                raise NotFound(Reason.NOT_FOUND, field="store_id")
            if region_id != one.hire.region_id:
                raise Aborted(Reason.STATE_CONFLICT, field="store_id", detail="the store changed region")
            await self._put(work, one, by)

    async def _put(self, work: Work, prepared: PreparedHire, by: StaffId) -> None:
        hire = prepared.hire
        state = StaffState.ACTIVE if prepared.password is None else StaffState.ISSUED
        await staff_admin.insert(work.conn, self._row(hire, state, by), work.now)
        if prepared.password is None:
            ends_at = expires_on(work.now, self._profile) or NEVER
            await staff_admin.put_imported(
                work.conn, hire.staff_id, hash=hire.legacy_hash, ends_at=ends_at, now=work.now
            )
        else:
            await self._first_passwords.put_in_force(work, hire.staff_id, prepared.password)
        work.event(
            EventType.STAFF_CREATED,
            hire.region_id,
            staff_id=by,
            subject_staff_id=hire.staff_id,
            subject_role_id=hire.role_id,
            store_id=hire.store_id,
            with_old_password=prepared.password is None,
        )
        work.change(hire.region_id, ChangeKind.STAFF, hire.staff_id)

    def _row(self, hire: Hire, state: StaffState, by: StaffId) -> NewRow:
        facts = Facts(names=(hire.name,), birthday=hire.birthday, id_number=hire.id_number)
        return NewRow(
            staff_id=hire.staff_id,
            name=hire.name,
            role_id=hire.role_id,
            store_id=hire.store_id,
            region_id=hire.region_id,
            state=state.value,
            is_partner=hire.is_partner,
            phone_sealed=self._seal.seal_phone(hire.staff_id, Secret(hire.phone)),
            phone_masked=masked_phone(hire.phone),
            facts_sealed=self._seal.seal_facts(hire.staff_id, facts),
            created_by=by,
        )
