"""The one way in which a password or a second factor is verified (ID-5, ID-7, ID-11). No path may do it otherwise.

An attempt takes its places (staff-ID key, terminal), is judged, verifies exactly one hash with no connection held, and is
settled: the outcome is answered only after it was committed by an attempt that still held its places.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from authsvc.flows.company import Company, Success, Wish
from authsvc.flows.counting import Ask, Counting, Scene
from authsvc.flows.turns import Turns
from authsvc.hashing import Verdict
from authsvc.lockout import Purpose, Refusal, judge, judge_person
from authsvc.notices import Notices
from authsvc.passwords import normalise
from authsvc.profile import Profile
from authsvc.store import credentials, places, staff
from authsvc.store.opening import Opening
from authsvc.store.places import Place, Taken, Wanted
from authsvc.store.staff import Person, Tried, Try
from authsvc.totp import accepted_step
from authsvc.work import Draft, Work, Works
from infosec import ids
from infosec.clock import Clock
from infosec.errors import Aborted, InfosecError, InvalidInput, PermissionDenied, Reason, Unauthenticated, Unavailable
from infosec.ids import RegionId, SystemId, TerminalId
from infosec.keys import SealingKeys
from infosec.logging import get
from infosec.secret import SecretBytes

_LOG = get(__name__)
_T = TypeVar("_T")
_P = TypeVar("_P")

_POLL_S = (0.010, 0.025)
_RETRY = timedelta(seconds=1)
_SETTLE_TRIES = 5
_NO_PASSWORD_AT_ALL = "\x00"  # noqa: S105
"""Stands for input that can be no password of anybody: no stored hash is of it."""
_KNOWN_PLACES = 10_000


class Hasher(Protocol):
    """What is needed of authsvc.hashing.PasswordHasher: off the event loop, bounded, refusing at once when overloaded."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, stored: str, password: str) -> Verdict: ...

    async def verify_dummy(self, password: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Generic[_T]):
    """What a right attempt led to, and the revisions at which it is known."""

    value: _T
    revisions: Mapping[RegionId, int]


Settle = Callable[[Work, Scene, _P], Awaitable[_T]]
"""Writes what follows from a right attempt, in the transaction that settles it. May be called again after a rollback."""
Foretell = Callable[[Draft, Scene, Place], tuple[_T, Opening] | None]
"""What a right attempt leads to, and what is to be written if all is still as the scene shows it; None where that cannot be
told before."""
Prepare = Callable[[Tried, Person], Awaitable[_P]]
"""Work that takes long, between a right secret and its settling: the places are held, a connection is not."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """The answer about the secrets; `new_hash` is of the same password at the parameters in force."""

    refusal: Refusal | None
    is_right: bool = False
    new_hash: str | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    """The answer about the second factor; right without a step where none is asked for."""

    is_right: bool
    step: int | None = None


class _Lost(Exception):
    """The places were no longer ours: roll back."""


class Attempts:
    """Runs attempts. `patience_s` is how long one waits for its turn before it is discarded, uncounted."""

    def __init__(
        self,
        *,
        works: Works,
        hasher: Hasher,
        totp_keys: SealingKeys,
        notices: Notices,
        profile: Profile,
        clock: Clock,
        turns: Turns | None = None,
        patience_s: float = 8.0,
    ) -> None:
        self._works = works
        self._hasher = hasher
        self._totp_keys = totp_keys
        self._counting = Counting(notices=notices, profile=profile)
        self._profile = profile
        self._clock = clock
        self._turns = turns or Turns()
        self._patience_s = patience_s
        self._registered: set[tuple[SystemId, TerminalId]] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._company = Company(works=works, profile=profile, release=self._release_later)

    async def run(
        self, ask: Ask, prepare: Prepare[_P], settle: Settle[_P, _T], *, foretell: Foretell[_T] | None = None
    ) -> Settled[_T]:
        """One attempt, from its place to its committed outcome. `foretell` spares the right one a transaction of its own.

        Raises Unauthenticated(LOGIN_REFUSED) for every refusal, counted or not; PermissionDenied(CALLER_OUT_OF_PLACE);
        Unavailable(ATTEMPT_DISCARDED | STORAGE_UNAVAILABLE), ResourceExhausted(OVERLOADED): nothing was counted, or at
        least nothing was answered.
        """
        await self._require_registered(ask.system_id, ask.terminal_id)
        staff_key = ids.attempt_key(ask.staff_text)
        failing_key = _digest(staff_key)
        staff_place, terminal_place = f"s:{failing_key}", f"t:{ask.terminal_id}"
        patience = asyncio.timeout(self._patience_s)
        try:
            async with patience, self._turns.of(staff_place, terminal_place):
                place, tried = await self._take(ask, staff_key, failing_key)
                patience.reschedule(None)
                # From here on it ends by itself, whether or not the caller still listens: hanging up spares no count.
                return await self._to_the_end(
                    self._carry_out(ask, place, tried, failing_key, prepare, settle, foretell)
                )
        except TimeoutError:
            raise _discarded() from None

    async def drain(self) -> None:
        """Wait for what is under way: before the database is closed."""
        await self._company.drain()
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _require_registered(self, system_id: SystemId, terminal_id: TerminalId) -> None:
        """About the system, before anything about a person. Only spares a read: taking a place asks again."""
        if (system_id, terminal_id) in self._registered:
            return
        async with self._works.db.statements() as conn:
            if not await places.is_registered(conn, system_id, terminal_id):
                raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE, terminal=terminal_id)
        if len(self._registered) >= _KNOWN_PLACES:
            self._registered.clear()
        self._registered.add((system_id, terminal_id))

    async def _take(self, ask: Ask, staff_key: str, failing_key: str) -> tuple[Place, Tried]:
        while True:
            place = Place(attempt_id=uuid.uuid4(), staff_key=f"s:{failing_key}", terminal_key=f"t:{ask.terminal_id}")
            wish = Wish(
                Wanted(place=place, system_id=ask.system_id, terminal_id=ask.terminal_id),
                Try(staff_key=staff_key, terminal_id=ask.terminal_id, failing_key=failing_key),
            )
            try:
                tried = await self._company.take(wish)
            except Unavailable:
                self._release_later(place)  # it may have been taken all the same
                raise
            if isinstance(tried, Tried):
                return place, tried
            if tried is Taken.NOT_REGISTERED:
                self._registered.discard((ask.system_id, ask.terminal_id))
                raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE, terminal=ask.terminal_id)
            await asyncio.sleep(random.uniform(*_POLL_S))

    async def _to_the_end(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _carry_out(
        self,
        ask: Ask,
        place: Place,
        tried: Tried,
        failing_key: str,
        prepare: Prepare[_P],
        settle: Settle[_P, _T],
        foretell: Foretell[_T] | None,
    ) -> Settled[_T]:
        try:
            verified = await self._verify(ask, tried)
            prepared = None
            if verified.is_right and tried.person is not None:
                prepared = (await prepare(tried, tried.person),)
                if foretell is not None and verified.new_hash is None:
                    scene = Scene(person=tried.person, tried=tried, failing_key=failing_key)
                    settled = await self._settle_as_foretold(ask, place, scene, foretell)
                    if settled is not None:
                        return settled
            for _ in range(_SETTLE_TRIES):
                try:
                    outcome = await self._settle(ask, place, tried, failing_key, verified, prepared, settle)
                    break
                except Aborted:
                    continue
            else:
                raise _discarded()
        except _Lost:
            self._release_later(place)
            raise _discarded() from None
        except BaseException:
            self._release_later(place)
            raise
        if outcome is None:
            raise Unauthenticated(Reason.LOGIN_REFUSED)
        return outcome

    async def _verify(self, ask: Ask, tried: Tried) -> _Verified:
        """Exactly one hash for every attempt with a password: the person's own, or the dummy (ID-7)."""
        person, now = tried.person, self._clock.now()
        refusal = judge(person.standing if person else None, tried.terminal, ask.purpose, now, self._profile)
        # Both factors are looked at whatever the other says, and what follows depends on both: one cannot be told by time.
        code_right = person is not None and self._code(ask, person, now).is_right
        if ask.password is None:
            return _Verified(refusal, is_right=refusal is None and code_right)
        try:
            text = normalise(ask.password.reveal())
        except InvalidInput:
            text = _NO_PASSWORD_AT_ALL
        if refusal is not None or person is None:
            await self._company.hashed(self._hasher.verify_dummy(text))
            return _Verified(refusal)
        verdict = await self._company.hashed(self._hasher.verify(person.hash, text))
        is_right = verdict.matches and code_right
        upgrades = is_right and verdict.rehash_needed and ask.purpose is Purpose.LOGIN
        return _Verified(None, is_right, await self._hasher.hash(text) if upgrades else None)

    async def _settle_as_foretold(
        self, ask: Ask, place: Place, scene: Scene, foretell: Foretell[_T]
    ) -> Settled[_T] | None:
        """Commit a success that rests on what was read when the place was taken, if it is so still; None: settle it alone."""
        draft, tried = Draft(now=self._clock.now()), scene.tried
        refusal = judge_person(scene.person.standing, tried.terminal.region_id, ask.purpose, draft.now, self._profile)
        code = self._code(ask, scene.person, draft.now)
        if refusal is not None or not code.is_right or code.step is not None:
            return None
        told = foretell(draft, scene, place)
        if told is None:
            return None
        value, opening = told
        if not await self._company.write(Success(draft, opening)):
            return None
        return Settled(value=value, revisions=dict(draft.revisions))

    async def _settle(
        self,
        ask: Ask,
        place: Place,
        tried: Tried,
        failing_key: str,
        verified: _Verified,
        prepared: tuple[_P] | None,
        settle: Settle[_P, _T],
    ) -> Settled[_T] | None:
        """Commit the outcome, if the places are still ours; None: refused."""
        value: tuple[_T] | None = None
        judged = tried.person if verified.refusal is None else None
        first = staff.locking_giving_up(judged.staff_id, ask.terminal_id, place) if judged else places.giving_up(place)
        async with self._works.begin(first) as work:
            if judged is None:
                if not places.given_up(work.first_rows):
                    raise _Lost
                await self._counting.refused(work, ask, tried, failing_key, verified.refusal or Refusal.UNKNOWN)
            else:
                person = _same_person(work, place, judged)
                scene = Scene(person=person, tried=tried, failing_key=failing_key)
                refusal = judge_person(
                    person.standing, tried.terminal.region_id, ask.purpose, work.now, self._profile
                )  # what was true before hashing may have changed meanwhile
                if refusal is not None:
                    await self._counting.refused(work, ask, tried, failing_key, refusal)
                elif prepared is None or not await self._use_code(work, ask, person):
                    await self._counting.wrong(work, ask, scene)
                else:
                    if verified.new_hash is not None:
                        await credentials.replace_hash(work.conn, person.staff_id, person.hash, verified.new_hash)
                    value = (await settle(work, scene, prepared[0]),)
        return None if value is None else Settled(value=value[0], revisions=dict(work.revisions))

    async def _use_code(self, work: Work, ask: Ask, person: Person) -> bool:
        """Whether the code, where one is asked for, is still unused; it is used up now (RQ-3)."""
        code = self._code(ask, person, work.now)
        if code.is_right and code.step is not None:
            await credentials.use_totp_step(work.conn, person.staff_id, code.step)
        return code.is_right

    def _code(self, ask: Ask, person: Person, now: datetime) -> _Code:
        if ask.purpose is Purpose.ACTIVATE_TOTP:
            sealed, last_step = person.totp_pending, 0  # no code of the new secret was accepted yet
        elif ask.purpose is Purpose.STEP_UP or (ask.purpose in _CODE_ASKED and person.totp_active):
            sealed, last_step = person.totp_sealed, person.totp_last_step
        else:
            return _Code(True)
        if sealed is None:
            return _Code(False)
        secret = SecretBytes(self._totp_keys.open(sealed, totp_context(person.staff_id)))
        step = accepted_step(secret, ask.code, now=now, last_step=last_step, profile=self._profile)
        return _Code(step is not None, step)

    def _release_later(self, place: Place) -> None:
        """Give the places back without being asked to wait; the lease ends them anyhow."""
        task = asyncio.create_task(self._release(place))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _release(self, place: Place) -> None:
        try:
            async with self._works.read() as conn:
                await places.give_up(conn, place)
        except InfosecError as error:
            _LOG.warning("the places of an attempt wait for their lease", reason=error.reason.value)


_CODE_ASKED = frozenset({Purpose.LOGIN, Purpose.ENROLL_TOTP})


def _same_person(work: Work, place: Place, before: Person) -> Person:
    """Locked, with the place still ours and the hash that was verified: a verdict about a replaced one is none."""
    person = staff.locked(work.first_rows, place)
    if person is None or person.hash != before.hash:
        raise _Lost
    return person


def totp_context(staff_id: str) -> bytes:
    """What a sealed TOTP secret is bound to: its staff ID, so that no row can be given another's."""
    return b"infosec/auth.totp/v1/" + staff_id.encode()


async def nothing(_tried: Tried, _person: Person) -> None:
    """For attempts with nothing to prepare."""


def _digest(staff_key: str) -> str:
    """What places and failures are kept under: people type passwords into the wrong field, and these are tables."""
    return hashlib.blake2b(staff_key.encode(), digest_size=16, person=b"infosec-attempt").hexdigest()


def _discarded() -> Unavailable:
    return Unavailable(Reason.ATTEMPT_DISCARDED, retry_after=_RETRY)
