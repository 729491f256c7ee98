"""Indexes that have not come where they belong: missing, until they turn up somewhere else in the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from infosec.evidence.faults import Finding, Findings, Flaw
from infosec.evidence.manifest import LogPart

_MAX_HOLES = 10_000


@dataclass(slots=True)
class Holes:
    """Bounded: of a file that is nothing but holes, the first are kept and the rest is counted."""

    missing: list[tuple[int, int]] = field(default_factory=list)
    ahead: set[int] = field(default_factory=set)
    """Indexes that came too early; nothing is missing where they belong."""
    is_any: bool = False
    """There was one, whether or not it was filled since."""
    _more: int = 0

    def add(self, begin: int, end: int) -> None:
        """[begin, end) did not come. Called in order of index."""
        self.is_any = True
        if self.missing and self.missing[-1][1] == begin:
            self.missing[-1] = (self.missing[-1][0], end)
        elif len(self.missing) < _MAX_HOLES:
            self.missing.append((begin, end))
        else:
            self._more += 1

    def fill(self, index: int) -> bool:
        """It came after all, late. False if nothing was missing there."""
        for at, (begin, end) in enumerate(self.missing):
            if begin <= index < end:
                self.missing[at : at + 1] = [one for one in ((begin, index), (index + 1, end)) if one[0] < one[1]]
                return True
        return False

    def tell(self, findings: Findings, log: LogPart, *, cut_at: int | None) -> None:
        """What is missing for good; `cut_at` is where the rows ended, if before the range does."""
        for begin, end in self.missing:
            is_end = cut_at is not None and begin >= cut_at
            flaw = Flaw.CUT_OFF if is_end else Flaw.ENTRIES_MISSING
            findings.add(Finding(flaw=flaw, log=log.log_id, index=begin, end=end))
        findings.more += self._more
