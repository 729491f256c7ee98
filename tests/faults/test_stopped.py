"""SIGSTOP between every pair of steps, in real processes: another takes over, and the stopped one, woken, answers no lie.

What is in the middle of a transaction holds its rows until PostgreSQL ends its session; what is not loses its places.
"""

from __future__ import annotations

from collections import Counter

import pytest

from infosec.errors import Reason
from tests.faults.operations import (
    NEW,
    ORDER,
    OTHER_NEW,
    OTHER_ORDER,
    STAFF,
    approval,
    fifth_wrong_login,
    password_change,
    redemption,
    right_login,
    wrong_login,
)
from tests.faults.stages import Case, Share, Stages, at_every_step
from tests.sim.login_nodes import CRM, REFUSED, outcome
from tests.sim.request_desk import retry
from tests.sim.world import PASSWORD

NO_ANSWER = {Reason.ATTEMPT_DISCARDED.value, Reason.STORAGE_UNAVAILABLE.value}
"""What says nothing about a password."""


@pytest.mark.rule("ID-5")
async def test_a_stopped_right_login_is_answered_ok_only_if_it_was_committed(stages: Stages, share: Share) -> None:
    stage = await stages.of(right_login)

    async def interrupted(case: Case, step: int) -> str:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            node = (await case.desk()).node
            assert await node.try_login(STAFF, at="e1-t3") == "OK"
            answer = await victim.goes_on()
        assert answer in {"OK", *NO_ANSWER}
        assert len(case.world.events("login.succeeded")) == 1 + (answer == "OK")
        assert len(case.world.live_sessions(STAFF)) == 1
        assert case.world.credentials(STAFF)["failures"] == 0
        return answer

    answers = await at_every_step(stage, share, interrupted)
    assert set(answers.values()) >= {"OK", Reason.ATTEMPT_DISCARDED.value}


@pytest.mark.rule("ID-5")
async def test_a_stopped_wrong_login_counts_if_and_only_if_it_is_answered(stages: Stages, share: Share) -> None:
    stage = await stages.of(wrong_login)

    async def interrupted(case: Case, step: int) -> str:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            node = (await case.desk()).node
            assert await node.try_login(STAFF, "wrong", at="e1-t3") == REFUSED
            answer = await victim.goes_on()
        assert answer in {REFUSED, *NO_ANSWER}
        answered = 1 + (answer == REFUSED)
        assert len(case.world.events("login.failed")) == case.world.credentials(STAFF)["failures"] == answered
        return answer

    answers = await at_every_step(stage, share, interrupted)
    assert set(answers.values()) >= {REFUSED, Reason.ATTEMPT_DISCARDED.value}


@pytest.mark.rule("ID-5")
async def test_two_fifth_wrong_passwords_one_of_them_stopped_lock_once(stages: Stages, share: Share) -> None:
    stage = await stages.of(fifth_wrong_login)

    async def interrupted(case: Case, step: int) -> None:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            node = (await case.desk()).node
            assert await node.try_login(STAFF, "wrong", at="e1-t3") == REFUSED
            answer = await victim.goes_on()
        assert answer in {REFUSED, *NO_ANSWER}
        assert (case.world.state(STAFF), case.world.credentials(STAFF)["failures"]) == ("LOCKED", 5)
        seen = Counter(event["type"] for event in case.world.events())
        assert (seen["login.failed"], seen["staff.locked"], seen["session.ended"]) == (5, 1, 1)
        assert seen["login.refused"] == (answer == REFUSED)  # one of the two found it locked
        assert len(case.world.messages("LOCKED")) == 1

    await at_every_step(stage, share, interrupted)


@pytest.mark.rule("ID-5", "ID-6")
async def test_of_two_password_changes_one_of_them_stopped_one_is_in_force(stages: Stages, share: Share) -> None:
    stage = await stages.of(password_change)

    async def interrupted(case: Case, step: int) -> None:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            node = (await case.desk()).node
            other = await outcome(node.change(case.told["token"], PASSWORD, OTHER_NEW))
            answer = await victim.goes_on()
        assert {other, answer} <= {"OK", REFUSED, *NO_ANSWER}
        assert other in {"OK", REFUSED}
        assert [other, answer].count("OK") == len(case.world.events("password.changed")) == 1
        assert case.opens(STAFF, PASSWORD, NEW, OTHER_NEW) == [OTHER_NEW if other == "OK" else NEW]
        assert case.world.one("select count(*) from auth.password_history where staff_id = %s", STAFF) == 2
        assert case.world.credentials(STAFF)["failures"] == [other, answer].count(REFUSED)

    await at_every_step(stage, share, interrupted)


@pytest.mark.rule("RQ-2", "RQ-5")
async def test_of_two_approvals_one_of_them_stopped_one_is_carried_out(stages: Stages, share: Share) -> None:
    stage = await stages.of(approval)

    async def interrupted(case: Case, step: int) -> None:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            desk = await case.desk()
            manager = await desk.node.actors.of(case.told["token"], CRM)
            other = await outcome(desk.decisions.approve(manager, case.told["request"], "已核实", retry()))
            answer = await victim.goes_on()
        assert {other, answer} <= {"OK", Reason.REQUEST_CLOSED.value, *NO_ANSWER}
        assert len(case.world.events("request.approved")) == 1
        assert [other, answer].count("OK") <= 1
        if other != "OK":  # the stopped one's stands: answered now, or when it is asked again
            again = desk.decisions.approve(manager, case.told["request"], "已核实", retry(case.told["retry"]))
            assert await outcome(again) == "OK"
        assert len(case.world.messages("FIRST_PASSWORD")) == 1
        assert (case.world.state(STAFF), case.world.live_sessions(STAFF)) == ("ISSUED", [])

    await at_every_step(stage, share, interrupted)


@pytest.mark.rule("RQ-7")
async def test_of_two_redemptions_one_of_them_stopped_one_binds_the_grant(stages: Stages, share: Share) -> None:
    stage = await stages.of(redemption)

    async def interrupted(case: Case, step: int) -> None:
        async with case.victim(step) as victim:
            await victim.comes_to_its_stop()
            desk = await case.desk()
            other = await outcome(desk.approvals.redeem(CRM, case.told["grant"], OTHER_ORDER))
            answer = await victim.goes_on()
        assert {other, answer} <= {"OK", Reason.GRANT_BOUND.value, *NO_ANSWER}
        assert [other, answer].count("OK") == len(case.world.events("grant.bound")) == 1
        assert case.world.one("select order_id from auth.grants").endswith(OTHER_ORDER if other == "OK" else ORDER)

    await at_every_step(stage, share, interrupted)
