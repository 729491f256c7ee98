"""Changing one's own password: what is asked of it, what it puts in force (ID-1 to ID-4, ID-6)."""

from __future__ import annotations

import pytest
from passlib.hash import bcrypt

from authsvc.hashing import Target
from authsvc.staff import StaffState
from authsvc.store.staff import set_state
from infosec.errors import InvalidInput
from infosec.ids import StaffId
from infosec.secret import Secret
from tests.sim.login_nodes import REFUSED, LoginNode, login_node, outcome
from tests.sim.world import PASSWORD, Hire, World, first_password_in

NEW = "Quiet#river8"


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


async def _violations(node: LoginNode, token: str, new: str) -> set[str]:
    with pytest.raises(InvalidInput) as refused:
        await node.change(token, PASSWORD, new)
    return set(refused.value.violations)


@pytest.mark.rule("ID-2", "ID-3", "ID-6")
async def test_everything_unmet_is_told_at_once_and_recorded(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    assert await _violations(node, token, "lina") >= {"LENGTH_MIN", "CLASSES", "PERSONAL_NAME"}
    assert "PERSONAL_BIRTHDAY" in await _violations(node, token, "xk-19920308-q")
    assert "PERSONAL_PHONE" in await _violations(node, token, "xk#13800000001")
    assert "ROOM" in await _violations(node, token, "城东营业厅#k7q")
    assert "ROOM" in await _violations(node, token, "qk#02087654321")
    assert await _violations(node, token, PASSWORD) == {"REUSED"}
    assert await _violations(node, token, "bad\u0007-Fence-27") == {"CHARACTERS"}
    assert len(world.events("password.rejected")) == 7
    assert world.credentials("li.na")["failures"] == 0
    assert await node.try_login("li.na") == "OK"


@pytest.mark.rule("ID-4", "ID-5")
async def test_a_new_password_is_in_force_at_once_for_ninety_days_and_resets_no_count(
    world: World, node: LoginNode
) -> None:
    token = await node.token("li.na")
    assert await outcome(node.change(token, "wrong", NEW)) == REFUSED
    done = await node.change(token, PASSWORD, NEW)
    assert (done.duties, done.password_days_left) == ((), 90)
    assert world.credentials("li.na")["failures"] == 1
    assert (await node.actors.of(token, "crm")).staff_id == "li.na"
    assert await node.try_login("li.na") == REFUSED
    assert await node.try_login("li.na", NEW) == "OK"


@pytest.mark.rule("ID-6")
async def test_none_of_the_last_five_comes_again_the_current_one_included(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    used = [PASSWORD]
    for word in ("amber", "birch", "cedar", "dune"):
        new = f"{word}.Gate-27"
        await node.change(token, used[-1], new)
        used.append(new)
    for old in used:
        with pytest.raises(InvalidInput) as refused:
            await node.change(token, used[-1], old)
        assert refused.value.violations == ("REUSED",)
    await node.change(token, used[-1], "ember.Gate-27")
    assert (await node.change(token, "ember.Gate-27", PASSWORD)).duties == ()
    assert world.one("select count(*) from auth.password_history where staff_id = 'li.na'") == 5


@pytest.mark.rule("ID-6")
async def test_first_passwords_that_nobody_used_push_no_used_one_out(world: World, node: LoginNode) -> None:
    for _ in range(6):
        await _reissue(world, node)
    world.rows("update auth.staff set state = 'ACTIVE' where staff_id = 'li.na'")
    hashes = [row[0] for row in world.rows("select hash from auth.password_history where staff_id = 'li.na'")]
    matching = [(await node.hasher.verify(one, PASSWORD)).matches for one in hashes]
    assert sorted(matching) == [False, True]  # the newest first one, and the one that she used


async def _reissue(world: World, node: LoginNode) -> None:
    prepared = await node.firsts.prepare(StaffId("li.na"), Secret("13800000001"), world.clock.now())
    async with node.works.begin() as work:
        await node.firsts.put_in_force(work, StaffId("li.na"), prepared)


@pytest.mark.rule("ID-6")
async def test_width_and_composition_of_characters_make_no_other_password(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    assert await _violations(node, token, "ｐｌｕｍ．Ｆｅｎｃｅ－２７") == {"REUSED"}
    assert await node.try_login("li.na", "ｐｌｕｍ．Ｆｅｎｃｅ－２７") == "OK"


@pytest.mark.rule("ID-1", "ID-9")
async def test_after_the_first_password_the_session_is_a_full_one_for_the_shift(world: World, node: LoginNode) -> None:
    world.hire(Hire(staff_id="new.one", first=True))
    token = await node.token("new.one")
    assert await outcome(node.actors.of(token, "crm")) == "SESSION_RESTRICTED"
    world.advance(minutes=14)
    await node.change(token, PASSWORD, NEW)
    assert await outcome(node.actors.of(token, "crm")) == "OK"
    [ends] = world.rows("select ends_at - started_at from auth.sessions where staff_id = 'new.one'")
    assert ends[0].total_seconds() == 12 * 3600


@pytest.mark.rule("ID-1")
async def test_an_unfinished_first_login_is_over_after_a_quarter_of_an_hour(world: World, node: LoginNode) -> None:
    world.hire(Hire(staff_id="new.one", first=True))
    token = await node.token("new.one")
    world.advance(minutes=15)
    assert await outcome(node.change(token, PASSWORD, NEW)) == "SESSION_ENDED"
    assert world.state("new.one") == "ISSUED"


@pytest.mark.rule("ID-1")
async def test_a_first_password_is_made_sent_and_forgotten_by_the_system(world: World, node: LoginNode) -> None:
    prepared = await node.firsts.prepare(StaffId("li.na"), Secret("13800000001"), world.clock.now(), hotline="10086")
    async with node.works.begin() as work:
        await node.firsts.put_in_force(work, StaffId("li.na"), prepared)
        await set_state(work.conn, StaffId("li.na"), StaffState.ISSUED, work.now, ends_sessions=True)
    [sent] = world.messages("FIRST_PASSWORD")
    assert sent.phone == "13800000001"
    first = first_password_in(sent.text)
    assert await node.try_login("li.na") == REFUSED
    done = await node.login("li.na", first)
    assert [duty.value for duty in done.opened.duties] == ["CHANGE_PASSWORD"]
    assert first not in str(world.rows("select * from auth.credentials")) + str(world.events())


@pytest.mark.rule("ID-5")
async def test_an_imported_hash_is_upgraded_at_the_next_login_and_not_before(world: World, node: LoginNode) -> None:
    legacy = bcrypt.using(rounds=4).hash(PASSWORD)
    world.hire(Hire(staff_id="from.elsewhere", hash=legacy))
    world.rows("update auth.credentials set must_change = true where staff_id = 'from.elsewhere'")
    assert await node.try_login("from.elsewhere", "wrong") == REFUSED
    assert world.credentials("from.elsewhere")["hash"] == legacy
    done = await node.login("from.elsewhere")
    upgraded = world.credentials("from.elsewhere")["hash"]
    assert upgraded.startswith("$argon2id$")
    assert world.rows("select hash from auth.password_history where staff_id = 'from.elsewhere'") == [(upgraded,)]
    assert [duty.value for duty in done.opened.duties] == ["CHANGE_PASSWORD"]
    assert node.verified[Target.OWN] == 2
