"""ID-3: a common password is found in its disguises, and a pattern is no password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc import word_lists
from authsvc.guessable import CommonPasswords, is_pattern
from authsvc.passwords import Requirement

from .people import COMMON, unmet

DISGUISES = [
    *("Password123!", "p@ssw0rd1", "PASSWORD", "Ｐａｓｓｗｏｒｄ１", "!!password!!", "p.a.s.s.w.o.r.d", "P4$$w0rd2024"),
    *("woaini1314", "5201314", "5201314!!", "WoAiNi#1314", "a123456", "qwe123", "1qaz2wsx", "iloveyou!", "hell0123"),
    *("admin@2024", "wang123456", "Welcome@1", "letmein_99", "admin123456789", "dr4g0n12345678"),
]


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("password", DISGUISES)
def test_common_passwords_are_found_in_disguise(password: str) -> None:
    assert Requirement.COMMON in unmet(password)


@pytest.mark.rule("ID-3")
@given(
    st.sampled_from(("password", "dragon", "woaini", "sunshine", "qwerty")),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.text("0123456789!#.", max_size=6),
)
def test_case_leet_and_endings_hide_nothing(word: str, mask: list[bool], ending: str) -> None:
    leet = {"a": "@", "e": "3", "i": "1", "o": "0", "s": "$"}
    typed = "".join(leet.get(c, c.upper()) if hide else c for c, hide in zip(word, mask, strict=False))
    assert COMMON.contains(typed + ending)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize(
    "password",
    [
        *("aaaaaaaa1", "abcd1234", "12345678a", "1q2w3e4r5t6y", "qwertyuiop-asdfghjkl", "!@#$%^&*()", "87654321zyx"),
        *("xK9#xK9#", "abababab", "zzzzzzzzzzzzzzzzzz", "111222333444a", "1qaz@WSX3edc", ""),
    ],
)
def test_repetitions_sequences_and_rows_of_keys_are_patterns(password: str) -> None:
    assert is_pattern(password)
    assert Requirement.PATTERN in unmet(password)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("password", ["Kx9#mPq2vL", "velvet-tram", "qp7Dw4Nx", "48302917"])
def test_what_has_enough_in_it_is_no_pattern(password: str) -> None:
    assert not is_pattern(password)


@pytest.mark.rule("ID-3")
def test_a_common_word_inside_a_longer_password_is_no_disguise() -> None:
    assert not COMMON.contains("dragonfly over 7 wells")
    assert not COMMON.contains("Kq7#dragon#Wz")
    assert not COMMON.contains("dragon 82-93-17-60")


@pytest.mark.rule("ID-3")
def test_the_shipped_lists_are_there_and_state_their_origin() -> None:
    assert len(COMMON) > 3000
    assert "cmcc" in word_lists.brand_words()
    assert not any(word.startswith("# ") for word in word_lists.brand_words())


@pytest.mark.rule("ID-3")
def test_an_empty_list_holds_nothing() -> None:
    nothing = CommonPasswords(())
    assert len(nothing) == 0
    assert not nothing.contains("password")
