"""Reports as files: whatever stands in a cell, nothing of it runs, loads or breaks the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.messages import Locale, Text
from infosec.reports.html import html
from infosec.reports.report import Column, Report
from infosec.reports.xlsx import write_xlsx

NOW = datetime(2026, 11, 16, 4, 0, tzinfo=UTC)
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "http://evil.example/",
    "<r>bold</r>",
    "_x0041_",
    "a\x00b\x1b[31m\u202e",
    "x" * 40_000,
)


def report(*cells: object, title: str = "T & <T>") -> Report:
    columns = (
        Column(key="cell", heading=Text("内容 <b>", "Cell <b>")),
        Column(key="number", heading=Text("数", "Number"), is_whole=True),
    )
    rows = tuple({"cell": cell, "number": number} for number, cell in enumerate(cells))
    return Report(
        name="r",
        title=Text("标题", title),
        columns=columns,
        rows=rows,  # type: ignore[arg-type]
        notes=(Text("注 <i>", "note <i>"),),
        since=NOW,
        until=NOW + timedelta(days=1),
        made_at=NOW,
    )


class Page(HTMLParser):
    """What a browser would make of it: which elements there are, that they nest, and what the cells say."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


KNOWN = {
    "html", "head", "meta", "title", "style", "body", "h1", "p", "div", "table", "thead", "tbody", "tr", "th", "td",
    "footer",
}  # fmt: skip


@pytest.mark.parametrize("locale", list(Locale))
def test_a_page_is_whole_and_nothing_in_it_is_markup_of_a_cell(locale: Locale) -> None:
    page = Page(html(report(*EVIL), locale))
    assert set(page.elements) == KNOWN
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}
    assert page.cells[::2][:8] == [*EVIL[:7], "<r>bold</r>"]
    assert page.cells[18] == "a b [31m "
    assert page.cells[1::2] == [str(number) for number in range(len(EVIL))]


@given(st.text())
def test_any_text_comes_back_as_it_was_but_for_what_cannot_be_printed(text: str) -> None:
    page = Page(html(report(text), Locale.EN))
    assert page.cells[0] == "".join(c if c.isprintable() else " " for c in text)


def test_a_page_needs_nothing_from_anywhere() -> None:
    text = html(report(), Locale.ZH_CN)
    assert "default-src 'none'" in text
    assert "url(" not in text and "@import" not in text and "<link" not in text
    assert '<html lang="zh-CN">' in text
    assert "没有内容" in text


def test_a_page_says_its_period_by_carrier_time() -> None:
    assert "2026-11-16 12:00 – 2026-11-17 12:00" in html(report("a"), Locale.EN)


@pytest.mark.parametrize("locale", list(Locale))
def test_a_workbook_has_text_that_is_text_and_numbers_that_are_numbers(tmp_path: Path, locale: Locale) -> None:
    path = tmp_path / "r.xlsx"
    write_xlsx(report(*EVIL), path, locale)
    book = openpyxl.load_workbook(path)
    sheet, notes = book.worksheets
    cells = list(sheet.iter_rows(min_row=2))
    assert all(row[0].data_type == "s" and row[0].hyperlink is None for row in cells)
    assert [row[0].value for row in cells][:7] == list(EVIL[:7])
    assert cells[7][0].value == " <r>bold</r>"
    assert cells[8][0].value.replace("_x005F", "") == "_x0041_"
    assert str(cells[9][0].value).startswith("a b [31m")
    assert len(str(cells[10][0].value)) == 32_000
    assert [row[1].value for row in cells] == list(range(len(EVIL)))
    assert sheet.freeze_panes == "A2"
    assert "<i>" in str([row[0].value for row in notes.iter_rows()])


def test_an_empty_report_is_a_workbook_with_headings(tmp_path: Path) -> None:
    write_xlsx(report(), tmp_path / "r.xlsx", Locale.EN)
    assert [cell.value for cell in openpyxl.load_workbook(tmp_path / "r.xlsx").worksheets[0][1]] == [
        "Cell <b>",
        "Number",
    ]
