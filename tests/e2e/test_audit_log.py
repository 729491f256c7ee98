"""`infosec audit-log compare` on a running installation: every kind of row that it wrote is right, and a changed one is named."""

from __future__ import annotations

import asyncio

import pytest

from services.commands.options import load
from services.engines import running_or_own_engines
from tests.sim.installation import Installation, Opened

CHANGED = "update audit.entries set staff_id = {value} where log_id = 'carrier' and index = 0"


async def execute(here: Installation, statement: str) -> None:
    """Straight in the database, as its owner."""
    async with (
        running_or_own_engines(load(here.config)) as engines,
        engines.administration() as admin,
        admin.transaction() as conn,
    ):
        await conn.execute(statement)  # type: ignore[arg-type]  # put together from words of this file


@pytest.mark.rule("CI-1")
def test_rows_are_what_their_entries_say_until_somebody_changes_one(office: tuple[Installation, Opened]) -> None:
    here, _people = office
    assert here.on_server("audit-log", "compare").json == []
    asyncio.run(execute(here, "create table public.kept as select * from audit.entries where index = 0"))
    asyncio.run(execute(here, CHANGED.format(value="'somebody.else'")))
    try:
        found = here.on_server("audit-log", "compare", expect=7)
    finally:
        kept = "(select k.staff_id from public.kept k where k.log_id = 'carrier')"
        asyncio.run(execute(here, CHANGED.format(value=kept)))
        asyncio.run(execute(here, "drop table public.kept"))
    assert found.json == [{"log_id": "carrier", "index": 0, "columns": ["staff_id"]}]
    assert "1 rows are not what their entries say" in found.err
    assert here.on_server("audit-log", "compare").json == []
