"""What messages say, how long they are, and the sealed envelope."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec import sms
from infosec.api.auth.v1 import requests_pb2
from infosec.errors import Internal, InvalidInput
from infosec.keys import SealingKeys, SealingKind
from infosec.messages import Locale
from infosec.secret import Secret
from infosec.sms import Template

KEYS = SealingKeys.generate(SealingKind.MESSAGES, now=datetime(2026, 1, 1, tzinfo=UTC))
PHONE = Secret("13812345678")
ID = uuid.UUID(int=7)

TYPICAL: dict[str, str | Secret] = {
    "staff_id": "bj-cy-01234",
    "password": Secret("Kx9#mPq2vLw4"),
    "code": Secret("482913"),
    "hours": "24",
    "minutes": "10",
    "failures": "5",
    "days": "14",
    "place": "朝阳门营业厅 3号台席",
    "at": "2026-03-02 09:15",
    "kind": "UNBLACKLIST",
    "outcome": "REJECTED",
    "reason": "未当面核实身份证件，请店长核实后再次提交",
    "people": "zhang.wei, li.na",
    "hotline": "010-85551234",
}


def facts_for(template: Template, *, optional: bool = True) -> dict[str, str | Secret]:
    wanted = sms.required_facts(template) | (sms.optional_facts(template) if optional else frozenset())
    return {name: TYPICAL[name] for name in wanted}


@pytest.mark.parametrize("template", list(Template))
@pytest.mark.parametrize("locale", list(Locale))
class TestEveryText:
    def test_shows_every_fact_and_no_placeholder(self, template: Template, locale: Locale) -> None:
        facts = facts_for(template)
        text = sms.render(template, locale, **facts).reveal()
        for name in facts.keys() - sms.WORDS.keys():
            value = facts[name]
            assert (value.reveal() if isinstance(value, Secret) else value) in text
        assert not set("{}[]") & set(text)

    def test_does_without_what_is_optional(self, template: Template, locale: Locale) -> None:
        text = sms.render(template, locale, **facts_for(template, optional=False)).reveal()
        assert not set("{}[]") & set(text)
        assert "010" not in text

    def test_fits_into_few_messages(self, template: Template, locale: Locale) -> None:
        text = sms.render(template, locale, **facts_for(template)).reveal()
        # 67 UCS-2 units fit into each part of a message that takes several (3GPP TS 23.040).
        assert len(text.encode("utf-16-be")) // 2 <= 67 * (2 if locale is Locale.ZH_CN else 4)

    def test_stays_bounded_whatever_the_facts(self, template: Template, locale: Locale) -> None:
        facts = {
            n: v if isinstance(v, Secret) or n in sms.WORDS else "长" * 5000 for n, v in facts_for(template).items()
        }
        text = sms.render(template, locale, **facts)
        sealed = sms.seal_message(KEYS, message_id=ID, template=template, phone=PHONE, text=text)
        assert len(text.reveal()) <= sms.MAX_TEXT
        assert len(sealed) <= sms.MAX_SEALED

    def test_takes_the_same_facts_in_both_languages(self, template: Template, locale: Locale) -> None:
        with pytest.raises(Internal):
            sms.render(template, locale, **facts_for(template), nonsense="1")
        for missing in sms.required_facts(template):
            with pytest.raises(Internal):
                sms.render(template, locale, **{n: v for n, v in facts_for(template).items() if n != missing})


@pytest.mark.rule("ID-1")
def test_the_first_password_stands_whole_on_a_line_of_its_own() -> None:
    password = "a]{staff_id}[~^b"
    text = sms.render(
        Template.FIRST_PASSWORD, Locale.ZH_CN, staff_id="bj-1", password=Secret(password), hours="24"
    ).reveal()
    assert text.split("\n")[1] == password


@pytest.mark.rule("ID-7")
def test_a_rendered_text_and_its_secrets_show_nothing_of_themselves() -> None:
    text = sms.render(Template.FIRST_PASSWORD, Locale.EN, **facts_for(Template.FIRST_PASSWORD))
    assert "Kx9" not in repr(text)
    with pytest.raises(Internal) as refused:
        sms.render(Template.PROOF_CODE, Locale.EN, staff_id="bj-1", code=Secret("7" * 99), minutes="10")
    assert "777" not in str(refused.value)


@pytest.mark.rule("ID-7")
def test_a_secret_fact_in_the_open_is_refused() -> None:
    with pytest.raises(Internal):
        sms.render(Template.FIRST_PASSWORD, Locale.EN, staff_id="bj-1", password="open", hours="24")


def test_a_fact_is_never_a_template_and_never_breaks_the_line() -> None:
    text = sms.render(
        Template.REQUEST_DECIDED,
        Locale.EN,
        staff_id="bj-1",
        kind="UNLOCK",
        outcome="REJECTED",
        reason="{hotline}\n[x]\u202e",
        hotline="10086",
    ).reveal()
    assert "{hotline} [x]" in text
    assert "\n" not in text and "\u202e" not in text


@pytest.mark.rule("RQ-5")
def test_a_rejection_says_why() -> None:
    assert (
        "未当面核实"
        in sms.render(Template.REQUEST_DECIDED, Locale.ZH_CN, **facts_for(Template.REQUEST_DECIDED)).reveal()
    )


@pytest.mark.rule("RQ-5")
def test_every_kind_of_request_of_the_contract_has_words() -> None:
    kinds = {name.removeprefix("REQUEST_KIND_") for name in requests_pb2.RequestKind.DESCRIPTOR.values_by_name}
    assert sms.WORDS["kind"].keys() == kinds - {"UNSPECIFIED"}


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("13812345678", "138****5678"),
        ("+8613812345678", "+86138****5678"),
        ("01085551234", "010****1234"),
        ("10086", "****86"),
    ],
)
def test_phones_are_masked(phone: str, shown: str) -> None:
    assert sms.masked_phone(phone) == shown


@given(st.from_regex(r"\+?[0-9]{5,20}", fullmatch=True))
def test_a_masked_phone_always_hides_at_least_three_digits(phone: str) -> None:
    digits = phone.removeprefix("+")
    assert sum(c.isdigit() for c in sms.masked_phone(phone)) <= len(digits) - 3
    assert phone not in sms.masked_phone(phone)


def sealed_message(text: str = "hello") -> bytes:
    return sms.seal_message(KEYS, message_id=ID, template=Template.LOCKED, phone=PHONE, text=Secret(text))


@pytest.mark.rule("ID-7")
def test_a_sealed_message_opens_as_itself_and_shows_nothing() -> None:
    sealed = sealed_message("marker-text")
    opened = sms.open_message(KEYS, message_id=ID, template="LOCKED", sealed=sealed)
    assert (opened.phone, opened.text) == (PHONE, Secret("marker-text"))
    assert b"marker" not in sealed and b"1381234" not in sealed
    assert "marker" not in repr(opened)


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize("place", [0, 10, 25, -1])
def test_a_sealed_message_opens_nowhere_else_and_not_when_changed(place: int) -> None:
    sealed = bytearray(sealed_message())
    with pytest.raises(InvalidInput):
        sms.open_message(KEYS, message_id=uuid.UUID(int=8), template="LOCKED", sealed=bytes(sealed))
    with pytest.raises(InvalidInput):
        sms.open_message(KEYS, message_id=ID, template="BLACKLISTED", sealed=bytes(sealed))
    sealed[place] ^= 1
    with pytest.raises(InvalidInput):
        sms.open_message(KEYS, message_id=ID, template="LOCKED", sealed=bytes(sealed))


@pytest.mark.parametrize(
    ("phone", "text"), [("138-1234", "x"), ("", "x"), ("13812345678", ""), ("13812345678", "a\x00")]
)
def test_what_is_no_message_is_not_sealed(phone: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sms.seal_message(KEYS, message_id=ID, template=Template.LOCKED, phone=Secret(phone), text=Secret(text))
    assert not phone or phone not in str(refused.value)
