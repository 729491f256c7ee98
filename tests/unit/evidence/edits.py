"""Export files as plain rows and back, in every format, so that a test can do to them what it likes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from infosec.evidence.csv_file import safe, unsafe
from infosec.evidence.formats import EncodingName, Format, FormatName, format_of

Row = dict[str, Any]
"""A row by the names of its cells; of OCSF, by the paths of what stands for them."""


def _read_jsonl(path: Path) -> list[Row]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [row | {"entry": _text(row["entry"])} for row in rows]


def _text(entry: Any) -> str:
    return "" if entry is None else json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _write_jsonl(path: Path, rows: list[Row]) -> None:
    lines = []
    for row in rows:
        cells = json.dumps({k: v for k, v in row.items() if k != "entry" and v != ""}, ensure_ascii=False)
        lines.append(f'{cells[:-1]}, "entry": {row["entry"] or "null"}}}\n')
    path.write_text("".join(lines), "utf-8")


def _read_csv(encoding: str) -> Callable[[Path], list[Row]]:
    def read(path: Path) -> list[Row]:
        with path.open(encoding=encoding, newline="") as file:
            return [{name: unsafe(cell) for name, cell in row.items()} for row in csv.DictReader(file)]

    return read


def _write_csv(encoding: str) -> Callable[[Path, list[Row]], None]:
    def write(path: Path, rows: list[Row]) -> None:
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([{name: safe(str(cell)) for name, cell in row.items()} for row in rows])

    return write


def _read_xlsx(path: Path) -> list[Row]:
    with path.open("rb") as file:
        heading, *rows = openpyxl.load_workbook(file, read_only=True).worksheets[0].iter_rows(values_only=True)
    return [dict(zip(heading, ["" if cell is None else cell for cell in row], strict=True)) for row in rows]


def _write_xlsx(path: Path, rows: list[Row]) -> None:
    book = xlsxwriter.Workbook(str(path), {"strings_to_formulas": False})
    sheet = book.add_worksheet()
    for at, line in enumerate([list(rows[0]), *(row.values() for row in rows)]):
        for column, cell in enumerate(line):
            sheet.write_string(at, column, str(cell))
    book.close()


def _read_parquet(path: Path) -> list[Row]:
    rows: list[Row] = pq.read_table(path).to_pylist()
    return [{name: "" if cell is None else cell for name, cell in row.items()} for row in rows]


def _write_parquet(path: Path, rows: list[Row]) -> None:
    schema = pq.read_schema(path)
    cleaned = [{name: None if cell == "" else cell for name, cell in row.items()} for row in rows]
    for row in cleaned:
        row["index"] = int(row["index"])
    pq.write_table(pa.Table.from_pylist(cleaned, schema=schema), path)


_OCSF = {
    "log": ("metadata", "log_name"),
    "index": ("metadata", "sequence"),
    "leaf_hash": ("unmapped", "leaf_hash"),
    "staff_id": ("actor", "user", "uid"),
    "entry": ("raw_data",),
}


def _read_ocsf(path: Path) -> list[Row]:
    rows = []
    for line in path.read_text("utf-8").splitlines():
        event = json.loads(line)
        rows.append({name: _at(event, where) for name, where in _OCSF.items()} | {"event": event})
    return rows


def _at(event: Any, where: tuple[str, ...]) -> Any:
    for name in where:
        event = event.get(name, {})
    return event or (0 if where[-1] == "sequence" else "")


def _write_ocsf(path: Path, rows: list[Row]) -> None:
    lines = []
    for row in rows:
        event = json.loads(json.dumps(row["event"]))
        for name, (*outer, last) in _OCSF.items():
            inner = event
            for step in outer:
                inner = inner.setdefault(step, {})
            inner[last] = int(row[name]) if name == "index" else row[name]
        lines.append(json.dumps(event, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), "utf-8")


@dataclass(frozen=True)
class Editor:
    """One format, as it can be taken apart."""

    format: Format
    read: Callable[[Path], list[Row]]
    write: Callable[[Path, list[Row]], None]
    staff_column: str = "staff_id"

    def __str__(self) -> str:
        return f"{self.format.name}-{self.format.encoding}"


def _csv_editor(encoding: EncodingName) -> Editor:
    chosen = format_of(FormatName.CSV, encoding)
    return Editor(chosen, _read_csv(chosen.encoding), _write_csv(chosen.encoding))


EDITORS = (
    Editor(format_of(FormatName.JSONL), _read_jsonl, _write_jsonl),
    _csv_editor(EncodingName.UTF8_BOM),
    _csv_editor(EncodingName.GBK),
    Editor(format_of(FormatName.XLSX), _read_xlsx, _write_xlsx),
    Editor(format_of(FormatName.PARQUET), _read_parquet, _write_parquet),
    Editor(format_of(FormatName.OCSF), _read_ocsf, _write_ocsf, staff_column="actor.user.uid"),
)
