"""Somebody inside the service's process rewrites the evidence that a decider sees, or what was reported (RQ-3, ID-10)."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

from tests.sim.world import World


@pytest.mark.rule("RQ-3", "ID-10")
@pytest.mark.parametrize(
    "statement",
    [
        "update auth.lock_history set locked_at = now()",
        "delete from auth.lock_history",
        "update auth.findings set staff_id = ''",
        "delete from auth.findings",
        "delete from auth.requests",
    ],
)
async def test_the_services_own_role_changes_no_evidence(world: World, statement: LiteralString) -> None:
    database = await world.database()
    async with database.statements() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)
