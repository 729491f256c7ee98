"""Parquet: indexes as integers, moments as timestamps in UTC, all else text; in row groups that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infosec.evidence.cells import COLUMNS, MOMENTS, Row
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.found import Found, cells_of, of_cells
from infosec.evidence.optional import library

GROUP = 16_384
_BATCH = 2048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ParquetWriter:
    """Writes rows, a group at a time."""

    def __init__(self, path: Path) -> None:
        self._arrow = library("pyarrow")
        self._schema = self._arrow.schema([(name, self._type(name)) for name in COLUMNS])
        self._file = library("pyarrow.parquet").ParquetWriter(str(path), self._schema, compression="zstd")
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}

    def add(self, log: str, row: Row) -> None:
        cells = cells_of(log, row)
        for name, column in self._columns.items():
            cell = cells.get(name)
            column.append(_moment(cell) if cell and name in MOMENTS else cell)
        self._columns["index"][-1] = row.index
        if len(self._columns["index"]) == GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._columns["index"]:
            arrays = [self._arrow.array(self._columns[name], self._type(name)) for name in COLUMNS]
            self._file.write_table(self._arrow.table(arrays, schema=self._schema), row_group_size=GROUP)
            self._columns = {name: [] for name in COLUMNS}

    def _type(self, name: str) -> Any:
        if name == "index":
            return self._arrow.int64()
        return self._arrow.timestamp("us", "UTC") if name in MOMENTS else self._arrow.string()


def read_parquet(path: Path) -> Iterator[list[Found]]:
    """The rows of a file. Raises NotProved(MALFORMED_FILE)."""
    arrow, place = library("pyarrow"), 0
    try:
        with library("pyarrow.parquet").ParquetFile(str(path)) as file:
            if file.schema_arrow.names != list(COLUMNS):
                raise malformed(Flaw.MALFORMED_FILE, "other columns")
            for batch in file.iter_batches(_BATCH):
                columns = [_texts(arrow, name, batch.column(at)) for at, name in enumerate(COLUMNS)]
                found = []
                for row in zip(*columns, strict=True):
                    place += 1
                    found.append(of_cells(place, dict(zip(COLUMNS, row, strict=True))))
                yield found
    except (arrow.ArrowException, OSError):
        raise malformed(Flaw.MALFORMED_FILE, "cannot be read as Parquet", row=place + 1) from None


def _texts(arrow: Any, name: str, column: Any) -> list[str]:
    if name in MOMENTS:
        return ["" if at is None else _spelled(at) for at in column.cast(arrow.int64()).to_pylist()]
    return ["" if cell is None else str(cell) for cell in column.to_pylist()]


def _moment(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def _spelled(microseconds: int) -> str:
    try:
        at = _EPOCH + microseconds * _MICROSECOND
    except OverflowError:
        return "?"
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
