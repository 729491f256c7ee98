"""Time-based codes: the published vectors, the window, and each code once."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.profile import TELECOM_HALL
from authsvc.totp import accepted_step, provisioning_uri
from infosec.ids import StaffId
from infosec.secret import Secret, SecretBytes

KEY = SecretBytes(b"12345678901234567890")
# RFC 6238, appendix B, SHA-1, the last six of the eight digits.
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


def _step(code: str, at: float, last: int = -1) -> int | None:
    now = datetime.fromtimestamp(at, UTC)
    return accepted_step(KEY, Secret(code), now=now, last_step=last, profile=TELECOM_HALL)


@pytest.mark.rule("RQ-3")
@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_published_vectors(at: int, code: str) -> None:
    assert _step(code, at) == at // 30


@pytest.mark.rule("RQ-3")
@pytest.mark.parametrize(("offset", "accepted"), [(-31, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_one_step_off(offset: int, accepted: bool) -> None:
    at, code = 1111111110, "050471"
    assert (_step(code, at + offset) == at // 30) is accepted


@pytest.mark.rule("RQ-3")
@given(st.integers(min_value=-2, max_value=2))
def test_a_step_that_was_accepted_and_all_before_it_are_used_up(ahead: int) -> None:
    at, code = 1111111110, "050471"
    step = at // 30
    assert _step(code, at, last=step + ahead) == (step if ahead < 0 else None)


@pytest.mark.rule("RQ-3")
@pytest.mark.parametrize("code", ["", "50471", "0504710", "abcdef", "\ud800", "０５０４７１x", "٠٥٠٤٧١"])
def test_what_is_no_code_is_not_accepted(code: str) -> None:
    assert _step(code, 1111111111) is None


def test_spaces_and_full_width_digits_are_as_good() -> None:
    assert _step("050 471", 1111111111) == _step("０５０４７１", 1111111111) == 1111111111 // 30


def test_the_dawn_of_time_is_no_error() -> None:
    assert _step("000000", 0) is None


def test_the_uri_has_what_an_authenticator_needs() -> None:
    uri = urlsplit(provisioning_uri(KEY, StaffId("li.na"), TELECOM_HALL).reveal())
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/infosec:li.na")
    assert parse_qs(uri.query) == {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["infosec"]}
