"""Requests of both faces (section B): kept for ever (RQ-6). Who sees what is a filter here, who decides is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from authsvc.requests import AUDITOR, DUTY_MANAGER, STORE_MANAGER, Evidence, Kind, Level, Matter, Request, State
from infosec.decision.roles import PlaceScope
from infosec.ids import RegionId, RoleId, StaffId, StoreId, TerminalId

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is looking, as they are now, and how far the power of their role reaches."""

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    reach: PlaceScope

    def parameters(self) -> dict[str, object]:
        return {
            "me": self.staff_id,
            "role": self.role_id,
            "store": self.store_id,
            "region": self.region_id,
            "reach": self.reach.value,
            "sees_all": self.role_id == AUDITOR,
            "sees_store": self.role_id in (STORE_MANAGER, DUTY_MANAGER),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list. `before` is where the page before it ended."""

    size: int
    approvals: bool
    state: State | None = None
    decidable: bool = False
    subject_id: str | None = None
    before: tuple[datetime, UUID] | None = None


_COLUMNS: LiteralString = """
r.id, r.kind, r.state, r.level, r.subject_id, r.submitted_by, r.submitted_at, r.region_id, r.store_id, r.reason,
r.expires_at, r.change, r.change_sealed, r.evidence, r.decider_roles, r.escalates_at, r.decided_by, r.decider_role,
r.decided_at, r.decision_reason, r.execute_by, r.executed_at, r.delivery_id, r.flags, coalesce(f.name, '')
"""

# Where the matter is now: with its subject, or, for an approval, where the operation is.
_FROM: LiteralString = """
from auth.requests r
left join auth.staff f on f.staff_id = r.subject_id and r.kind not in ('create-privileged', 'change-policy')
join auth.stores p on p.store_id = case when r.kind = 'approval' then r.store_id else coalesce(f.store_id, r.store_id) end
"""

# The clock is looked at, not whether a sweep has passed (RQ-4).
_STATE_NOW: LiteralString = """
case when r.state = 'pending' and r.expires_at <= %(now)s then 'expired'
     when r.state = 'approved' and r.execute_by <= %(now)s then 'lapsed' else r.state end
"""
_LEVEL_NOW: LiteralString = """
case when r.state = 'pending' and r.level = 'regional-manager' and r.escalates_at <= %(now)s
     then 'carrier-duty-officer' else r.level end
"""
# A level is named like the role that decides there.
_SITS: LiteralString = (
    "((%(role)s = "
    + _LEVEL_NOW
    + """ or %(role)s = any(r.decider_roles))
     and (%(reach)s = 'CARRIER' or %(reach)s = 'OWN_STORE' and p.store_id = %(store)s
          or %(reach)s in ('REGION', 'ASSIGNED')
             and (p.region_id = %(region)s or r.kind = 'approval' and p.region_id = 'carrier')))"""
)
_SEES: LiteralString = (
    "(%(sees_all)s or r.subject_id = %(me)s or r.submitted_by = %(me)s or r.decided_by = %(me)s"
    " or %(sees_store)s and p.store_id = %(store)s or " + _SITS + ")"
)
_DECIDES: LiteralString = (
    "(r.state = 'pending' and r.expires_at > %(now)s and r.subject_id <> %(me)s and r.submitted_by <> %(me)s and "
    + _SITS
    + ")"
)

_DUE: LiteralString = """
    where r.state = 'pending' and (r.expires_at <= %(now)s or r.level = 'regional-manager' and (
            r.escalates_at <= %(now)s or not exists (
                select 1 from auth.staff d join auth.credentials c on c.staff_id = d.staff_id
                where d.role_id = 'regional-manager' and d.region_id = p.region_id and c.ends_at > %(now)s
                  and d.state in ('ISSUED', 'ACTIVE') and d.staff_id not in (r.subject_id, r.submitted_by))))
       or r.state = 'approved' and r.execute_by <= %(now)s
    order by r.submitted_at limit %(limit)s
"""


async def insert(conn: Connection, request: Request) -> None:
    """Add it. Raises UniqueViolation while one of its kind is open for the subject."""
    await conn.execute(
        """
        insert into auth.requests (region_id, id, kind, state, level, subject_id, submitted_by, submitted_at, store_id,
            reason, change, change_sealed, evidence, decider_roles, escalates_at, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            request.region_id,
            request.id,
            request.kind.value,
            request.state.value,
            request.level.value,
            request.subject_id,
            request.submitted_by,
            request.submitted_at,
            request.store_id,
            request.reason,
            Jsonb(dict(request.change)),
            request.change_sealed,
            Jsonb(_evidence_body(request.evidence)),
            list(request.decider_roles),
            request.escalates_at,
            request.expires_at,
        ),
    )


async def save(conn: Connection, request: Request) -> None:
    """Write what changes in the life of a request; what was asked never changes."""
    await conn.execute(
        """
        update auth.requests set state = %s, level = %s, escalates_at = %s, decided_by = %s, decider_role = %s,
            decided_at = %s, decision_reason = %s, execute_by = %s, executed_at = %s, delivery_id = %s, flags = %s
        where id = %s
        """,
        (
            request.state.value,
            request.level.value,
            request.escalates_at,
            request.decided_by,
            request.decider_role,
            request.decided_at,
            request.decision_reason,
            request.execute_by,
            request.executed_at,
            request.delivery_id,
            list(request.flags),
            request.id,
        ),
    )


async def get(conn: Connection, request_id: UUID) -> Request | None:
    """One request, whoever asks."""
    return await _one(conn, "select" + _COLUMNS + _FROM + "where r.id = %(id)s", {"id": request_id})


async def lock(conn: Connection, request_id: UUID) -> Request | None:
    """One request, held until the transaction ends: of two who decide, the second sees what the first did."""
    await conn.execute("select 1 from auth.requests where id = %s for update", (request_id,))
    return await get(conn, request_id)


async def seen(conn: Connection, viewer: Viewer, request_id: UUID, now: datetime) -> Request | None:
    """One request, if the viewer may see it."""
    query = "select" + _COLUMNS + _FROM + "where r.id = %(id)s and " + _SEES
    return await _one(conn, query, {"id": request_id, "now": now, **viewer.parameters()})


async def page(conn: Connection, viewer: Viewer, wanted: Page, now: datetime) -> list[Request]:
    """What the viewer may see, newest first."""
    query: LiteralString = "select" + _COLUMNS + _FROM + "where (r.kind = 'approval') = %(approvals)s and "
    query += _DECIDES if wanted.decidable else _SEES
    if wanted.state is not None:
        query += " and %(state)s = " + _STATE_NOW
    if wanted.subject_id is not None:
        query += " and r.subject_id = %(subject)s"
    if wanted.before is not None:
        query += " and (r.submitted_at, r.id) < (%(at)s, %(id)s)"
    query += " order by r.submitted_at desc, r.id desc limit %(size)s"
    at, request_id = wanted.before or (None, None)
    parameters = {
        "now": now,
        "approvals": wanted.approvals,
        "state": wanted.state.value if wanted.state else None,
        "subject": wanted.subject_id,
        "at": at,
        "id": request_id,
        "size": wanted.size,
        **viewer.parameters(),
    }
    rows = await (await conn.execute(query, parameters)).fetchall()
    return [_request(row) for row in rows]


async def open_of(conn: Connection, subject_id: str, kind: Kind) -> Request | None:
    """The open request of this kind about the subject, held."""
    query = "select r.id from auth.requests r where r.subject_id = %s and r.kind = %s and r.state in ('pending', 'approved')"
    row = await (await conn.execute(query + " for update", (subject_id, kind.value))).fetchone()
    return None if row is None else await get(conn, row[0])


async def approved_with(conn: Connection, delivery_id: UUID) -> Request | None:
    """The approved request that waits for this SMS, held."""
    query = "select id from auth.requests where delivery_id = %s and state = 'approved' for update"
    row = await (await conn.execute(query, (delivery_id,))).fetchone()
    return None if row is None else await get(conn, row[0])


async def due(conn: Connection, now: datetime, *, limit: int) -> list[UUID]:
    """Requests on which a clock has run out, or that nobody can decide at their level any more; the longest first."""
    rows = await (await conn.execute("select r.id" + _FROM + _DUE, {"now": now, "limit": limit})).fetchall()
    return [row[0] for row in rows]


async def decided_for_each_other(conn: Connection, decider: StaffId, others: tuple[str, ...], since: datetime) -> bool:
    """Whether one of `others` has decided something about, or asked by, `decider` since then (RQ-2)."""
    row = await (
        await conn.execute(
            "select exists (select 1 from auth.requests where decided_by = any(%s) and decided_at > %s"
            " and (subject_id = %s or submitted_by = %s))",
            (list(others), since, decider, decider),
        )
    ).fetchone()
    return bool(row and row[0])


async def evidence(
    conn: Connection, staff_id: StaffId, now: datetime, window: timedelta = timedelta(days=90)
) -> Evidence:
    """When and from where the staff ID was last locked, and how often in the last 90 days (RQ-3)."""
    query = """
        select max(locked_at), (array_agg(terminal_id order by locked_at desc))[1],
               (array_agg(store_id order by locked_at desc))[1], count(*) filter (where locked_at > %s)
        from auth.lock_history where staff_id = %s
        """
    row = await (await conn.execute(query, (now - window, staff_id))).fetchone()
    locked_at, terminal_id, store_id, count = row or (None, None, None, 0)
    return Evidence(
        locked_at=locked_at, locked_terminal_id=terminal_id, locked_store_id=store_id, locks_in_90_days=count
    )


async def matter_of(conn: Connection, request: Request) -> Matter:
    """Where the matter is at this moment: the store does not change region before the transaction ends."""
    query = "select p.store_id, p.region_id " + _FROM + "where r.id = %(id)s for share of p"
    row = await (await conn.execute(query, {"id": request.id})).fetchone()
    store_id, region_id = row or (request.store_id, request.region_id)
    return Matter(
        subject_id=request.subject_id,
        submitted_by=request.submitted_by,
        store_id=StoreId(store_id),
        region_id=RegionId(region_id),
        seats=(),
    )


async def _one(conn: Connection, query: LiteralString, parameters: dict[str, object]) -> Request | None:
    row = await (await conn.execute(query, parameters)).fetchone()
    return None if row is None else _request(row)


def _request(row: tuple[Any, ...]) -> Request:
    return Request(
        id=row[0],
        kind=Kind(row[1]),
        state=State(row[2]),
        level=Level(row[3]),
        subject_id=row[4],
        submitted_by=StaffId(row[5]),
        submitted_at=row[6],
        region_id=RegionId(row[7]),
        store_id=StoreId(row[8]),
        reason=row[9],
        expires_at=row[10],
        change=row[11],
        change_sealed=None if row[12] is None else bytes(row[12]),
        evidence=_evidence(row[13]),
        decider_roles=tuple(RoleId(role) for role in row[14]),
        escalates_at=row[15],
        decided_by=row[16],
        decider_role=row[17],
        decided_at=row[18],
        decision_reason=row[19],
        execute_by=row[20],
        executed_at=row[21],
        delivery_id=row[22],
        flags=tuple(row[23]),
        subject_name=row[24],
    )


def _evidence_body(evidence: Evidence) -> dict[str, object]:
    return {
        "staff_state": evidence.staff_state,
        "locked_at": evidence.locked_at.isoformat() if evidence.locked_at else None,
        "locked_terminal_id": evidence.locked_terminal_id,
        "locked_store_id": evidence.locked_store_id,
        "locks_in_90_days": evidence.locks_in_90_days,
        "submitter_role_id": evidence.submitter_role_id,
        "proved_by_phone": evidence.proved_by_phone,
    }


def _evidence(body: dict[str, Any]) -> Evidence:
    if not body:
        return Evidence()
    at, terminal, store = body["locked_at"], body["locked_terminal_id"], body["locked_store_id"]
    return Evidence(
        staff_state=body["staff_state"],
        locked_at=datetime.fromisoformat(at) if at else None,
        locked_terminal_id=TerminalId(terminal) if terminal else None,
        locked_store_id=StoreId(store) if store else None,
        locks_in_90_days=body["locks_in_90_days"],
        submitter_role_id=body["submitter_role_id"],
        proved_by_phone=body["proved_by_phone"],
    )
