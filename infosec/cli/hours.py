"""Opening hours as they are typed: `1-5=09:00-18:00`, `2026-10-01=closed`. Text in, messages out; carrier time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from infosec.api.auth.v1 import directory_pb2 as pb
from infosec.cli.failures import Told, usage

_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DAYS = re.compile(r"([1-7])(?:-([1-7]))?")
_DAY = 24 * 60


def weekly(given: Iterable[str]) -> list[pb.DayHours]:
    """Hours of weekdays, 1 Monday to 7 Sunday; a later entry for the same day wins."""
    found: dict[int, pb.DayHours] = {}
    for text in given:
        days, _, span = text.partition("=")
        for day in _weekdays(days, text):
            opens, closes = _span(span, text)
            found[day] = pb.DayHours(weekday=day, opens_at_min=opens, closes_at_min=closes)
    return [found[day] for day in sorted(found)]


def special(given: Sequence[str]) -> list[pb.SpecialDay]:
    """Days that are unlike their weekday."""
    return [_special_day(text) for text in given]


def shown(hours: Sequence[pb.DayHours]) -> str:
    """As `weekly` reads it, one entry for days alike."""
    spans: dict[tuple[int, int], list[int]] = {}
    for day in hours:
        spans.setdefault((day.opens_at_min, day.closes_at_min), []).append(day.weekday)
    return ", ".join(
        f"{part}={_clock(opens)}-{_clock(closes)}" for (opens, closes), days in spans.items() for part in _runs(days)
    )


def _special_day(text: str) -> pb.SpecialDay:
    day, _, span = text.partition("=")
    try:
        when = date.fromisoformat(day).isoformat()
    except ValueError:
        raise _unreadable(text) from None
    if span == "closed":
        return pb.SpecialDay(date=when, is_closed=True)
    opens, closes = _span(span, text)
    return pb.SpecialDay(date=when, opens_at_min=opens, closes_at_min=closes)


def _weekdays(days: str, text: str) -> range:
    found = _DAYS.fullmatch(days)
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise _unreadable(text)
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _span(span: str, text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise _unreadable(text)
    opens, closes = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if int(found[2]) > 59 or int(found[4]) > 59 or not opens < closes <= _DAY:
        raise _unreadable(text)
    return opens, closes


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _runs(days: Sequence[int]) -> list[str]:
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _unreadable(text: str) -> Told:
    return usage(
        f"无法识别的营业时间：{text}。例如 1-5=09:00-18:00，2026-10-01=closed",
        f"These hours cannot be read: {text}. For example 1-5=09:00-18:00, 2026-10-01=closed",
    )
