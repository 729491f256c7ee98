"""From the parts of an export to a file that people can open, with its manifest and proof. Proves to itself what it writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, NoReturn, TextIO

from infosec.evidence.blocks import Block, RangeTree, joined, root_of
from infosec.evidence.cells import Row, derived
from infosec.evidence.faults import Finding, Findings, Flaw, NotProved
from infosec.evidence.formats import Format, RowWriter
from infosec.evidence.manifest import LogPart, Manifest, manifest_path, proof_path
from infosec.evidence.parts import Gap, LogBegun, LogEnded, Part, Rows
from infosec.evidence.proof_file import ProofWriter
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.notes import parse_note

Progress = Callable[[int], None]
"""Told of rows written so far."""
_TELL_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the file is to be, and what its manifest says of how it came about."""

    format: Format
    export_id: str
    filter: Mapping[str, Any]
    now: datetime


@dataclass(slots=True, kw_only=True)
class _Log:
    begun: LogBegun
    checkpoint: Checkpoint
    tree: RangeTree
    rows: int = 0
    gaps: int = 0
    emptied: int = 0
    blocks: list[Block] = field(default_factory=list)
    """Until the first gap; from then on they go to the proof file."""


def render(parts: Iterable[Part], file: Path, order: Order, progress: Progress | None = None) -> Manifest:
    """Write `file`, its manifest and, where there are gaps, its proof; the manifest comes last.

    Raises NotProved for parts that do not add up to their checkpoint; InvalidInput for what the format cannot hold.
    """
    draft, proof_draft = file.with_name(f".{file.name}.draft"), file.with_name(f".{file.name}.proof.draft")
    try:
        _private(draft)
        writer = order.format.write(draft)
        try:
            with _private(proof_draft).open("w", encoding="ascii", newline="\n") as proof:
                logs = _Rendering(writer, proof, progress).all(parts)
        finally:
            writer.close()
        has_proof = any(log.gaps for log in logs)
        manifest = Manifest(
            file=file.name,
            format=order.format.name.value,
            encoding=order.format.encoding,
            rules=order.format.rules,
            rows=sum(log.rows for log in logs),
            sha256=sha256_of(draft),
            created_at=order.now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
            export_id=order.export_id,
            filter=order.filter,
            proof=proof_path(file).name if has_proof else "",
            proof_sha256=sha256_of(proof_draft) if has_proof else "",
            logs=logs,
        )
        _publish(file, draft, proof_draft if has_proof else None, manifest)
    finally:
        draft.unlink(missing_ok=True)
        proof_draft.unlink(missing_ok=True)
    return manifest


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


class _Rendering:
    """Goes on after an entry that is not what its hash says, so that all of them are told; writes no more rows then."""

    def __init__(self, writer: RowWriter, proof: TextIO, progress: Progress | None) -> None:
        self._writer = writer
        self._proof = ProofWriter(proof)
        self._progress = progress
        self._done = 0
        self._findings = Findings()

    def all(self, parts: Iterable[Part]) -> tuple[LogPart, ...]:
        logs: list[LogPart] = []
        log: _Log | None = None
        for part in parts:
            if isinstance(part, LogBegun):
                log = self._begun(part)
            elif log is None:
                self._refuse(Finding(flaw=Flaw.WRONG_ROOT, detail="parts out of order"))
            elif isinstance(part, Rows):
                self._rows(log, part)
            else:
                logs.append(self._ended(log, part))
                log = None
        if log is not None:
            self._refuse(Finding(flaw=Flaw.CUT_OFF, log=log.begun.log_id, index=log.tree.end, end=log.begun.end))
        if self._findings:
            raise NotProved(*self._findings.kept, more=self._findings.more)
        return tuple(logs)

    def _rows(self, log: _Log, part: Rows) -> None:
        for row in part.rows:
            if isinstance(row, Gap):
                self._gap(log, row)
            else:
                self._row(log, row)

    def _row(self, log: _Log, row: Row) -> None:
        if row.entry and leaf_hash(row.entry) != row.leaf_hash:
            self._findings.add(Finding(flaw=Flaw.ENTRY_CHANGED, log=log.begun.log_id, index=row.index))
        self._block(log, log.tree.leaf(row.leaf_hash))
        log.rows += 1
        log.emptied += not row.entry
        if not self._findings:
            self._write(log, row)
        self._done += 1
        if self._progress and self._done % _TELL_EVERY == 0:
            self._progress(self._done)

    def _write(self, log: _Log, row: Row) -> None:
        try:
            self._writer.add(log.begun.log_id, row)
        except ValueError:
            if _is_entry(row.entry):
                raise
            finding = Finding(flaw=Flaw.ENTRY_CHANGED, log=log.begun.log_id, index=row.index, detail="not an entry")
            self._findings.add(finding)

    def _gap(self, log: _Log, gap: Gap) -> None:
        log.gaps += 1
        for block in log.blocks:
            self._proof.block(log.begun.log_id, block)
        log.blocks.clear()
        self._proof.gap(log.begun.log_id, gap)
        for block in log.tree.gap(gap):
            self._block(log, block)

    def _block(self, log: _Log, block: Block | None) -> None:
        if block is None:
            return
        if log.gaps:
            self._proof.block(log.begun.log_id, block)
        else:
            log.blocks.append(block)

    def _ended(self, log: _Log, part: LogEnded) -> LogPart:
        self._block(log, log.tree.ended())
        begun, checkpoint = log.begun, log.checkpoint
        try:
            root = root_of(log.tree.tree, part.right, checkpoint.size)
        except NotVerified as fault:
            self._refuse(Finding(flaw=Flaw.WRONG_ROOT, log=begun.log_id, detail=fault.what.value))
        if root != checkpoint.root or log.tree.end != begun.end:
            finding = Finding(flaw=Flaw.WRONG_ROOT, log=begun.log_id, index=begun.start, end=begun.end)
            self._findings.add(finding)
        return LogPart(
            log_id=begun.log_id,
            origin=checkpoint.origin,
            start=begun.start,
            end=begun.end,
            size=checkpoint.size,
            checkpoint=begun.checkpoint.decode("utf-8"),
            left=begun.left,
            right=part.right,
            rows=log.rows,
            gaps=log.gaps,
            emptied=log.emptied,
            blocks=joined(log.blocks),
        )

    def _begun(self, part: LogBegun) -> _Log:
        try:
            checkpoint = Checkpoint.parse(parse_note(part.checkpoint).text)
            return _Log(begun=part, checkpoint=checkpoint, tree=RangeTree.begun(part.start, part.left))
        except NotVerified as fault:
            self._refuse(Finding(flaw=Flaw.BAD_CHECKPOINT, log=part.log_id, detail=fault.what.value))

    def _refuse(self, finding: Finding) -> NoReturn:
        """There is no going on; what was found before is told as well."""
        raise NotProved(*self._findings.kept, finding, more=self._findings.more)


def _is_entry(entry: bytes) -> bool:
    try:
        derived(entry)
    except ValueError:
        return False
    return True


def _private(path: Path) -> Path:
    """An empty file of this account alone: an export names people, and says what they did."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return path


def _publish(file: Path, draft: Path, proof: Path | None, manifest: Manifest) -> None:
    said = _private(file.with_name(f".{file.name}.manifest.draft"))
    said.write_bytes(manifest.encode())
    proof_path(file).unlink(missing_ok=True)
    if proof is not None:
        proof.replace(proof_path(file))
    draft.replace(file)
    said.replace(manifest_path(file))
