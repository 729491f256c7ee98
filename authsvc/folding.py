"""How a password is read by somebody who wants to recognise something in it (ID-3): case, width, accents, look-alikes, leet.

Pure text; knows neither persons nor rules. `Finder` looks for many fragments at once in time linear in the text.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_LEET = {
    "a": "4@",
    "b": "8",
    "c": "(",
    "e": "3€",
    "g": "9",
    "i": "1!|",
    "l": "1!|",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "0": "o",
    "1": "il!|",
}
"""What may stand for a character. It works one way per place, so that 1 can be an l here and an i there."""

_SKELETON = str.maketrans({stand_in: letter for letter, all_ in _LEET.items() if letter.isalpha() for stand_in in all_})
_SKELETON.update({ord(one): "i" for one in "l1!|"})

_LOOK_ALIKES = str.maketrans(
    "аеорсухкмтнівѕјαορτυικνε",
    "aeopcyxkmthibsjaoptuikve",
)
"""Cyrillic and Greek letters that look like Latin ones."""

_STAND_INS_FROM = {"word": 4, "number": 6}
"""Length from which stand-ins count in a fragment: a short number would be found in too many words."""


def folded(text: str) -> str:
    """NFKC, lower case, no accents, Latin for look-alikes. Idempotent."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(c for c in unicodedata.normalize("NFKD", plain) if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", bare).casefold().translate(_LOOK_ALIKES)


def compact(text: str) -> str:
    """Letters and digits only."""
    return "".join(c for c in text if c.isalnum())


def skeleton(text: str) -> str:
    """Folded text with every stand-in replaced by one letter; i and l become one, so that it does not matter which was meant."""
    return text.translate(_SKELETON)


class Finder:
    """Finds fragments in folded text although symbols stand between the characters or in place of them.

    Stand-ins count only if one character at least is written as itself, so that the number 1111 is not the name Lili.
    """

    def __init__(self, fragments: Iterable[str]) -> None:
        self._starts = 0
        self._ends = 0
        self._plain: defaultdict[str, int] = defaultdict(int)
        self._loose: defaultdict[str, int] = defaultdict(int)
        at = 0
        for fragment in sorted({compact(fragment) for fragment in fragments} - {""}):
            self._add(fragment, at)
            at += len(fragment)

    def _add(self, fragment: str, at: int) -> None:
        self._starts |= 1 << at
        self._ends |= 1 << (at + len(fragment) - 1)
        loose = len(fragment) >= _STAND_INS_FROM["number" if fragment.isdigit() else "word"]
        for place, character in enumerate(fragment, start=at):
            self._plain[character] |= 1 << place
            for reading in character + (_LEET.get(character, "") if loose else ""):
                self._loose[reading] |= 1 << place

    def found_in(self, text: str) -> bool:
        """Whether a fragment stands in `text` (folded)."""
        # One bit per place of every fragment: `guessed` are the places reached by stand-ins alone, `sure` the others.
        guessed = sure = 0
        for character in text:
            plain, loose = self._plain.get(character, 0), self._loose.get(character, 0)
            from_start = (guessed << 1) | self._starts
            kept = (0, 0) if character.isalnum() else (guessed, sure)
            guessed = (from_start & loose & ~plain) | kept[0]
            sure = ((sure << 1) & loose) | (from_start & plain) | kept[1]
            if sure & self._ends:
                return True
        return False
