"""Files that somebody cut, stuffed or disguised: an import takes the whole file or nothing (ID-1, ID-10)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.errors import InfosecError, InvalidInput
from tests.sim.admin_office import MA, XU, Office, admin_office, import_parts, new_staff, rid
from tests.sim.world import World


@pytest.fixture
async def office(world: World) -> Office:
    return await admin_office(world)


def rows(count: int) -> list[pb.NewStaff]:
    return [new_staff(f"clerk.{number:04}", phone=f"139{number:08}") for number in range(count)]


async def refusal(office: Office, parts: list[pb.ImportStaffRequest]) -> str:
    try:
        await office.send_file(parts)
    except InfosecError as error:
        return error.reason.value
    return "OK"


def untouched(office: Office) -> bool:
    written = office.world.one("select count(*) from auth.staff where staff_id like 'clerk.%%'")
    return not written and not office.world.messages("FIRST_PASSWORD") and not office.world.events("staff.imported")


@pytest.mark.rule("ID-1")
async def test_a_file_with_rows_missing_at_its_end_is_refused(office: Office) -> None:
    parts = import_parts(await office.token(XU), rows(5))
    assert await refusal(office, parts[:-1]) == "FILE_REJECTED"
    assert await refusal(office, import_parts(await office.token(XU), rows(5), declared=4)) == "FILE_REJECTED"
    assert untouched(office)


@pytest.mark.rule("ID-1")
async def test_a_stream_that_breaks_writes_nothing(office: Office) -> None:
    parts = import_parts(await office.token(XU), rows(5))

    async def broken() -> AsyncIterator[pb.ImportStaffRequest]:
        for part in parts[:4]:
            yield part
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        _ = [answer async for answer in office.staff.ImportStaff(broken(), office._context("crm", "en"))]  # type: ignore[arg-type]
    assert untouched(office)


@pytest.mark.rule("ID-1")
async def test_a_caller_who_leaves_while_passwords_are_prepared_leaves_nothing(office: Office) -> None:
    parts = import_parts(await office.token(XU), rows(40))

    async def stream() -> AsyncIterator[pb.ImportStaffRequest]:
        for part in parts:
            yield part

    answers = office.staff.ImportStaff(stream(), office._context("crm", "en"))  # type: ignore[arg-type]
    async for answer in answers:
        if answer.prepared:
            break
    await answers.aclose()  # type: ignore[attr-defined]
    assert untouched(office)


async def test_five_thousand_and_one_rows_are_too_many(office: Office) -> None:
    token = await office.token(XU)
    with pytest.raises(InvalidInput) as refused:
        await office.send_file(import_parts(token, rows(5001)))
    assert "header.rows" in refused.value.details["field"]
    assert await refusal(office, import_parts(token, rows(5001), declared=5000)) == "FILE_REJECTED"
    assert untouched(office)


async def test_a_file_is_one_header_and_then_rows(office: Office) -> None:
    parts = import_parts(await office.token(XU), rows(2))
    for wrong in ([], parts[:1], parts[1:], [parts[0], parts[0], parts[1]], [pb.ImportStaffRequest(), *parts]):
        assert await refusal(office, wrong) == "FILE_REJECTED"
    assert untouched(office)


@pytest.mark.parametrize("name", ["王\u0000芳", "王\u202e芳", "王\n芳", "\u200b", "王" * 60])
async def test_names_that_hide_something_are_refused(office: Office, name: str) -> None:
    try:
        answers = await office.send_file(
            import_parts(await office.token(XU), [*rows(1), new_staff("clerk.x", name=name)])
        )
    except InvalidInput as error:
        assert error.details["field"] == "row.name"
    else:
        assert [(fault.row, fault.field) for fault in answers[-1].faults] == [(2, "name")]
    assert untouched(office)


@pytest.mark.rule("ID-10")
async def test_two_spellings_of_one_id_are_one_id(office: Office) -> None:
    file = [new_staff("clerk.a"), new_staff("CLERK.A"), new_staff("ｃｌｅｒｋ．ａ")]
    answers = await office.send_file(import_parts(await office.token(XU), file))
    assert [(fault.row, fault.text) for fault in answers[-1].faults] == [
        (2, "the same as in row 1"),
        (3, "the same as in row 1"),
    ]


@pytest.mark.rule("ID-8")
async def test_no_approver_slips_in_among_many(office: Office) -> None:
    for role_id in ("regional-manager", "carrier-duty-officer", "auditor", "administrator", " ADMINISTRATOR "):
        answers = await office.send_file(
            import_parts(await office.token(XU), [*rows(3), new_staff("clerk.x", role_id=role_id)])
        )
        assert [(fault.row, fault.field) for fault in answers[-1].faults] == [(4, "role_id")]
    assert untouched(office)


async def test_a_request_id_is_not_used_for_another_file_or_person(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    assert await refusal(office, import_parts(token, rows(2), request_id=request_id)) == "OK"
    assert await refusal(office, import_parts(token, rows(3), request_id=request_id)) == "REQUEST_ID_REUSED"
    other = [new_staff("clerk.0000"), new_staff("clerk.0009")]
    assert await refusal(office, import_parts(token, other, request_id=request_id)) == "REQUEST_ID_REUSED"
    assert (
        await refusal(office, import_parts(await office.token(MA), rows(2), request_id=request_id))
        == "REQUEST_ID_REUSED"
    )


@pytest.mark.rule("CI-2")
async def test_only_an_administrator_imports_and_no_row_is_read_before_that_is_known(office: Office) -> None:
    read = 0

    async def stream(token: str) -> AsyncIterator[pb.ImportStaffRequest]:
        nonlocal read
        for part in import_parts(token, rows(100)):
            read += 1
            yield part

    for staff in ("hu.bin", "chen.jing"):
        answers = office.staff.ImportStaff(stream(await office.token(staff)), office._context("crm", "en"))  # type: ignore[arg-type]
        with pytest.raises(InfosecError):
            await anext(answers)
    assert read == 2
    assert untouched(office)
