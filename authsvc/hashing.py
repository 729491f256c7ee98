"""Hashing and comparing passwords off the event loop, in a pool of as many threads as cores with a bounded queue (ID-5 to ID-7).

Takes normalised passwords; keeps none, and puts none into an error, a repr or a thread's name.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from authsvc.hash_schemes import HashParameters, Scheme, matches_legacy, validate_imported
from infosec.errors import Internal, InvalidInput, Reason, ResourceExhausted, Unavailable

MAX_HISTORY = 24

_T = TypeVar("_T")
_FIRST_GUESS_S = 0.05
_MIN_RETRY_S = 0.1


class Target(StrEnum):
    """What a password was compared with."""

    OWN = "own"
    DUMMY = "dummy"
    HISTORY = "history"


Observer = Callable[[Target], None]
"""Told of every verification that is taken on, on the event loop's thread, before it begins."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a comparison. `rehash_needed`: it matches, and the stored hash is of another kind or at other parameters."""

    matches: bool
    rehash_needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How much hashing may be under way."""

    workers: int = os.cpu_count() or 1
    max_waiting: int = 256
    """Jobs that may wait for a worker; at 20 ms each on two cores the last one waits 2.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Health of the pool."""

    under_way: int
    capacity: int


def _ignore(_target: Target) -> None:
    return None


class PasswordHasher:
    """Argon2id behind a bounded pool. Every call raises ResourceExhausted(OVERLOADED) at once when the queue is full."""

    def __init__(
        self,
        parameters: HashParameters | None = None,
        *,
        limits: PoolLimits | None = None,
        observer: Observer = _ignore,
    ) -> None:
        limits = limits or PoolLimits()
        self._argon2 = (parameters or HashParameters()).hasher()
        self._observer = observer
        self._pool = _BoundedPool(limits)
        # At the parameters in force, so that a refusal that verifies nothing costs what a verification costs (ID-7).
        self._dummy = self._argon2.hash(secrets.token_urlsafe(32))

    async def hash(self, password: str) -> str:
        """A new hash, with a fresh salt."""
        return await self._pool.run(lambda: self._argon2.hash(password))

    async def verify(self, stored: str, password: str) -> Verdict:
        """Compare with the person's own hash. Raises Internal if what is stored is no hash, or costs more than is allowed."""
        return await self._compare(stored, password, Target.OWN)

    async def verify_dummy(self, password: str) -> None:
        """Cost what `verify` costs, and tell nothing."""
        await self._pool.run(lambda: self._verify_blocking(self._dummy, password), lambda: self._observer(Target.DUMMY))

    async def matches_any(self, password: str, hashes: Iterable[str]) -> bool:
        """Whether it is one of the last passwords (ID-6): one comparison after the other, ending with the first that matches."""
        kept = tuple(hashes)
        if len(kept) > MAX_HISTORY:
            raise Internal(Reason.INTERNAL, detail="password history too long")
        for stored in kept:
            if (await self._compare(stored, password, Target.HISTORY)).matches:
                return True
        return False

    def health(self) -> Load:
        """How full the pool is."""
        return self._pool.load()

    def close(self) -> None:
        """Drop what waits and wait for what runs. Later calls raise Unavailable."""
        self._pool.close()

    async def _compare(self, stored: str, password: str, target: Target) -> Verdict:
        try:
            scheme = validate_imported(stored)
        except InvalidInput:
            raise Internal(Reason.INTERNAL, detail="stored password hash is unusable") from None
        return await self._pool.run(
            lambda: self._compare_blocking(scheme, stored, password), lambda: self._observer(target)
        )

    def _compare_blocking(self, scheme: Scheme, stored: str, password: str) -> Verdict:
        if scheme is Scheme.ARGON2ID:
            matches = self._verify_blocking(stored, password)
            return Verdict(matches, matches and self._argon2.check_needs_rehash(stored))
        matches = matches_legacy(scheme, stored, password)
        if not matches:
            # A match is hashed anew by the caller; a miss pays the same here, or a cheap old hash would be told by its speed.
            self._verify_blocking(self._dummy, password)
        return Verdict(matches, matches)

    def _verify_blocking(self, stored: str, password: str) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError):
            raise Internal(Reason.INTERNAL, detail="argon2 could not verify") from None


class _BoundedPool:
    """Threads, and a count of jobs that stays right when the task that waits for one is cancelled."""

    def __init__(self, limits: PoolLimits) -> None:
        self._workers = limits.workers
        self._capacity = limits.workers + limits.max_waiting
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="password-hash")
        self._lock = threading.Lock()
        self._under_way = 0
        self._job_s = _FIRST_GUESS_S
        self._closed = False

    async def run(self, job: Callable[[], _T], taken_on: Callable[[], None] | None = None) -> _T:
        """Run `job` on a thread. A cancelled caller's job is dropped if it waits, and counted until it ends if it runs."""
        self._take_place()
        try:
            if taken_on:
                taken_on()
            future = self._threads.submit(self._timed, job)
        except BaseException:
            self._give_place_back()
            raise
        future.add_done_callback(lambda _: self._give_place_back())
        return await asyncio.wrap_future(future)

    def load(self) -> Load:
        return Load(under_way=self._under_way, capacity=self._capacity)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _take_place(self) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable(Reason.OVERLOADED, detail="shutting down")
            if self._under_way >= self._capacity:
                wait_s = max(_MIN_RETRY_S, self._under_way * self._job_s / self._workers)
                raise ResourceExhausted(Reason.OVERLOADED, retry_after=timedelta(seconds=wait_s))
            self._under_way += 1

    def _give_place_back(self) -> None:
        with self._lock:
            self._under_way -= 1

    def _timed(self, job: Callable[[], _T]) -> _T:
        began = time.perf_counter()
        try:
            return job()
        finally:
            took = time.perf_counter() - began
            with self._lock:
                self._job_s += (took - self._job_s) / 8
