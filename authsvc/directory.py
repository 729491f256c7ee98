"""The organisation tree as rules: regions, stores and their hours, terminals, systems (CI-2). Knows no storage and no wire.

Values are made from what an administrator typed by the functions here; whoever has one may write it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from infosec.errors import FailedPrecondition, InvalidInput, Reason
from infosec.ids import RegionId, StoreId, SystemId, TerminalId, node_id

DAY_MIN = 1440
"""Minutes of a day; a store that closes at midnight closes at this one."""

_HOTLINE = re.compile(r"\+?[0-9][0-9 ()-]{2,31}")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region (片区)."""

    region_id: RegionId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayHours:
    """Opening hours of one weekday, 1 Monday to 7 Sunday; minutes after carrier midnight."""

    weekday: int
    opens_at_min: int
    closes_at_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialDay:
    """A day unlike its weekday; opening and closing at 0 is closed."""

    day: date
    opens_at_min: int = 0
    closes_at_min: int = 0

    @property
    def is_closed(self) -> bool:
        return self.closes_at_min == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store (营业厅) or office. A weekday without hours is closed."""

    store_id: StoreId
    region_id: RegionId
    name: str
    address: str = ""
    hotline: str = ""
    hours: tuple[DayHours, ...] = ()
    special_days: tuple[SpecialDay, ...] = ()
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A terminal (台席)."""

    terminal_id: TerminalId
    store_id: StoreId
    name: str = ""
    is_retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A calling system (业务系统), by the name in its certificate; every terminal of its stores is included."""

    system_id: SystemId
    name: str = ""
    store_ids: tuple[StoreId, ...] = ()
    terminal_ids: tuple[TerminalId, ...] = ()
    is_retired: bool = False


ALWAYS_OPEN = tuple(DayHours(weekday=day, opens_at_min=0, closes_at_min=DAY_MIN) for day in range(1, 8))


def shown_text(raw: str, field: str, *, is_required: bool = False, is_multiline: bool = False) -> str:
    """A text that people read, in its NFKC form, outer spaces dropped.

    Raises InvalidInput for nothing where something is needed, and for characters that hide or reorder what is read.
    """
    text = unicodedata.normalize("NFKC", raw).strip()
    if any(unicodedata.category(c) in _HIDDEN and not (is_multiline and c == "\n") for c in text):
        raise _wrong(field, "control, invisible or unassigned characters")
    if is_required and not text:
        raise _wrong(field, "required")
    return text


def region(*, region_id: str, name: str) -> Region:
    """Raises InvalidInput."""
    return Region(region_id=RegionId(node_id(region_id, "region_id")), name=shown_text(name, "name", is_required=True))


def store(
    *,
    store_id: str,
    region_id: str,
    name: str,
    address: str,
    hotline: str,
    hours: Iterable[DayHours],
    special_days: Iterable[SpecialDay],
    is_closed: bool,
) -> Store:
    """Raises InvalidInput for the first value that no store can have."""
    phone = shown_text(hotline, "hotline")
    if phone and not _HOTLINE.fullmatch(phone):
        raise _wrong("hotline", "a telephone number")
    return Store(
        store_id=StoreId(node_id(store_id, "store_id")),
        region_id=RegionId(node_id(region_id, "region_id")),
        name=shown_text(name, "name", is_required=True),
        address=shown_text(address, "address", is_multiline=True),
        hotline=phone,
        hours=_week(hours),
        special_days=_calendar(special_days),
        is_closed=is_closed,
    )


def special_day(*, day: str, is_closed: bool, opens_at_min: int, closes_at_min: int) -> SpecialDay:
    """One day as typed. Raises InvalidInput for no date, or hours of a day that is closed."""
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        raise _wrong("special_days.date", "YYYY-MM-DD") from None
    if parsed.isoformat() != day:
        raise _wrong("special_days.date", "YYYY-MM-DD")
    if is_closed and (opens_at_min or closes_at_min):
        raise _wrong("special_days", f"{day} is closed and has hours")
    return SpecialDay(day=parsed, opens_at_min=opens_at_min, closes_at_min=closes_at_min)


def terminal(*, terminal_id: str, store_id: str, name: str, is_retired: bool) -> Terminal:
    """Raises InvalidInput."""
    return Terminal(
        terminal_id=TerminalId(node_id(terminal_id, "terminal_id")),
        store_id=StoreId(node_id(store_id, "store_id")),
        name=shown_text(name, "name"),
        is_retired=is_retired,
    )


def system(
    *, system_id: str, name: str, store_ids: Iterable[str], terminal_ids: Iterable[str], is_retired: bool
) -> System:
    """Raises InvalidInput. An ID that is named twice counts once."""
    return System(
        system_id=SystemId(node_id(system_id, "system_id")),
        name=shown_text(name, "name"),
        store_ids=tuple(sorted({StoreId(node_id(one, "store_ids")) for one in store_ids})),
        terminal_ids=tuple(sorted({TerminalId(node_id(one, "terminal_ids")) for one in terminal_ids})),
        is_retired=is_retired,
    )


def check_may_move(present: RegionId | None, wanted: RegionId, *, people: int) -> None:
    """A store changes region only while nobody belongs to it: people change region by request (ID-8).

    `present` is None for a new store. Raises FailedPrecondition(STATE_CONFLICT).
    """
    if present is not None and present != wanted and people:
        raise FailedPrecondition(
            Reason.STATE_CONFLICT, field="region_id", detail=f"{people} staff IDs belong to the store"
        )


def _week(hours: Iterable[DayHours]) -> tuple[DayHours, ...]:
    days = tuple(sorted(hours, key=lambda entry: entry.weekday))
    for entry in days:
        if not 1 <= entry.weekday <= 7:
            raise _wrong("hours.weekday", "1 Monday to 7 Sunday")
        _check_span("hours", entry.opens_at_min, entry.closes_at_min)
    if len({entry.weekday for entry in days}) < len(days):
        raise _wrong("hours.weekday", "a weekday twice")
    return days


def _calendar(special_days: Iterable[SpecialDay]) -> tuple[SpecialDay, ...]:
    days = tuple(sorted(special_days, key=lambda entry: entry.day))
    for entry in days:
        if entry.opens_at_min or entry.closes_at_min:
            _check_span("special_days", entry.opens_at_min, entry.closes_at_min)
    if len({entry.day for entry in days}) < len(days):
        raise _wrong("special_days.date", "a day twice")
    return days


def _check_span(field: str, opens_at_min: int, closes_at_min: int) -> None:
    if not 0 <= opens_at_min < closes_at_min <= DAY_MIN:
        raise _wrong(field, "opens before it closes, closes at 1440 at the latest")


def _wrong(field: str, detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)
