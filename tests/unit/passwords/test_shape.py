"""ID-2: length, mixing and characters; everything that is missing is told at once."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.passwords import (
    MAX_INPUT_BYTES,
    Requirement,
    Unmet,
    check,
    classes,
    first_password,
    normalise,
)
from authsvc.profile import NIST_800_63B_4, PCI_DSS_4, PROFILES, TELECOM_HALL, CharacterClass, Profile
from infosec.errors import InvalidInput, Reason
from infosec.messages import REQUIREMENTS

from .people import COMMON, LU_XIAOMING, NOBODY, ROOM, unmet

STRONG = [
    "correct horse battery staple",
    "Tr0ub4dor&3",
    "Kx9#mPq2vL",
    "雨后青山!2k7松",
    "purple-Turtle-Sings-42",
    "vT4$wq8Lz",
    "7hzR!m2Wd",
    "Grüße aus Köln 77",
    "пароль Волга 58 тюльпан",
    "窗外有3只白鹭飞过",
    "G7x-Rn2w-Kd5v",
    "Mango4Velvet9Tram",
    "the quick brown vole 1",
    "eF6hJ2nP8s",
    "Zk3^wB7*uY",
    "qp7Dw4Nx",
]


@pytest.mark.rule("ID-2", "ID-3")
@pytest.mark.parametrize("password", STRONG)
def test_ordinary_strong_passwords_are_taken(password: str) -> None:
    assert unmet(password, facts=LU_XIAOMING) == set()


@pytest.mark.rule("ID-2")
def test_everything_that_is_missing_is_told_at_once() -> None:
    assert unmet("1212") == {Requirement.LENGTH_MIN, Requirement.CLASSES, Requirement.COMMON, Requirement.PATTERN}
    everything = check(
        "Lvxm\x07", replace(PCI_DSS_4, min_classes=3), personal=LU_XIAOMING, room_words=ROOM, common=COMMON, reused=True
    )
    assert {one.requirement for one in everything} == {
        Requirement.LENGTH_MIN,
        Requirement.CHARACTERS,
        Requirement.CLASSES,
        Requirement.CLASS_DIGITS,
        Requirement.PERSONAL_NAME,
        Requirement.PATTERN,
        Requirement.REUSED,
    }


@pytest.mark.rule("ID-2")
def test_too_long_and_personal_are_told_together() -> None:
    found = unmet("lvxiaoming" + "a" * 200, facts=LU_XIAOMING)
    assert found == {Requirement.LENGTH_MAX, Requirement.CLASSES, Requirement.PERSONAL_NAME}


@pytest.mark.rule("ID-2")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", {CharacterClass.LETTERS}),
        ("密码", {CharacterClass.LETTERS}),
        ("пароль", {CharacterClass.LETTERS}),
        ("123", {CharacterClass.DIGITS}),
        ("٣٤", {CharacterClass.DIGITS}),
        ("a 1", set(CharacterClass)),
        ("!?", {CharacterClass.SYMBOLS}),
        ("🦉", {CharacterClass.SYMBOLS}),
        ("", set()),
    ],
)
def test_letters_of_any_script_are_letters_and_a_space_is_a_symbol(text: str, expected: set[CharacterClass]) -> None:
    assert classes(text) == expected


@pytest.mark.rule("ID-2")
def test_lengths_count_characters_after_normalisation() -> None:
    assert Requirement.LENGTH_MIN in unmet("xK7#q2v")
    assert Requirement.LENGTH_MIN not in unmet("xK7#q2vw")
    assert Requirement.LENGTH_MAX not in unmet("Kx9#mPq2" * 16)
    assert unmet("Kx9#mPq2" * 16 + "z") == {Requirement.LENGTH_MAX}
    assert Requirement.LENGTH_MIN in unmet("e\u0301K7#q2v")


@pytest.mark.rule("ID-2")
def test_three_classes_can_be_asked_for_and_none() -> None:
    three = replace(TELECOM_HALL, min_classes=3)
    assert Requirement.CLASSES in unmet("qp7Dw4Nxz", profile=three)
    assert unmet("qp7Dw4#xz", profile=three) == set()
    assert REQUIREMENTS[Requirement.CLASSES].filled(limit=3).en.startswith("mixed from at least 3")
    assert unmet("velvettramgoosemango", profile=NIST_800_63B_4) == set()
    assert unmet("velvet-tram-goose", profile=PCI_DSS_4) == {Requirement.CLASS_DIGITS}
    assert unmet("41-70-93-86-25-58", profile=PCI_DSS_4) == {Requirement.CLASS_LETTERS}


@pytest.mark.rule("ID-2")
@pytest.mark.parametrize(
    "character", ["\x00", "\n", "\x7f", "\u200b", "\u202e", "\ufeff", "\ud800", "\ue000", "\u2028"]
)
def test_control_and_invisible_characters_are_refused(character: str) -> None:
    password = f"Kx9#m{character}Pq2vL"
    assert unmet(password) == {Requirement.CHARACTERS}
    with pytest.raises(InvalidInput) as refused:
        normalise(password)
    assert refused.value.reason is Reason.PASSWORD_REJECTED
    assert refused.value.violations == ("CHARACTERS",)


@pytest.mark.rule("ID-2", "ID-7")
@pytest.mark.parametrize("password", ["Kx9#" * 250_000, "密" * 1400], ids=["a megabyte", "too many bytes"])
def test_huge_input_is_refused_before_any_work_and_never_repeated(password: str) -> None:
    assert unmet(password) == {Requirement.LENGTH_MAX}
    with pytest.raises(InvalidInput) as refused:
        normalise(password)
    assert refused.value.violations == ("LENGTH_MAX",)
    assert password[:8] not in repr(refused.value) + str(refused.value)


@pytest.mark.rule("ID-2")
@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(password: str) -> None:
    try:
        once = normalise(password)
    except InvalidInput:
        return
    assert normalise(once) == once == unicodedata.normalize("NFKC", password)


@pytest.mark.rule("ID-2")
def test_full_width_and_half_width_are_one_password() -> None:
    assert normalise("Ｋｘ９＃ｍ　Ｐ") == normalise("Kx9#m P")


@pytest.mark.rule("ID-2")
@given(st.text(max_size=200))
def test_the_check_answers_whatever_is_typed_and_names_each_requirement_once(password: str) -> None:
    answer = check(password, TELECOM_HALL, personal=LU_XIAOMING, room_words=ROOM, common=COMMON)
    assert len({one.requirement for one in answer}) == len(answer)


@pytest.mark.rule("ID-2")
@given(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")))
def test_the_longest_password_of_any_character_fits_the_input_limit(character: str) -> None:
    composed = unicodedata.normalize("NFKC", character)
    if len(composed) == 1:
        typed = unicodedata.normalize("NFD", composed) * TELECOM_HALL.max_length
        assert len(typed.encode()) <= MAX_INPUT_BYTES


@pytest.mark.rule("ID-2")
@pytest.mark.parametrize("requirement", Requirement)
def test_every_requirement_has_words_in_both_languages(requirement: Requirement) -> None:
    assert set(REQUIREMENTS) == set(Requirement)
    text = Unmet(requirement, 8).text
    assert text.zh != text.en
    assert "{" not in text.zh + text.en


@pytest.mark.rule("ID-1", "ID-2")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@given(rng=st.randoms(use_true_random=False))
def test_first_passwords_always_mix_enough_and_are_easy_to_type(profile: Profile, rng: Random) -> None:
    password = first_password(rng.randrange, replace(profile, min_classes=3))
    assert classes(password) == set(CharacterClass)
    assert max(14, profile.min_length) <= len(password) <= 20
    assert not set(password) & set("ilo01")
    assert password == normalise(password).lower()


@pytest.mark.rule("ID-1", "ID-2", "ID-3")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_first_passwords_pass_the_check_and_do_not_repeat(profile: Profile) -> None:
    made = {first_password(secrets.randbelow, profile) for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert check(password, profile, personal=NOBODY, room_words=(), common=COMMON) == ()
