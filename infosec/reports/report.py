"""What a report is: a title, a period, a table, and what has to be known to read it. Knows no wire and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from infosec.clock import CARRIER_ZONE
from infosec.messages import Locale, Text

Words = Mapping[str, Text]
Cell = None | str | int | bool | datetime | Sequence[str]
Row = Mapping[str, Cell]

YES: Mapping[bool, Text] = {True: Text("是", "yes"), False: Text("否", "no")}
READING_ONLY = Text(
    "本报表供查阅；作为证据请导出日志（infosec audit export），并用 infosec audit verify 核验。",
    "This report is for reading. For evidence export the log (infosec audit export), and verify it (infosec audit verify).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    key: str
    heading: Text
    words: Words = field(default_factory=dict)
    """What its codes are called."""
    is_whole: bool = False
    """IDs, moments and numbers are not broken over lines."""
    only_wide: bool = False
    """Left out on a narrow terminal; files have it always."""
    only_files: bool = False
    """Left out on every terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, in both languages."""

    name: str
    title: Text
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Text, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    made_at: datetime | None = None

    def headings(self, locale: Locale) -> list[str]:
        return [column.heading.in_(locale) for column in self.columns]

    def cells(self, row: Row, locale: Locale) -> list[str | int]:
        """The cells of a row as people read them; a count stays a number."""
        return [_shown(row.get(column.key), column.words, locale) for column in self.columns]

    def period(self, locale: Locale) -> str:
        """From and up to, carrier time; empty where there is none."""
        if self.since is None or self.until is None:
            return ""
        return f"{moment(self.since)} – {moment(self.until)}"


def moment(at: datetime) -> str:
    """Carrier time, to the minute."""
    return at.astimezone(CARRIER_ZONE).strftime("%Y-%m-%d %H:%M")


def _shown(cell: Cell, words: Words, locale: Locale) -> str | int:
    if isinstance(cell, bool):
        return YES[cell].in_(locale)
    if cell is None or isinstance(cell, int):
        return "" if cell is None else cell
    if isinstance(cell, datetime):
        return moment(cell)
    if isinstance(cell, str):
        return words[cell].in_(locale) if cell in words else cell
    joint = "、" if locale is Locale.ZH_CN else ", "
    return joint.join(str(_shown(one, words, locale)) for one in cell)
