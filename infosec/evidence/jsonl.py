"""JSONL: a line for each row, empty cells left out, the entry at the end as it stands in the log: its very bytes."""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from infosec import canonical
from infosec.errors import InvalidInput
from infosec.evidence.cells import Row, fields_of, log_of, of_fields
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.found import Found, judged
from infosec.evidence.line_shapes import Shape, Shapes
from infosec.transparency.merkle import leaf_hash

_CHUNK = 1 << 17
"""What a core keeps at hand: with chunks of a MiB every line is fetched from afar once more."""
MAX_LINE = 1 << 20
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# A quote within a text is escaped, so the first of this is the member and not something that a text says.
_ENTRY = b',"entry":'
_HEAD = re.compile(rb'\{"log":"([^"\\]*)","index":(0|[1-9][0-9]{0,18}),"leaf_hash":"([0-9a-f]{64})"')


class JsonlWriter:
    """Writes rows."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")

    def add(self, log: str, row: Row) -> None:
        self._file.write(line_of(log, row) + b"\n")

    def close(self) -> None:
        self._file.close()


def line_of(log: str, row: Row) -> bytes:
    """A row's line without its end. Raises ValueError for what is no entry."""
    cells = _encoded(of_fields(fields_of(row.entry))).encode("utf-8")[1:-1] if row.entry else b""
    head = f'{{"log":{_encoded(log)},"index":{row.index},"leaf_hash":"{row.leaf_hash.hex()}"'.encode()
    return b"".join((head, b"," if cells else b"", cells, _ENTRY, row.entry or b"null", b"}"))


def read_jsonl(path: Path) -> Iterator[list[Found]]:
    """The rows of a file. Raises NotProved(MALFORMED_FILE)."""
    place, shapes = 0, Shapes(line_of)
    for lines in _lines(path):
        found: list[Found] = []
        while len(found) < len(lines):
            # The front shape in a loop of its own: nearly every line is of it.
            if shapes.front is not None:
                found.extend(_of_shape(shapes.front, lines, len(found), place))
            if len(found) < len(lines) and not shapes.turn_to(line := lines[len(found)]):
                at = place + len(found) + 1
                found.append(_as_written(at, line, shapes) or _as_it_is(at, line))
        place += len(lines)
        yield found


def _lines(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        rest = b""
        while data := file.read(_CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > MAX_LINE:
                raise malformed(Flaw.MALFORMED_FILE, "a line too long")
            yield lines
        if rest:
            yield [rest]


def _of_shape(shape: Shape, lines: list[bytes], begin: int, place: int) -> Iterator[Found]:
    """The rows from `lines[begin]` on, up to the first that is of another shape."""
    log, fullmatch, groups = shape
    make, new = tuple.__new__, Found
    for at, line in enumerate(islice(lines, begin, None), place + begin + 1):
        match = fullmatch(line)
        if match is None:
            return
        index, leaf, recorded, entry = match.group(*groups)
        value = sha256(b"\x00" + entry).digest()
        # As Found(...), at half the cost.
        yield make(new, (at, log, int(index), unhexlify(leaf), value, str(recorded, "utf-8", "replace"), False, ()))


def _as_written(place: int, line: bytes, shapes: Shapes) -> Found | None:
    """The row, if the line is byte for byte what the writer makes of its entry: then no cell needs a look of its own."""
    head = _HEAD.match(line)
    at = line.find(_ENTRY)
    if head is None or at < 0:
        return None
    log, index, cell = head[1].decode("utf-8", "replace"), int(head[2]), bytes.fromhex(head[3].decode())
    entry = line[at + len(_ENTRY) : -1]
    try:
        fields = fields_of(entry)
        if log_of(fields) != log or line_of(log, Row(index, cell, entry)) != line:
            return None
    except ValueError:
        return None
    shapes.learn(fields)
    return Found(place, log, index, cell, leaf_hash(entry), of_fields(fields)["recorded"], False, ())


def _as_it_is(place: int, line: bytes) -> Found:
    """A row that was spelled otherwise, or is wrong, or whose entry is gone: read whole, cell by cell."""
    try:
        row = json.loads(line)
        entry = row.pop("entry", None)
        cells = {name: _text(name, value) for name, value in row.items()}
        body = b"" if entry is None else entry.encode() if isinstance(entry, str) else canonical.encode(entry)
    except (ValueError, TypeError, AttributeError, RecursionError, InvalidInput):
        raise malformed(Flaw.MALFORMED_FILE, "a line that is no row", row=place) from None
    return judged(place, cells, body)


def _text(name: str, value: object) -> str:
    if name == "index" and type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise TypeError("a cell that is not text")
    return value
