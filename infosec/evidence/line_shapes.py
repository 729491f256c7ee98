"""Lines of one shape recognised at once: the same members, other values. What makes verification fast, and nothing else.

A shape is a pattern made by the writer itself from an entry whose values are place-holders: each value is captured where
it comes first and must be the same wherever the line repeats it. So a line that matches is byte for byte what the writer
makes of the entry in it. Whatever does not match is read the slow way; so is an entry with an escape or a control character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from infosec.evidence.cells import Row, log_of

MAX_SHAPES = 256
_INDEX = 900_000_000_000_000
_LEAF = b"\xee" * 32
_MARK = re.compile(r"@@(\d+)@@|" + f"({_INDEX})|({_LEAF.hex()})|" + r"(9100000000\d{5})")
_TEXT = r'[^"]*+'
_TEXT_WITHIN_TEXT = r'[^"\\]*+'
_ODD = bytes(range(0x20)) + b"\\"
"""What no text in an entry of a shape has. Looked for in the whole entry at once: in the pattern it costs twice as much."""
_NUMBER = r"-?\d++"
_ENTRY = b'"entry":'

_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Shape(NamedTuple):
    """The pattern of whole lines of one log, and which of its groups are index, leaf hash, moment of recording, entry."""

    log: str
    match: Callable[[bytes], re.Match[bytes] | None]
    groups: tuple[int, int, int, int]


def shape_of(fields: Mapping[str, object], line_of: Callable[[str, Row], bytes]) -> Shape | None:
    """The shape of the lines that `line_of` makes of entries like this one; None for one that is like no other."""
    log, count = log_of(fields), 0

    def held(value: object, name: str) -> object:
        nonlocal count
        count += 1
        if isinstance(value, dict):
            return {inner: held(what, f"{name}.{inner}") for inner, what in value.items()}
        if isinstance(value, bool) or name == ".log":
            return value
        return 910_000_000_000_000 + count if isinstance(value, int) else f"@@{count}@@"

    template = _encoded(held(dict(fields), "")).encode("utf-8")
    line = line_of(log, Row(_INDEX, _LEAF, template)).decode("utf-8")
    head, _, entry = line.rpartition(f'"entry":{template.decode()}')
    if "@@" in log or not head:
        return None
    recorded = _MARK.search(head, head.index('"recorded":'))
    seen: dict[str, str] = {}

    def group(found: re.Match[str]) -> str:
        name = found[0]
        if name in seen:
            return f"(?P={seen[name]})"
        seen[name] = f"g{len(seen)}"
        if name == str(_INDEX):
            seen[name] = "index"
            return r"(?P<index>0|[1-9]\d{0,18})"
        if name == _LEAF.hex():
            seen[name] = "leaf"
            return r"(?P<leaf>[0-9a-f]{64})"
        if recorded is not None and name == recorded[0]:
            seen[name] = "recorded"
        is_within_text = found.string[found.end() : found.end() + 1] == "\\"  # a JSON of its own in a cell
        text = _TEXT_WITHIN_TEXT if is_within_text else _TEXT
        return f"(?P<{seen[name]}>{_NUMBER if name.isdigit() else text})"

    pattern = (
        _replaced(head, group) + '"entry":(?P<entry>' + _replaced(template.decode(), group) + ")" + re.escape(entry)
    )
    compiled = re.compile(pattern.encode("utf-8"), re.DOTALL)
    at = compiled.groupindex

    def match(line: bytes) -> re.Match[bytes] | None:
        found = compiled.fullmatch(line)
        # Every value stands in the entry, whatever cells repeat it.
        return found if found and not _is_odd(found[at["entry"]]) else None

    return Shape(log, match, (at["index"], at["leaf"], at["recorded"], at["entry"]))


def _is_odd(entry: bytes) -> bool:
    return len(entry.translate(None, _ODD)) != len(entry)


def _replaced(text: str, group: Callable[[re.Match[str]], str]) -> str:
    parts, at = [], 0
    for found in _MARK.finditer(text):
        parts += [re.escape(text[at : found.start()]), group(found)]
        at = found.end()
    return "".join((*parts, re.escape(text[at:])))


class Shapes:
    """The shapes that came so far, the one that was used last in front."""

    def __init__(self, line_of: Callable[[str, Row], bytes]) -> None:
        self._line_of = line_of
        self._known: list[Shape] = []

    @property
    def front(self) -> Shape | None:
        return self._known[0] if self._known else None

    def turn_to(self, line: bytes) -> bool:
        """Put the shape of this line in front; False if there is none."""
        for at, shape in enumerate(self._known):
            if shape.match(line):
                self._known.insert(0, self._known.pop(at))
                return True
        return False

    def learn(self, fields: Mapping[str, object]) -> None:
        """From an entry whose line was right and was not recognised."""
        if len(self._known) < MAX_SHAPES and (shape := shape_of(fields, self._line_of)):
            self._known.insert(0, shape)
