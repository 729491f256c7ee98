"""Acts that take two people: proposed, confirmed by another person, withdrawn, expired, told to the log in that order."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.errors import (
    FailedPrecondition,
    InfosecError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Reason,
    Unavailable,
)
from tests.sim.audit import EAST, AuditStand
from tests.sim.audit_office import NUMBER, Office, fresh, office

OTHER = "13800000002"


@pytest.fixture
async def desk(audit: AuditStand, tmp_path: Path) -> Office:
    await audit.append(*(audit.check(number) for number in range(5)))
    return office(audit, tmp_path)


@pytest.mark.rule("CI-8")
async def test_a_second_person_confirms_and_the_log_tells_each_step(desk: Office) -> None:
    proposed = await desk.erase()
    assert proposed.state == pb.ACT_STATE_PROPOSED
    assert proposed.expires_at.seconds - proposed.proposed_at.seconds == 24 * 3600
    done = await desk.confirm(proposed.act_id)
    assert (done.state, done.proposed_by, done.decided_by) == (pb.ACT_STATE_DONE, "ann", "bea")
    assert desk.told_types() == ["act-proposed", "act-confirmed", "subject-erased"]
    asked, confirmed, erased = desk.told()
    assert (asked.text("staff_id"), confirmed.text("staff_id")) == ("ann", "bea")
    assert {entry.text("act_id") for entry in (asked, confirmed, erased)} == {proposed.act_id}
    assert {entry.text("subject_id") for entry in (asked, confirmed, erased)} == {proposed.subject_id}


async def test_a_carrier_duty_officer_may_be_the_second_person_and_not_the_first(desk: Office) -> None:
    proposed = await desk.erase()
    done = await desk.confirm(proposed.act_id, by="dora", role="carrier-duty-officer")
    assert done.state == pb.ACT_STATE_DONE
    request = pb.EraseSubjectRequest(
        request_id=fresh(),
        assertion=desk.assertion("dora", role="carrier-duty-officer"),
        customer=OTHER,
        reason="asked for",
    )
    with pytest.raises(PermissionDenied) as refused:
        await desk.call("EraseSubject", request)
    assert refused.value.reason is Reason.NOT_PERMITTED


async def test_an_act_expires_by_the_clock_whether_swept_or_not(desk: Office) -> None:
    proposed = await desk.erase()
    desk.audit.advance(hours=24)
    with pytest.raises(FailedPrecondition) as refused:
        await desk.confirm(proposed.act_id)
    assert refused.value.reason is Reason.REQUEST_CLOSED
    assert await desk.states() == [pb.ACT_STATE_EXPIRED]
    await desk.work()
    await desk.work()
    assert desk.told_types() == ["act-proposed", "act-expired"]
    with pytest.raises(FailedPrecondition):
        await desk.withdraw(proposed.act_id)
    assert desk.subjects() == 5


@pytest.mark.parametrize("by", ["ann", "bea"])
async def test_an_act_is_withdrawn_by_who_proposed_it_or_by_another(desk: Office, by: str) -> None:
    proposed = await desk.erase()
    withdrawn = await desk.withdraw(proposed.act_id, by=by)
    assert (withdrawn.state, withdrawn.decided_by) == (pb.ACT_STATE_WITHDRAWN, by)
    with pytest.raises(FailedPrecondition):
        await desk.confirm(proposed.act_id)
    assert desk.told_types() == ["act-proposed", "act-withdrawn"]
    assert desk.told()[-1].text("grounds") == "not needed"


async def test_a_retry_is_answered_again_and_something_else_is_refused(desk: Office) -> None:
    same = fresh()
    first, again = await desk.erase(request_id=same), await desk.erase(request_id=same)
    assert first == again
    with pytest.raises(InvalidInput) as refused:
        await desk.erase(number=OTHER, request_id=same)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    with pytest.raises(InvalidInput):
        await desk.erase(by="bea", request_id=same)
    confirming = fresh()
    answers = await asyncio.gather(*(desk.confirm(first.act_id, request_id=confirming) for _ in range(4)))
    assert {answer.state for answer in answers} == {pb.ACT_STATE_DONE}
    assert desk.told_types() == ["act-proposed", "act-confirmed", "subject-erased"]


async def test_of_two_who_confirm_at_once_one_is_told_that_it_is_closed(desk: Office) -> None:
    proposed = await desk.erase()
    outcomes = await asyncio.gather(
        *(desk.confirm(proposed.act_id, by=by) for by in ("bea", "cora", "dora", "emma")), return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [FailedPrecondition] * 3
    assert desk.told_types() == ["act-proposed", "act-confirmed", "subject-erased"]


@pytest.mark.rule("CI-8")
async def test_without_the_log_nothing_is_erased_and_the_job_finishes_it_later(desk: Office) -> None:
    proposed = await desk.erase()
    desk.log.is_away = True
    same = fresh()
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await desk.confirm(proposed.act_id, request_id=same)
        assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    with pytest.raises(Unavailable):
        await desk.work()
    assert desk.subjects() == 5
    assert await desk.states() == [pb.ACT_STATE_CONFIRMED]
    desk.log.is_away = False
    await desk.work()
    assert desk.subjects() == 4
    assert (await desk.confirm(proposed.act_id, request_id=same)).state == pb.ACT_STATE_DONE
    assert desk.told_types() == ["act-proposed", "act-confirmed", "subject-erased"]


async def test_a_lost_answer_of_the_log_leaves_each_event_once(desk: Office) -> None:
    desk.log.loses_answers = True
    same = fresh()
    with pytest.raises(Unavailable):
        await desk.erase(request_id=same)
    desk.log.loses_answers = False
    proposed = await desk.erase(request_id=same)
    assert desk.told_types() == ["act-proposed"]
    assert (await desk.confirm(proposed.act_id)).state == pb.ACT_STATE_DONE


async def test_what_is_not_there_is_not_found(desk: Office) -> None:
    for call in (
        desk.erase(number="10000"),
        desk.hold(number="10000"),
        desk.release(fresh()),
        desk.confirm(fresh()),
        desk.withdraw(fresh()),
    ):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(InvalidInput):
        await desk.confirm("no-uuid")


async def test_acts_are_listed_newest_first_page_by_page(desk: Office) -> None:
    made = []
    for _ in range(5):
        made.append((await desk.erase()).act_id)
        desk.audit.advance(minutes=1)
    await desk.withdraw(made[0])

    async def listed(*, open_only: bool) -> list[str]:
        found, token = [], ""
        while True:
            request = pb.ListActsRequest(
                assertion=desk.assertion("ann", stepped_up=False), open_only=open_only, page_size=2, page_token=token
            )
            answer = await desk.call("ListActs", request)
            found += [act.act_id for act in answer.acts]
            if not (token := answer.next_page_token):
                return found

    assert await listed(open_only=False) == made[::-1]
    assert await listed(open_only=True) == made[:0:-1]
    with pytest.raises(InvalidInput):
        await desk.call("ListActs", pb.ListActsRequest(assertion=desk.assertion("ann"), page_token="x"))


@pytest.mark.rule("CI-6")
async def test_a_finding_about_an_entry_is_on_record_once(desk: Office) -> None:
    def request(**fields: object) -> pb.RecordFindingRequest:
        values = {"request_id": same, "log_id": EAST, "index": 3, "verdict": pb.VERDICT_VIOLATION, "note": "no visit"}
        return pb.RecordFindingRequest(assertion=desk.assertion("ann", stepped_up=False), **(values | fields))  # type: ignore[arg-type]

    same = fresh()
    first, again = [(await desk.call("RecordFinding", request())).event_id for _ in range(2)]
    assert first == again
    (told,) = desk.told()
    assert told.event_id == uuid.UUID(first)
    assert (told.text("verdict"), told.facts["index"], told.text("region_id")) == ("VIOLATION", 3, EAST)
    assert told.text("subject_staff_id") == "clerk.3"
    for wrong in ({"index": 99}, {"log_id": "nowhere"}, {"verdict": pb.VERDICT_UNSPECIFIED}, {"index": 1 << 63}):
        with pytest.raises(InfosecError):
            await desk.call("RecordFinding", request(request_id=fresh(), **wrong))


async def test_customers_are_named_in_no_act_and_no_event_about_one(desk: Office) -> None:
    await desk.hold()
    proposed = await desk.erase(number=OTHER)
    await desk.confirm(proposed.act_id)
    digests = [desk.audit.customer(number) for number in (NUMBER, OTHER)]
    for table in ("acts", "holds", "announcements", "retries"):
        text = str(desk.audit.rows(f"select * from audit.{table}"))
        assert not any(word in text for word in (*digests, NUMBER, OTHER))
    assert all(entry.subject_id is None for entry in desk.told())
