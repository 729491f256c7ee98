"""Points in time as people type them: a day, a day and a time, or how long ago; carrier time where they say nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from infosec.cli.failures import Told, usage
from infosec.clock import CARRIER_ZONE

_AGO = re.compile(r"([1-9]\d{0,5})([mhdw])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LONGEST = timedelta(days=100 * 366)


def moment_or_ago(text: str, option: str, *, now: datetime) -> datetime | None:
    """As `moment`; `90m`, `2h`, `7d` and `4w` are so long before `now`."""
    ago = _AGO.fullmatch(text)
    if ago is not None and (long := int(ago[1]) * _UNITS[ago[2]]) <= LONGEST:
        return now - long
    try:
        return moment(text, option)
    except Told:
        raise usage(
            f"{option}：请写成 2026-11-22、2026-11-22T08:00:00，或 2h、7d（多久之前）。",
            f"{option}: give it as 2026-11-22, 2026-11-22T08:00:00, or how long ago: 2h, 7d.",
        ) from None


def moment(text: str, option: str) -> datetime | None:
    """The moment in UTC, None for nothing. A day is its first moment. Raises a usage error."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise usage(
            f"{option}：请写成 2026-11-22 或 2026-11-22T08:00:00。",
            f"{option}: give it as 2026-11-22 or 2026-11-22T08:00:00.",
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=CARRIER_ZONE)).astimezone(UTC)
