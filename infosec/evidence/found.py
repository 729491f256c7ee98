"""A row as it was read from a file, held against its entry: every readable cell is derived again and compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from infosec.evidence.cells import COLUMNS, DERIVED, Row, fields_of, log_of, of_fields
from infosec.transparency.merkle import HASH_BYTES, leaf_hash

_INDEX = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Found(NamedTuple):
    """One row of a file. What it says of itself is judged here, its place in the log is not."""

    place: int
    """Row or line in the file, from 1."""
    log: str
    index: int | None  # type: ignore[assignment]  # no tuple here is searched by `tuple.index`
    """None where the cell holds no index."""
    cell: bytes
    """The leaf hash as the file has it; empty where the cell holds no hash."""
    hash: bytes
    """The leaf hash of the entry as the file has it; of an entry that is gone, `cell`. Always 32 bytes."""
    recorded: str
    """When it was recorded, by the entry; empty for one that is gone."""
    is_gone: bool
    wrong: tuple[str, ...]
    """The columns whose cells are not what the entry says."""


def of_cells(place: int, cells: Mapping[str, str]) -> Found:
    """A row whose cells are text; an empty cell may be left out."""
    entry = cells.get("entry", "").encode("utf-8", "surrogatepass")
    return judged(place, cells, entry)


def judged(place: int, cells: Mapping[str, str], entry: bytes) -> Found:
    """A row with its cells but for the entry, whose bytes these are."""
    wrong: list[str] = [name for name in cells if name not in COLUMNS]
    log, expected = cells.get("log", ""), dict[str, str]()
    if entry:
        try:
            fields = fields_of(entry)
            expected = of_fields(fields)
            if log_of(fields) != log:
                wrong.append("log")
                log = log_of(fields) or log
        except ValueError:
            wrong.append("entry")
            expected = {name: cells[name] for name in DERIVED if name in cells}
    wrong += [name for name in DERIVED if cells.get(name, "") != expected.get(name, "")]
    shown = cells.get("leaf_hash", "")
    cell = bytes.fromhex(shown) if _HASH.fullmatch(shown) else b""
    at = cells.get("index", "")
    return Found(
        place=place,
        log=log,
        index=int(at) if _INDEX.fullmatch(at) else None,
        cell=cell,
        hash=leaf_hash(entry) if entry else cell or bytes(HASH_BYTES),
        recorded=expected.get("recorded", ""),
        is_gone=not entry,
        wrong=tuple(wrong),
    )


def cells_of(log: str, row: Row) -> dict[str, str]:
    """All cells of a row that are not empty, as text. Raises ValueError for what is no entry."""
    cells = {"log": log, "index": str(row.index), "leaf_hash": row.leaf_hash.hex()}
    if row.entry:
        cells |= of_fields(fields_of(row.entry))
        cells["entry"] = row.entry.decode("utf-8")
    return cells
