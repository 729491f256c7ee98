"""Whatever is done to an exported file is found, and at the entry that it was done to, in every format."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infosec.transparency.merkle import leaf_hash
from tests.sim.audit_log import log_of
from tests.unit.evidence.edits import EDITORS, Editor, Row
from tests.unit.evidence.exports import findings, rendered, said, verified

COUNT = 300
LOG = log_of(COUNT)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    for editor in EDITORS:
        rendered(folder / str(editor), LOG, format=editor.format)
    return {str(editor): folder / str(editor) for editor in EDITORS}


def copied(originals: dict[str, Path], editor: Editor, to: Path) -> Path:
    for path in originals[str(editor)].parent.glob(f"{editor}*"):
        shutil.copy(path, to / path.name)
    return to / str(editor)


def changed(row: Row) -> str:
    return str(row["entry"]).replace('"decision":"ALLOWED"', '"decision":"DENIED"')


def emptied(row: Row) -> Row:
    kept = {"log", "index", "leaf_hash"}
    gone = {name: cell if name in kept else "" for name, cell in row.items()}
    if "event" in row:
        fields = {"class_uid": 0, "class_name": "Base Event", "category_uid": 0, "activity_id": 0, "type_uid": 0}
        meta = {name: row["event"]["metadata"][name] for name in ("version", "product", "log_name", "sequence")}
        gone["event"] = fields | {"time": 0, "severity_id": 0, "metadata": meta}
    return gone


def change_entry(rows: list[Row]) -> None:
    rows[137]["entry"] = changed(rows[137])


def change_entry_and_hash(rows: list[Row]) -> None:
    entry = changed(rows[137])
    rows[137] |= {"entry": entry, "leaf_hash": leaf_hash(entry.encode()).hex()}


def drop(rows: list[Row]) -> None:
    del rows[200:202]


def drop_first(rows: list[Row]) -> None:
    del rows[0]


def drop_and_renumber(rows: list[Row]) -> None:
    del rows[270]
    for at, row in enumerate(rows):
        row["index"] = at


def swap_rows(rows: list[Row]) -> None:
    rows[10], rows[290] = rows[290], rows[10]


def swap_neighbours(rows: list[Row]) -> None:
    rows[10], rows[11] = rows[11], rows[10]


def swap_contents(rows: list[Row]) -> None:
    rows[20], rows[30] = rows[30] | {"index": rows[20]["index"]}, rows[20] | {"index": rows[30]["index"]}


def double(rows: list[Row]) -> None:
    rows.insert(51, dict(rows[50]))


def edit_cell(rows: list[Row]) -> None:
    rows[77]["staff_id"] = "clerk-other"


def edit_hash(rows: list[Row]) -> None:
    rows[33]["leaf_hash"] = "ab" * 32


def cut_off(rows: list[Row]) -> None:
    del rows[280:]


def empty(rows: list[Row]) -> None:
    rows[40] = emptied(rows[40])


def add(rows: list[Row]) -> None:
    rows.append(rows[-1] | {"index": COUNT})


def other_log(rows: list[Row]) -> None:
    rows[90]["log"] = "west"


@dataclass(frozen=True)
class Case:
    do: Callable[[list[Row]], None]
    flaw: str
    index: int | None
    end: int | None = None
    column: str = ""

    def __str__(self) -> str:
        return self.do.__name__


CASES = (
    Case(change_entry, "ENTRY_CHANGED", 137),
    Case(change_entry_and_hash, "RANGE_CHANGED", 0, 256),
    Case(drop, "ENTRIES_MISSING", 200, 202),
    Case(drop_first, "ENTRIES_MISSING", 0, 1),
    Case(drop_and_renumber, "CUT_OFF", 299, 300),
    Case(swap_rows, "ENTRY_OUT_OF_ORDER", 10),
    Case(swap_rows, "ENTRY_OUT_OF_ORDER", 290),
    Case(swap_neighbours, "ENTRY_OUT_OF_ORDER", 11),
    Case(swap_contents, "ENTRIES_SWAPPED", 20, 30),
    Case(double, "ENTRY_DUPLICATE", 50),
    Case(edit_cell, "CELL_CHANGED", 77, column="staff_id"),
    Case(edit_hash, "CELL_CHANGED", 33, column="leaf_hash"),
    Case(cut_off, "CUT_OFF", 280, 300),
    Case(empty, "PAYLOAD_MISSING", 40),
    Case(add, "ENTRY_ADDED", 300),
    Case(other_log, "CELL_CHANGED", 90, column="log"),
)


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("editor", EDITORS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_manipulated_file_is_refused_and_the_entry_named(
    originals: dict[str, Path], tmp_path: Path, case: Case, editor: Editor
) -> None:
    file = copied(originals, editor, tmp_path)
    rows = editor.read(file)
    case.do(rows)
    editor.write(file, rows)

    column = editor.staff_column if case.column == "staff_id" else case.column
    assert (case.flaw, case.index, case.end, column) in said(findings(file, LOG))


@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_a_file_that_was_only_saved_again_is_told_apart(
    originals: dict[str, Path], tmp_path: Path, editor: Editor
) -> None:
    file = copied(originals, editor, tmp_path)
    editor.write(file, editor.read(file))

    assert {flaw for flaw, *_ in said(findings(file, LOG))} <= {"FILE_CHANGED"}


@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_one_changed_entry_is_all_that_is_told(originals: dict[str, Path], tmp_path: Path, editor: Editor) -> None:
    file = copied(originals, editor, tmp_path)
    rows = editor.read(file)
    change_entry(rows)
    editor.write(file, rows)

    assert said(findings(file, LOG)) == {("ENTRY_CHANGED", 137, None, "")}


def test_two_faults_in_two_blocks_are_both_told(originals: dict[str, Path], tmp_path: Path) -> None:
    file = copied(originals, EDITORS[0], tmp_path)
    rows = EDITORS[0].read(file)
    change_entry(rows)
    drop_last = rows[290]
    rows.remove(drop_last)
    EDITORS[0].write(file, rows)

    assert said(findings(file, LOG)) == {("ENTRY_CHANGED", 137, None, ""), ("ENTRIES_MISSING", 290, 291, "")}


def test_a_formula_is_found_even_if_it_reads_as_the_text_did(tmp_path: Path) -> None:
    import openpyxl

    from tests.sim.audit_log import SimLog, entry

    log = SimLog(entries=[entry(0, facts={"reason": "=1+1"})])
    editor = EDITORS[3]
    file = tmp_path / "a.xlsx"
    rendered(file, log, format=editor.format)
    verified(file, log)
    book = openpyxl.load_workbook(file)
    cell = next(cell for cell in book.worksheets[0][2] if cell.value == "=1+1")
    cell.data_type = "f"
    book.save(file)

    assert ("CELL_CHANGED", 0, None, "reason") in said(findings(file, log))


def test_what_is_wrong_is_told_without_what_it_holds(originals: dict[str, Path], tmp_path: Path) -> None:
    file = copied(originals, EDITORS[0], tmp_path)
    rows = EDITORS[0].read(file)
    rows[5]["reason"] = "Marker-Of-A-Cell"
    EDITORS[0].write(file, rows)

    found = findings(file, LOG)

    assert found and "Marker" not in repr(found)


def test_an_unknown_cell_is_found(originals: dict[str, Path], tmp_path: Path) -> None:
    file = copied(originals, EDITORS[0], tmp_path)
    lines = file.read_text().splitlines()
    lines[5] = json.dumps(json.loads(lines[5]) | {"remark": "looked at"})
    file.write_text("\n".join(lines) + "\n")

    assert ("CELL_CHANGED", 5, None, "remark") in said(findings(file, LOG))
