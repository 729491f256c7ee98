"""What an auditor of the demo holds in their hands: exported files, the keys to prove them by, and what was seen before.

All of it lies in the stage's directory. Verifying asks no server.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.audit_watch import Watch
from infosec.cli.audit_words import told
from infosec.client.audit_export import export_file
from infosec.evidence.cells import COLUMNS
from infosec.evidence.faults import NotProved
from infosec.evidence.formats import FormatName, format_of
from infosec.evidence.keys import log_keys
from infosec.evidence.manifest import Manifest
from infosec.evidence.optional import library
from infosec.evidence.verifying import Verified, verify
from infosec.evidence.witnessing import Trust
from infosec.messages import Text
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.notes import NoteKey
from services.demo.people import Person
from services.demo.places import COMMAND_LINE
from services.demo.stage import Stage

PROVED = "PROVED"
_KEYS = "keys.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry, by its log and index."""

    log_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.log_id}/{self.index}"


async def export(stage: Stage, auditor: Person, name: str, wanted: pb.Filter) -> Manifest:
    """Received over the wire and written to a file of this name; its ending says in which form."""
    file = stage.directory / name
    return await export_file(
        stage.suites[COMMAND_LINE].audit_read,
        lambda: stage.assertion(auditor),
        wanted,
        file,
        format=format_of(FormatName(file.suffix.removeprefix("."))),
        now=stage.clock.now,
    )


def verified(stage: Stage, title: Text, file: Path, *, flaw: str = PROVED, at: Place | None = None) -> None:
    """A step: the file is proved, or is found to have this flaw, at this entry."""
    try:
        found = verify(file, Trust(keys=keys(stage)), now=stage.clock.now())
    except NotProved as fault:
        first = fault.findings[0]
        place = "" if first.index is None else f" {first.log}/{first.index}"
        stage.noted(title, expected=_expected(flaw, at), actual=f"{first.flaw}{place}", told=told(first))
        return
    stage.noted(title, expected=_expected(flaw, at), actual=PROVED, told=_proved(found))


def _expected(flaw: str, at: Place | None) -> str:
    return flaw if at is None else f"{flaw} {at}"


def _proved(found: Verified) -> Text:
    rows, logs = found.manifest.rows, len(found.logs)
    if all(log.is_complete for log in found.logs):
        return Text(
            f"{logs} 个日志，{rows} 条：逐条证实，一条不缺",
            f"logs: {logs}, entries: {rows}; each is proved, and none left out",
        )
    return Text(f"筛选出的 {rows} 条，逐条证实", f"{rows} entries that matched, each proved")


def keep_keys(stage: Stage, logs: Sequence[pb.Log]) -> None:
    """Write down the logs' keys; from now on nobody is asked for them."""
    lines = [key for log in logs for key in log.verifier_keys]
    (stage.directory / _KEYS).write_text("\n".join(lines) + "\n", encoding="ascii")


def keys(stage: Stage) -> tuple[NoteKey, ...]:
    """The keys that were written down."""
    return log_keys([(stage.directory / _KEYS).read_text(encoding="ascii")])


def opened(stage: Stage, log_id: str, note: bytes) -> Checkpoint:
    """A checkpoint that this log signed, by the keys that were written down. Raises NotVerified."""
    return Watch(log_id=log_id, keys=keys(stage)).opened(note).checkpoint


def copied(stage: Stage, name: str, to: str) -> Path:
    """A copy of an export, with the files beside it, in a folder of its own."""
    folder = stage.directory / to
    folder.mkdir(mode=0o700)
    for beside in stage.directory.glob(f"{name}*"):
        shutil.copy(beside, folder)
    return folder / name


def edit_cell(book: Path, log_id: str, column: str, value: str) -> Place:
    """As somebody edits the first row of this log in a table; answers which entry it was."""
    openpyxl = library("openpyxl")
    table = openpyxl.load_workbook(book)
    sheet = table.worksheets[0]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[COLUMNS.index("log")].value == log_id)
    row[COLUMNS.index(column)].value = value
    table.save(book)
    return Place(log_id=log_id, index=int(row[COLUMNS.index("index")].value))


def change_line(file: Path, place: Place, old: str, new: str) -> None:
    """Change an entry in JSONL throughout: the readable cells and the entry itself."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    at = _line_of(lines, place)
    lines[at] = lines[at].replace(old, new)
    file.write_text("".join(lines), encoding="utf-8")


def drop_line(file: Path, place: Place) -> None:
    """Take an entry out of JSONL."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    del lines[_line_of(lines, place)]
    file.write_text("".join(lines), encoding="utf-8")


def _line_of(lines: Sequence[str], place: Place) -> int:
    rows = (json.loads(line) for line in lines)
    return next(at for at, row in enumerate(rows) if (row["log"], row["index"]) == (place.log_id, place.index))
