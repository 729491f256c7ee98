"""Personal facts at rest: sealed for one staff ID and one field, shown by nothing (ID-3)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from authsvc.facts import Facts, FactSeal
from infosec.errors import Internal
from infosec.ids import StaffId
from infosec.keys import SealingKeys, SealingKind
from infosec.secret import Secret

KEYS = SealingKeys.generate(SealingKind.FACTS, now=datetime(2026, 3, 2, tzinfo=UTC))
SEAL = FactSeal(KEYS)
LI, WANG = StaffId("li.na"), StaffId("wang.wei")
FACTS = Facts(names=("李娜", "Lina Li"), birthday=date(1992, 3, 8), id_number="110105199203081234")


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("facts", [FACTS, Facts()])
def test_what_was_sealed_opens_as_it_was(facts: Facts) -> None:
    assert SEAL.open_facts(LI, SEAL.seal_facts(LI, facts)) == facts
    assert SEAL.open_phone(LI, SEAL.seal_phone(LI, Secret("13800138000"))) == Secret("13800138000")


@pytest.mark.rule("ID-3")
def test_it_opens_for_no_other_staff_id_and_no_other_field() -> None:
    facts, phone = SEAL.seal_facts(LI, FACTS), SEAL.seal_phone(LI, Secret("13800138000"))
    for call in (
        lambda: SEAL.open_facts(WANG, facts),
        lambda: SEAL.open_facts(LI, phone),
        lambda: SEAL.open_phone(LI, facts),
    ):
        with pytest.raises(Internal):
            call()


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"names":[]}'])
def test_what_is_not_facts_is_an_error_without_its_text(content: bytes) -> None:
    context = b'["infosec/auth.staff/v1","li.na","facts"]'
    with pytest.raises(Internal):
        SEAL.open_facts(LI, KEYS.seal(content, context))


@pytest.mark.rule("ID-3")
def test_the_checker_gets_everything_and_a_repr_shows_nothing() -> None:
    personal = FACTS.personal(LI, Secret("13800138000"))
    assert personal.names == FACTS.names
    assert personal.login_names == ("li.na",)
    assert (personal.birthdays, personal.phones, personal.id_numbers) == (
        (date(1992, 3, 8),),
        ("13800138000",),
        ("110105199203081234",),
    )
    assert Facts().personal(LI, Secret("1")).birthdays == ()
    for fact in ("李娜", "1992", "110105"):
        assert fact not in repr(FACTS) + repr(personal)
