"""How often Python looks for objects in cycles, in processes of ours: rarely, as little of what they make is in any."""

from __future__ import annotations

import gc

_COLLECT_AFTER = 20_000
"""New objects. By itself Python looks after 700, and a batch of 500 events makes many times that."""


def collect_rarely() -> None:
    """For the process's beginning, when everything is imported: that stays, and is never looked through again."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
