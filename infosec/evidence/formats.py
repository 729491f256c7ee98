"""The forms that an export file may have. Each is written row by row and read back row by row, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from infosec.errors import InvalidInput, Reason
from infosec.evidence import csv_file, ocsf, xlsx
from infosec.evidence.cells import Row
from infosec.evidence.found import Found
from infosec.evidence.jsonl import JsonlWriter, read_jsonl
from infosec.evidence.parquet import ParquetWriter, read_parquet
from infosec.messages import Text


class FormatName(StrEnum):
    """By what people call them."""

    JSONL = "jsonl"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    OCSF = "ocsf"


class EncodingName(StrEnum):
    """Encodings of CSV, by what people call them."""

    UTF8_BOM = "utf-8-bom"
    GBK = "gbk"


class RowWriter(Protocol):
    """Writes a file. Nothing is whole before `close` has returned."""

    def add(self, log: str, row: Row) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One form of a file in one encoding."""

    name: FormatName
    encoding: str
    """As Python and the manifest name it."""
    rules: tuple[Text, ...]
    write: Callable[[Path], RowWriter]
    read: Callable[[Path], Iterator[list[Found]]]
    """Raises NotProved(MALFORMED_FILE); Misconfigured where a library is missing."""


_UTF8 = "utf-8"
_JSONL_RULE = Text(
    "每行一个 JSON 对象；空单元格不写；entry 为记录原文，逐字节照录。",
    "A JSON object on each line; empty cells are left out; `entry` is the entry itself, byte for byte.",
)
_ENCODINGS: Mapping[EncodingName, str] = {EncodingName.UTF8_BOM: csv_file.UTF8, EncodingName.GBK: csv_file.GB18030}


def _csv(encoding: str) -> Format:
    return Format(
        name=FormatName.CSV,
        encoding=encoding,
        rules=(csv_file.SAFE_RULE, csv_file.ENCODING_RULES[encoding]),
        write=lambda path: csv_file.CsvWriter(path, encoding),
        read=lambda path: csv_file.read_csv(path, encoding),
    )


FORMATS: tuple[Format, ...] = (
    Format(name=FormatName.JSONL, encoding=_UTF8, rules=(_JSONL_RULE,), write=JsonlWriter, read=read_jsonl),
    _csv(csv_file.UTF8),
    _csv(csv_file.GB18030),
    Format(name=FormatName.XLSX, encoding=_UTF8, rules=(xlsx.CELL_RULE,), write=xlsx.XlsxWriter, read=xlsx.read_xlsx),
    Format(name=FormatName.PARQUET, encoding=_UTF8, rules=(), write=ParquetWriter, read=read_parquet),
    Format(name=FormatName.OCSF, encoding=_UTF8, rules=(ocsf.RULE,), write=ocsf.OcsfWriter, read=ocsf.read_ocsf),
)


def format_of(name: FormatName, encoding: EncodingName | None = None) -> Format:
    """What was asked for. Raises InvalidInput for an encoding where there is no choice."""
    if encoding is not None and name is not FormatName.CSV:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="encoding", detail="csv alone has a choice of encodings")
    wanted = _ENCODINGS[encoding or EncodingName.UTF8_BOM] if name is FormatName.CSV else _UTF8
    return next(one for one in FORMATS if (one.name, one.encoding) == (name, wanted))


def named(name: str, encoding: str) -> Format | None:
    """As a manifest names it."""
    return next((one for one in FORMATS if (one.name.value, one.encoding) == (name, encoding)), None)
