"""Time as an argument: rules are given `now`, and only an edge asks a Clock for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

CARRIER_ZONE = ZoneInfo("Asia/Shanghai")
"""Carrier time: every date in a rule (ID-4, opening hours) is a date in this zone."""


class Clock(Protocol):
    """Tells the present moment."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that a caller moves: for the demo's ninety days, and for tests."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move forward; time does not run backwards here."""
        if by < timedelta(0):
            raise ValueError("a clock only moves forward")
        self._now += by


def carrier_date(moment: datetime) -> date:
    """The carrier's calendar day at `moment`."""
    return moment.astimezone(CARRIER_ZONE).date()


def carrier_midnight(day: date) -> datetime:
    """00:00 carrier time of `day`, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=CARRIER_ZONE).astimezone(UTC)
