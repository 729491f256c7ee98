"""Changing one's own password (ID-1 to ID-4, ID-6). The current one is an attempt like any other, and resets no count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from authsvc.actor import Actors
from authsvc.facts import FactSeal
from authsvc.flows.attempts import Attempts, Hasher
from authsvc.flows.counting import Scene
from authsvc.flows.own_session import ask_in_session, complete, require_open, require_same_session
from authsvc.flows.transitions import move
from authsvc.guessable import CommonPasswords
from authsvc.lockout import Purpose
from authsvc.passwords import Requirement, Unmet, check, days_left, expires_on, normalise
from authsvc.personal import PersonalFacts
from authsvc.profile import Profile
from authsvc.sessions import NEVER, Duty
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import credentials
from authsvc.store.credentials import Checked
from authsvc.store.staff import Person, Tried
from authsvc.work import Work, Works
from infosec.errors import Internal, InvalidInput, Reason
from infosec.events.types import EventType
from infosec.ids import RegionId, SystemId
from infosec.secret import Secret


class HistoryHasher(Hasher, Protocol):
    """A hasher that also compares with the last passwords (ID-6)."""

    async def matches_any(self, password: str, hashes: tuple[str, ...]) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What is left to do in the session, and how long the new password lives."""

    duties: tuple[Duty, ...]
    password_days_left: int
    region_id: RegionId
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """The new password, checked: what it does not meet, or its hash."""

    unmet: tuple[Unmet, ...] = ()
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What was committed: a rejection, or the new password."""

    unmet: tuple[Unmet, ...] = ()
    duties: tuple[Duty, ...] = ()
    days: int = 0


class PasswordChanges:
    """Checks and replaces passwords."""

    def __init__(
        self,
        *,
        works: Works,
        actors: Actors,
        attempts: Attempts,
        hasher: HistoryHasher,
        seal: FactSeal,
        common: CommonPasswords,
        brand_words: tuple[str, ...],
        profile: Profile,
    ) -> None:
        self._works = works
        self._actors = actors
        self._attempts = attempts
        self._hasher = hasher
        self._seal = seal
        self._common = common
        self._brand_words = brand_words
        self._profile = profile

    async def change(self, token: str, system_id: SystemId, *, current: Secret, new: Secret) -> Changed:
        """Raises InvalidInput(PASSWORD_REJECTED) with everything unmet, Unauthenticated, and what Attempts.run raises."""
        actor = await self._actors.of_any(token, system_id)
        require_open(actor)

        async def prepare(_: Tried, person: Person) -> _Prepared:
            return await self._prepare(person, new)

        async def settle(work: Work, scene: Scene, prepared: _Prepared) -> _Outcome:
            require_same_session(actor, scene)
            if prepared.unmet:
                violations = tuple(unmet.requirement.value for unmet in prepared.unmet)
                work.event(
                    EventType.PASSWORD_REJECTED,
                    scene.tried.terminal.region_id,
                    staff_id=actor.staff_id,
                    violations=",".join(violations),
                )
                return _Outcome(unmet=prepared.unmet)
            ends = await self._put_in_force(work, scene.person, prepared.hash)
            left = await complete(work, actor, scene, self._profile, duty=Duty.CHANGE_PASSWORD, password_ends_at=ends)
            return _Outcome(duties=left, days=days_left(ends, work.now))

        ask = ask_in_session(actor, Purpose.CHANGE_PASSWORD, password=current)
        settled = await self._attempts.run(ask, prepare, settle)
        outcome = settled.value
        if outcome.unmet:  # recorded before it is answered; a rejection that rolled back would leave no trace
            raise rejected(outcome.unmet)
        return Changed(
            duties=outcome.duties,
            password_days_left=outcome.days,
            region_id=actor.region_id,
            revision=settled.revisions[actor.region_id],
        )

    async def _prepare(self, person: Person, new: Secret) -> _Prepared:
        """Check everything at once (ID-2, ID-3, ID-6), and hash what may be used."""
        async with self._works.read() as conn:
            checked = await credentials.checked(conn, person.staff_id, self._profile.history_depth)
        if checked is None:
            raise Internal(Reason.INTERNAL, detail="a staff ID without a store")
        text = _normalised(new)
        reused = text is not None and await self._hasher.matches_any(text, checked.hashes)
        unmet = check(
            new.reveal(),
            self._profile,
            personal=self._personal(person, checked),
            room_words=(*self._brand_words, *checked.room_words),
            common=self._common,
            reused=reused,
        )
        if unmet or text is None:
            return _Prepared(unmet=unmet or (Unmet(Requirement.CHARACTERS),))
        return _Prepared(hash=await self._hasher.hash(text))

    def _personal(self, person: Person, checked: Checked) -> PersonalFacts:
        facts = self._seal.open_facts(person.staff_id, checked.facts_sealed)
        return facts.personal(person.staff_id, self._seal.open_phone(person.staff_id, checked.phone_sealed))

    async def _put_in_force(self, work: Work, person: Person, hashed: str) -> datetime:
        """Replace the hash, and move the state (ID-1: issued -> active). Answers when the new one ends (ID-4)."""
        ends = expires_on(work.now, self._profile) or NEVER
        await credentials.put_chosen(
            work.conn,
            person.staff_id,
            hash=hashed,
            ends_at=ends,
            now=work.now,
            depth=self._profile.history_depth,
        )
        state = StaffState(person.state)
        await move(work, person.staff_id, person.region_id, state, StaffEvent.PASSWORD_CHANGED, None)
        work.event(EventType.PASSWORD_CHANGED, person.region_id, staff_id=person.staff_id, was_first=person.is_first)
        return ends


def rejected(unmet: tuple[Unmet, ...]) -> InvalidInput:
    """PASSWORD_REJECTED with every unmet requirement at once (ID-2)."""
    error = InvalidInput(Reason.PASSWORD_REJECTED, violations=tuple(one.requirement.value for one in unmet))
    error.details.update({one.requirement.value: str(one.limit) for one in unmet if one.limit is not None})
    return error


def _normalised(new: Secret) -> str | None:
    try:
        return normalise(new.reveal())
    except InvalidInput:
        return None
