"""Acts that take two people. Added by the service, decided and carried out by the keeper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from auditsvc.acts import Act, ActKind, ActState, Counts
from infosec.ids import StaffId
from infosec.storage.postgres import Connection

_COLUMNS: LiteralString = """
act_id, kind, state, subject_ids, hold_id, reason, proposed_by, session_id, proposed_at, expires_at, decided_by, decided_at,
payloads, entries, held"""

_ADD: LiteralString = """
insert into audit.acts (act_id, kind, subject_ids, hold_id, reason, proposed_by, session_id, proposed_at, expires_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""

_ONE: LiteralString = f"select {_COLUMNS} from audit.acts where act_id = %s"  # noqa: S608

_WRITE: LiteralString = """
update audit.acts set state = %s, decided_by = %s, decided_at = %s, payloads = %s, entries = %s, held = %s
where act_id = %s"""

_EXPIRED: LiteralString = f"""
select {_COLUMNS} from audit.acts where state = 'PROPOSED' and expires_at <= %s
order by expires_at limit %s for update skip locked"""  # noqa: S608

_CONFIRMED: LiteralString = f"select {_COLUMNS} from audit.acts where state = 'CONFIRMED' order by decided_at"  # noqa: S608

_OF: LiteralString = f"select {_COLUMNS} from audit.acts where act_id = any(%s)"  # noqa: S608

_ERASURES: LiteralString = f"""
select {_COLUMNS} from audit.acts where kind = 'erase-subject' and state = 'DONE' order by decided_at"""  # noqa: S608

_PAGE: LiteralString = f"""
select {_COLUMNS} from audit.acts
where (not %(open_only)s or (state = 'PROPOSED' and expires_at > %(now)s))
  and (%(at)s::timestamptz is null or (proposed_at, act_id) < (%(at)s, %(id)s::uuid))
order by proposed_at desc, act_id desc limit %(size)s"""  # noqa: S608


async def add(conn: Connection, act: Act) -> None:
    """Add a proposal."""
    await conn.execute(
        _ADD,
        (
            act.id,
            act.kind,
            list(act.subject_ids),
            act.hold_id,
            act.reason,
            act.proposed_by,
            act.session_id,
            act.proposed_at,
            act.expires_at,
        ),
    )


async def get(conn: Connection, act_id: UUID) -> Act | None:
    """One act."""
    row = await (await conn.execute(_ONE, (act_id,))).fetchone()
    return None if row is None else _act(row)


async def locked(conn: Connection, act_id: UUID) -> Act | None:
    """One act, which nobody else changes before this transaction ends."""
    row = await (await conn.execute(_ONE + " for update", (act_id,))).fetchone()
    return None if row is None else _act(row)


async def write(conn: Connection, act: Act) -> None:
    """What became of it: state, decision and counts."""
    counts = act.counts
    await conn.execute(
        _WRITE, (act.state, act.decided_by, act.decided_at, counts.payloads, counts.entries, counts.held, act.id)
    )


async def expired(conn: Connection, now: datetime, limit: int) -> list[Act]:
    """Proposals over by the clock, locked; what somebody else has locked is left to them."""
    return await _all(conn, _EXPIRED, (now, limit))


async def confirmed(conn: Connection) -> list[Act]:
    """What was decided and is not finished."""
    return await _all(conn, _CONFIRMED, ())


async def of(conn: Connection, act_ids: Iterable[UUID]) -> dict[UUID, Act]:
    """Those of these acts that there are."""
    return {act.id: act for act in await _all(conn, _OF, (list(act_ids),))}


async def erasures(conn: Connection) -> list[Act]:
    """Every erasure that was carried out."""
    return await _all(conn, _ERASURES, ())


async def page(
    conn: Connection, *, now: datetime, open_only: bool, size: int, before: tuple[datetime, UUID] | None
) -> list[Act]:
    """Newest first."""
    at, act_id = before or (None, None)
    values = {"now": now, "open_only": open_only, "size": size, "at": at, "id": act_id}
    return [_act(row) for row in await (await conn.execute(_PAGE, values)).fetchall()]


async def _all(conn: Connection, query: LiteralString, values: Sequence[object]) -> list[Act]:
    return [_act(row) for row in await (await conn.execute(query, values)).fetchall()]


def _act(row: tuple[Any, ...]) -> Act:
    return Act(
        id=row[0],
        kind=ActKind(row[1]),
        state=ActState(row[2]),
        subject_ids=tuple(row[3]),
        hold_id=row[4],
        reason=row[5],
        proposed_by=StaffId(row[6]),
        session_id=row[7],
        proposed_at=row[8],
        expires_at=row[9],
        decided_by=None if row[10] is None else StaffId(row[10]),
        decided_at=row[11],
        counts=Counts(payloads=row[12], entries=row[13], held=row[14]),
    )
