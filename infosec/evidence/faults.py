"""What is wrong with an export, and where. Machine words with facts; `words` has them for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MAX_FINDINGS = 100
"""How many are told; the rest is counted."""


class Flaw(StrEnum):
    """What is wrong. Closed."""

    # the files themselves
    MALFORMED_FILE = "MALFORMED_FILE"
    MALFORMED_MANIFEST = "MALFORMED_MANIFEST"
    MALFORMED_PROOF = "MALFORMED_PROOF"
    MANIFEST_CHANGED = "MANIFEST_CHANGED"
    PROOF_CHANGED = "PROOF_CHANGED"
    FILE_CHANGED = "FILE_CHANGED"
    """The bytes are not those of the export, though every row is: saved again by a program, say."""
    # the checkpoint
    NO_KEY = "NO_KEY"
    """No key that was given is this log's."""
    BAD_CHECKPOINT = "BAD_CHECKPOINT"
    """The note is no signed checkpoint of this log: `detail` is a word of infosec.transparency."""
    TOO_FEW_WITNESSES = "TOO_FEW_WITNESSES"
    BAD_COSIGNATURE = "BAD_COSIGNATURE"
    NOT_CONSISTENT = "NOT_CONSISTENT"
    """The log is not a continuation of the one before: somewhere in [index, end) it was cut or rewritten."""
    CONSISTENCY_UNPROVED = "CONSISTENCY_UNPROVED"
    """Neither the rows nor a proof reach from the checkpoint before to this one."""
    # the rows
    ENTRY_CHANGED = "ENTRY_CHANGED"
    RANGE_CHANGED = "RANGE_CHANGED"
    """Somewhere in [index, end) an entry and its hash were changed together, or one was put in another's place."""
    ENTRIES_SWAPPED = "ENTRIES_SWAPPED"
    """`index` and `end` stand in each other's place."""
    ENTRIES_MISSING = "ENTRIES_MISSING"
    CUT_OFF = "CUT_OFF"
    """Everything from `index` on is missing."""
    ENTRY_DUPLICATE = "ENTRY_DUPLICATE"
    ENTRY_OUT_OF_ORDER = "ENTRY_OUT_OF_ORDER"
    ENTRY_ADDED = "ENTRY_ADDED"
    """A row that the manifest does not speak of: another log, or outside of the range."""
    TIME_REVERSED = "TIME_REVERSED"
    """Recorded before the entry that stands before it."""
    PAYLOAD_MISSING = "PAYLOAD_MISSING"
    """Empty before any retention term could be over."""
    CELL_CHANGED = "CELL_CHANGED"
    """A readable cell that is not what the entry says."""
    WRONG_COUNT = "WRONG_COUNT"
    WRONG_ROOT = "WRONG_ROOT"
    """The rows [index, end) do not add up to the checkpoint's root, and nothing says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. What a cell holds is never in it."""

    flaw: Flaw
    log: str = ""
    index: int | None = None
    end: int | None = None
    """The index after the last one; of ENTRIES_SWAPPED, the other one."""
    row: int | None = None
    """Where in the file, from 1: the line, or the row of the sheets without their headings."""
    column: str = ""
    detail: str = ""


class NotProved(Exception):
    """The export is not what it claims to be. `findings` is never empty; `more` were not kept."""

    def __init__(self, *findings: Finding, more: int = 0) -> None:
        super().__init__("; ".join(_short(one) for one in findings[:3]))
        self.findings = findings
        self.more = more


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found so far, bounded: a file of nothing but faults takes no more memory than a good one."""

    kept: list[Finding] = field(default_factory=list)
    more: int = 0

    def add(self, finding: Finding) -> None:
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(finding)
        else:
            self.more += 1

    def __bool__(self) -> bool:
        return bool(self.kept)


def malformed(flaw: Flaw, detail: str, *, row: int | None = None) -> NotProved:
    """A file that cannot be read any further."""
    return NotProved(Finding(flaw=flaw, detail=detail, row=row))


def _short(one: Finding) -> str:
    where = "" if one.index is None else f" {one.log}/{one.index}"
    return f"{one.flaw}{where}{f' {one.column}' if one.column else ''}{f' ({one.detail})' if one.detail else ''}"
