"""Break-glass (ID-8): offline, with the codes of two people, one administrator gets back in; and everybody hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from authsvc.directory import shown_text
from authsvc.facts import FactSeal
from authsvc.flows.attempts import Hasher
from authsvc.flows.shown_secrets import IssuedCode, fresh_codes, shown_password, typed_code
from authsvc.flows.transitions import move
from authsvc.notices import Notices, local_time
from authsvc.profile import Profile
from authsvc.sessions import EndReason
from authsvc.sight import ADMINISTRATOR
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import installation, staff_admin, subjects
from authsvc.store.installation import HeldCode
from authsvc.work import Work, Works
from infosec import sms
from infosec.errors import Aborted, FailedPrecondition, NotFound, PermissionDenied, Reason
from infosec.events.event import Event
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import CARRIER, StaffId
from infosec.secret import Secret

_WAY_BACK = {
    StaffState.ISSUED: StaffEvent.REISSUE_APPROVED,
    StaffState.ACTIVE: StaffEvent.REISSUE_APPROVED,
    StaffState.LOCKED: StaffEvent.UNLOCK_APPROVED,
    StaffState.BLACKLISTED: StaffEvent.UNBLACKLIST_APPROVED,
    StaffState.SUSPENDED: StaffEvent.LIFT_APPROVED,
}
"""From every state but CLOSED, which has no way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What is shown once. The password serves one login and must be changed there; the codes replace those just used."""

    staff_id: StaffId
    password: Secret
    break_glass: tuple[IssuedCode, ...]


class BreakGlass:
    """The way back in when no administrator can log in. `works` runs as the owner of the schema."""

    def __init__(self, works: Works, *, hasher: Hasher, notices: Notices, seal: FactSeal, profile: Profile) -> None:
        self._works = works
        self._seal = seal
        self._hasher = hasher
        self._notices = notices
        self._profile = profile

    async def use(
        self, staff_id: StaffId, codes: tuple[Secret, Secret], *, reason: str, reset_totp: bool = False
    ) -> Broken:
        """Give an administrator a new first password, whatever keeps them out; with `reset_totp` the device is lost too.

        Raises PermissionDenied(PROOF_REFUSED) unless both codes are good, NotFound for who is no administrator,
        FailedPrecondition(STATE_CONFLICT) for one closed for ever.
        """
        reason = shown_text(reason, "reason", is_required=True)
        held = await self._proved(staff_id, codes)
        shown = await shown_password(self._hasher, self._profile)
        issued, fresh = await fresh_codes(self._hasher, [one.holder for one in held])
        async with self._works.begin() as work:
            if await installation.codes(work.conn, is_held=True) != held:
                raise Aborted(Reason.STATE_CONFLICT, detail="the codes were used in the meantime")
            await self._let_in(work, staff_id, shown.hash, reset_totp=reset_totp)
            await installation.replace_codes(work.conn, fresh, work.now)
            people = ", ".join(one.holder for one in held)
            work.event(
                EventType.BREAK_GLASS_USED,
                CARRIER,
                subject_staff_id=staff_id,
                people=as_text(people),
                grounds=as_text(reason),
            )
            await self._tell_all(work, staff_id, people, reason)
        return Broken(staff_id=staff_id, password=shown.password, break_glass=tuple(issued))

    async def _proved(self, staff_id: StaffId, codes: tuple[Secret, Secret]) -> list[HeldCode]:
        """Both codes are good, in either order. A refusal is as loud as a success."""
        async with self._works.read() as conn:
            held = await installation.codes(conn)
        typed = [typed_code(code).reveal() for code in codes]
        matching = [[(await self._hasher.verify(one.hash, text)).matches for text in typed] for one in held]
        if len(held) != 2 or not _is_pairing(matching):
            event = Event(
                type=EventType.BREAK_GLASS_REFUSED,
                at=self._works.clock.now(),
                region_id=CARRIER,
                facts={"subject_staff_id": staff_id},
            )
            await self._works.record([event])
            raise PermissionDenied(Reason.PROOF_REFUSED)
        return held

    async def _let_in(self, work: Work, staff_id: StaffId, hash: str, *, reset_totp: bool) -> None:
        listed = await staff_admin.hold(work.conn, staff_id, work.now)
        if listed is None or listed.role_id != ADMINISTRATOR:
            raise NotFound(Reason.NOT_FOUND, field="staff_id")
        state = StaffState(listed.state)
        if state not in _WAY_BACK:
            raise FailedPrecondition(Reason.STATE_CONFLICT, state=state.value)
        await move(work, staff_id, listed.region_id, state, _WAY_BACK[state], EndReason.REISSUED)
        expires_at = work.now + self._profile.first_password_life
        await installation.put_shown_first(work.conn, staff_id, hash=hash, expires_at=expires_at, now=work.now)
        if reset_totp:
            await subjects.drop_second_factor(work.conn, staff_id)

    async def _tell_all(self, work: Work, staff_id: StaffId, people: str, reason: str) -> None:
        for administrator, phone_sealed in await staff_admin.administrators(work.conn):
            phone = self._seal.open_phone(administrator, phone_sealed)
            work.message(
                self._notices.to_phone(
                    sms.Template.BREAK_GLASS,
                    staff_id,
                    phone,
                    work.now + self._profile.first_password_life,
                    at=local_time(work.now),
                    people=people,
                    reason=reason,
                )
            )


def _is_pairing(matching: list[list[bool]]) -> bool:
    """Each of two codes is of another holder."""
    (a, b), (c, d) = matching
    return (a and d) or (b and c)
