"""The one spelling of a customer's number."""

from __future__ import annotations

import pytest

from infosec import ids


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize(
    "spelling",
    [
        "13800001234",
        "+8613800001234",
        "138 0000 1234",
        " 138-0000-1234\t",
        "008613800001234",
        "8613800001234",
        "１３８００００１２３４",
    ],
)
def test_every_spelling_of_a_customers_number_is_one_number(spelling: str) -> None:
    assert ids.customer_number(spelling) == "13800001234"


@pytest.mark.parametrize(
    ("raw", "kept"), [("Acct-77 A", "acct77a"), ("86001234", "86001234"), ("0086", "0086"), ("", "")]
)
def test_what_is_no_mobile_number_keeps_its_digits(raw: str, kept: str) -> None:
    assert ids.customer_number(raw) == kept
