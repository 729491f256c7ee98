"""A password that was typed where the staff ID belongs is kept nowhere (ID-7); a proof serves only where it was given (RQ-1)."""

from __future__ import annotations

import json

import pytest

from infosec.ids import SystemId, TerminalId
from infosec.secret import Secret
from tests.sim.login_nodes import CRM, outcome
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


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize("change", ["is_retired = true", "store_ids = '{w1}'", "system_id = 'other'"])
async def test_a_proof_serves_no_system_that_may_not_act_where_it_was_given(desk: Desk, change: str) -> None:
    challenge = await desk.proofs.send("li.na", TerminalId("e1-t1"), CRM)
    code = desk.world.messages("PROOF_CODE")[-1].text.split("\n")[1]
    proved = await desk.proofs.prove("li.na", TerminalId("e1-t1"), CRM, challenge_id=str(challenge), code=Secret(code))
    desk.world.rows(f"update auth.systems set {change} where system_id = 'crm'")
    assert await outcome(desk.proofs.owner(proved.proof, CRM)) == "CALLER_OUT_OF_PLACE"
    assert await outcome(desk.proofs.owner(proved.proof, SystemId("nobody"))) == "CALLER_OUT_OF_PLACE"
    assert await outcome(desk.proofs.owner(proved.proof, SystemId("queue"))) == "OK"
