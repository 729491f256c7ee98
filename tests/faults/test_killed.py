"""kill -9 between every pair of steps, in real processes: an operation was done, or it was not, and life goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from authsvc.hashing import Target
from infosec.errors import Reason
from tests.faults.operations import (
    LOGINS,
    NEW,
    ORDER,
    OTHER_ORDER,
    STAFF,
    approval,
    fifth_wrong_login,
    password_change,
    redemption,
    right_login,
)
from tests.faults.stages import Case, Operation, Share, Stage, Stages, at_every_step
from tests.sim.login_nodes import CRM, REFUSED, outcome
from tests.sim.request_desk import retry
from tests.sim.world import PASSWORD, first_password_in

Follow = Callable[[Case, bool], Awaitable[None]]
"""What happens after a death at which the operation was done, or was not; in a process of its own."""


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("operation", LOGINS, ids=lambda one: one.__name__)
async def test_after_a_death_the_staff_id_can_be_tried_again_and_the_count_goes_on_exactly(
    stages: Stages, operation: Operation, share: Share
) -> None:
    async def follow(case: Case, _is_done: bool) -> None:
        world, node = case.world, (await case.desk()).node
        left = 5 - world.credentials(STAFF)["failures"]
        assert [await node.try_login(STAFF, "wrong") for _ in range(left)] == [REFUSED] * left
        assert (world.state(STAFF), world.credentials(STAFF)["failures"]) == ("LOCKED", 5)
        assert await node.try_login(STAFF, PASSWORD) == REFUSED
        assert node.verified[Target.OWN] == left
        assert len(world.events("staff.locked")) == len(world.messages("LOCKED")) == 1
        assert world.one("select count(*) from auth.lock_history") == 1
        assert world.live_sessions(STAFF) == []
        assert _longest_row_of_failures(case) == 5

    await _kill_at_every_step(await stages.of(operation), share, follow)


@pytest.mark.rule("ID-5")
async def test_after_a_death_the_right_password_is_answered_ok(stages: Stages, share: Share) -> None:
    async def follow(case: Case, _is_done: bool) -> None:
        opened = (await (await case.desk()).node.login(STAFF, at="e1-t3")).opened
        assert case.world.live_sessions(STAFF) == [opened.session_id]
        assert case.world.credentials(STAFF)["failures"] == 0

    await _kill_at_every_step(await stages.of(right_login), share, follow)


@pytest.mark.rule("ID-6", "ID-7")
async def test_a_password_change_that_died_leaves_one_password_never_none_or_both(stages: Stages, share: Share) -> None:
    async def follow(case: Case, is_done: bool) -> None:
        good, bad = (NEW, PASSWORD) if is_done else (PASSWORD, NEW)
        assert case.opens(STAFF, PASSWORD, NEW) == [good]
        newest = "select hash from auth.password_history where staff_id = %s order by seq desc limit 1"
        assert case.world.one(newest, STAFF) == case.world.credentials(STAFF)["hash"]
        node = (await case.desk()).node
        assert [await node.try_login(STAFF, text) for text in (bad, good)] == [REFUSED, "OK"]

    await _kill_at_every_step(await stages.of(password_change), share, follow)


@pytest.mark.rule("RQ-5", "RQ-4")
async def test_an_approval_that_died_is_pending_still_or_whole_and_a_retry_makes_it_whole_once(
    stages: Stages, share: Share
) -> None:
    stage = await stages.of(approval)

    async def follow(case: Case, _is_done: bool) -> None:
        desk, told, world = await case.desk(), case.told, case.world
        manager = await desk.node.actors.of(told["token"], CRM)
        again = await desk.decisions.approve(manager, told["request"], "已核实", retry(told["retry"]))
        assert again.request.state.value == "approved"
        assert case.facts() == stage.after, "one approval, one SMS, one state, one ended session"
        another = desk.decisions.approve(manager, told["request"], "已核实", retry())
        assert await outcome(another) == Reason.REQUEST_CLOSED.value
        assert (world.state(STAFF), world.live_sessions(STAFF)) == ("ISSUED", [])
        [message] = world.messages("FIRST_PASSWORD")
        opened = (await desk.node.login(STAFF, first_password_in(message.text))).opened
        assert [duty.value for duty in opened.duties] == ["CHANGE_PASSWORD"]

    await _kill_at_every_step(stage, share, follow)


@pytest.mark.rule("RQ-7")
async def test_a_redemption_that_died_bound_the_grant_to_one_order_or_none(stages: Stages, share: Share) -> None:
    async def follow(case: Case, is_done: bool) -> None:
        desk, bound = await case.desk(), Reason.GRANT_BOUND.value
        orders = (OTHER_ORDER, ORDER)
        answers = [await outcome(desk.approvals.redeem(CRM, case.told["grant"], order)) for order in orders]
        assert answers == ([bound, "OK"] if is_done else ["OK", bound])
        assert case.world.one("select order_id from auth.grants").endswith(ORDER if is_done else OTHER_ORDER)
        assert len(case.world.events("grant.bound")) == len(case.world.events("request.carried-out")) == 1

    await _kill_at_every_step(await stages.of(redemption), share, follow)


async def _kill_at_every_step(stage: Stage, share: Share, follow: Follow) -> None:
    """All of the operation is there after the death, or nothing of it; exactly one commit decides which. Then `follow`."""
    assert stage.before != stage.after

    async def interrupted(case: Case, step: int) -> bool:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            await victim.is_killed()
        facts = case.facts()
        assert facts in (stage.before, stage.after)
        await follow(case, facts == stage.after)
        return facts == stage.after

    done = await at_every_step(stage, share, interrupted)
    assert list(done.values()) == sorted(done.values()), "once it is done it stays done"
    commits = [step for step, name in enumerate(stage.steps) if name in ("committed", "gave connection back")]
    assert sum(done[step] is not done[step - 1] for step in commits) == 1, "one commit decides"
    assert (done[min(done)], done[commits[-1]]) == (False, True)


async def test_the_dry_run_comes_to_every_kind_of_step(stages: Stages) -> None:
    hashing, alone = {"hash", "hashed"}, {"take connection", "execute", "gave connection back"}
    whole = {"begin", "begun", "execute", "commit", "committed"}
    operations = (right_login, "OK", alone), (fifth_wrong_login, REFUSED, whole), (password_change, "OK", whole)
    for operation, answer, steps in operations:
        stage = await stages.of(operation)
        assert stage.answer == answer
        assert hashing | steps <= set(stage.steps)


def _longest_row_of_failures(case: Case) -> int:
    """Wrong answers committed between two successes, at most."""
    longest = in_a_row = 0
    for event in case.world.events():
        kind = event["type"]
        in_a_row = 0 if kind == "login.succeeded" else in_a_row + (kind == "login.failed")
        longest = max(longest, in_a_row)
    return longest
