"""How results are written: tables for people, clean streams for pipes. Knows rows and columns, not what they are about."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text as Styled

from infosec.cli.failures import usage
from infosec.cli.records import Row, Value
from infosec.cli.words import Words
from infosec.clock import CARRIER_ZONE
from infosec.messages import Locale, Text

SHORT_ID = 8
WIDE = 110
"""Terminals from here on show every column."""

_YES = {True: Text("是", "yes"), False: Text("否", "no")}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Output(StrEnum):
    """The forms of a result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Column:
    """One column for people: which value (dots lead inwards), its heading, and what its values are called."""

    key: str
    heading: Text
    words: Words = field(default_factory=dict)
    is_whole: bool = False
    """Never broken over lines."""
    is_id: bool = False
    """On a terminal the first characters do; commands take them."""
    only_wide: bool = False
    has_seconds: bool = False
    """Moments to the second, where their order is the point."""


class Writer:
    """Writes one command's result to stdout, and what only people read to stderr."""

    def __init__(
        self, output: Output, *, locale: Locale, fields: Sequence[str], is_quiet: bool, stdout: TextIO, stderr: TextIO
    ) -> None:
        self.output = output
        self.locale = locale
        self.is_quiet = is_quiet
        self._fields = tuple(fields)
        self._stdout = stdout
        self._stderr = stderr

    @property
    def is_for_people(self) -> bool:
        """A table on a terminal."""
        return self.output is Output.TABLE and self._stdout.isatty()

    def note(self, zh: str, en: str) -> None:
        """A line for people, beside the result."""
        if not self.is_quiet and self.output is Output.TABLE:
            self._stderr.write(_clean(Text(zh, en).in_(self.locale), keep_lines=True) + "\n")

    def rows(self, rows: Sequence[Row], columns: Sequence[Column], *, empty: Text) -> None:
        """Any number of things."""
        chosen = [self._chosen(row) for row in rows]
        if self.output is Output.JSON:
            self._json(chosen)
        elif self.output is Output.NDJSON:
            for row in chosen:
                self._stdout.write(_json_line(row) + "\n")
        elif self.output is Output.CSV:
            self._csv(chosen, self._fields or tuple(chosen[0] if chosen else (c.key for c in columns)))
        elif not rows:
            self.note(empty.zh, empty.en)
        elif self.is_for_people:
            self._table(rows, self._shown(columns))
        else:
            self._plain(rows, self._shown(columns))

    def record(self, row: Row, columns: Sequence[Column]) -> None:
        """One thing: a line for each of its values."""
        chosen = self._chosen(row)
        if self.output in (Output.JSON, Output.NDJSON):
            self._stdout.write(_json_line(chosen) + "\n")
        elif self.output is Output.CSV:
            self._csv([chosen], tuple(chosen))
        else:
            self._pairs(row, self._shown(columns))

    def _chosen(self, row: Row) -> Row:
        if not self._fields:
            return row
        missing = [name for name in self._fields if _at(row, name, None) is _ABSENT]
        if missing:
            names = ", ".join(row)
            raise usage(
                f"没有字段 {', '.join(missing)}。可选字段：{names}",
                f"No field {', '.join(missing)}. There are: {names}",
            )
        return {name: _at(row, name, None) for name in self._fields}

    def _shown(self, columns: Sequence[Column]) -> Sequence[Column]:
        if not self._fields:
            return columns
        known = {column.key: column for column in columns}
        return [known.get(name, Column(name, Text(name, name))) for name in self._fields]

    def _json(self, rows: Sequence[Row]) -> None:
        self._stdout.write(json.dumps(rows, ensure_ascii=False, indent=2, default=_plain_json) + "\n")

    def _csv(self, rows: Sequence[Row], names: Sequence[str]) -> None:
        draft = io.StringIO()
        writer = csv.writer(draft, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([_csv_cell(row.get(name)) for name in names])
        self._stdout.write(draft.getvalue())

    def _plain(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        lines = [[column.heading.in_(self.locale) for column in columns]]
        lines += [[self._cell(row, column, is_short=False) for column in columns] for row in rows]
        for line in lines:
            self._stdout.write("\t".join(cell.replace("\n", " ") for cell in line) + "\n")

    def _table(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        console = Console(file=self._stdout, highlight=False)
        shown = [column for column in columns if self._fields or not column.only_wide or console.width >= WIDE]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True, show_edge=False)
        for column in shown:
            table.add_column(
                Styled(column.heading.in_(self.locale)), no_wrap=column.is_whole or column.is_id, overflow="fold"
            )
        for row in rows:
            table.add_row(*(Styled(self._cell(row, column, is_short=not self._fields)) for column in shown))
        console.print(table)

    def _pairs(self, row: Row, columns: Sequence[Column]) -> None:
        pairs = [
            (column.heading.in_(self.locale), cell)
            for column in columns
            if (cell := self._cell(row, column, is_short=False)) or self._fields
        ]
        if not self.is_for_people:
            for heading, cell in pairs:
                self._stdout.write(f"{heading}\t{cell}".replace("\n", " ") + "\n")
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for heading, cell in pairs:
            table.add_row(Styled(heading), Styled(cell))
        Console(file=self._stdout, highlight=False).print(table)

    def _cell(self, row: Row, column: Column, *, is_short: bool) -> str:
        value = _at(row, column.key, None)
        if column.is_id and is_short and isinstance(value, str):
            value = value[:SHORT_ID]
        if column.has_seconds and isinstance(value, datetime):
            return value.astimezone(CARRIER_ZONE).strftime("%Y-%m-%d %H:%M:%S")
        return _clean(self._words(value, column.words), keep_lines=True)

    def _words(self, value: object, words: Words) -> str:
        if value is None or value is _ABSENT:
            return ""
        if isinstance(value, bool):
            return _YES[value].in_(self.locale)
        if isinstance(value, datetime):
            return value.astimezone(CARRIER_ZONE).strftime("%Y-%m-%d %H:%M")
        if isinstance(value, Mapping):
            return ", ".join(f"{name}={self._words(inner, {})}" for name, inner in value.items() if inner)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ("、" if self.locale is Locale.ZH_CN else ", ").join(self._words(item, words) for item in value)
        text = str(value)
        return words[text].in_(self.locale) if text in words else text


_ABSENT = "\0absent"


def _at(row: Mapping[str, Value], path: str, default: Value) -> Value:
    """The value at a dotted path; _ABSENT where the row has no such name."""
    name, _, inner = path.partition(".")
    if name not in row:
        return _ABSENT
    found = row[name]
    if not inner:
        return found
    return _at(found, inner, default) if isinstance(found, Mapping) else default


def _clean(text: str, *, keep_lines: bool) -> str:
    """Without control characters: what comes from afar must not steer the terminal."""
    return "".join(c if c.isprintable() or (keep_lines and c == "\n") else " " for c in text)


def _plain_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _json_line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=_plain_json)


def _csv_cell(value: Value) -> str | int | float:
    """A cell that a spreadsheet will not run as a formula."""
    if value is None or value == _ABSENT:
        return ""
    if isinstance(value, datetime):
        return _plain_json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else _csv_list(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_list(value: Sequence[Value] | Mapping[str, Value]) -> str:
    if isinstance(value, Mapping) or any(isinstance(item, Mapping) for item in value):
        return json.dumps(value, ensure_ascii=False, default=_plain_json)
    return " ".join(str(item) for item in value)
