"""Importing many staff IDs: all or nothing, every fault told, safe to send again."""

from __future__ import annotations

import pytest

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.errors import AlreadyExists
from infosec.ids import StaffId
from infosec.messages import Locale
from tests.sim.admin_office import XU, Office, import_parts, new_staff, rid
from tests.sim.world import first_password_in


def rows(count: int) -> list[pb.NewStaff]:
    return [new_staff(f"clerk.{number:04}", phone=f"139{number:08}") for number in range(count)]


def hired(office: Office) -> int:
    return int(office.world.one("select count(*) from auth.staff where staff_id like 'clerk.%%'"))


@pytest.mark.rule("ID-1")
async def test_a_good_file_makes_everybody_at_once_and_tells_how_far_it_is(office: Office) -> None:
    answers = await office.send_file(import_parts(await office.token(XU), rows(40)))
    assert [one.prepared for one in answers] == [0, 16, 32, 40, 40]
    assert [one.is_done for one in answers] == [False] * 4 + [True]
    assert answers[-1].imported == 40 == hired(office)
    messages = {message.phone: message.text for message in office.world.messages("FIRST_PASSWORD")}
    assert len(messages) == 40
    assert await office.node.try_login("clerk.0007", first_password_in(messages["13900000007"])) == "OK"
    assert office.world.events("staff.imported")[-1]["facts"] == {"staff_id": XU, "count": 40}


@pytest.mark.rule("ID-8", "ID-10")
async def test_every_fault_is_told_by_row_and_field_and_nothing_is_written(office: Office) -> None:
    file = [
        *rows(2),
        new_staff("clerk.0001"),
        new_staff("LI.NA"),
        new_staff("x", phone="110"),
        new_staff("clerk.boss", role_id="store-manager"),
        new_staff("clerk.chief", role_id="administrator"),
    ]
    office.world.rows("update auth.staff set state = 'CLOSED' where staff_id = 'li.na'")
    answers = await office.send_file(import_parts(await office.token(XU), file))
    assert len(answers) == 1 and answers[0].is_done and answers[0].imported == 0
    told = [(fault.row, fault.field, fault.text) for fault in answers[0].faults]
    assert [(row, field) for row, field, _ in told] == [
        *((3, "staff_id"), (4, "staff_id"), (5, "staff_id"), (5, "phone"), (7, "role_id"))
    ]
    assert told[0][2] == "the same as in row 2"
    assert hired(office) == 0 and office.world.messages("FIRST_PASSWORD") == []


async def test_faults_are_told_in_the_callers_language(office: Office) -> None:
    parts = import_parts(await office.token(XU), [new_staff(phone="110")])
    answers = await office.send_file(parts, locale=Locale.ZH_CN)
    assert answers[0].faults[0].text == "须为中国大陆手机号（11 位）"


async def test_an_empty_cell_is_a_fault_of_its_row_like_any_other(office: Office) -> None:
    answers = await office.send_file(import_parts(await office.token(XU), [*rows(1), pb.NewStaff(staff_id="clerk.x")]))
    assert {(fault.row, fault.field) for fault in answers[0].faults} == {
        *((2, "name"), (2, "phone"), (2, "role_id"), (2, "store_id"))
    }


async def test_many_faults_come_in_several_messages(office: Office) -> None:
    bad = [pb.NewStaff(staff_id="!") for _ in range(1001)]
    answers = await office.send_file(import_parts(await office.token(XU), bad))
    assert [len(one.faults) for one in answers] == [5000, 5]
    assert [one.is_done for one in answers] == [False, True]


async def test_a_dry_run_checks_everything_and_writes_nothing(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    answers = await office.send_file(import_parts(token, rows(3), request_id=request_id, dry_run=True))
    assert [(one.checked, one.imported, one.is_done) for one in answers] == [(3, 0, True)]
    assert hired(office) == 0 and office.world.events("staff.imported") == []
    answers = await office.send_file(import_parts(token, rows(3), request_id=request_id))
    assert answers[-1].imported == 3


async def test_the_same_file_sent_again_is_answered_as_before(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    first = await office.send_file(import_parts(token, rows(3), request_id=request_id))
    again = await office.send_file(import_parts(token, rows(3), request_id=request_id))
    assert again == [first[-1]]
    assert len(office.world.messages("FIRST_PASSWORD")) == 3


async def test_who_was_hired_while_a_file_was_prepared_stops_the_whole_file(office: Office) -> None:
    from authsvc.rpc.staff import _applicant

    imports, hiring = office.staff._imports, office.staff._hiring
    examined = await imports.examine([_applicant(row) for row in rows(3)])
    ready = [one async for some in imports.prepared(examined.hires) for one in some]
    async with office.node.works.begin() as work:
        await hiring.put(work, await hiring.prepare(examined.hires[1]), StaffId(XU))
    with pytest.raises(AlreadyExists):
        async with office.node.works.begin() as work:
            await imports.put(work, ready, StaffId(XU))
    assert hired(office) == 1
    assert len(office.world.messages("FIRST_PASSWORD")) == 1
