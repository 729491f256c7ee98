"""What is done from time to time, and that being late or being repeated does no harm (ID-4, ID-10)."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.login_nodes import REFUSED, LoginNode, login_node, outcome
from tests.sim.world import START, World


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


@pytest.mark.rule("ID-4")
async def test_a_password_is_reminded_of_fourteen_seven_three_and_one_days_before_its_end(
    world: World, node: LoginNode
) -> None:
    told = []
    for _ in range(89):
        for _ in range(2):
            await node.sweeps.remind(world.clock.now())
        mine = [m for m in world.messages("PASSWORD_REMINDER") if m.phone == "13800000001"]
        told += [(90 - 1 - (world.clock.now() - START).days)] * (len(mine) - len(told))
        world.advance(days=1)
    assert told == [14, 7, 3, 1]


@pytest.mark.rule("ID-4")
async def test_an_ended_password_refuses_from_its_date_and_the_sweep_reports_it_once(
    world: World, node: LoginNode
) -> None:
    world.advance(days=88, hours=14)
    token = await node.token("li.na")
    world.advance(hours=1)  # 00:00 carrier time of the 91st day
    assert await outcome(node.actors.of(token, "crm")) == "SESSION_ENDED"
    assert await node.try_login("li.na") == REFUSED
    assert world.state("li.na") == "ACTIVE"
    await asyncio.gather(*(node.sweeps.blacklist(world.clock.now()) for _ in range(3)))
    assert (world.state("li.na"), world.live_sessions("li.na")) == ("BLACKLISTED", [])
    mine = [m for m in world.messages("BLACKLISTED") if m.phone == "13800000001"]
    assert len(mine) == 1 and "黑名单" in mine[0].text
    assert len([e for e in world.events("staff.blacklisted") if e["facts"]["subject_staff_id"] == "li.na"]) == 1
    assert await node.try_login("li.na") == REFUSED


@pytest.mark.rule("ID-10")
async def test_a_staff_id_that_nobody_used_for_45_days_is_found_once(world: World, node: LoginNode) -> None:
    await node.login("li.na")
    world.advance(days=44)
    await node.login("wang.wei", at="e1-t2")
    world.advance(days=1, seconds=1)
    for _ in range(2):
        await node.sweeps.report_dormant(world.clock.now())
    dormant = [row[0] for row in world.rows("select staff_id from auth.findings where kind = 'DORMANT'")]
    assert dormant.count("li.na") == 1
    assert "wang.wei" not in dormant


@pytest.mark.rule("ID-11")
async def test_cleaning_forgets_what_can_no_longer_matter_and_nothing_else(world: World, node: LoginNode) -> None:
    await node.try_login("li.na", "wrong")
    world.advance(hours=1)
    await node.try_login("wang.wei", "wrong")
    world.rows("insert into auth.attempt_places values ('s:x', gen_random_uuid(), now() - interval '2 hours')")
    world.rows("insert into auth.attempt_places values ('s:y', gen_random_uuid(), now())")
    world.advance(hours=23, minutes=30)
    await node.sweeps.clean(world.clock.now())
    assert world.one("select count(*) from auth.terminal_failures") == 1
    assert world.rows("select key from auth.attempt_places") == [("s:y",)]
    assert world.credentials("li.na")["failures"] == 1


async def test_the_jobs_have_names_of_their_own(node: LoginNode) -> None:
    names = [job.name for job in node.sweeps.jobs()]
    assert len(names) == len(set(names)) == 5
