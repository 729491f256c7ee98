"""The verification of an export: a file, its manifest, and the keys that the auditor brings. Nothing else is needed.

Every entry is hashed again and every readable cell derived again; a comparison of roots alone would pass an edited cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infosec.evidence import proof_file
from infosec.evidence.blocks import separated
from infosec.evidence.faults import Finding, Findings, Flaw, NotProved, malformed
from infosec.evidence.formats import Format, named
from infosec.evidence.found import Found
from infosec.evidence.manifest import LogPart, Manifest, manifest_path, proof_path, read_manifest
from infosec.evidence.rendering import sha256_of
from infosec.evidence.tracking import Claims, LogCheck
from infosec.evidence.witnessing import Opened, Trust, check_continues, opened, previous
from infosec.messages import Text
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import NotVerified

SHORTEST_TERM = timedelta(days=184)
"""No type of entry is kept for less, so that none younger may have lost its payload."""
Progress = Callable[[int], None]
"""Told of rows read so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """One log of a verified export."""

    log_id: str
    origin: str
    start: int
    end: int
    size: int
    root: bytes
    rows: int
    emptied: int
    is_complete: bool
    witnesses: tuple[str, ...]
    continues: tuple[int, ...]
    """The sizes of earlier checkpoints that this log was shown to continue."""
    unjudged: tuple[int, int] | None
    """In here are rows that have their hash alone, and nothing in the file says whether their term was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An export that is what it claims to be."""

    manifest: Manifest
    logs: tuple[VerifiedLog, ...]

    def statements(self) -> tuple[Text, ...]:
        """What is proved by it, and what is not."""
        return (*self.manifest.statements(), *(_unjudged(log, log.unjudged) for log in self.logs if log.unjudged))


def verify(
    file: Path, trust: Trust, *, now: datetime, manifest_file: Path | None = None, progress: Progress | None = None
) -> Verified:
    """Raises NotProved with everything that is wrong; OSError for files that cannot be read; Misconfigured for a library
    that is missing. `now` is aware UTC.
    """
    beside = manifest_file or manifest_path(file)
    manifest = read_manifest(beside)
    run = _Run(file, manifest, trust, now=now, proof=proof_path(file))
    run.rows(progress)
    run.files()
    if run.findings:
        raise NotProved(*run.findings.kept, more=run.findings.more)
    return Verified(manifest=manifest, logs=tuple(run.verified))


class _Run:
    def __init__(self, file: Path, manifest: Manifest, trust: Trust, *, now: datetime, proof: Path) -> None:
        self.findings = Findings()
        self.verified: list[VerifiedLog] = []
        self._file, self._manifest, self._trust, self._now, self._proof = file, manifest, trust, now, proof
        self._format = _format(manifest)
        self._floor = self._latest_payload_free()
        self._logs = list(manifest.logs)
        self._order = {log.log_id: at for at, log in enumerate(self._logs)}
        self._checkpoints = [opened(log, trust, self.findings, now=now) for log in self._logs]
        self._at = -1
        self._check: LogCheck | None = None
        self._old: tuple[Checkpoint, ...] = ()
        if len(self._order) != len(self._logs):
            raise malformed(Flaw.MALFORMED_MANIFEST, "a log named twice")

    def rows(self, progress: Progress | None) -> None:
        """All rows of the file, each in its log."""
        total = 0
        try:
            for batch, following in _with_following(self._format.read(self._file)):
                self._batch(batch, following)
                total += len(batch)
                if progress:
                    progress(total)
            while self._at + 1 < len(self._logs) or self._check is not None:
                self._next_log()
        except NotVerified as fault:
            raise self._unreadable(fault) from None
        except NotProved as fault:
            raise NotProved(*self.findings.kept, *fault.findings, more=self.findings.more + fault.more) from None
        if not self.findings and total != self._manifest.rows:
            self.findings.add(Finding(flaw=Flaw.WRONG_COUNT, detail=f"{total} != {self._manifest.rows}"))

    def files(self) -> None:
        """The bytes, after the rows: what a mismatch alone says is little."""
        if not self._manifest.is_as_written:
            self.findings.add(Finding(flaw=Flaw.MANIFEST_CHANGED, detail="digest"))
        if self._manifest.proof and sha256_of(self._proof) != self._manifest.proof_sha256:
            self.findings.add(Finding(flaw=Flaw.PROOF_CHANGED, detail="sha256"))
        if not self.findings and sha256_of(self._file) != self._manifest.sha256:
            self.findings.add(Finding(flaw=Flaw.FILE_CHANGED))

    def _batch(self, batch: Sequence[Found], following: Found | None) -> None:
        check, at = self._check, 0
        while at < len(batch):
            if check is not None and (at := check.run(batch, at)) == len(batch):
                return
            found = batch[at]
            after = batch[at + 1] if at + 1 < len(batch) else following
            at += 1
            known: Found | None = found
            if check is None or found.log != check.log.log_id:
                known, check = self._switched(found, after), self._check
            if known is not None and check is not None:
                check.row(known, after.index if after is not None and after.log == known.log else None)

    def _switched(self, found: Found, after: Found | None) -> Found | None:
        """The row as one of the log that is now checked; None for one that has no place there."""
        here = self._check.log.log_id if self._check else None
        if here is not None and found.is_gone and after is not None and after.log == here:
            # Nothing but the cell says that it is of another log, and the next one is of this.
            return found._replace(log=here, wrong=("log", *found.wrong))
        at = self._order.get(found.log)
        if at is None or at < self._at or (at == self._at and self._check is None):
            flaw = Flaw.ENTRY_ADDED if at is None else Flaw.ENTRY_OUT_OF_ORDER
            self.findings.add(Finding(flaw=flaw, log=found.log, index=found.index, row=found.place))
            return None
        while self._at < at or self._check is None:
            self._next_log()
        return found

    def _next_log(self) -> None:
        """End the log that is checked, and begin the next, if there is one."""
        if self._check is not None:
            self._end_log(self._check)
            self._check = None
        if self._at + 1 == len(self._logs):
            return
        self._at += 1
        log, checkpoint = self._logs[self._at], self._checkpoints[self._at].checkpoint
        if not log.start <= log.end <= log.size:
            raise malformed(Flaw.MALFORMED_MANIFEST, "a range beyond the checkpoint")
        self._old = previous(log, self._trust, self.findings)
        self._check = LogCheck(
            self._claims(log),
            self.findings,
            root=None if checkpoint is None or checkpoint.size != log.size else checkpoint.root,
            floor=self._floor,
            milestones=[old.size for old in self._old],
        )

    def _claims(self, log: LogPart) -> Claims:
        if log.is_complete:
            blocks = separated(log.blocks, log.start, log.end)
            return Claims(log=log, gaps=iter(()), blocks=blocks, has_proof_file=False)
        gaps = proof_file.gaps(self._proof, log.log_id)
        blocks = proof_file.blocks(self._proof, log.log_id)
        return Claims(log=log, gaps=gaps, blocks=blocks, has_proof_file=True)

    def _end_log(self, check: LogCheck) -> None:
        before = len(self.findings.kept)
        check.finish()
        log, (checkpoint, witnesses) = check.log, self._checkpoints[self._at]
        since = 0
        for old in sorted(self._old, key=lambda one: one.size):
            if checkpoint is None or not check.is_proved:
                break
            if check_continues(log.log_id, old, checkpoint, check.roots, self._trust, self.findings, since=since):
                since = old.size
        if len(self.findings.kept) == before and (check.rows, check.emptied) != (log.rows, log.emptied):
            self.findings.add(Finding(flaw=Flaw.WRONG_COUNT, log=log.log_id, detail=f"{check.rows} != {log.rows}"))
        if checkpoint is not None:
            self.verified.append(_verified(log, checkpoint, check, witnesses, self._old))

    def _latest_payload_free(self) -> str:
        """Younger entries cannot be past any term, by the time at which the export was made."""
        try:
            made = datetime.fromisoformat(self._manifest.created_at)
            made = min(made if made.tzinfo else made.replace(tzinfo=UTC), self._now)
        except ValueError:
            raise malformed(Flaw.MALFORMED_MANIFEST, "created_at") from None
        return (made.astimezone(UTC) - SHORTEST_TERM).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def _unreadable(self, fault: NotVerified) -> NotProved:
        log = self._logs[self._at]
        flaw = Flaw.MALFORMED_MANIFEST if log.is_complete else Flaw.MALFORMED_PROOF
        self.findings.add(Finding(flaw=flaw, log=log.log_id, detail=fault.what.value))
        return NotProved(*self.findings.kept, more=self.findings.more)


def _format(manifest: Manifest) -> Format:
    found = named(manifest.format, manifest.encoding)
    if found is None:
        raise malformed(Flaw.MALFORMED_MANIFEST, "no such format")
    return found


def _with_following(batches: Iterable[list[Found]]) -> Iterator[tuple[list[Found], Found | None]]:
    """Each batch with the first row of the next one."""
    held: list[Found] = []
    for batch in batches:
        if not batch:
            continue
        if held:
            yield held, batch[0]
        held = batch
    if held:
        yield held, None


def _verified(
    log: LogPart, checkpoint: Checkpoint, check: LogCheck, witnesses: Iterable[str], old: Sequence[Checkpoint]
) -> VerifiedLog:
    return VerifiedLog(
        log_id=log.log_id,
        origin=checkpoint.origin,
        start=log.start,
        end=log.end,
        size=checkpoint.size,
        root=checkpoint.root,
        rows=check.rows,
        emptied=check.emptied,
        is_complete=log.is_complete,
        witnesses=tuple(sorted(witnesses)),
        continues=tuple(sorted(one.size for one in old)),
        unjudged=check.unjudged,
    )


def _unjudged(log: VerifiedLog, where: tuple[int, int]) -> Text:
    rows = f"{where[0]}–{where[1] - 1}"  # a range
    return Text(
        f"日志 {log.log_id} 序号 {rows} 中只余哈希的记录：此文件无法说明其保存期限是否已过。"
        "请对照日志 carrier 中的 audit.retention-applied。",
        f"Log {log.log_id}, index {rows}: of those that have their hash alone, nothing in this file says whether their "
        "term was over. Compare with audit.retention-applied in the log carrier.",
    )


__all__ = ["Opened", "Progress", "Trust", "Verified", "VerifiedLog", "verify"]
