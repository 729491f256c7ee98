"""When a store is open, in carrier time (CI-2). Knows nothing of persons."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from infosec.clock import CARRIER_ZONE
from infosec.decision.tables import Store

_DAY_S = 86_400
_EPOCH_ORDINAL = 719_163
"""`date(1970, 1, 1).toordinal()`: a Thursday."""


@lru_cache(maxsize=64)
def _offset_s(quarter_hour: int) -> int:
    """The zone's offset in this quarter hour since the epoch: no zone changes within one."""
    offset = datetime.fromtimestamp(quarter_hour * 900, UTC).astimezone(CARRIER_ZONE).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def closes_at_s(store: Store, now_s: float) -> float | None:
    """When the store, open at `now_s`, shuts next; None if it is shut."""
    local_s = now_s + _offset_s(int(now_s // 900))
    day, second = divmod(local_s, _DAY_S)
    ordinal = int(day) + _EPOCH_ORDINAL
    spans = store.special.get(ordinal)
    if spans is None:
        spans = store.weekly[(ordinal - 1) % 7]
    for opens, closes in spans:
        if opens <= second < closes:
            return now_s + (closes - second)
    return None
