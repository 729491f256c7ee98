"""Making, showing, correcting, suspending and closing staff IDs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from authsvc.hiring import Applicant, hired
from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.errors import Aborted, InvalidInput, NotFound
from infosec.ids import StaffId, StoreId
from tests.sim.admin_office import MA, XU, Office, new_staff, rid
from tests.sim.login_nodes import outcome
from tests.sim.world import PASSWORD, first_password_in


async def create(office: Office, token: str, staff: pb.NewStaff, **more: str) -> pb.CreateStaffResponse:
    request = pb.CreateStaffRequest(request_id=more.pop("request_id", rid()), token=token, staff=staff, **more)
    answer = await office.call(office.staff.CreateStaff, request)
    assert isinstance(answer, pb.CreateStaffResponse)
    return answer


async def close(office: Office, token: str, staff_id: str) -> str:
    request = pb.CloseStaffRequest(request_id=rid(), token=token, staff_id=staff_id, reason="离职")
    return await office.refused(office.staff.CloseStaff, request)


async def suspend(office: Office, token: str, staff_id: str) -> str:
    request = pb.SuspendStaffRequest(request_id=rid(), token=token, staff_id=staff_id, reason="调查")
    return await office.refused(office.staff.SuspendStaff, request)


@pytest.mark.rule("ID-1")
async def test_a_new_clerk_gets_a_first_password_on_their_phone_and_nobody_else_sees_it(office: Office) -> None:
    answer = await create(office, await office.token(XU), new_staff(phone="+86 139-1234-5678"))
    assert answer.staff.state == pb.STAFF_STATE_ISSUED
    assert (answer.staff.region_id, answer.staff.created_by) == ("east", XU)
    assert answer.staff.masked_phone == "139****5678"
    assert answer.staff.first_password_delivery == "QUEUED"
    message = office.world.messages("FIRST_PASSWORD")[-1]
    password = first_password_in(message.text)
    assert message.phone == "13912345678"
    assert password not in str(answer)
    assert all(password not in json.dumps(event) for event in office.world.events())
    login = await office.node.login("new.clerk", password)
    assert [duty.value for duty in login.opened.duties] == ["CHANGE_PASSWORD"]


@pytest.mark.rule("ID-3")
async def test_facts_of_a_new_clerk_are_known_to_the_password_checker_and_never_shown(office: Office) -> None:
    staff = new_staff(birthday="1991-08-09", id_number="11010519491231002X")
    answer = await create(office, await office.token(XU), staff)
    stored = str(office.world.rows("select * from auth.staff where staff_id = 'new.clerk'"))
    for secret in ("19910809", "1991-08-09", "11010519491231002X", "13912345678"):
        assert secret not in stored and secret not in str(answer)
    password = first_password_in(office.world.messages("FIRST_PASSWORD")[-1].text)
    token = await office.node.token("new.clerk", password=password)
    assert await outcome(office.node.change(token, password, "Hello-19910809")) == "PASSWORD_REJECTED"
    assert await outcome(office.node.change(token, password, "quiet.River-27")) == "OK"


async def test_every_fault_of_a_new_clerk_is_told_at_once(office: Office) -> None:
    token = await office.token(XU)
    with pytest.raises(InvalidInput) as refused:
        await create(office, token, new_staff("x", phone="110", role_id="king"))
    assert len(refused.value.violations) == 3


async def test_a_retry_is_answered_as_before_and_sends_no_second_password(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    first = await create(office, token, new_staff(), request_id=request_id)
    again = await create(office, token, new_staff(), request_id=request_id)
    assert first == again
    assert len(office.world.messages("FIRST_PASSWORD")) == 1


@pytest.mark.rule("ID-8")
async def test_an_approver_is_made_only_when_a_second_administrator_approves(office: Office) -> None:
    boss = new_staff("new.boss", role_id="regional-manager", phone="13712345678")
    answer = await create(office, await office.token(XU), boss, reason="接任")
    assert not answer.HasField("staff")
    assert answer.pending.staff_id == "new.boss"
    assert "13712345678" not in str(answer)
    assert "13712345678" not in str(office.world.rows("select * from auth.requests"))
    assert office.world.rows("select 1 from auth.staff where staff_id = 'new.boss'") == []
    assert await office.approve(XU, answer.pending.id) == "SELF_DECISION"
    assert await office.approve("zhao.lei", answer.pending.id) in ("NOT_PERMITTED", "NOT_FOUND")
    assert await office.approve(MA, answer.pending.id) == "OK"
    assert office.world.state("new.boss") == "ISSUED"
    message = office.world.messages("FIRST_PASSWORD")[-1]
    assert message.phone == "13712345678"
    assert await office.node.try_login("new.boss", first_password_in(message.text)) == "OK"


@pytest.mark.rule("ID-8")
async def test_a_privileged_proposal_says_why_and_is_made_once(office: Office) -> None:
    token, boss = await office.token(XU), new_staff("new.boss", role_id="auditor")
    without = pb.CreateStaffRequest(request_id=rid(), token=token, staff=boss)
    assert await office.refused(office.staff.CreateStaff, without) == "INVALID_ARGUMENT"
    with_reason = pb.CreateStaffRequest(request_id=rid(), token=token, staff=boss, reason="新稽核")
    first = await office.call(office.staff.CreateStaff, with_reason)
    assert await office.call(office.staff.CreateStaff, with_reason) == first
    another = pb.CreateStaffRequest(request_id=rid(), token=token, staff=boss, reason="新稽核")
    assert await office.refused(office.staff.CreateStaff, another) == "ALREADY_EXISTS"


@pytest.mark.rule("ID-4", "ID-7")
async def test_an_imported_hash_logs_in_with_the_old_password_which_ends_in_ninety_days(office: Office) -> None:
    from passlib.hash import bcrypt

    old = bcrypt.using(rounds=4).hash(PASSWORD)
    answer = await create(office, await office.token(XU), new_staff(legacy_hash=old))
    assert answer.staff.state == pb.STAFF_STATE_ACTIVE
    assert answer.staff.first_password_delivery == ""
    assert office.world.messages("FIRST_PASSWORD") == []
    assert (await office.node.login("new.clerk", PASSWORD)).opened.password_days_left == 90
    assert office.world.credentials("new.clerk")["hash"].startswith("$argon2id$")
    told = [message.text for message in office.world.messages("NEW_TERMINAL")]
    assert sum("new.clerk" in text for text in told) == 1  # ID-7, though it is the first login of all


@pytest.mark.rule("ID-10")
async def test_closing_ends_the_session_and_the_staff_id_for_ever(office: Office) -> None:
    clerk = await office.token("li.na")
    admin = await office.token(XU)
    epoch = office.world.one("select epoch from auth.staff where staff_id = 'li.na'")
    request = pb.CloseStaffRequest(request_id=rid(), token=admin, staff_id="LI.NA", reason="离职")
    answer = await office.call(office.staff.CloseStaff, request)
    assert answer.staff.state == pb.STAFF_STATE_CLOSED
    assert answer.revision.number == office.world.one(
        "select number from auth.region_revisions where region_id = 'east'"
    )
    assert office.world.live_sessions("li.na") == []
    assert await outcome(office.node.actors.of(clerk, "crm")) == "SESSION_ENDED"
    assert office.world.one("select epoch from auth.staff where staff_id = 'li.na'") == epoch + 1
    assert await office.node.try_login("li.na") == "LOGIN_REFUSED"
    assert office.world.events("staff.closed")[-1]["facts"]["staff_id"] == XU
    kinds = {row[0] for row in office.world.rows("select kind from auth.changes where region_id = 'east'")}
    assert {"staff", "session"} <= kinds
    assert await office.call(office.staff.CloseStaff, request) == answer
    assert await close(office, admin, "li.na") == "STATE_CONFLICT"
    assert await suspend(office, admin, "li.na") == "STATE_CONFLICT"


async def test_suspending_works_at_once(office: Office) -> None:
    clerk = await office.token("li.na")
    admin = await office.token(XU)
    assert await suspend(office, admin, "li.na") == "OK"
    assert office.world.state("li.na") == "SUSPENDED"
    assert await outcome(office.node.actors.of(clerk, "crm")) == "SESSION_ENDED"
    assert await suspend(office, admin, "li.na") == "STATE_CONFLICT"
    assert await suspend(office, admin, "nobody.here") == "NOT_FOUND"


@pytest.mark.rule("ID-8")
async def test_nobody_closes_or_suspends_themselves(office: Office) -> None:
    admin = await office.token(XU)
    assert await close(office, admin, XU) == "SELF_DECISION"
    assert await suspend(office, admin, XU) == "SELF_DECISION"
    assert await close(office, admin, MA) == "OK"


async def test_names_and_facts_are_corrected_and_the_old_name_stays_forbidden(office: Office) -> None:
    admin = await office.token(XU)
    request = pb.UpdateStaffRequest(
        request_id=rid(), token=admin, staff_id="li.na", name="赵 敏敏", birthday="1993-04-05"
    )
    answer = await office.call(office.staff.UpdateStaff, request)
    assert answer.staff.name == "赵 敏敏"
    clerk = await office.token("li.na")
    for hint in ("zhaominmin", "19930405"):
        assert await outcome(office.node.change(clerk, PASSWORD, f"{hint}-Xq7!")) == "PASSWORD_REJECTED"
    facts = office.world.events("staff.updated")[-1]["facts"]
    assert facts == {"staff_id": XU, "subject_staff_id": "li.na", "fields": "name,birthday"}
    empty = pb.UpdateStaffRequest(request_id=rid(), token=admin, staff_id="li.na")
    assert await office.refused(office.staff.UpdateStaff, empty) == "INVALID_ARGUMENT"
    await close(office, admin, "li.na")
    late = pb.UpdateStaffRequest(request_id=rid(), token=admin, staff_id="li.na", name="李娜")
    assert await office.refused(office.staff.UpdateStaff, late) == "STATE_CONFLICT"
    nobody = pb.UpdateStaffRequest(request_id=rid(), token=admin, staff_id="nobody.here", name="李娜")
    assert await office.refused(office.staff.UpdateStaff, nobody) == "NOT_FOUND"


@pytest.mark.rule("CI-2")
async def test_each_role_sees_the_staff_ids_of_its_part_of_the_tree(office: Office) -> None:
    async def seen(staff: str, **narrowed: str) -> set[str]:
        request = pb.ListStaffRequest(token=await office.token(staff), page_size=500, **narrowed)
        return {one.region_id for one in (await office.call(office.staff.ListStaff, request)).staff}

    assert await seen("hu.bin") == {"carrier", "east", "west"}
    assert await seen("zhou.tao", region_id="west") == {"west"}
    assert await seen("zhao.lei") == {"east"}
    assert await seen("chen.jing") == {"east"}
    manager = await office.token("chen.jing")
    for staff_id, expected in (("li.na", "OK"), ("zhang.min", "NOT_FOUND"), ("nobody.here", "NOT_FOUND")):
        request = pb.GetStaffRequest(token=manager, staff_id=staff_id)
        assert await office.refused(office.staff.GetStaff, request) == expected
    elsewhere = pb.ListStaffRequest(token=manager, store_id="e2")
    assert await office.refused(office.staff.ListStaff, elsewhere) == "NOT_PERMITTED"
    clerk = pb.ListStaffRequest(token=await office.token("li.na"))
    assert await office.refused(office.staff.ListStaff, clerk) == "NOT_PERMITTED"


async def test_a_list_comes_page_by_page_and_by_state(office: Office) -> None:
    token, names, page_token = await office.token(XU), [], ""
    while True:
        request = pb.ListStaffRequest(token=token, page_size=5, page_token=page_token)
        page = await office.call(office.staff.ListStaff, request)
        names += [one.staff_id for one in page.staff]
        page_token = page.next_page_token
        if not page_token:
            break
    assert names == sorted(names) and len(names) == office.world.one("select count(*) from auth.staff")
    office.world.rows("update auth.credentials set ends_at = %s where staff_id = 'li.na'", office.world.clock.now())
    ended = pb.ListStaffRequest(token=token, state=pb.STAFF_STATE_BLACKLISTED)
    assert [one.staff_id for one in (await office.call(office.staff.ListStaff, ended)).staff] == ["li.na"]
    forged = pb.ListStaffRequest(token=token, page_token="????")
    assert await office.refused(office.staff.ListStaff, forged) == "INVALID_ARGUMENT"


@pytest.mark.rule("ID-10", "ID-11")
async def test_findings_are_told_in_words_to_who_may_see_them(office: Office) -> None:
    for number, (kind, store, region) in enumerate(
        (("TWO_PLACES", "e1", "east"), ("DORMANT", "e2", "east"), ("TERMINAL_REFUSED", "w1", "west"))
    ):
        office.world.rows(
            "insert into auth.findings (finding_id, kind, staff_id, store_id, region_id, at)"
            " values (gen_random_uuid(), %s, 'li.na', %s, %s, %s::timestamptz + %s * interval '1 second')",
            *(kind, store, region, office.world.clock.now(), number),
        )

    async def kinds(staff: str, **narrowed: str) -> list[str]:
        request = pb.ListFindingsRequest(token=await office.token(staff), **narrowed)
        return [one.kind for one in (await office.call(office.staff.ListFindings, request)).findings]

    assert await kinds("hu.bin") == ["TERMINAL_REFUSED", "DORMANT", "TWO_PLACES"]
    assert await kinds("zhao.lei") == ["DORMANT", "TWO_PLACES"]
    assert await kinds("zhao.lei", store_id="w1") == []
    assert await kinds("chen.jing") == ["TWO_PLACES"]
    admin = await office.token(XU)
    first = await office.call(office.staff.ListFindings, pb.ListFindingsRequest(token=admin, page_size=2))
    rest = pb.ListFindingsRequest(token=admin, page_size=2, page_token=first.next_page_token)
    assert [one.kind for one in (await office.call(office.staff.ListFindings, rest)).findings] == ["TWO_PLACES"]
    assert all(one.text.isascii() for one in first.findings)


@pytest.mark.rule("ID-8")
async def test_a_proposal_is_judged_again_when_it_is_approved(office: Office) -> None:
    boss = new_staff("new.boss", role_id="regional-manager", store_id="e2")
    pending = (await create(office, await office.token(XU), boss, reason="接任")).pending
    office.world.rows("update auth.stores set is_closed = true where store_id = 'e2'")
    assert await office.approve(MA, pending.id) == "STATE_CONFLICT"
    office.world.rows("update auth.stores set is_closed = false where store_id = 'e2'")
    office.world.rows(
        "update auth.roles set body = jsonb_set(body, '{privileged}', 'false') where role_id = 'regional-manager'"
    )
    assert await office.approve(MA, pending.id) == "STATE_CONFLICT"
    assert office.world.rows("select 1 from auth.staff where staff_id = 'new.boss'") == []
    assert office.world.messages("FIRST_PASSWORD") == []


async def test_a_store_that_moved_or_went_while_a_person_was_prepared_hires_nobody(office: Office) -> None:
    hiring = office.staff._hiring
    hire = hired(
        Applicant(staff_id="new.clerk", name="新人", phone="13912345678", role_id="clerk", store_id="e2"),
        await hiring.known(),
        office.world.clock.now().date(),
    )
    ready = await hiring.prepare(hire)
    office.world.rows("update auth.stores set region_id = 'west' where store_id = 'e2'")
    with pytest.raises(Aborted):
        async with office.node.works.begin() as work:
            await hiring.put(work, ready, StaffId(XU))
    gone = replace(ready, hire=replace(hire, store_id=StoreId("e9")))
    with pytest.raises(NotFound):
        async with office.node.works.begin() as work:
            await hiring.put(work, gone, StaffId(XU))
    assert office.world.rows("select 1 from auth.staff where staff_id = 'new.clerk'") == []
