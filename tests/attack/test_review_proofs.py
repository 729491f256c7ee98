"""A password that was typed where the staff ID belongs is kept nowhere, by ProveIdentity neither (ID-7)."""

from __future__ import annotations

import json

import pytest

from infosec.ids import TerminalId
from tests.sim.login_nodes import CRM
from tests.sim.request_desk import Desk, request_desk
from tests.sim.world import World


@pytest.fixture
async def desk(world: World) -> Desk:
    return await request_desk(world)


@pytest.mark.rule("ID-7", "RQ-1")
async def test_what_was_typed_for_a_staff_id_stands_in_no_table_and_no_event(desk: Desk) -> None:
    typed = "summer2024-xyzzy"
    await desk.proofs.send(typed, TerminalId("e1-t1"), CRM)
    tables = desk.world.rows(
        "select c::text from auth.proof_challenges c union all select p::text from auth.proof_places p"
    )
    assert len(tables) == 3
    assert typed not in str(tables) + json.dumps(desk.world.events())
