"""What the record of a check says (CI-1): the same facts, whether the centre decided or a Guard. Pure."""

from __future__ import annotations

from datetime import datetime

from infosec.decision.check import Decision
from infosec.decision.session import SessionHandle
from infosec.decision.snapshot import Snapshot
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import CARRIER, StoreId

ALLOWED, DENIED = "ALLOWED", "DENIED"


def check_event(
    decision: Decision,
    *,
    snapshot: Snapshot,
    handle: SessionHandle | None,
    store: StoreId,
    at: datetime,
    **asked: Fact,
) -> Event:
    """The event of one decision. `asked` is what the question said; without a verified handle nobody is named."""
    asked["store_id"] = store
    asked["decision"] = ALLOWED if decision.allowed else DENIED
    asked["operation_class"] = decision.cls.value if decision.cls is not None else None
    asked["reason"] = decision.reason.value
    asked["revision"] = decision.region_revision
    asked["mode"] = decision.mode.value
    if handle is not None:
        staff = snapshot.staff.get(handle.staff_id)
        asked["staff_id"] = handle.staff_id
        asked["role_id"] = staff.role if staff is not None else None
        asked["session_id"] = handle.session_id
    known = snapshot.stores.get(store)
    region = known.region if known is not None else CARRIER
    return Event(type=EventType.CHECK_DECIDED, at=at, region_id=region, facts=asked)
