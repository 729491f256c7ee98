"""The identity assertion: what it says, and everything for which it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from infosec.canonical import Json
from infosec.decision.assertion import (
    MAX_ASSERTION_BYTES,
    MAX_ASSERTION_S,
    MAX_SKEW_S,
    IdentityAssertion,
    issue_assertion,
    open_assertion,
)
from infosec.errors import InvalidInput, Reason, Unauthenticated
from infosec.ids import RoleId
from infosec.keys import SigningKeys
from infosec.signed import sign
from tests.unit.decision.world import ACTOR, BILLING, CRM, DESK, EAST, HALL, INSTALLATION, NOON, SESSION

KEYS = SigningKeys.generate("assertion", now=NOON)
NOON_S = int(NOON.timestamp())
LIFE_S = 300
ASSERTION = IdentityAssertion(
    staff_id=ACTOR,
    role_id=RoleId("auditor"),
    store_id=HALL,
    region_id=EAST,
    session_id=SESSION,
    system_id=CRM,
    terminal_id=DESK,
    installation=INSTALLATION,
    issued_s=NOON_S,
    expires_s=NOON_S + LIFE_S,
    stepped_up_until_s=NOON_S + 60,
)
TEXT = issue_assertion(ASSERTION, KEYS)
CLAIMS: dict[str, Json] = {
    "stf": ACTOR, "rol": "auditor", "sto": HALL, "rgn": EAST, "sid": SESSION, "sys": CRM, "trm": DESK,
    "ins": INSTALLATION, "iat": NOON_S, "exp": NOON_S + LIFE_S, "sup": NOON_S + 60,
}  # fmt: skip


def opened(text: str, *, after_s: float = 0, **where: Any) -> IdentityAssertion:
    """As the service that CRM calls opens it, so long after it was made."""
    given = {"installation": INSTALLATION, "system": CRM, "now": NOON + timedelta(seconds=after_s)} | where
    return open_assertion(text, given.pop("keys", KEYS.public_keys()), **given)


def is_refused(text: str, **where: Any) -> bool:
    with pytest.raises(Unauthenticated) as refusal:
        opened(text, **where)
    return refusal.value.reason is Reason.TOKEN_INVALID and refusal.value.details == {}


@pytest.mark.rule("RQ-3")
@pytest.mark.parametrize("change", [{}, {"store_id": None}, {"stepped_up_until_s": 0}], ids=str)
def test_it_says_what_was_signed(change: dict[str, Any]) -> None:
    assertion = replace(ASSERTION, **change)
    assert opened(issue_assertion(assertion, KEYS)) == assertion


def test_its_claims_are_the_format() -> None:
    assert opened(sign("assertion", CLAIMS, KEYS)) == ASSERTION
    assert sign("assertion", CLAIMS, KEYS) == TEXT


def test_one_of_the_longest_names_is_within_the_limit() -> None:
    widest = replace(
        ASSERTION,
        staff_id="p" * 32,  # type: ignore[arg-type]
        role_id="o" * 63,  # type: ignore[arg-type]
        store_id="s" * 63,  # type: ignore[arg-type]
        region_id="r" * 63,  # type: ignore[arg-type]
        system_id=CRM * 21,  # type: ignore[arg-type]
        terminal_id="t" * 63,  # type: ignore[arg-type]
        installation="i" * 36,
    )
    text = issue_assertion(widest, KEYS)
    assert len(text) <= MAX_ASSERTION_BYTES
    assert opened(text, system=CRM * 21, installation="i" * 36) == widest


@pytest.mark.rule("ID-9")
def test_a_forged_one_is_refused() -> None:
    head, payload, signature = TEXT.split(".")
    other = sign("assertion", CLAIMS | {"rol": "administrator"}, KEYS).split(".")[1]
    strangers = SigningKeys.generate("assertion", now=NOON)
    for text in ("", "x", payload, f"{head}.{payload}.", f"{head}.{other}.{signature}", TEXT[:-3], TEXT + "A" * 1024):
        assert is_refused(text), text
    assert is_refused(issue_assertion(ASSERTION, strangers))
    assert is_refused(TEXT, keys={})


@pytest.mark.rule("ID-9")
@pytest.mark.parametrize("kind", ["session", "grant-approval", "grant-consent", "grant-identity"])
def test_a_key_of_another_kind_makes_none(kind: str) -> None:
    others = SigningKeys.generate(kind, now=NOON)
    with pytest.raises(ValueError, match="do not sign"):
        issue_assertion(ASSERTION, others)
    text = sign(kind, CLAIMS, others)
    for given in (text, "assertion" + text.removeprefix(kind)):
        # Not even where somebody mixed the public keys up: the kind is part of what is signed.
        assert is_refused(given, keys={**KEYS.public_keys(), **others.public_keys()})


@pytest.mark.rule("ID-9")
def test_it_serves_one_system_of_one_installation() -> None:
    assert is_refused(TEXT, system=BILLING)
    assert is_refused(TEXT, installation="installation-2")


@pytest.mark.rule("ID-9")
def test_it_ends_when_it_says() -> None:
    assert opened(TEXT, after_s=LIFE_S - 0.5) == ASSERTION
    for after_s in (LIFE_S, LIFE_S + MAX_SKEW_S, 86_400):
        assert is_refused(TEXT, after_s=after_s)


def test_the_readers_clock_may_be_a_minute_behind_and_no_more() -> None:
    assert opened(TEXT, after_s=-MAX_SKEW_S) == ASSERTION
    assert is_refused(TEXT, after_s=-MAX_SKEW_S - 0.5)


def test_no_claim_makes_it_live_longer_than_a_quarter_of_an_hour() -> None:
    assert opened(sign("assertion", CLAIMS | {"exp": NOON_S + MAX_ASSERTION_S}, KEYS))
    for end_s in (NOON_S, NOON_S - 1, NOON_S + MAX_ASSERTION_S + 1):
        with pytest.raises(InvalidInput):
            replace(ASSERTION, expires_s=end_s)
        assert is_refused(sign("assertion", CLAIMS | {"exp": end_s}, KEYS), after_s=-30)


@pytest.mark.parametrize(
    "change",
    [
        {"stf": ""},
        {"rol": None},
        {"sto": 7},
        {"rgn": None},
        {"sid": 1},
        {"trm": ""},
        {"sup": None},
        {"sup": -1},
        {"iat": "0"},
    ],
    ids=str,
)
def test_signed_claims_of_another_shape_are_none(change: dict[str, Json]) -> None:
    assert is_refused(sign("assertion", CLAIMS | change, KEYS))


def test_it_stays_good_when_the_key_is_turned() -> None:
    turned = KEYS.rotate(now=NOON)
    assert opened(TEXT, keys=turned.public_keys()) == ASSERTION
    assert is_refused(issue_assertion(ASSERTION, turned))  # a reader that does not know the new key yet
