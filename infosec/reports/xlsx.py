"""A report as an XLSX file: text is text and never a formula or a link, counts are numbers; the notes are a sheet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from infosec.errors import InvalidInput, Reason
from infosec.evidence.optional import library
from infosec.messages import Locale, Text
from infosec.reports.report import Report, moment

MAX_ROWS = 1_048_575
MAX_CELL = 32_000
"""Characters; Excel holds a few more, counted as UTF-16."""
_MAX_EXACT = 10**15
"""Excel keeps fifteen digits."""
_SHEETS = (Text("报表", "Report"), Text("说明", "Notes"))
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MARKUP = "<r>"
"""The library takes text that begins so for markup of its own."""


def write_xlsx(report: Report, path: Path, locale: Locale) -> None:
    """Write the file. Raises InvalidInput for more rows than a sheet holds; Misconfigured where the library is missing."""
    if len(report.rows) > MAX_ROWS:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="format", detail=f"more than {MAX_ROWS} rows")
    options = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    book = library("xlsxwriter").Workbook(str(path), options)
    bold, wrap = book.add_format({"bold": True, "bottom": 1}), book.add_format({"text_wrap": True, "valign": "top"})
    _sheet(book.add_worksheet(_SHEETS[0].in_(locale)), report, locale, bold, wrap)
    _notes(book.add_worksheet(_SHEETS[1].in_(locale)), report, locale, bold, wrap)
    book.close()


def _sheet(sheet: Any, report: Report, locale: Locale, bold: Any, wrap: Any) -> None:
    widths = []
    for at, heading in enumerate(report.headings(locale)):
        sheet.write_string(0, at, heading, bold)
        widths.append(_width(heading))
    for number, row in enumerate(report.rows, 1):
        for at, cell in enumerate(report.cells(row, locale)):
            if isinstance(cell, int) and abs(cell) < _MAX_EXACT:
                sheet.write_number(number, at, cell, wrap)
            elif cell != "":
                sheet.write_string(number, at, _text(str(cell)), wrap)
            widths[at] = max(widths[at], _width(str(cell)))
    for at, width in enumerate(widths):
        sheet.set_column(at, at, min(max(width + 2, 8), 60))
    sheet.freeze_panes(1, 0)
    if report.rows:
        sheet.autofilter(0, 0, len(report.rows), len(report.columns) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _notes(sheet: Any, report: Report, locale: Locale, bold: Any, wrap: Any) -> None:
    lines = [report.title.in_(locale), report.period(locale), moment(report.made_at) if report.made_at else ""]
    lines += [note.in_(locale) for note in report.notes]
    sheet.set_column(0, 0, 100)
    for at, line in enumerate(filter(None, lines)):
        sheet.write_string(at, 0, _text(line), bold if at == 0 else wrap)


def _text(cell: str) -> str:
    text = _NOT_XML.sub(" ", cell)
    if text.startswith(_MARKUP):
        text = " " + text
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _width(text: str) -> int:
    """In characters of the width of a digit; Chinese ones take two."""
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
