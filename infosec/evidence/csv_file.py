"""CSV (RFC 4180, CRLF) that a spreadsheet runs nothing of, and from which every cell comes back as it was."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from infosec.evidence.cells import COLUMNS, Row
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.found import Found, cells_of, of_cells
from infosec.messages import Text

UTF8, GB18030 = "utf-8-sig", "gb18030"
_BATCH = 2048
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARK = "'"

SAFE_RULE = Text(
    "以 = + - @（含全角）、制表、回车、换行或单引号开头的单元格，前面加一个单引号；还原时去掉一个。",
    "A cell that begins with = + - @ (full width too), a tab, a line end or an apostrophe has one apostrophe put before "
    "it; taking one away gives the cell back.",
)
ENCODING_RULES = {
    UTF8: Text("编码为带 BOM 的 UTF-8。", "The encoding is UTF-8 with a byte order mark."),
    GB18030: Text(
        "编码为 GB18030：GBK 的字与 GBK 完全相同，GBK 没有的字用四字节表示，一字不失；只认 GBK 的程序会把那些字显示错。",
        "The encoding is GB18030: the same bytes as GBK for what GBK has, four bytes for what it has not, so that nothing "
        "is lost; a program that knows GBK alone shows those characters wrongly.",
    ),
}


def safe(cell: str) -> str:
    """A cell that is text to a spreadsheet."""
    return _MARK + cell if cell.startswith((*_RUN_BY_SPREADSHEETS, _MARK)) else cell


def unsafe(cell: str) -> str:
    """The cell that `safe` was given."""
    return cell.removeprefix(_MARK)


class CsvWriter:
    """Writes rows under a line of headings."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._file = path.open("w", encoding=encoding, newline="")
        self._rows = csv.writer(self._file, lineterminator="\r\n")
        self._rows.writerow(COLUMNS)

    def add(self, log: str, row: Row) -> None:
        cells = cells_of(log, row)
        self._rows.writerow([safe(cells.get(name, "")) for name in COLUMNS])

    def close(self) -> None:
        self._file.close()


def read_csv(path: Path, encoding: str) -> Iterator[list[Found]]:
    """The rows of a file. Raises NotProved(MALFORMED_FILE)."""
    place = 0
    try:
        with path.open("r", encoding=encoding, newline="") as file:
            rows = csv.reader(file, strict=True)
            if next(rows, None) != list(COLUMNS):
                raise malformed(Flaw.MALFORMED_FILE, "other headings")
            while batch := list(islice(rows, _BATCH)):
                found = []
                for row in batch:
                    place += 1
                    if len(row) != len(COLUMNS):
                        raise malformed(Flaw.MALFORMED_FILE, "a row with other columns", row=place)
                    found.append(of_cells(place, dict(zip(COLUMNS, map(unsafe, row), strict=True))))
                yield found
    except (csv.Error, UnicodeError):
        raise malformed(Flaw.MALFORMED_FILE, "cannot be read as CSV in this encoding", row=place + 1) from None
