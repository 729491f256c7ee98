"""Logging in: what it answers, what it ends, and whom it tells."""

from __future__ import annotations

import pytest

from infosec.decision.session import open_token
from infosec.keys import SigningKind
from tests.sim.login_nodes import REFUSED, login_node
from tests.sim.world import INSTALLATION, Hire, World


@pytest.mark.rule("ID-5", "ID-9")
async def test_a_right_password_opens_one_session_with_a_token_for_the_calling_system(world: World) -> None:
    node = await login_node(world)
    done = await node.login("li.na")
    handle = open_token(done.token.reveal(), world.keys.signing[SigningKind.SESSION].public_keys(), INSTALLATION)
    assert (handle.staff_id, handle.system, handle.terminal, handle.region) == ("li.na", "crm", "e1-t1", "east")
    assert handle.revision == done.revision
    assert world.live_sessions("li.na") == [handle.session_id]
    assert done.opened.duties == () and done.opened.last_login is None
    assert done.opened.password_days_left == 89
    assert node.announced == [{"east": done.revision}]


@pytest.mark.rule("ID-5")
async def test_five_wrong_passwords_lock_and_the_right_one_no_longer_helps(world: World) -> None:
    node = await login_node(world)
    assert [await node.try_login("li.na", "wrong") for _ in range(5)] == [REFUSED] * 5
    assert world.state("li.na") == "LOCKED"
    assert await node.try_login("li.na") == REFUSED
    [told] = world.messages("LOCKED")
    assert told.phone == "13800000001" and "加锁" in told.text
    assert world.rows("select terminal_id, store_id from auth.lock_history") == [("e1-t1", "e1")]


@pytest.mark.rule("ID-5")
async def test_only_a_success_resets_the_count_and_tells_how_many_failed(world: World) -> None:
    node = await login_node(world)
    for _ in range(4):
        await node.try_login("li.na", "wrong")
    done = await node.login("li.na")
    assert done.opened.failures_since == 4
    assert world.credentials("li.na")["failures"] == 0
    assert (await node.login("li.na")).opened.failures_since == 0


@pytest.mark.rule("ID-1")
async def test_a_first_password_serves_one_login_and_must_be_changed_there(world: World) -> None:
    world.hire(Hire(staff_id="new.one", first=True))
    node = await login_node(world)
    done = await node.login("new.one")
    assert [duty.value for duty in done.opened.duties] == ["CHANGE_PASSWORD"]
    assert (done.opened.ends_at - world.clock.now()).total_seconds() == 15 * 60
    assert await node.try_login("new.one") == REFUSED
    changed = await node.change(done.token.reveal(), "plum.Fence-27", "Quiet#river8")
    assert changed.duties == () and changed.password_days_left == 90
    assert world.state("new.one") == "ACTIVE"
    assert await node.try_login("new.one", "Quiet#river8") == "OK"
