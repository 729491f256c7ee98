"""Findings: odd things that a person should look at (ID-10, ID-11)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from authsvc.sessions import FindingKind
from infosec.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One of them. Details are short public facts."""

    kind: FindingKind
    region_id: RegionId
    staff_id: str = ""
    terminal_id: str = ""
    store_id: str = ""
    detail: dict[str, str] = field(default_factory=dict)


async def put(
    conn: AsyncConnection[Any], finding: Finding, now: datetime, *, unless_since: datetime | None = None
) -> bool:
    """Add it, unless the same was found since `unless_since`; whether it was added."""
    cursor = await conn.execute(
        "insert into auth.findings (finding_id, kind, staff_id, terminal_id, store_id, region_id, at, detail)"
        " select %(id)s, %(kind)s, %(staff)s, %(terminal)s, %(store)s, %(region)s, %(now)s, %(detail)s"
        " where not exists (select 1 from auth.findings where region_id = %(region)s and at > %(since)s::timestamptz"
        "                   and kind = %(kind)s and staff_id = %(staff)s and terminal_id = %(terminal)s)",
        {
            "id": uuid.uuid4(),
            "kind": finding.kind.value,
            "staff": finding.staff_id,
            "terminal": finding.terminal_id,
            "store": finding.store_id,
            "region": finding.region_id,
            "now": now,
            "detail": Jsonb(finding.detail),
            "since": unless_since,
        },
    )
    return cursor.rowcount > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding as it is listed."""

    finding_id: uuid.UUID
    kind: FindingKind
    staff_id: str
    terminal_id: str
    store_id: str
    at: datetime


async def page(
    conn: AsyncConnection[Any],
    *,
    region_id: RegionId | None,
    store_id: str | None,
    before: tuple[datetime, uuid.UUID] | None,
    size: int,
) -> list[Found]:
    """Those of a region or store (None: of all), newest first; `before` is where the page before it ended."""
    at, finding_id = before or (None, None)
    cursor = await conn.execute(
        "select finding_id, kind, staff_id, terminal_id, store_id, at from auth.findings"
        " where (%(region)s::text is null or region_id = %(region)s) and (%(store)s::text is null or store_id = %(store)s)"
        " and (%(at)s::timestamptz is null or (at, finding_id) < (%(at)s, %(id)s))"
        " order by at desc, finding_id desc limit %(size)s",
        {"region": region_id, "store": store_id, "at": at, "id": finding_id, "size": size},
    )
    return [
        Found(
            finding_id=row[0], kind=FindingKind(row[1]), staff_id=row[2], terminal_id=row[3], store_id=row[4], at=row[5]
        )
        for row in await cursor.fetchall()
    ]
