"""Which fragments a password must not contain because they are personal, or can be read in the room (ID-3). Pure.

Fragments are chosen so that a strong password is hardly ever refused by chance: long ones are found anywhere, short ones only where
they stand alone. Nothing here is ever shown: a refusal names the kind of fact, not the fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from itertools import permutations

from authsvc import spellings
from authsvc.folding import Finder, compact, folded

_COMPOUND_SURNAMES = frozenset(
    re.findall(
        "..",
        "欧阳司马上官诸葛夏侯东方皇甫尉迟公孙慕容令狐长孙宇文司徒司空南宫端木百里东郭独孤轩辕澹台拓跋闻人申屠呼延西门"
        "公冶太史钟离鲜于完颜纳兰赫连万俟淳于单于濮阳公羊宗政仲孙闾丘歐陽司馬諸葛",
    )
)
_PLACE_SUFFIXES = re.compile(
    "自治区|自治州|街道|大街|大道|营业厅|营业部|旗舰店|体验店|专营店|有限公司|分公司|公司|[省市区县州镇乡村路街巷号楼层店厅]"
)
_NUMBER_WINDOW = 6
_NUMBER_TAIL = 4


class Fact(StrEnum):
    """The kinds of what ID-3 forbids."""

    NAME = "NAME"
    STAFF_ID = "STAFF_ID"
    BIRTHDAY = "BIRTHDAY"
    PHONE = "PHONE"
    ID_NUMBER = "ID_NUMBER"
    ROOM = "ROOM"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalFacts:
    """What the checker knows of a person, opened for one check. Its repr shows none of it."""

    names: tuple[str, ...] = field(default=(), repr=False)
    """In Chinese characters or in Latin letters; former names too."""
    login_names: tuple[str, ...] = field(default=(), repr=False)
    """The staff ID and any other login name."""
    birthdays: tuple[date, ...] = field(default=(), repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    id_numbers: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Fragments:
    """Folded texts to look for."""

    anywhere: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    """Count only as a whole run of letters, of digits, or of both."""
    apart: frozenset[str] = frozenset()
    """Count only where no further digit touches them; "-" is any separator."""

    def __or__(self, other: Fragments) -> Fragments:
        return Fragments(self.anywhere | other.anywhere, self.alone | other.alone, self.apart | other.apart)

    def found_in(self, password: str) -> bool:
        """Whether a password, folded or not, contains one of them."""
        return Recogniser(self).found_in(password)


class Recogniser:
    """Fragments made ready to be looked for, many times."""

    def __init__(self, fragments: Fragments) -> None:
        self._finder = Finder(fragments.anywhere)
        self._alone = fragments.alone
        choices = "|".join(re.escape(text) for text in sorted(fragments.apart)) or r"(?!)"
        self._apart = re.compile(rf"(?<!\d)(?:{choices})(?!\d)")

    def found_in(self, password: str) -> bool:
        """Whether `password` contains one of the fragments."""
        text = folded(password)
        return (
            self._finder.found_in(text)
            or not self._alone.isdisjoint(_runs(text))
            or any(self._apart.search(form) for form in (re.sub(r"[\W_]+", "-", text), compact(text)))
        )


def personal_fragments(facts: PersonalFacts) -> dict[Fact, Fragments]:
    """What `facts` forbid, by kind."""
    born = (*facts.birthdays, *(day for number in facts.id_numbers for day in _birthday_in(number)))
    return {
        Fact.NAME: _union(_name(name) for name in facts.names),
        Fact.STAFF_ID: _union(_login(name) for name in facts.login_names),
        Fact.BIRTHDAY: _union(_birthday(day) for day in born),
        Fact.PHONE: _union(_number(phone) for phone in facts.phones),
        Fact.ID_NUMBER: _union(_number(number) for number in facts.id_numbers),
    }


@lru_cache(maxsize=1024)
def room_recogniser(words: tuple[str, ...]) -> Recogniser:
    """What can be read in the room: store name, address, hotline, brands. The same tuple is prepared once."""
    return Recogniser(_union(_room_word(word) for word in words))


def _name(name: str) -> Fragments:
    if spellings.is_chinese(name):
        return _chinese_name("".join(c for c in folded(name) if spellings.is_chinese(c)))
    parts = [part for part in re.split(r"[\W\d_]+", folded(name)) if part]
    orders = [order for order in permutations(parts[:4]) if len(order) > 1]
    joined = {"".join(order) for order in orders}
    initials = {"".join(part[0] for part in order) for order in orders}
    return _sized({*parts, *joined}, anywhere=4, alone=3) | _sized(initials, anywhere=99, alone=2)


def _chinese_name(name: str) -> Fragments:
    surname_lengths = (1, 2) if name[:2] in _COMPOUND_SURNAMES and len(name) > 2 else (1,)
    characters = Fragments(frozenset({name, *(name[n:] for n in surname_lengths if len(name[n:]) > 1)}))
    return characters | _union(
        _pinyin(said[:n], said[n:]) for said in set(spellings.readings(name)) for n in surname_lengths
    )


def _pinyin(surname: tuple[str, ...], given: tuple[str, ...]) -> Fragments:
    """One reading of a name: in full either way round, with one part shortened to initials, and as initials."""
    last, first = "".join(surname), "".join(given)
    last_initials, first_initials = ("".join(syllable[0] for syllable in part) for part in (surname, given))
    full = {last + first, first + last}
    mixed = {last + first_initials, first_initials + last, last_initials + first, first + last_initials, last, first}
    initials = {last_initials + first_initials, first_initials + last_initials}
    return (
        _sized(full, anywhere=4, alone=2) | _sized(mixed, anywhere=5, alone=4) | _sized(initials, anywhere=99, alone=2)
    )


def _login(name: str) -> Fragments:
    text = compact(folded(name))
    numbers = {digits for digits in re.findall(r"\d+", text) if len(digits) > _NUMBER_TAIL}
    return _sized({text, text[::-1], *numbers}, anywhere=4, alone=2)


def _birthday(day: date) -> Fragments:
    return Fragments(spellings.dates(day) | spellings.month_and_day(day), apart=spellings.short_dates(day))


def _number(number: str) -> Fragments:
    """A phone or ID-card number: any six characters in a row of it, and the last four standing alone."""
    text = compact(folded(number))
    windows = {text[n : n + _NUMBER_WINDOW] for n in range(max(1, len(text) - _NUMBER_WINDOW + 1))}
    return _sized(windows, anywhere=5, alone=4) | _sized({text[-_NUMBER_TAIL:]}, anywhere=99, alone=_NUMBER_TAIL)


def _birthday_in(id_number: str) -> Iterator[date]:
    """The birthday part of an 18-character or an old 15-digit ID-card number."""
    text = compact(folded(id_number))
    digits = {18: text[6:14], 15: "19" + text[6:12]}.get(len(text), "")
    try:
        yield date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return


def _room_word(word: str) -> Fragments:
    text = folded(word)
    chinese = {part for part in re.findall(r"[^\W\da-z_]+", text) if spellings.is_chinese(part)}
    pieces = {piece for part in chinese for piece in (part, *_PLACE_SUFFIXES.split(part)) if len(piece) > 1}
    said = {reading for piece in pieces for reading in spellings.readings(piece)}
    latin = {part for part in re.findall(r"[a-z]+", text) if len(part) > 3 or part == text}
    numbers = set(re.findall(r"\d+", text))
    return (
        Fragments(frozenset(pieces))
        | _union(_number(number) for number in numbers if len(number) > _NUMBER_WINDOW)
        | _sized({"".join(reading) for reading in said}, anywhere=5, alone=4)
        | _sized({"".join(syllable[0] for syllable in reading) for reading in said}, anywhere=5, alone=4)
        | _sized(latin, anywhere=4, alone=3)
        | _sized(numbers, anywhere=5, alone=4)
    )


def _sized(texts: Iterable[str], *, anywhere: int, alone: int) -> Fragments:
    """Texts of at least `anywhere` characters count anywhere, of at least `alone` when they stand alone, shorter ones never."""
    kept = {text for text in texts if len(text) >= alone}
    long = {text for text in kept if len(text) >= anywhere}
    return Fragments(frozenset(long), frozenset(kept - long))


def _union(many: Iterable[Fragments]) -> Fragments:
    kept = Fragments()
    for one in many:
        kept |= one
    return kept


def _runs(text: str) -> set[str]:
    """Every run of letters, of digits and of both, once as written and once without what stands between."""
    return {
        run
        for form in (text, compact(text))
        for pattern in (r"[^\W\d_]+", r"\d+", r"[^\W_]+")
        for run in re.findall(pattern, form)
    }
