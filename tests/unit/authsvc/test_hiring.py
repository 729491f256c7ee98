"""Who may be made a staff ID: every fault of a row at once, and what rows are to one another."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc import hiring
from authsvc.hiring import FAULT_TEXTS, Applicant, Fault, Hire, Known, Place, among, examine, hired
from infosec.decision.roles import ROLES
from infosec.errors import InvalidInput
from infosec.ids import RegionId, RoleId, StaffId, StoreId

TODAY = date(2026, 3, 2)
KNOWN = Known(
    roles=ROLES,
    stores={
        StoreId("e1"): Place(region_id=RegionId("east")),
        StoreId("old"): Place(region_id=RegionId("east"), is_closed=True),
    },
)
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuKrJBAoU4HAi9eqNDmNyBBhRvdJ4AWu."
GOOD = Applicant(
    staff_id="Wang.Fang",
    name="王 芳",
    phone="+86 138-0013-8000",
    role_id="clerk",
    store_id="E1",
    birthday="1990-05-17",
    id_number="11010519491231002x",
)


def faults(applicant: Applicant) -> set[tuple[str, Fault]]:
    examined = examine(7, applicant, KNOWN, TODAY)
    assert not isinstance(examined, Hire)
    assert all(fault.row == 7 for fault in examined)
    return {(fault.field, fault.fault) for fault in examined}


def made(applicant: Applicant = GOOD) -> Hire:
    examined = examine(1, applicant, KNOWN, TODAY)
    assert isinstance(examined, Hire)
    return examined


@pytest.mark.rule("ID-10")
def test_a_good_row_comes_out_in_one_spelling() -> None:
    hire = made()
    assert hire.staff_id == "wang.fang"
    assert hire.phone == "13800138000"
    assert hire.region_id == "east"
    assert hire.birthday == date(1990, 5, 17)
    assert hire.id_number == "11010519491231002X"
    assert not hire.is_privileged and not hire.is_partner


def test_what_is_optional_may_be_left_out() -> None:
    hire = made(replace(GOOD, birthday="", id_number=" "))
    assert hire.birthday is None
    assert hire.id_number == ""


@pytest.mark.rule("CI-2")
def test_role_says_who_is_a_partner_and_who_is_privileged() -> None:
    assert made(replace(GOOD, role_id="partner-agent")).is_partner
    assert made(replace(GOOD, role_id="Administrator")).is_privileged


@pytest.mark.rule("ID-7")
def test_nothing_personal_is_in_a_repr() -> None:
    row = replace(GOOD, legacy_hash=BCRYPT)
    shown = repr(row) + repr(made(replace(row)))
    for secret in ("0013", "1990", "110105", "$2b$"):
        assert secret not in shown


@pytest.mark.rule("ID-10")
def test_every_fault_of_a_row_is_told_at_once() -> None:
    bad = Applicant(
        staff_id="王芳",
        name="\u202eevil",
        phone="12345",
        role_id="king",
        store_id="nowhere",
        birthday="17/05/1990",
        id_number="110105194912310021",
        legacy_hash="plain",
    )
    assert faults(bad) == {
        ("staff_id", Fault.STAFF_ID),
        ("name", Fault.NAME),
        ("phone", Fault.PHONE),
        ("role_id", Fault.ROLE),
        ("store_id", Fault.STORE),
        ("birthday", Fault.BIRTHDAY),
        ("id_number", Fault.ID_NUMBER),
        ("legacy_hash", Fault.LEGACY_HASH),
    }


def test_an_empty_row_lacks_five_fields() -> None:
    empty = Applicant(staff_id="", name=" ", phone="", role_id="", store_id="")
    needed = ("staff_id", "name", "phone", "role_id", "store_id")
    assert faults(empty) == {(field, Fault.REQUIRED) for field in needed}


def test_a_store_that_closed_for_good_hires_nobody() -> None:
    assert faults(replace(GOOD, store_id="old")) == {("store_id", Fault.STORE_CLOSED)}


@pytest.mark.rule("ID-8", "RQ-7")
def test_no_old_password_makes_a_second_person() -> None:
    known = replace(KNOWN, second_persons=frozenset({RoleId("store-manager")}))
    manager = replace(GOOD, role_id="store-manager", legacy_hash=BCRYPT)
    found = examine(1, manager, known, TODAY)
    assert not isinstance(found, Hire)
    assert [(fault.field, fault.fault) for fault in found] == [("legacy_hash", Fault.PRIVILEGED_HASH)]
    assert isinstance(examine(1, manager, KNOWN, TODAY), Hire)


@pytest.mark.rule("ID-8")
def test_no_old_password_makes_an_approver() -> None:
    assert faults(replace(GOOD, role_id="regional-manager", legacy_hash=BCRYPT)) == {
        ("legacy_hash", Fault.PRIVILEGED_HASH)
    }
    assert made(replace(GOOD, legacy_hash=BCRYPT)).legacy_hash == BCRYPT


@pytest.mark.parametrize(
    "typed",
    ["13800138000", "+8613800138000", "008613800138000", "8613800138000", " 138 0013 8000 ", "１３８００１３８０００"],
)
@pytest.mark.rule("ID-1")
def test_a_mobile_number_has_one_spelling(typed: str) -> None:
    assert hiring.mobile(typed) == "13800138000"


@pytest.mark.parametrize(
    "typed", ["", "1380013800", "138001380000", "12800138000", "+85212345678", "02087654321", "1380013800a"]
)
@pytest.mark.rule("ID-1")
def test_what_is_no_mainland_mobile_gets_no_password(typed: str) -> None:
    with pytest.raises(InvalidInput):
        hiring.mobile(typed)


@pytest.mark.parametrize(
    "typed", ["1101051949123100", "11010519491231002Y", "01010519491231002X", "110105194912310020"]
)
def test_an_id_number_is_checked_by_its_last_character(typed: str) -> None:
    with pytest.raises(InvalidInput):
        hiring.id_number(typed)


@pytest.mark.parametrize("typed", ["2026-03-03", "2012-03-03", "1925-03-01", "0001-01-01", "1990-13-01", "x"])
def test_a_birthday_is_of_somebody_who_can_work(typed: str) -> None:
    with pytest.raises(InvalidInput):
        hiring.birthday(typed, TODAY)


def test_one_may_work_from_the_birthday_itself() -> None:
    assert hiring.birthday("2012-03-02", TODAY) == date(2012, 3, 2)


def test_a_name_may_be_long_but_not_a_novel() -> None:
    assert hiring.name("Ｊｏｈｎ   Smith") == "John Smith"
    with pytest.raises(InvalidInput):
        hiring.name("王" * 51)


def test_create_tells_every_fault_by_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        hired(replace(GOOD, phone="1", role_id=""), KNOWN, TODAY)
    assert set(refused.value.violations) == {"staff.phone: PHONE", "staff.role_id: REQUIRED"}
    assert "1" not in refused.value.details["detail"][:2]
    assert hired(GOOD, KNOWN, TODAY) == made()


@pytest.mark.rule("ID-10")
def test_an_id_is_used_once_in_a_file_and_once_for_ever() -> None:
    hire = made()
    found = among([(1, hire), (2, hire), (3, hire)], frozenset({StaffId("wang.fang")}))
    assert [(fault.row, fault.fault, fault.other_row) for fault in found] == [
        (1, Fault.TAKEN, None),
        (2, Fault.TWICE, 1),
        (2, Fault.TAKEN, None),
        (3, Fault.TWICE, 1),
        (3, Fault.TAKEN, None),
    ]
    assert "1" in found[1].text.en


@pytest.mark.rule("ID-8")
def test_a_privileged_role_is_not_imported() -> None:
    chief = made(replace(GOOD, role_id="auditor"))
    assert [fault.fault for fault in among([(1, chief)], frozenset())] == [Fault.PRIVILEGED]


def test_every_fault_has_words_in_both_languages() -> None:
    assert FAULT_TEXTS.keys() == set(Fault)
    assert all(text.zh and text.en for text in FAULT_TEXTS.values())


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_typed_is_a_hire_or_has_a_fault(staff_id: str, name: str, phone: str) -> None:
    examined = examine(1, replace(GOOD, staff_id=staff_id, name=name, phone=phone), KNOWN, TODAY)
    assert isinstance(examined, Hire) or examined
