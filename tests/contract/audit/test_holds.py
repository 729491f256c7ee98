"""Holds: placed by one person at once, lifted by two, and nothing that they keep is let go (CI-8)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.errors import FailedPrecondition, NotFound, Reason, Unavailable
from tests.sim.audit import KEEPER, SERVICE, AuditStand
from tests.sim.audit_office import Office, fresh, office


@pytest.fixture
async def desk(audit: AuditStand, tmp_path: Path) -> Office:
    await audit.append(*(audit.check(number) for number in range(5)))
    return office(audit, tmp_path)


@pytest.mark.rule("CI-8")
async def test_a_hold_keeps_a_customer_from_erasure_until_two_people_lift_it(desk: Office) -> None:
    hold = await desk.hold()
    with pytest.raises(FailedPrecondition) as refused:
        await desk.erase()
    assert refused.value.reason is Reason.STATE_CONFLICT
    release = await desk.release(hold.hold_id)
    assert (release.hold_id, release.subject_id) == (hold.hold_id, hold.subject_id)
    with pytest.raises(FailedPrecondition):
        await desk.erase()
    assert (await desk.confirm(release.act_id)).state == pb.ACT_STATE_DONE
    assert (await desk.confirm((await desk.erase()).act_id)).state == pb.ACT_STATE_DONE
    assert desk.told_types() == [
        "hold-placed",
        *("act-proposed", "act-confirmed", "hold-released"),
        *("act-proposed", "act-confirmed", "subject-erased"),
    ]


@pytest.mark.rule("CI-8")
async def test_a_hold_that_comes_after_the_proposal_wins(desk: Office) -> None:
    proposed = await desk.erase()
    await desk.hold()
    with pytest.raises(FailedPrecondition) as refused:
        await desk.confirm(proposed.act_id)
    assert refused.value.reason is Reason.STATE_CONFLICT
    assert await desk.states() == [pb.ACT_STATE_PROPOSED]
    assert desk.subjects() == 5


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("got_to_the_journal", [False, True])
async def test_a_hold_that_comes_after_the_confirmation_wins(desk: Office, got_to_the_journal: bool) -> None:
    proposed, same = await desk.erase(), fresh()
    desk.log.is_away, desk.journal.dies_after = not got_to_the_journal, got_to_the_journal
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id, request_id=same)
    desk.log.is_away = desk.journal.dies_after = False
    await desk.hold()
    await desk.work()
    assert await desk.states() == [pb.ACT_STATE_BLOCKED]
    with pytest.raises(FailedPrecondition):
        await desk.confirm(proposed.act_id, request_id=same)
    assert desk.subjects() == 5
    assert desk.journal.read() == []
    assert desk.told_types()[-1] == "act-blocked"


async def test_either_the_hold_or_the_erasure_comes_first(desk: Office) -> None:
    for number in range(5):
        customer = f"1380000000{number}"
        proposed = await desk.erase(number=customer)
        hold, act = await asyncio.gather(
            desk.hold(number=customer), desk.confirm(proposed.act_id), return_exceptions=True
        )
        is_there = desk.audit.rows(
            "select count(*) from audit.subjects where subject_id = %s", proposed.subject_id
        ) == [(1,)]
        if isinstance(hold, NotFound):
            assert not is_there
            assert not isinstance(act, BaseException)
        else:
            assert is_there
            assert isinstance(act, FailedPrecondition)


_PLACING = "select 1 from audit.gates where name = 'holds' for share"
_DELETING = "select 1 from audit.gates where name = 'holds' for update"


@pytest.mark.rule("CI-8")
async def test_an_erasure_waits_for_a_hold_that_is_being_placed(desk: Office) -> None:
    proposed = await desk.erase()
    with desk.audit.connected(SERVICE) as other:
        other.autocommit = False
        other.execute(_PLACING)
        other.execute(
            "insert into audit.holds (hold_id, subject_ids, reason, placed_by, placed_at)"
            " values (gen_random_uuid(), array[%s::uuid], '', 'cora', now())",
            (proposed.subject_id,),
        )
        erasing = asyncio.create_task(desk.confirm(proposed.act_id))
        await desk.until_it_waits(erasing)
        other.commit()
    with pytest.raises(FailedPrecondition):
        await erasing
    assert desk.subjects() == 5


@pytest.mark.rule("CI-8")
async def test_a_hold_waits_for_an_erasure_that_is_under_way(desk: Office) -> None:
    with desk.audit.connected(KEEPER) as other:
        other.autocommit = False
        other.execute(_DELETING)
        other.execute("delete from audit.subjects")
        placing = asyncio.create_task(desk.hold())
        await desk.until_it_waits(placing)
        other.commit()
    with pytest.raises(NotFound):
        await placing


async def test_a_hold_is_lifted_once(desk: Office) -> None:
    hold = await desk.hold()
    first, second = await desk.release(hold.hold_id), await desk.release(hold.hold_id)
    await desk.confirm(first.act_id)
    with pytest.raises(FailedPrecondition):
        await desk.confirm(second.act_id)
    with pytest.raises(FailedPrecondition):
        await desk.release(hold.hold_id)
    (listed,) = (await desk.call("ListHolds", pb.ListHoldsRequest(assertion=desk.assertion("ann")))).holds
    assert (listed.placed_by, listed.released_by) == ("ann", "bea")
    active = pb.ListHoldsRequest(assertion=desk.assertion("ann"), active_only=True)
    assert not (await desk.call("ListHolds", active)).holds


async def test_a_hold_needs_no_second_factor_and_is_placed_once_however_often_it_is_asked_for(desk: Office) -> None:
    same = fresh()
    request = pb.PlaceHoldRequest(
        request_id=same, assertion=desk.assertion("ann", stepped_up=False), customer="13800000001", reason="a dispute"
    )
    holds = await asyncio.gather(*(desk.call("PlaceHold", request) for _ in range(4)))
    assert len({answer.hold.hold_id for answer in holds}) == 1
    assert desk.told_types() == ["hold-placed"]


async def test_holds_are_listed_page_by_page(desk: Office) -> None:
    made = []
    for number in range(5):
        made.append((await desk.hold(number=f"1380000000{number}")).hold_id)
    found, token = [], ""
    while True:
        request = pb.ListHoldsRequest(assertion=desk.assertion("ann"), page_size=2, page_token=token)
        answer = await desk.call("ListHolds", request)
        found += [hold.hold_id for hold in answer.holds]
        if not (token := answer.next_page_token):
            break
    assert sorted(found) == sorted(made)


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("role", [SERVICE, KEEPER])
@pytest.mark.parametrize(
    "statement",
    [
        "delete from audit.holds",
        "update audit.holds set subject_ids = '{}'",
        "update audit.holds set reason = ''",
        "delete from audit.acts",
        "update audit.acts set proposed_by = 'zoe'",
        "update audit.acts set subject_ids = '{}'",
        "delete from audit.retentions",
        "delete from audit.gates",
    ],
)
async def test_no_role_can_rewrite_what_was_proposed_or_held(desk: Office, role: str, statement: str) -> None:
    with desk.audit.connected(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement",
    [
        "update audit.holds set released_at = now()",
        "update audit.acts set state = 'CONFIRMED', decided_by = 'zoe'",
        "insert into audit.acts (act_id, kind, state, reason, proposed_by, session_id, proposed_at, expires_at, decided_by)"
        " values (gen_random_uuid(), 'erase-subject', 'CONFIRMED', '', 'zoe', '', now(), now(), 'yan')",
        "delete from audit.announcements",
    ],
)
async def test_the_service_makes_nothing_that_looks_decided(desk: Office, statement: str) -> None:
    with desk.audit.connected(SERVICE) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]
