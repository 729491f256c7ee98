"""The rules for a password itself: what it looks like (ID-2), what it must not be (ID-3, ID-6), how long it lives (ID-4), and how
the first one is made (ID-1). Pure: no clock, no store, no hash; randomness comes in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from authsvc.guessable import CommonPasswords, is_pattern
from authsvc.personal import Fact, PersonalFacts, Recogniser, personal_fragments, room_recogniser
from authsvc.profile import CharacterClass, Profile
from infosec.clock import carrier_date, carrier_midnight
from infosec.errors import InvalidInput, Reason
from infosec.messages import REQUIREMENTS, Text

MAX_INPUT_BYTES = 4096
"""What is longer in UTF-8 is refused before any work is done on it; 128 characters need less in any script."""

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls and invisible characters; and what Unicode may still define, since it could normalise otherwise tomorrow."""

_FIRST_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_FIRST_DIGITS = "23456789"
_FIRST_GROUP = 4
_FIRST_MIN_CHARACTERS = 12


class Requirement(StrEnum):
    """Everything that can be asked of a new password. Closed; each has its words in infosec.messages."""

    LENGTH_MIN = "LENGTH_MIN"
    LENGTH_MAX = "LENGTH_MAX"
    CHARACTERS = "CHARACTERS"
    CLASSES = "CLASSES"
    CLASS_LETTERS = "CLASS_LETTERS"
    CLASS_DIGITS = "CLASS_DIGITS"
    CLASS_SYMBOLS = "CLASS_SYMBOLS"
    PERSONAL_NAME = "PERSONAL_NAME"
    PERSONAL_STAFF_ID = "PERSONAL_STAFF_ID"
    PERSONAL_BIRTHDAY = "PERSONAL_BIRTHDAY"
    PERSONAL_PHONE = "PERSONAL_PHONE"
    PERSONAL_ID_NUMBER = "PERSONAL_ID_NUMBER"
    ROOM = "ROOM"
    COMMON = "COMMON"
    PATTERN = "PATTERN"
    REUSED = "REUSED"


_CLASS_REQUIREMENT = {
    CharacterClass.LETTERS: Requirement.CLASS_LETTERS,
    CharacterClass.DIGITS: Requirement.CLASS_DIGITS,
    CharacterClass.SYMBOLS: Requirement.CLASS_SYMBOLS,
}
_FACT_REQUIREMENT = {
    Fact.NAME: Requirement.PERSONAL_NAME,
    Fact.STAFF_ID: Requirement.PERSONAL_STAFF_ID,
    Fact.BIRTHDAY: Requirement.PERSONAL_BIRTHDAY,
    Fact.PHONE: Requirement.PERSONAL_PHONE,
    Fact.ID_NUMBER: Requirement.PERSONAL_ID_NUMBER,
}


@dataclass(frozen=True, slots=True)
class Unmet:
    """One requirement that a password does not meet, with its limit where it has one. Holds nothing of the password."""

    requirement: Requirement
    limit: int | None = None

    @property
    def text(self) -> Text:
        """What the clerk reads."""
        return REQUIREMENTS[self.requirement].filled(limit=self.limit)


def normalise(password: str) -> str:
    """The one form that is hashed and compared: NFKC (ID-2). Idempotent; huge input costs nothing.

    Raises InvalidInput(PASSWORD_REJECTED) for what can be no password of anybody: over MAX_INPUT_BYTES, control characters.
    """
    if _too_big(password):
        raise InvalidInput(Reason.PASSWORD_REJECTED, violations=(Requirement.LENGTH_MAX.value,))
    text = unicodedata.normalize("NFKC", password)
    if _acceptable(text) != text:
        raise InvalidInput(Reason.PASSWORD_REJECTED, violations=(Requirement.CHARACTERS.value,))
    return text


def check(
    password: str,
    profile: Profile,
    *,
    personal: PersonalFacts,
    room_words: tuple[str, ...],
    common: CommonPasswords,
    reused: bool = False,
) -> tuple[Unmet, ...]:
    """Every requirement that a new password does not meet, all at once (ID-2, ID-3, ID-6); empty if it may be used.

    Takes the password as typed. `reused` is the answer of the comparison with the last hashes. Only of what is over MAX_INPUT_BYTES
    nothing but the length is told.
    """
    if _too_big(password):
        return (Unmet(Requirement.LENGTH_MAX, profile.max_length),)
    text = unicodedata.normalize("NFKC", password)
    seen = _acceptable(text)
    unmet = [*_shape(text, seen, profile)]
    unmet += _personal(seen, personal, room_words)
    # Disguises are searched for at a cost that grows with the square; beyond the greatest length it is refused anyhow.
    if len(text) <= profile.max_length and common.contains(seen):
        unmet.append(Unmet(Requirement.COMMON))
    if is_pattern(seen):
        unmet.append(Unmet(Requirement.PATTERN))
    if reused:
        unmet.append(Unmet(Requirement.REUSED, profile.history_depth))
    return tuple(unmet)


def classes(text: str) -> frozenset[CharacterClass]:
    """The classes that `text` mixes (ID-2)."""
    return frozenset(_class(character) for character in text)


def first_password(randbelow: Callable[[int], int], profile: Profile) -> str:
    """A random first password (ID-1): groups of four that are easy to type from an SMS, with no character that looks like another.

    `randbelow(n)` gives 0 <= x < n, uniformly and unpredictably (`secrets.randbelow`). 12 characters carry 58 bits.
    """
    groups = max(ceil(_FIRST_MIN_CHARACTERS / _FIRST_GROUP), ceil((profile.min_length + 1) / (_FIRST_GROUP + 1)))
    places = groups * _FIRST_GROUP
    letter_at = randbelow(places)
    digit_at = (letter_at + 1 + randbelow(places - 1)) % places
    alphabets = [_FIRST_LETTERS + _FIRST_DIGITS] * places
    alphabets[letter_at], alphabets[digit_at] = _FIRST_LETTERS, _FIRST_DIGITS
    text = "".join(alphabet[randbelow(len(alphabet))] for alphabet in alphabets)
    return "-".join(text[n : n + _FIRST_GROUP] for n in range(0, places, _FIRST_GROUP))


def expires_on(changed_at: datetime, profile: Profile) -> datetime | None:
    """When a password ends (ID-4): 00:00 carrier time of the 91st day, the day of the change being the first. None: never."""
    if profile.password_life_days is None:
        return None
    return carrier_midnight(carrier_date(changed_at) + timedelta(days=profile.password_life_days))


def days_left(ends_at: datetime, now: datetime) -> int:
    """Carrier calendar days until a password ends: 1 on its last day, 0 once ended."""
    return max(0, (carrier_date(ends_at) - carrier_date(now)).days)


def reminder_due(
    ends_at: datetime, now: datetime, profile: Profile, *, sent: frozenset[int] = frozenset()
) -> int | None:
    """The reminder (days before the end) to send now (ID-4), or None. Of several missed ones only the latest is due."""
    left = days_left(ends_at, now)
    if not left:
        return None
    due = min((day for day in profile.reminder_days if day >= left), default=None)
    return None if due is None or any(day <= due for day in sent) else due


def _too_big(password: str) -> bool:
    # Counting characters first keeps a megabyte from being encoded only to be measured.
    return len(password) > MAX_INPUT_BYTES or len(password.encode("utf-8", "surrogatepass")) > MAX_INPUT_BYTES


def _acceptable(text: str) -> str:
    return "".join(character for character in text if unicodedata.category(character) not in _REFUSED)


def _class(character: str) -> CharacterClass:
    category = unicodedata.category(character)
    if category[0] in "LM":
        return CharacterClass.LETTERS
    return CharacterClass.DIGITS if category == "Nd" else CharacterClass.SYMBOLS


def _shape(text: str, seen: str, profile: Profile) -> Iterator[Unmet]:
    if len(text) < profile.min_length:
        yield Unmet(Requirement.LENGTH_MIN, profile.min_length)
    if len(text) > profile.max_length:
        yield Unmet(Requirement.LENGTH_MAX, profile.max_length)
    if seen != text:
        yield Unmet(Requirement.CHARACTERS)
    present = classes(seen)
    if profile.min_classes > 1 and len(present) < profile.min_classes:
        yield Unmet(Requirement.CLASSES, profile.min_classes)
    for one in CharacterClass:
        if one in profile.required_classes - present:
            yield Unmet(_CLASS_REQUIREMENT[one])


def _personal(text: str, personal: PersonalFacts, room_words: tuple[str, ...]) -> Iterator[Unmet]:
    for fact, fragments in personal_fragments(personal).items():
        if Recogniser(fragments).found_in(text):
            yield Unmet(_FACT_REQUIREMENT[fact])
    if room_recogniser(room_words).found_in(text):
        yield Unmet(Requirement.ROOM)
