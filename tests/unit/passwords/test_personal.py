"""ID-3: nothing personal and nothing that can be read in the room, however it is spelled and wherever it stands."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authsvc.folding import Finder, folded, skeleton
from authsvc.passwords import Requirement
from authsvc.personal import Fact, Fragments, PersonalFacts, personal_fragments

from .people import LU_XIAOMING, NOBODY, unmet

AROUND = st.text(alphabet="QWKZ#%~-_ ", min_size=0, max_size=8)
LEET = {"a": "a4@", "b": "b8", "e": "e3", "g": "g9", "i": "i1!", "l": "l1!", "o": "o0", "s": "s5$", "t": "t7"}


@st.composite
def disguised(draw: st.DrawFn, text: str) -> str:
    """`text` in any case, width and leet, at least one letter left as itself, with symbols in between."""
    kept = draw(st.integers(0, len(text) - 1))
    out = ""
    for place, character in enumerate(text):
        written = character if place == kept else draw(st.sampled_from(LEET.get(character, character)))
        written = draw(st.sampled_from((written, written.upper())))
        if draw(st.booleans()) and "!" <= written <= "~":
            written = chr(ord(written) + 0xFEE0)
        out += written + draw(st.sampled_from(("", "", "", "-", ".", " ")))
    return out


NAME_SPELLINGS = [
    *("lvxiaoming", "luxiaoming", "lyuxiaoming", "xiaominglv", "xiaoming", "lvxm", "xmlv", "xiaomingl", "lxiaoming"),
    *("吕小明", "小明", "LÜ Xiǎo Míng"),
]


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("spelling", NAME_SPELLINGS)
def test_a_name_is_found_in_characters_and_in_pinyin_either_way_round(spelling: str) -> None:
    assert Requirement.PERSONAL_NAME in unmet(f"{spelling}#8362", facts=LU_XIAOMING)


@pytest.mark.rule("ID-3")
@given(st.sampled_from(("lvxiaoming", "xiaominglyu", "xiaoming", "luxiaoming")).flatmap(disguised), AROUND, AROUND)
def test_no_case_width_leet_or_separator_hides_a_name(name: str, before: str, after: str) -> None:
    assert Requirement.PERSONAL_NAME in unmet(before + name + after, facts=LU_XIAOMING)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("password", ["lxm#83629", "83629_LXM", "xml?40Q97R"])
def test_initials_are_found_where_they_stand_alone(password: str) -> None:
    assert Requirement.PERSONAL_NAME in unmet(password, facts=LU_XIAOMING)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("单雄信", "shanxiongxin"),
        ("单雄信", "danxiongxin"),
        ("仇英", "qiuying"),
        ("曾乐", "zengyue"),
        ("曾乐", "cengle"),
        ("欧阳娜", "ouyangn"),
        ("欧阳娜", "naouyang"),
        ("司马相如", "xiangru"),
        ("李娜", "nali"),
        ("阿迪力·吐尔逊", "adilituerxun"),
        ("John Smith", "smithjohn"),
        ("John Smith", "smith"),
        ("Zoë O'Neil", "zoeoneil"),
        ("ПЕТРОВ Иван", "петров"),
        ("女娲", "nyuwa"),
    ],
)
def test_heteronyms_compound_surnames_and_foreign_names(name: str, spelling: str) -> None:
    facts = PersonalFacts(names=(name,))
    assert Requirement.PERSONAL_NAME in unmet(f"{spelling}#8362", facts=facts)
    assert Requirement.PERSONAL_NAME not in unmet(f"{spelling}#8362", facts=NOBODY)


def spellings_of(day: date) -> list[str]:
    """Written by hand here, apart from the code under test."""
    y, m, d = day.year, day.month, day.day
    yy = f"{y % 100:02d}"
    return [
        *(f"{y}{m:02d}{d:02d}", f"{yy}{m:02d}{d:02d}", f"{m:02d}{d:02d}", f"{d:02d}{m:02d}{y}", f"{m:02d}{d:02d}{y}"),
        *(f"{d:02d}{m:02d}{yy}", f"{m:02d}{d:02d}{yy}", f"{y}-{m}-{d}", f"{y}-{m:02d}-{d:02d}", f"{y}/{m}/{d}"),
        *(f"{y}.{m:02d}.{d:02d}", f"{d}/{m}/{yy}", f"{m}/{d}/{yy}", f"{d}.{m}.{y}", f"{yy}-{m}-{d}", f"{y} {m} {d}"),
        *(f"{y}年{m}月{d}日", f"{yy}年{m:02d}月{d:02d}日", f"{m}月{d}日", f"{m}月{d}号", f"{y}{m:02d}"),
        *(f"{day:%d%b%Y}", f"{day:%b%d}", f"{day:%B} {d}, {y}", f"{d} {day:%B} {y}", f"{day:%d%b%y}", f"{day:%Y%b%d}"),
    ]


DAYS = st.dates(date(1940, 1, 1), date(2012, 12, 31))


@pytest.mark.rule("ID-3")
@given(DAYS.flatmap(lambda day: st.tuples(st.just(day), st.sampled_from(spellings_of(day)))), AROUND, AROUND)
def test_any_spelling_of_a_birthday_in_any_password_is_refused(born: tuple[date, str], before: str, after: str) -> None:
    day, spelling = born
    facts = PersonalFacts(birthdays=(day,))
    assert Requirement.PERSONAL_BIRTHDAY in unmet(before + spelling + after, facts=facts)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("password", ["九月十一日的雨", "k九月十一号zQ2"])
def test_a_birthday_in_chinese_numerals_is_found(password: str) -> None:
    assert Requirement.PERSONAL_BIRTHDAY in unmet(password, facts=PersonalFacts(birthdays=(date(1985, 9, 11),)))
    assert unmet("三十一只白鹭k7Q", facts=PersonalFacts(birthdays=(date(1985, 12, 31),))) == set()


@pytest.mark.rule("ID-3")
@given(DAYS, st.integers(40, 300))
def test_another_day_is_no_birthday(day: date, apart: int) -> None:
    other = day + timedelta(days=apart)
    assume({day.month, day.day} != {other.month, other.day})
    facts = PersonalFacts(birthdays=(day,))
    assert Requirement.PERSONAL_BIRTHDAY not in unmet(f"KzQ {other:%d} of {other:%B}", facts=facts)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize(
    "password", ["bj0123#kQwz", "kQ3210jb?", "BJ-0123xyQ!", "zQ10mxvl%", "lvxm01%kQ", "bjOl23#kQwz"]
)
def test_staff_id_and_login_name_and_their_reverse(password: str) -> None:
    assert Requirement.PERSONAL_STAFF_ID in unmet(password, facts=LU_XIAOMING)
    assert Requirement.PERSONAL_STAFF_ID not in unmet(password)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("login", ["x7", "abc", "hall-20931"])
def test_short_logins_count_where_they_stand_alone_and_their_numbers_too(login: str) -> None:
    facts = PersonalFacts(login_names=(login,))
    assert Requirement.PERSONAL_STAFF_ID in unmet(f"K#{login}#Qwv?t", facts=facts)
    assert Requirement.PERSONAL_STAFF_ID not in unmet("Kabcx7yz#Qwv?t", facts=facts)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize(
    "part", ["13912345678", "12345678", "345678", "139-1234-5678", "5678", "123456", "+8613912345678"]
)
def test_a_phone_number_and_its_parts(part: str) -> None:
    assert Requirement.PERSONAL_PHONE in unmet(f"kQ#{part}zw", facts=LU_XIAOMING)


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("part", ["11010119900102123x", "02123X", "123X", "19900102", "110101"])
def test_an_id_number_and_its_parts(part: str) -> None:
    facts = PersonalFacts(id_numbers=LU_XIAOMING.id_numbers)
    found = unmet(f"kQ#{part}#zw", facts=facts)
    assert Requirement.PERSONAL_ID_NUMBER in found


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("number", ["11010119900102123X", "110101900102123"])
def test_the_birthday_is_read_from_the_id_number(number: str) -> None:
    assert Requirement.PERSONAL_BIRTHDAY in unmet("kQ#2.1.1990zw", facts=PersonalFacts(id_numbers=(number,)))


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("number", ["H1234567", "11010119901302123X", "11010A199X0102123X"])
def test_a_number_without_a_birthday_gives_none(number: str) -> None:
    assert personal_fragments(PersonalFacts(id_numbers=(number,)))[Fact.BIRTHDAY] == Fragments()


ROOM_SPELLINGS = [
    *("10086", "1008611", "中国移动", "zhongguoyidong", "ChinaMobile", "CMCC", "china_mob1le", "quanqiutong", "宽带"),
    *("朝阳门", "chaoyangmen", "zhaoyangmen", "朝阳", "建国", "jianguo", "85551234", "2088", "yingyeting", "zgyd"),
]


@pytest.mark.rule("ID-3")
@pytest.mark.parametrize("word", ROOM_SPELLINGS)
def test_nothing_that_can_be_read_in_the_room(word: str) -> None:
    assert Requirement.ROOM in unmet(f"kQ#{word}#z7w")


@pytest.mark.rule("ID-3", "ID-7")
def test_facts_do_not_show_in_a_repr() -> None:
    shown = repr(LU_XIAOMING)
    assert not any(secret in shown for secret in ("吕", "bj-0123", "1990", "139", "1101"))


@pytest.mark.rule("ID-3")
def test_numbers_alone_are_not_names_and_short_numbers_are_not_words() -> None:
    assert Requirement.PERSONAL_NAME not in unmet("kQ#1111zw", facts=PersonalFacts(names=("李丽",)))
    assert Requirement.PERSONAL_NAME in unmet("kQ#1i11zw", facts=PersonalFacts(names=("李丽",)))
    assert Requirement.PERSONAL_BIRTHDAY not in unmet("school2#Kq", facts=PersonalFacts(birthdays=(date(1990, 1, 2),)))


@pytest.mark.rule("ID-3")
@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert skeleton(skeleton(text)) == skeleton(text)


@pytest.mark.rule("ID-3")
@given(st.lists(st.text("ab1", min_size=1, max_size=5), max_size=6), st.text("ab1-c", max_size=30))
def test_the_finder_agrees_with_a_plain_search(fragments: list[str], text: str) -> None:
    bare = text.replace("-", "")
    assert Finder(fragments).found_in(text) == any(fragment in bare for fragment in fragments)


@pytest.mark.rule("ID-3")
def test_fragments_can_be_searched_directly() -> None:
    assert Fragments(frozenset({"zhang"})).found_in("xZh@ngx")
    assert not Fragments().found_in("anything")
