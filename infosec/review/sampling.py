"""The draw of spot checks (CI-6): random, and yet the same for everybody who has the log.

The seed is the hash of the log's tree at one size that nobody chooses: the one that ends with the first check recorded
after the week. So it is fixed by an entry that was not there while the week could still be changed, and everything that
went before is in it. Pure: entries and a root come in, the sample goes out.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from heapq import nsmallest

from infosec.clock import carrier_date, carrier_midnight
from infosec.errors import InvalidInput, Reason
from infosec.events.types import EventType
from infosec.review.seen import FRONT_LINE, Seen
from infosec.transparency.checkpoints import Checkpoint

HEADER = "infosec/sample/v1"
ALL_UP_TO = 5
HALF_UP_TO = 20
SHARE_ABOVE_PERCENT = 30
ACCESSES = 10
"""Looked at for each person who is drawn."""
CLOSING = frozenset({EventType.CHECK_DECIDED, EventType.AUDIT_QUERIED})
"""The types that can fix a seed: kept at least as long as the week's own entries."""
_SERVICE = "service/"
_NO_READ = -1
_DIGEST = 16
"""Bytes; in place of the ID itself, so that a week of a million accesses needs little memory."""
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """From Monday 00:00 carrier time to the next. Raises InvalidInput for another day."""

    monday: date

    def __post_init__(self) -> None:
        if self.monday.weekday() != 0:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="week", detail="not a Monday")

    @classmethod
    def parse(cls, text: str) -> Week:
        """Of `2026-11-16`. Raises InvalidInput."""
        try:
            monday = date.fromisoformat(text)
        except ValueError:
            monday = None
        if monday is None or monday.isoformat() != text or not 2000 <= monday.year < 9999:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="week", detail="a Monday, as 2026-11-16")
        return cls(monday=monday)

    @classmethod
    def before(cls, now: datetime) -> Week:
        """The last one that is over."""
        today = carrier_date(now)
        return cls(monday=today - timedelta(days=today.weekday()) - _WEEK)

    @property
    def begins(self) -> datetime:
        return carrier_midnight(self.monday)

    @property
    def ends(self) -> datetime:
        """The first moment that is not in it any more."""
        return carrier_midnight(self.monday + _WEEK)

    @property
    def name(self) -> str:
        """As ISO 8601 numbers weeks: 2026-W47."""
        year, number, _ = self.monday.isocalendar()
        return f"{year}-W{number:02}"


def closes(entry: Seen) -> bool:
    """Whether an entry recorded after a week fixes its seed: one that a service of ours made, with a random ID.

    What a store system tells does not: it chooses the ID itself.
    """
    return entry.type in CLOSING and entry.by.startswith(_SERVICE)


def share(people: int) -> int:
    """How many of so many are looked at: all up to 5, half up to 20, thirty per cent above, rounded up (CI-6)."""
    if people <= ALL_UP_TO:
        return people
    percent = 50 if people <= HALF_UP_TO else SHARE_ABOVE_PERCENT
    return -(-people * percent // 100)


def seed(checkpoint: Checkpoint, *, store: str, week: Week) -> bytes:
    """SHA-256 over lines of text, so that `sha256sum` says the same: header, origin, size, root (base64), store, Monday."""
    return sha256(f"{HEADER}\n{checkpoint.body()}{store}\n{week.monday.isoformat()}\n".encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPerson:
    """Somebody who was drawn, and the entries to look at: indexes of the log, in order."""

    staff: str
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The spot checks of one store and week."""

    store: str
    week: Week
    checkpoint: Checkpoint
    """The tree that fixes the seed. It need not have been signed at this size: every later checkpoint commits to it."""
    seed: bytes
    population: tuple[str, ...]
    """Everybody who served in the store in that week, in order of staff ID."""
    drawn: tuple[DrawnPerson, ...]


@dataclass(slots=True)
class _Served:
    """What one person did that was allowed: for each entry its index, or `_NO_READ`, and a digest of its event ID."""

    indices: array[int] = field(default_factory=lambda: array("q"))
    events: bytearray = field(default_factory=bytearray)

    def tell(self, index: int, event_id: str) -> None:
        self.indices.append(index)
        self.events += _digest(event_id)

    def kept(self, withdrawn: Collection[bytes]) -> Iterator[int]:
        """The indexes of what was not withdrawn."""
        for number, index in enumerate(self.indices):
            if not withdrawn or bytes(self.events[number * _DIGEST : (number + 1) * _DIGEST]) not in withdrawn:
                yield index


@dataclass(slots=True, kw_only=True)
class Population:
    """Who served in one store, with what each looked at. Each entry is told once, in any order; memory is 24 bytes for it."""

    store: str
    _served: dict[str, _Served] = field(default_factory=dict)
    _withdrawn: set[bytes] = field(default_factory=set)

    def tell(self, entry: Seen) -> None:
        """An entry of the week; what is of another store is passed over."""
        if entry.store != self.store:
            return
        if entry.withdraws:
            self._withdrawn.add(_digest(entry.withdraws))
        if entry.is_allowed and entry.role in FRONT_LINE:
            served = self._served.get(entry.staff)
            if served is None:
                served = self._served[entry.staff] = _Served()
            served.tell(entry.position if entry.is_read else _NO_READ, entry.event_id)

    def people(self) -> tuple[str, ...]:
        """Everybody with at least one operation that was allowed and not withdrawn, in order of staff ID."""
        return tuple(
            sorted(staff for staff, one in self._served.items() if any(True for _ in one.kept(self._withdrawn)))
        )

    def reads(self, staff: str) -> Iterator[int]:
        """The indexes of what this person looked at."""
        return (index for index in self._served[staff].kept(self._withdrawn) if index != _NO_READ)


def draw(population: Population, checkpoint: Checkpoint, week: Week) -> Sample:
    """The sample. People and accesses are taken in the order of a hash under the seed."""
    root_of_chance = seed(checkpoint, store=population.store, week=week)
    people = population.people()

    def accesses(staff: str) -> tuple[int, ...]:
        names = map(str, population.reads(staff))
        return tuple(sorted(map(int, _first(root_of_chance, f"{staff}/", names, ACCESSES))))

    return Sample(
        store=population.store,
        week=week,
        checkpoint=checkpoint,
        seed=root_of_chance,
        population=people,
        drawn=tuple(
            DrawnPerson(staff=staff, indices=accesses(staff)) for staff in people_drawn(root_of_chance, people)
        ),
    )


def people_drawn(chance: bytes, population: Collection[str]) -> list[str]:
    """Who of them is drawn under this seed, in the order of the draw."""
    return _first(chance, "", population, share(len(population)))


def _first(chance: bytes, prefix: str, names: Iterable[str], count: int) -> list[str]:
    """The `count` whose SHA-256(seed || prefix || name) are smallest."""
    return nsmallest(count, names, key=lambda name: sha256(chance + f"{prefix}{name}".encode()).digest())


def _digest(event_id: str) -> bytes:
    return sha256(event_id.encode()).digest()[:_DIGEST]
