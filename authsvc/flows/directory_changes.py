"""Changes of the organisation tree, in the caller's transaction: each replaces a whole entity and is told to every node."""

from __future__ import annotations

from authsvc.directory import Region, Store, System, Terminal, check_may_move
from authsvc.flows.transitions import record_end
from authsvc.sessions import EndReason
from authsvc.store import directory, sessions, staff_admin
from authsvc.work import ChangeKind, Work
from infosec.errors import NotFound, Reason
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId, StaffId, TerminalId


async def put_region(work: Work, region: Region, by: StaffId) -> RegionId:
    """Answers with the region whose revision says that it is done, as all of these do."""
    await directory.put_region(work.conn, region)
    _tell(work, region.region_id, ChangeKind.REGION, region.region_id, by)
    return region.region_id


async def put_store(work: Work, store: Store, by: StaffId) -> RegionId:
    """Raises NotFound (region), FailedPrecondition(STATE_CONFLICT) for another region while people belong to it."""
    if not await directory.region_exists(work.conn, store.region_id):
        raise NotFound(Reason.NOT_FOUND, field="region_id")
    present = await directory.hold_store(work.conn, store.store_id)
    check_may_move(present, store.region_id, people=await directory.people_of(work.conn, store.store_id))
    await directory.put_store(work.conn, store)
    _tell(work, store.region_id, ChangeKind.STORE, store.store_id, by, is_closed=store.is_closed)
    if present is not None and present != store.region_id:
        work.change(present, ChangeKind.STORE, store.store_id)
    return store.region_id


async def put_terminal(work: Work, terminal: Terminal, by: StaffId) -> RegionId:
    """Sessions at a terminal that is retired or stands elsewhere now are ended (ID-9). Raises NotFound (store)."""
    region_id = await directory.hold_store(work.conn, terminal.store_id)
    if region_id is None:
        raise NotFound(Reason.NOT_FOUND, field="store_id")
    present = await directory.present_terminal(work.conn, terminal.terminal_id)
    await directory.put_terminal(work.conn, terminal)
    _tell(work, region_id, ChangeKind.TERMINAL, terminal.terminal_id, by, is_retired=terminal.is_retired)
    if present is not None and present.region_id != region_id:
        work.change(present.region_id, ChangeKind.TERMINAL, terminal.terminal_id)
    if terminal.is_retired or (present is not None and present.store_id != terminal.store_id):
        await _end_sessions_at(work, terminal.terminal_id)
    return region_id


async def put_system(work: Work, system: System, by: StaffId) -> RegionId:
    """Raises NotFound for a store or terminal that it is to serve."""
    if absent := await directory.absent_stores(work.conn, system.store_ids):
        raise NotFound(Reason.NOT_FOUND, field="store_ids", detail=absent[0])
    if absent := await directory.absent_terminals(work.conn, system.terminal_ids):
        raise NotFound(Reason.NOT_FOUND, field="terminal_ids", detail=absent[0])
    await directory.put_system(work.conn, system)
    _tell(work, CARRIER, ChangeKind.SYSTEM, system.system_id, by, is_retired=system.is_retired)
    return CARRIER


def _tell(work: Work, region_id: RegionId, kind: ChangeKind, entity_id: str, by: StaffId, **facts: bool) -> None:
    work.event(
        EventType.DIRECTORY_CHANGED, region_id, staff_id=by, entity_kind=kind.value, entity_id=entity_id, **facts
    )
    work.change(region_id, kind, entity_id)


async def _end_sessions_at(work: Work, terminal_id: TerminalId) -> None:
    for session_id in await staff_admin.live_sessions_at(work.conn, terminal_id):
        ended = await sessions.end(work.conn, session_id, work.now, EndReason.TERMINAL_RETIRED.value)
        if ended is not None:
            record_end(work, ended, EndReason.TERMINAL_RETIRED)
