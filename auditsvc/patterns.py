"""Odd patterns (CI-7), found while entries of one log go by in order; memory grows with who acts, not with how often.

A pattern accuses nobody: it says which entries to look at. Pure: entries come in, patterns go out; knows no customer, only
random subjects, so what was erased is found as before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeVar

from auditsvc.review_profile import TELECOM_HALL, ReviewProfile
from infosec.clock import CARRIER_ZONE
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import DenyReason
from infosec.events.types import EventType
from infosec.review.seen import DENIED, PLACED, Seen

SHOWN = 20
"""Entries that a pattern names."""
_SWEEP_EVERY = 4096
_ZERO = timedelta(0)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

JUDGED = (
    EventType.CHECK_DECIDED,
    EventType.CODE_SENT,
    EventType.CODE_CONFIRMED,
    EventType.ORDER_COMPLETED,
    EventType.ORDER_REVERSED,
)
"""The types that patterns are found in; others need not be told."""
VISITED = EventType.CUSTOMER_VISITED
"""Foretold, as withdrawals are, which may be of any type."""
LOOKED_AT = (*JUDGED, VISITED)

_WALK_IN = Purpose.WALK_IN.value
_CLOSED = frozenset({DenyReason.OUT_OF_HOURS.value, DenyReason.STORE_CLOSED.value})
_ELSEWHERE = frozenset({DenyReason.OUT_OF_SCOPE.value, DenyReason.TERMINAL_OUT_OF_PLACE.value})


Key = TypeVar("Key", bound=Hashable)


class PatternKind(StrEnum):
    """The closed list."""

    MANY_LOOKUPS = "MANY_LOOKUPS"
    OUT_OF_HOURS = "OUT_OF_HOURS"
    OUT_OF_STORE = "OUT_OF_STORE"
    NO_VISIT = "NO_VISIT"
    MANY_CODES = "MANY_CODES"
    FAST_CODE = "FAST_CODE"
    SOON_REVERSED = "SOON_REVERSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One odd pattern, with the entries that show it."""

    kind: PatternKind
    staff: str
    store: str
    terminal: str
    first: datetime
    last: datetime
    count: int
    threshold: int
    """What the profile allows: a number of things; seconds for FAST_CODE, minutes for SOON_REVERSED."""
    indices: tuple[int, ...]


class _Hit(NamedTuple):
    """One thing that counts. What belongs to another entry counts with it."""

    at: datetime
    entry: Seen
    also: int | None = None


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Things of one kind by one person (or at one terminal) within a window; odd are those beyond `allowed`."""

    kind: PatternKind
    allowed: int
    threshold: int
    window: timedelta
    hits: deque[_Hit] = field(default_factory=deque)
    within: int = 0
    """What the hits stand for."""
    odd: list[_Hit] = field(default_factory=list)
    """The first of those that make the pattern that is going on."""
    last: datetime = _NEVER
    count: int = 0

    def add(self, hit: _Hit) -> Pattern | None:
        """One more; the pattern that ended before it. Kept is what says whether there is one too many, and no more."""
        self._insert(hit)
        begin = self.hits[-1].at - self.window
        is_late = hit.at <= begin  # told so late that its window is over: by itself alone
        while self.hits[0].at <= begin:
            self.within -= self.hits.popleft().entry.times
        is_odd = (hit.entry.times if is_late else self.within) > self.allowed
        ended = self.end() if self.odd and not is_late and (not is_odd or self.last <= begin) else None
        if is_odd:
            for one in [hit] if self.odd or is_late else list(self.hits):
                self._take(one)
        while self.within - self.hits[0].entry.times > self.allowed:  # those after it are too many by themselves
            self.within -= self.hits.popleft().entry.times
        return ended

    def _insert(self, hit: _Hit) -> None:
        """In order of time, which is the order of arrival but for what comes from a store that was cut off."""
        self.within += hit.entry.times
        if self.hits and hit.at < self.hits[-1].at:
            self.hits.insert(bisect_right(self.hits, hit.at, key=_moment), hit)
        else:
            self.hits.append(hit)

    def end(self) -> Pattern | None:
        """Nothing more comes."""
        if not self.odd:
            return None
        entry, people = self.odd[0].entry, {one.entry.staff for one in self.odd}
        named = [index for one in self.odd for index in (one.also, one.entry.position) if index is not None]
        ended = Pattern(
            kind=self.kind,
            staff=entry.staff if len(people) == 1 else "",
            store=entry.store,
            terminal=entry.terminal,
            first=min(one.at for one in self.odd),
            last=self.last,
            count=self.count,
            threshold=self.threshold,
            indices=tuple(dict.fromkeys(named))[:SHOWN],
        )
        self.odd, self.last, self.count = [], _NEVER, 0
        return ended

    def _take(self, hit: _Hit) -> None:
        self.last = max(self.last, hit.at) if self.odd else hit.at
        self.count += hit.entry.times
        if len(self.odd) < SHOWN:
            self.odd.append(hit)


def _moment(hit: _Hit) -> datetime:
    return hit.at


class _Recent(NamedTuple):
    """Something that may explain, or make odd, what follows."""

    at: datetime
    position: int


@dataclass(slots=True)
class Watch:
    """Looks for patterns in one log. Entries are told in order of index; `patterns` has what is found so far.

    What may come late is foretold, in order too: before an entry is told, the visits and withdrawals that were recorded
    until `horizon` of it. Entries recorded before `since` explain others, and are not odd themselves.
    """

    since: datetime
    until: datetime
    profile: ReviewProfile = TELECOM_HALL
    patterns: list[Pattern] = field(default_factory=list)
    _withdrawn: dict[str, datetime] = field(default_factory=dict)
    _tallies: dict[Hashable, _Tally] = field(default_factory=dict)
    _stores: dict[str, dict[str, _Recent]] = field(default_factory=dict)
    _visits: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    _codes: dict[tuple[str, str, str], _Recent] = field(default_factory=dict)
    _orders: dict[tuple[str, str], _Recent] = field(default_factory=dict)
    _told: int = 0

    def horizon(self, entry: Seen) -> datetime:
        """Until when something may be recorded that explains this entry."""
        return entry.recorded + self.profile.settling

    def foretell(self, entry: Seen) -> None:
        """What an entry says of others: that one was withdrawn, or that a customer was there."""
        if entry.withdraws:
            self._withdrawn[entry.withdraws] = entry.recorded
        if entry.type == EventType.CUSTOMER_VISITED.value:
            insort(self._visits.setdefault((entry.store, entry.subject), []), min(entry.at, entry.recorded))
        self._count(entry.recorded - self.profile.settling)

    def tell(self, entry: Seen) -> None:
        """The next entry. What a store system says happened after it was recorded, happened when it was recorded."""
        if entry.recorded < self.until and entry.event_id not in self._withdrawn:
            if entry.at > entry.recorded:
                entry = entry._replace(at=entry.recorded)
            _JUDGES.get(entry.type, _pass)(self, entry)
        self._count(entry.recorded)

    def finish(self) -> list[Pattern]:
        """At the end: all patterns, in order of their first moment."""
        for tally in self._tallies.values():
            self._keep(tally.end())
        self._tallies.clear()
        self.patterns.sort(key=lambda one: (one.first, one.kind.value, one.staff, one.indices))
        return self.patterns

    def check(self, entry: Seen) -> None:
        """A check, allowed or denied."""
        if entry.is_allowed:
            cls = entry.cls
            if entry.staff:
                self._two_stores(entry)
                if cls is OperationClass.READ:
                    self._read(entry)
            if cls is OperationClass.REVERSE:
                self.reversed(entry)
        elif entry.decision == DENIED and (entry.staff or entry.terminal):
            who = entry.staff or f"@{entry.terminal}"
            if entry.reason in _CLOSED:
                self._add(PatternKind.OUT_OF_HOURS, ("denied", who), entry, self.profile.denials_out_of_hours)
            elif entry.reason in _ELSEWHERE:
                self._add(PatternKind.OUT_OF_STORE, ("denied", who), entry, self.profile.denials_out_of_store)

    def code_sent(self, entry: Seen) -> None:
        """MANY_CODES, and what FAST_CODE is held against."""
        self._add(PatternKind.MANY_CODES, entry.terminal, entry, self.profile.codes_an_hour)
        self._codes[entry.terminal, entry.subject, entry.code] = _Recent(entry.at, entry.position)

    def code_confirmed(self, entry: Seen) -> None:
        """FAST_CODE."""
        sent = self._codes.pop((entry.terminal, entry.subject, entry.code), None)
        if sent is not None and _ZERO <= entry.at - sent.at < self.profile.code_takes:
            seconds = int(self.profile.code_takes.total_seconds())
            self._add(PatternKind.FAST_CODE, entry.terminal, entry, 0, threshold=seconds, also=sent.position)

    def completed(self, entry: Seen) -> None:
        """What SOON_REVERSED is held against."""
        self._orders[entry.staff, entry.subject] = _Recent(entry.at, entry.position)

    def reversed(self, entry: Seen) -> None:
        """SOON_REVERSED: an order was taken back, or may be; each order once."""
        order = self._orders.get((entry.staff, entry.subject))
        if not entry.subject or order is None or not _ZERO <= entry.at - order.at < self.profile.reversal:
            return
        del self._orders[entry.staff, entry.subject]
        minutes = int(self.profile.reversal.total_seconds() // 60)
        self._add(PatternKind.SOON_REVERSED, entry.staff, entry, 0, threshold=minutes, also=order.position)

    def _read(self, entry: Seen) -> None:
        profile = self.profile
        self._add(PatternKind.MANY_LOOKUPS, entry.staff, entry, profile.lookups_an_hour)
        if profile.is_night(entry.at.astimezone(CARRIER_ZONE).time()):
            self._add(PatternKind.OUT_OF_HOURS, ("read", entry.staff), entry, profile.reads_at_night)
        if entry.purpose == _WALK_IN and entry.subject and not self._was_here(entry):
            self._add(PatternKind.NO_VISIT, entry.staff, entry, profile.reads_without_visit)

    def _was_here(self, entry: Seen) -> bool:
        """A visit in the hours before, or told soon after."""
        begin, end = entry.at - self.profile.visit_life, entry.at + self.profile.settling
        visits = self._visits.get((entry.store, entry.subject), [])
        first = bisect_left(visits, begin)
        return first < len(visits) and visits[first] <= end

    def _two_stores(self, entry: Seen) -> None:
        """One person served in two stores, with less than the way between them."""
        if entry.role and entry.role not in PLACED:
            return
        known = self._stores.setdefault(entry.staff, {})
        for store, before in known.items():
            if store != entry.store and abs(entry.at - before.at) < self.profile.between_stores:
                self._add(PatternKind.OUT_OF_STORE, ("two", entry.staff), entry, 0, also=before.position)
                break
        known[entry.store] = _Recent(entry.at, entry.position)

    def _add(
        self,
        kind: PatternKind,
        who: Hashable,
        entry: Seen,
        allowed: int,
        *,
        threshold: int | None = None,
        also: int | None = None,
    ) -> None:
        tally = self._tallies.get((kind, who))
        if tally is None:
            shown = allowed if threshold is None else threshold
            tally = _Tally(kind=kind, allowed=allowed, threshold=shown, window=self.profile.burst)
            self._tallies[kind, who] = tally
        self._keep(tally.add(_Hit(entry.at, entry, also)))

    def _keep(self, ended: Pattern | None) -> None:
        if ended is not None and ended.last >= self.since:
            self.patterns.append(ended)

    def _count(self, now: datetime) -> None:
        """One more; what is told from now on was not recorded before `now`."""
        self._told += 1
        if self._told % _SWEEP_EVERY == 0:
            self._sweep(now)

    def _sweep(self, now: datetime) -> None:
        """Let go of what no window reaches any more."""
        oldest = now - self.profile.lookback
        for key, tally in list(self._tallies.items()):
            if tally.hits[-1].at < oldest:
                self._keep(tally.end())
                del self._tallies[key]
        for name, visits in list(self._visits.items()):
            self._visits[name] = [at for at in visits if at >= oldest]
            if not self._visits[name]:
                del self._visits[name]
        _forget(self._codes, oldest)
        _forget(self._orders, oldest)
        for staff, stores in list(self._stores.items()):
            _forget(stores, oldest)
            if not stores:
                del self._stores[staff]
        for event, at in list(self._withdrawn.items()):
            if at < oldest:
                del self._withdrawn[event]


def _forget(recent: dict[Key, _Recent], oldest: datetime) -> None:
    for key in [key for key, one in recent.items() if one.at < oldest]:
        del recent[key]


def _pass(_watch: Watch, _entry: Seen) -> None:
    """A type that is not looked at."""


_JUDGES: dict[str, Callable[[Watch, Seen], None]] = {
    EventType.CHECK_DECIDED.value: Watch.check,
    EventType.CODE_SENT.value: Watch.code_sent,
    EventType.CODE_CONFIRMED.value: Watch.code_confirmed,
    EventType.ORDER_COMPLETED.value: Watch.completed,
    EventType.ORDER_REVERSED.value: Watch.reversed,
}
