"""XLSX: every cell is text, nothing is a formula; further sheets where one is full. Excel's limits are kept or refused."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from infosec.errors import InvalidInput, Reason
from infosec.evidence.cells import COLUMNS, Row
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.found import Found, cells_of, of_cells
from infosec.evidence.optional import library
from infosec.messages import Text

MAX_CELL = 32_767
"""Characters, as Excel counts them: UTF-16 units."""
MAX_ROWS = 1_048_576
_SHEET = "entries"
_BATCH = 1024
_WIDTHS = {"index": 9, "leaf_hash": 14, "recorded": 27, "occurred": 27, "type": 22, "facts": 40, "entry": 60}
_WIDTH = 16
_MARK = "'"
_MARKED = (_MARK, "<r>")  # the library takes text within <r> for markup of its own
_EXCEL = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""What Excel takes for a character, in text too."""
_ESCAPED = re.compile("␛([0-9A-F]{4})")
_NOT_HELD = re.compile("[\x00-\x08\x0b-\x1f␛\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

CELL_RULE = Text(
    "所有单元格均为文本。以单引号或 <r> 开头的，前面加一个单引号；XLSX 不能表示的字符写作 ␛ 加四位十六进制。",
    "Every cell is text. One that begins with an apostrophe or <r> has an apostrophe put before it; a character that XLSX "
    "cannot hold is written as ␛ and its four hexadecimal digits.",
)


class XlsxWriter:
    """Writes rows, each to disk as it comes."""

    def __init__(self, path: Path, *, max_rows: int = MAX_ROWS) -> None:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "tmpdir": str(path.parent),
        }
        self._book = library("xlsxwriter").Workbook(str(path), options)
        self._book.use_zip64()
        self._bold = self._book.add_format({"bold": True})
        self._max_rows = max_rows
        self._sheets = 0
        self._next_sheet()

    def add(self, log: str, row: Row) -> None:
        if self._at == self._max_rows:
            self._next_sheet()
        cells = cells_of(log, row)
        for column, name in enumerate(COLUMNS):
            if cell := cells.get(name):
                self._sheet.write_string(self._at, column, _spelled(cell, name, row.index))
        self._at += 1

    def close(self) -> None:
        self._book.close()

    def _next_sheet(self) -> None:
        self._sheets += 1
        self._sheet: Any = self._book.add_worksheet(_SHEET if self._sheets == 1 else f"{_SHEET} {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        for column, name in enumerate(COLUMNS):
            self._sheet.set_column(column, column, _WIDTHS.get(name, _WIDTH))
            self._sheet.write_string(0, column, name, self._bold)
        self._at = 1


def read_xlsx(path: Path) -> Iterator[list[Found]]:
    """The rows of all sheets. Raises NotProved(MALFORMED_FILE)."""
    openpyxl = library("openpyxl")
    place = 0
    try:
        with path.open("rb") as file:
            for sheet in openpyxl.load_workbook(file, read_only=True).worksheets:
                rows = sheet.iter_rows()
                if [cell.value for cell in next(rows, ())] != list(COLUMNS):
                    raise malformed(Flaw.MALFORMED_FILE, "other headings")
                while batch := list(islice(rows, _BATCH)):
                    yield [_found(place + at, row) for at, row in enumerate(batch, 1)]
                    place += len(batch)
    except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError, EOFError, zipfile.LargeZipFile, TypeError):
        # What the libraries below say of a file that is none.
        raise malformed(Flaw.MALFORMED_FILE, "cannot be read as XLSX", row=place + 1) from None


def _found(place: int, row: Sequence[Any]) -> Found:
    if len(row) > len(COLUMNS):
        raise malformed(Flaw.MALFORMED_FILE, "a row with other columns", row=place)
    cells = {name: _unspelled(cell.value) for name, cell in zip(COLUMNS, row, strict=False)}
    found = of_cells(place, cells)
    formulas = tuple(name for name, cell in zip(COLUMNS, row, strict=False) if cell.data_type == "f")
    return found._replace(wrong=found.wrong + formulas) if formulas else found


def _spelled(cell: str, name: str, index: int) -> str:
    text = _NOT_HELD.sub(lambda found: f"␛{ord(found[0]):04X}", cell)
    if text.startswith(_MARKED):
        text = _MARK + text
    if len(text.encode("utf-16-le", "surrogatepass")) > 2 * MAX_CELL:
        raise InvalidInput(
            Reason.INVALID_ARGUMENT,
            field="format",
            detail=f"entry {index}: {name} is longer than a cell of XLSX holds; take another format",
        )
    return text


def _unspelled(value: object) -> str:
    if value is None:
        return ""
    # Excel may have saved it again, in its own spelling; then what was done to it here.
    text = _EXCEL.sub(_character, str(value)).removeprefix(_MARK)
    return _ESCAPED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
