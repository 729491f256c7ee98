"""Somebody edits what a real server exported, in every format, whole and filtered: each edit is found, and told where (CI-1)."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infosec.cli.audit_words import told
from infosec.evidence.faults import Finding, NotProved
from infosec.evidence.manifest import manifest_path, proof_path
from infosec.evidence.part_file import PartFile
from tests.sim.audit import EAST, AuditStand
from tests.sim.audit_tampering import Scene, scene
from tests.unit.evidence.edits import EDITORS, Editor, Row
from tests.unit.evidence.test_claims import rewritten

pytestmark = pytest.mark.rule("CI-1")

Told = tuple[str, int | None, str]
"""Flaw, index, column."""


@dataclass(kw_only=True)
class Exported:
    """The log and a part of it, as they arrived from the server, for each test to spoil."""

    scene: Scene
    parts: dict[str, PartFile]
    copies: int = 0

    def written(self, kind: str, editor: Editor) -> Path:
        self.copies += 1
        folder = self.scene.folder / f"copy-{self.copies}"
        folder.mkdir()
        original = self.scene.folder / f"original-{kind}-{editor}"
        if not original.exists():
            self.scene.rendered(self.parts[kind], original, editor.format)
            self.scene.verified(original)
        for made in (original, manifest_path(original), proof_path(original)):
            if made.exists():
                shutil.copy(made, folder / made.name)
        return folder / original.name

    def findings(self, file: Path) -> Sequence[Finding]:
        try:
            self.scene.verified(file)
        except NotProved as fault:
            return fault.findings
        return ()


@pytest.fixture
async def exported(audit: AuditStand, tmp_path: Path) -> AsyncIterator[Exported]:
    async with scene(audit, tmp_path) as made:
        parts = {
            "whole": await made.fetched("whole"),
            "filtered": await made.fetched("filtered", staff_ids=["clerk.3"]),
        }
        yield Exported(scene=made, parts=parts)


def edit_a_cell(rows: list[Row]) -> None:
    rows[20]["staff_id"] = "clerk.9"


def edit_an_entry(rows: list[Row]) -> None:
    rows[20]["entry"] = str(rows[20]["entry"]).replace('"decision":"ALLOWED"', '"decision":"DENIED"')


def delete_a_row(rows: list[Row]) -> None:
    del rows[20]


def swap_two_rows(rows: list[Row]) -> None:
    rows[20], rows[40] = rows[40], rows[20]


def swap_two_rows_but_for_their_indexes(rows: list[Row]) -> None:
    rows[20], rows[30] = rows[30] | {"index": rows[20]["index"]}, rows[20] | {"index": rows[30]["index"]}


def cut_off_the_end(rows: list[Row]) -> None:
    del rows[60:]


def index_at(kind: str, row: int) -> int:
    """In the log; every seventh check is of the clerk."""
    return row if kind == "whole" else 7 * row + 3


Expected = Callable[[str, Editor], Told]
EDITS: tuple[tuple[Callable[[list[Row]], None], Expected], ...] = (
    (edit_a_cell, lambda kind, editor: ("CELL_CHANGED", index_at(kind, 20), editor.staff_column)),
    (edit_an_entry, lambda kind, editor: ("ENTRY_CHANGED", index_at(kind, 20), "")),
    (delete_a_row, lambda kind, editor: ("ENTRIES_MISSING", index_at(kind, 20), "")),
    (swap_two_rows, lambda kind, editor: ("ENTRY_OUT_OF_ORDER", index_at(kind, 40), "")),
    (swap_two_rows_but_for_their_indexes, lambda kind, editor: ("ENTRIES_SWAPPED", index_at(kind, 20), "")),
    (cut_off_the_end, lambda kind, editor: ("CUT_OFF", index_at(kind, 60), "")),
)


@pytest.mark.parametrize("editor", EDITORS, ids=str)
async def test_an_edited_file_is_refused_and_log_index_and_column_are_named(exported: Exported, editor: Editor) -> None:
    for kind in ("whole", "filtered"):
        for edit, expected in EDITS:
            file = exported.written(kind, editor)
            rows = editor.read(file)
            edit(rows)
            editor.write(file, rows)
            found = exported.findings(file)
            flaw, index, column = expected(kind, editor)
            named = [one for one in found if (one.flaw, one.index, one.column) == (flaw, index, column)]
            assert named, (kind, edit.__name__, found)
            for text in (told(named[0]).zh, told(named[0]).en):
                assert EAST in text and str(index) in text and column in text


def _with_another_hash(text: str) -> str:
    lines = [json.loads(line) for line in text.splitlines()]
    gap = next(line for line in lines if "gap" in line)
    hashes = base64.b64decode(gap["hashes"])
    gap["hashes"] = base64.b64encode(bytes(32) + hashes[32:]).decode()
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


async def test_an_edited_proof_file_is_named_as_such(exported: Exported) -> None:
    file = exported.written("filtered", EDITORS[0])
    proof = proof_path(file)
    proof.write_text(_with_another_hash(proof.read_text()))
    found = exported.findings(file)
    assert "PROOF_CHANGED" in {one.flaw for one in found}
    assert {"证明文件被改动 [sha256]", "the proof file was changed [sha256]"} <= {
        text for one in found for text in (told(one).zh, told(one).en)
    }


async def test_a_proof_file_edited_with_its_digest_does_not_add_up_and_the_range_is_named(exported: Exported) -> None:
    file = exported.written("filtered", EDITORS[0])
    proof = proof_path(file)
    proof.write_text(_with_another_hash(proof.read_text()))
    digest = hashlib.sha256(proof.read_bytes()).hexdigest()
    rewritten(file, lambda fields: fields.update(proof_sha256=digest))
    (found,) = exported.findings(file)
    assert (found.flaw, found.log, found.index, found.end) == ("RANGE_CHANGED", EAST, 0, 256)
    assert "证明文件" in told(found).zh and "proof file" in told(found).en


MANIFEST_EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "rows": (lambda fields: fields.update(rows=499), "WRONG_COUNT"),
    "sha256": (lambda fields: fields.update(sha256="00" * 32), "FILE_CHANGED"),
    "size": (lambda fields: fields["logs"][0].update(size=501), "MANIFEST_CHANGED"),
    "range": (lambda fields: fields["logs"][0].update(end=499), "WRONG_ROOT"),
    "checkpoint": (
        lambda fields: fields["logs"][0].update(
            checkpoint=fields["logs"][0]["checkpoint"].replace("\n500\n", "\n501\n")
        ),
        "BAD_CHECKPOINT",
    ),
    "log": (lambda fields: fields["logs"][0].update(log="west"), "BAD_CHECKPOINT"),
}


@pytest.mark.parametrize("field", MANIFEST_EDITS)
async def test_an_edited_manifest_is_found_though_its_digest_was_made_to_fit(exported: Exported, field: str) -> None:
    change, flaw = MANIFEST_EDITS[field]
    file = exported.written("whole", EDITORS[0])
    rewritten(file, change)
    assert flaw in {one.flaw for one in exported.findings(file)}


async def test_not_found_a_filter_or_a_time_in_the_manifest_that_was_edited_with_the_digest(exported: Exported) -> None:
    """They are the exporter's word, and every manifest says so; without the digest the edit is found."""
    file = exported.written("whole", EDITORS[0])
    rewritten(file, lambda fields: fields.update(filter={"staff_ids": ["clerk.1"]}))
    assert exported.findings(file) == ()
    manifest = manifest_path(file)
    manifest.write_text(manifest.read_text().replace("clerk.1", "clerk.2"))
    assert [one.flaw for one in exported.findings(file)] == ["MANIFEST_CHANGED"]
