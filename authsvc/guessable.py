"""Whether a password is among the first that anybody would try: a common one in some disguise, or a pattern (ID-3). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from authsvc.folding import compact, folded, skeleton

_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "!@#$%^&*()_+",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!qaz@wsx#edc$rfv%tgb^yhn&ujm*ik,(ol.)p;/",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qweasdzxc",
    "147258369",
    "789456123",
)
_PAIRS = frozenset(
    pair for row in _ROWS for way in (row, row[::-1]) for pair in (way[n : n + 2] for n in range(len(way) - 1))
)
_RUN = 3
_ENOUGH = 6
_AFFIX = 6
_CORE = 4


class CommonPasswords:
    """A list of common passwords that is also hit by their disguises: case, width, leet, and digits or symbols at the ends."""

    def __init__(self, passwords: Iterable[str]) -> None:
        plain = {folded(password) for password in passwords} - {""}
        self._known = frozenset(plain | {skeleton(password) for password in plain})
        self._longest = max(map(len, self._known), default=0)

    def __len__(self) -> int:
        return len(self._known)

    def contains(self, password: str) -> bool:
        """Whether `password` is one of them, or one of them with something at its ends that adds nothing."""
        text = folded(password)
        return any(self._has(form) for form in (text, compact(text)))

    def _has(self, text: str) -> bool:
        cores = (core for core in _cores(text) if len(core) <= self._longest)
        return any(core in self._known or skeleton(core) in self._known for core in cores)


def is_pattern(password: str) -> bool:
    """Whether little is left of it once repetitions, sequences and rows of keys count as one character each."""
    text = folded(password)
    return _weight(_period(text)) < _ENOUGH


def _cores(text: str) -> Iterable[str]:
    """The text, and the text without some or all of what stands at its ends and adds little: digits and symbols, in the main."""
    solid = _places(text, str.isalpha) or _places(text, str.isdigit) or range(1)
    starts = [start for start in range(solid[0] + 1) if _adds_little(text[:start])]
    ends = [end for end in range(solid[-1] + 1, len(text) + 1) if _adds_little(text[end:])]
    yield text
    yield from (text[start:end] for start in starts for end in ends if end - start >= _CORE)


def _places(text: str, wanted: Callable[[str], bool]) -> Sequence[int]:
    return [place for place, character in enumerate(text) if wanted(character)]


def _adds_little(affix: str) -> bool:
    return len(affix) <= _AFFIX or is_pattern(affix)


def _period(text: str) -> str:
    """The block that the whole text repeats, or the text."""
    length = (text + text).find(text, 1) if text else 0
    return text[:length]


def _weight(text: str) -> int:
    """Characters, where a run of three and more that repeats or follows a row counts as one."""
    weight, at = 0, 0
    while at < len(text):
        at += max(_run_length(text, at), 1)
        weight += 1
    return weight


def _run_length(text: str, at: int) -> int:
    """Length of the run that begins at `at`; 0 if it is too short to be one."""
    same = along = at + 1
    while same < len(text) and text[same] == text[at]:
        same += 1
    while along < len(text) and text[along - 1 : along + 1] in _PAIRS:
        along += 1
    longest = max(same, along) - at
    return longest if longest >= _RUN else 0
