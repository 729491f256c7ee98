"""One-time codes to the bound phone (RQ-1), without storage."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.profile import TELECOM_HALL
from authsvc.proofs import (
    STAFF_WINDOW,
    TERMINAL_WINDOW,
    TOLD,
    Challenge,
    Sent,
    check_may_send,
    digest_parts,
    is_proved,
    make_proof,
    new_code,
    open_proof,
)
from authsvc.staff import StaffState
from infosec.errors import PermissionDenied, ResourceExhausted
from infosec.ids import StaffId, TerminalId
from infosec.keys import MacKey, MacKind

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KEY = MacKey.generate(MacKind.CODES, now=NOW)
GOOD = Challenge(
    challenge_id=uuid.uuid4(),
    attempt_key="li.na",
    staff_id=StaffId("li.na"),
    terminal_id=TerminalId("e1-t1"),
    tries=1,
    expires_at=NOW + timedelta(minutes=10),
    used_at=None,
    digest=b"",
)


def proved(
    challenge: Challenge, *, key: str = "li.na", terminal: str = "e1-t1", right: bool = True, after: int = 0
) -> bool:
    return is_proved(
        challenge,
        attempt_key=key,
        terminal_id=TerminalId(terminal),
        is_right=right,
        profile=TELECOM_HALL,
        now=NOW + timedelta(minutes=after),
    )


@pytest.mark.rule("RQ-1")
@given(
    st.integers(min_value=0, max_value=6),
    st.integers(min_value=0, max_value=14),
    st.integers(0, 23),
    st.integers(0, 59),
)
def test_three_codes_a_day_and_staff_id_and_ten_an_hour_and_terminal(
    staff: int, terminal: int, hours: int, minutes: int
) -> None:
    sent = Sent(
        for_staff=staff,
        oldest_for_staff=NOW - timedelta(hours=hours) if staff else None,
        at_terminal=terminal,
        oldest_at_terminal=NOW - timedelta(minutes=minutes) if terminal else None,
    )
    if staff < 3 and terminal < 10:
        check_may_send(sent, TELECOM_HALL, NOW)
        return
    with pytest.raises(ResourceExhausted) as caught:
        check_may_send(sent, TELECOM_HALL, NOW)
    waits = [STAFF_WINDOW - timedelta(hours=hours)] if staff >= 3 else []
    waits += [TERMINAL_WINDOW - timedelta(minutes=minutes)] if terminal >= 10 else []
    assert caught.value.retry_after == max(waits)


@pytest.mark.rule("RQ-1")
def test_the_right_code_for_this_staff_id_at_this_terminal_in_time_proves_it() -> None:
    assert proved(GOOD)
    assert proved(replace(GOOD, tries=5))


@pytest.mark.rule("RQ-1", "ID-7")
@pytest.mark.parametrize(
    ("challenge", "more"),
    [
        (GOOD, {"right": False}),
        (GOOD, {"key": "wang.wei"}),
        (GOOD, {"terminal": "e1-t2"}),
        (GOOD, {"after": 10}),
        (replace(GOOD, tries=6), {}),
        (replace(GOOD, used_at=NOW), {}),
        (replace(GOOD, staff_id=None), {}),
    ],
)
def test_everything_else_does_not(challenge: Challenge, more: dict[str, object]) -> None:
    assert not proved(challenge, **more)  # type: ignore[arg-type]


@given(st.integers(min_value=0, max_value=10**6 - 1))
def test_a_code_has_six_digits_whatever_the_draw(drawn: int) -> None:
    code = new_code(lambda below: drawn if below == 10**6 else 0, TELECOM_HALL).reveal()
    assert len(code) == 6 and int(code) == drawn


def test_a_code_typed_with_spaces_is_the_same_code_and_of_another_challenge_it_is_not() -> None:
    assert digest_parts(GOOD.challenge_id, " 123 456 ") == digest_parts(GOOD.challenge_id, "123456")
    assert digest_parts(uuid.uuid4(), "123456") != digest_parts(GOOD.challenge_id, "123456")


@pytest.mark.rule("RQ-1")
def test_a_proof_opens_under_the_key_that_made_it() -> None:
    assert open_proof(make_proof(GOOD.challenge_id, KEY), KEY) == GOOD.challenge_id
    other = MacKey.generate(MacKind.CODES, now=NOW)
    for bad in (
        make_proof(GOOD.challenge_id, other),
        "",
        "proof.x.y",
        "grant" + make_proof(GOOD.challenge_id, KEY)[5:],
    ):
        with pytest.raises(PermissionDenied):
            open_proof(bad, KEY)


@given(st.integers(min_value=0, max_value=80), st.sampled_from("abc012-_"))
def test_a_proof_with_one_character_changed_is_none(place: int, letter: str) -> None:
    text = make_proof(GOOD.challenge_id, KEY)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(PermissionDenied):
            open_proof(changed, KEY)


@pytest.mark.rule("ID-7")
def test_every_state_is_told_in_both_languages() -> None:
    assert set(TOLD) == set(StaffState)
    assert all(text.zh and text.en for text in TOLD.values())
