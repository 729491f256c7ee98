"""What an attempt is, and what is written when it fails: the count, the lock, the terminal's marks (ID-5, ID-11).

Called by authsvc.flows.attempts alone, in the transaction that settles the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from authsvc.flows.transitions import move
from authsvc.lockout import Purpose, Refusal, after_failure, marks_terminal
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.sessions import EndReason, FindingKind
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import credentials, findings, places, staff
from authsvc.store.findings import Finding
from authsvc.store.staff import Person, Tried
from authsvc.work import Work
from infosec import sms
from infosec.events.types import EventType
from infosec.ids import SystemId, TerminalId
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One attempt: who is tried, where, by which system, with what."""

    purpose: Purpose
    staff_text: str
    """As typed; every spelling counts under one key."""
    terminal_id: TerminalId
    system_id: SystemId
    password: Secret | None = None
    """None where a code alone is asked for."""
    code: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The person as locked in the settling transaction, and where they are."""

    person: Person
    tried: Tried
    failing_key: str
    """The digest under which failures of this staff ID at a terminal are kept."""


class Counting:
    """Writes down what failed."""

    def __init__(self, *, notices: Notices, profile: Profile) -> None:
        self._notices = notices
        self._profile = profile

    async def wrong(self, work: Work, ask: Ask, scene: Scene) -> None:
        """ID-5: one more wrong answer. The fifth locks, ends the session, and is told to the bound phone alone."""
        person, terminal = scene.person, scene.tried.terminal
        count = after_failure(person.failures, self._profile)
        await places.mark_failing(work.conn, terminal.terminal_id, scene.failing_key, work.now)
        await credentials.count_failure(work.conn, person.staff_id, count.failures, work.now)
        where = {"terminal_id": terminal.terminal_id, "store_id": terminal.store_id, "system_id": ask.system_id}
        work.event(
            EventType.LOGIN_FAILED,
            terminal.region_id,
            staff_id=person.staff_id,
            attempt=ask.purpose.value,
            failures=count.failures,
            **where,
        )
        if not count.locks:
            return
        await move(
            work,
            person.staff_id,
            person.region_id,
            StaffState(person.state),
            StaffEvent.FIFTH_FAILURE,
            EndReason.LOCKED,
        )
        await staff.add_lock(work.conn, person.staff_id, terminal.terminal_id, terminal.store_id, work.now)
        work.event(
            EventType.STAFF_LOCKED,
            person.region_id,
            subject_staff_id=person.staff_id,
            failures=count.failures,
            **where,
        )
        work.message(
            self._notices.to_staff(
                sms.Template.LOCKED,
                person.staff_id,
                person.phone_sealed,
                work.now,
                failures=str(count.failures),
                place=scene.tried.store_name,
                hotline=scene.tried.hotline,
            )
        )

    async def refused(self, work: Work, ask: Ask, tried: Tried, failing_key: str, refusal: Refusal) -> None:
        """Nobody is counted; the terminal may be (ID-11). An unknown ID is not named: it may be a password."""
        terminal = tried.terminal
        if marks_terminal(refusal):
            await places.mark_failing(work.conn, terminal.terminal_id, failing_key, work.now)
        named = tried.person.staff_id if tried.person else None
        where = {"terminal_id": terminal.terminal_id, "store_id": terminal.store_id, "system_id": ask.system_id}
        work.event(
            EventType.LOGIN_REFUSED,
            terminal.region_id,
            staff_id=named,
            attempt=ask.purpose.value,
            reason=refusal.value,
            **where,
        )
        if refusal.is_of_terminal and await findings.put(
            work.conn,
            Finding(
                kind=FindingKind.OUT_OF_REGION if refusal is Refusal.OUT_OF_REGION else FindingKind.TERMINAL_REFUSED,
                region_id=terminal.region_id,
                staff_id=named or "" if refusal is Refusal.OUT_OF_REGION else "",
                terminal_id=terminal.terminal_id,
                store_id=terminal.store_id,
                detail={"cause": refusal.value},
            ),
            work.now,
            unless_since=work.now - self._profile.terminal_window,
        ):
            work.event(EventType.TERMINAL_REFUSED, terminal.region_id, reason=refusal.value, **where)
