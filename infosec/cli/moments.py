"""Points in time as people type them: a day, or a day and a time; carrier time where they say nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from infosec.cli.failures import usage
from infosec.clock import CARRIER_ZONE


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
