"""A table out of a file of unknown make: CSV in UTF-8, UTF-16 or GB18030, or XLSX. Knows nothing of what the rows mean.

Bounded before anything is unpacked; a file that is cut off or damaged is refused whole (FILE_REJECTED). No formula is
ever read as a value.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from infosec.cli.failures import ExitCode, Told
from infosec.errors import Reason
from infosec.messages import Text

MAX_ROWS = 5_000
MAX_COLUMNS = 64
MAX_BYTES = 8 << 20
MAX_UNPACKED = 64 << 20
MAX_PARTS = 1_000
MAX_CELL = 1_024

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"
_DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with one row. `row` counts from 1 without the heading; the text repeats no value."""

    row: int
    field: str
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A heading and its rows, all text; rows keep the number that they have in the file."""

    heading: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    faults: tuple[Fault, ...]


def rejected(zh: str, en: str) -> Told:
    """The file as a whole is refused; nothing of it is used."""
    return Told(Reason.FILE_REJECTED, Text(zh, en), exit_code=ExitCode.USAGE)


def read_sheet(data: bytes, *, encoding: str | None = None, sheet: str | None = None) -> Sheet:
    """The table in a file's bytes. `encoding` is for CSV, `sheet` names one of several in XLSX. Raises FILE_REJECTED."""
    if len(data) > MAX_BYTES:
        raise rejected(f"文件超过 {MAX_BYTES >> 20} MiB。", f"The file is larger than {MAX_BYTES >> 20} MiB.")
    if not data.strip():
        raise rejected("文件是空的。", "The file is empty.")
    if data.startswith(_OLE):
        raise rejected(
            "这是旧版 .xls 或加密的文件。请另存为不加密的 .xlsx 或 CSV。",
            "This is an old .xls or an encrypted file. Save it as .xlsx without a password, or as CSV.",
        )
    if data.startswith(_ZIP):
        return _gathered(_xlsx_lines(data, sheet))
    return _gathered(_csv_lines(decoded(data, encoding)))


def decoded(data: bytes, encoding: str | None = None) -> str:
    """The text of a CSV file: as told, by its byte order mark, as UTF-8, or as GB18030. Raises FILE_REJECTED."""
    if encoding is not None:
        try:
            return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        except (UnicodeDecodeError, LookupError):
            raise rejected(
                f"文件不是 {encoding} 编码，或内容不完整。", f"The file is not {encoding}, or it is cut off."
            ) from None
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as damaged:
        if _was_meant_as_utf8(data, damaged):
            raise rejected(
                "文件内容不完整或已损坏（UTF-8）。请重新导出。",
                "The file is cut off or damaged (UTF-8). Export it again.",
            ) from None
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        raise rejected(
            "无法识别文件的编码，或内容已损坏。请存为 UTF-8 或 GBK，或用 --encoding 指定。",
            "The encoding cannot be told, or the file is damaged. Save it as UTF-8 or GBK, or give --encoding.",
        ) from None


def _was_meant_as_utf8(data: bytes, damaged: UnicodeDecodeError) -> bool:
    """Most characters beyond ASCII are good UTF-8: GBK text hardly ever looks so, and read as GBK it would be nonsense."""
    if data.startswith(b"\xef\xbb\xbf") or damaged.encoding.startswith("utf-16"):
        return True
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(1 for c in text if ord(c) > 0x7F) - bad
    return good > bad


def _csv_lines(text: str) -> Iterator[Sequence[Any]]:
    if "\0" in text:
        raise rejected("文件不是文本表格。", "The file is not a table of text.")
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error:
        raise rejected(
            "表格内容不完整：引号没有闭合或格式有误。请重新导出。",
            "The table is cut off or malformed: a quote is not closed, or stands where it may not. Export it again.",
        ) from None


def _xlsx_lines(data: bytes, wanted: str | None) -> Iterator[Sequence[Any]]:
    _bound_parts(data)
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise rejected(
            "读取 XLSX 需要 openpyxl：pip install 'infosec[server]'；或另存为 CSV。",
            "Reading XLSX needs openpyxl: pip install 'infosec[server]'. Or save the file as CSV.",
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        lines = _sheet_of(book, wanted)
        for cells in lines.iter_rows(max_col=MAX_COLUMNS + 1):
            yield [_Formula() if cell.data_type == "f" else cell.value for cell in cells]
    except Told:
        raise
    except Exception:
        # openpyxl raises whatever its parsers raise: KeyError, ValueError, ParseError; all of it says "damaged".
        raise rejected(
            "XLSX 文件不完整或已损坏。请重新导出。", "The XLSX file is cut off or damaged. Export it again."
        ) from None


def _sheet_of(book: Any, wanted: str | None) -> Any:
    names = [sheet.title for sheet in book.worksheets]
    if wanted is None and len(names) == 1:
        return book.worksheets[0]
    if wanted in names:
        return book[wanted]
    told = ", ".join(names)
    raise rejected(f"请用 --sheet 指定工作表：{told}", f"Name the sheet with --sheet: {told}")


def _bound_parts(data: bytes) -> None:
    """Refuse what would unpack to too much (declared sizes bind the unpacker), and XML that declares entities."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise rejected(
                    f"XLSX 解压后超过 {MAX_UNPACKED >> 20} MiB，不予打开。",
                    f"The XLSX would unpack to more than {MAX_UNPACKED >> 20} MiB; it is not opened.",
                )
            if "[Content_Types].xml" not in archive.namelist():
                raise rejected("这不是 XLSX 文件。", "This is not an XLSX file.")
            for part in parts:
                if part.filename.endswith((".xml", ".rels")) and b"<!DOCTYPE" in archive.read(part):
                    raise rejected("XLSX 中有不允许的声明。", "The XLSX declares what it may not.")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        raise rejected(
            "XLSX 文件不完整或已损坏。请重新导出。", "The XLSX file is cut off or damaged. Export it again."
        ) from None
    except Exception as damaged:
        if isinstance(damaged, Told):
            raise
        raise rejected(
            "XLSX 文件不完整或已损坏。请重新导出。", "The XLSX file is cut off or damaged. Export it again."
        ) from None


class _Formula:
    """Stands for a cell that computes."""


def _gathered(lines: Iterable[Sequence[Any]]) -> Sheet:
    heading: tuple[str, ...] | None = None
    rows: list[tuple[int, tuple[str, ...]]] = []
    faults: list[Fault] = []
    number = 0
    for line in lines:
        if heading is None:
            if any(cell not in (None, "") for cell in line):
                heading = _heading(line)
            continue
        number += 1
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in line):
            continue
        if len(rows) >= MAX_ROWS:
            raise rejected(f"超过 {MAX_ROWS} 行。请分成几个文件。", f"More than {MAX_ROWS} rows. Split the file.")
        rows.append((number, tuple(_row(number, line, heading, faults))))
    if heading is None or not rows:
        raise rejected("文件中没有数据行。", "The file has no rows.")
    return Sheet(heading=heading, rows=tuple(rows), faults=tuple(faults))


def _heading(line: Sequence[Any]) -> tuple[str, ...]:
    names = ["" if cell is None else str(cell).strip() for cell in line]
    while names and not names[-1]:
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise rejected(f"超过 {MAX_COLUMNS} 列。", f"More than {MAX_COLUMNS} columns.")
    return tuple(names)


def _row(number: int, line: Sequence[Any], heading: tuple[str, ...], faults: list[Fault]) -> Iterator[str]:
    if any(cell not in (None, "") for cell in line[len(heading) :]):
        faults.append(Fault(row=number, field="", text=Text("列数多于表头", "more cells than the heading has")))
    if len(line) < len(heading):
        faults.append(
            Fault(row=number, field="", text=Text("列数少于表头，可能不完整", "fewer cells than the heading; cut off?"))
        )
    for index, name in enumerate(heading):
        value, wrong = _text(line[index] if index < len(line) else None)
        if wrong is not None:
            faults.append(Fault(row=number, field=name, text=wrong))
        yield value


def _text(cell: object) -> tuple[str, Text | None]:
    """A cell as text, and what is wrong with it."""
    if isinstance(cell, _Formula) or (isinstance(cell, str) and cell.lstrip().startswith("=")):
        return "", Text("不接受公式", "formulas are not accepted")
    if isinstance(cell, bool) or (isinstance(cell, float) and not cell.is_integer()):
        return "", Text("不是文本", "not a text")
    if isinstance(cell, int | float) and abs(cell) >= 10**15:
        return "", Text(
            "长号码被存成数字，末位已丢失；请设为文本格式",
            "a long number stored as a number has lost digits; store it as text",
        )
    if isinstance(cell, datetime | date):
        return cell.strftime("%Y-%m-%d"), None
    text = str(int(cell)) if isinstance(cell, float) else "" if cell is None else str(cell).strip()
    if len(text) > MAX_CELL:
        return "", Text(f"超过 {MAX_CELL} 字", f"longer than {MAX_CELL} characters")
    if not text.isprintable():
        return "", Text("含有控制字符", "has control characters")
    return text, None
