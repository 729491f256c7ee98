"""What attempts ask of PostgreSQL in company: places for many, and right outcomes in one transaction (docs/adr/0010).

None of a group can fail, delay or change the outcome of another.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from authsvc.flows.groups import Groups
from authsvc.profile import Profile
from authsvc.store import places, staff
from authsvc.store.opening import Opening, opened, opening
from authsvc.store.places import Place, Taken, Wanted
from authsvc.store.staff import Tried, Try
from authsvc.work import Draft, Works
from infosec.errors import Aborted, InfosecError, ResourceExhausted
from infosec.logging import get
from infosec.storage.postgres import together

_LOG = get(__name__)
_T = TypeVar("_T")

_CORES = os.cpu_count() or 1
_CROWD = 2 * _CORES
"""With more attempts than this hashing, or waiting to, all cores have enough to do while an attempt waits for company."""
_HASH_S = 0.02
"""About what a hash takes: what is spent waiting, of the time until those who hash or wait to would be through."""
_TAKES_S, _SUCCESSES_S = 0.05, 0.2
"""How long an attempt waits for company at most: for its places, and with its success."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one attempt asks for at its beginning."""

    wanted: Wanted
    tried: Try


@dataclass(frozen=True, slots=True)
class Success:
    """A right login as it was foretold: the draft of it, and what writes that."""

    draft: Draft
    opening: Opening


class Company:
    """Of the attempts of one process. `release` gives back a place that was taken in part, or for somebody who has gone."""

    def __init__(self, *, works: Works, profile: Profile, release: Callable[[Place], None]) -> None:
        self._works = works
        self._profile = profile
        self._release = release
        self._hashing = 0
        self._takes = Groups(
            self._take_all,
            pause_s=lambda: self._pause_s(_TAKES_S),
            dropped=lambda wish: release(wish.wanted.place),
        )
        self._successes = Groups(self._write_all, pause_s=lambda: self._pause_s(_SUCCESSES_S))

    async def take(self, wish: Wish) -> Tried | Taken:
        """One try: what the attempt is judged by, or how its places are not to be had. Whoever is cancelled holds none.

        Raises Unavailable: it may hold them all the same.
        """
        return await self._takes.one(wish)

    async def write(self, success: Success) -> bool:
        """Whether it is known to be written. If not, for whatever reason, it is settled alone: its places tell.

        Raises ResourceExhausted: there was no connection to be had, and nothing was written.
        """
        return await self._successes.one(success)

    async def hashed(self, hashing: Awaitable[_T]) -> _T:
        """Every hash of an attempt goes through here: they make the crowd."""
        self._hashing += 1
        try:
            return await hashing
        finally:
            self._hashing -= 1

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._takes.drain()
        await self._successes.drain()

    async def _take_all(self, wishes: Sequence[Wish]) -> list[Tried | Taken]:
        """Two statements in one message: the second begins when the first has its locks, so it sees what the attempts
        before these have settled; and it waits for none."""
        take = places.taking([wish.wanted for wish in wishes], lease=self._profile.login_place_lease)
        since = self._works.clock.now() - self._profile.terminal_window
        look = staff.trying([wish.tried for wish in wishes], failing_since=since)
        try:
            async with self._works.db.statements() as conn:
                took, seen = await together(conn, take, look)
        except Aborted:  # nothing was taken, and each tries again in other company
            return [Taken.NOTHING] * len(wishes)
        taken, tried = places.taken(took), staff.tried(seen)
        return [
            self._outcome(wish, taken[wish.wanted.place.attempt_id], tried.get(number))
            for number, wish in enumerate(wishes)
        ]

    def _outcome(self, wish: Wish, taken: Taken, tried: Tried | None) -> Tried | Taken:
        if taken is Taken.WHOLE and tried is not None:
            return tried
        if taken in (Taken.WHOLE, Taken.PART):
            self._release(wish.wanted.place)
        return taken if taken is Taken.NOT_REGISTERED else Taken.NOTHING

    async def _write_all(self, successes: Sequence[Success]) -> list[bool]:
        try:
            statement = opening([success.opening for success in successes])
            written = opened(await self._works.write([success.draft for success in successes], statement))
        except ResourceExhausted:
            raise  # as to the wrong ones: to wait a second time would tell them apart (ID-7), and add to the load
        except InfosecError as error:
            _LOG.warning("attempts not settled together", count=len(successes), reason=error.reason.value)
            return [False] * len(successes)
        return [success.opening.place.attempt_id in written for success in successes]

    def _pause_s(self, longest_s: float) -> float:
        """Where the machine has more to hash than it can, a pause costs nobody a hash, and company spares all of them work."""
        return min(longest_s, _HASH_S * self._hashing / _CORES) if self._hashing > _CROWD else 0.0
