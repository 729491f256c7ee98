"""Exports of logs in memory, and what their verification says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from infosec.evidence.faults import Finding, NotProved
from infosec.evidence.formats import Format, FormatName, format_of
from infosec.evidence.manifest import Manifest
from infosec.evidence.rendering import Order, render
from infosec.evidence.verifying import Verified, verify
from infosec.evidence.witnessing import Trust
from tests.sim.audit_log import NOW, SimLog, Wanted, export

LATER = NOW + timedelta(hours=1)
JSONL = format_of(FormatName.JSONL)


def rendered(
    file: Path, *logs: SimLog, format: Format = JSONL, wanted: Wanted | None = None, now: datetime = NOW
) -> Manifest:
    """An export file of these logs."""
    return render(export(logs, wanted), file, Order(format=format, export_id="e", filter={}, now=now))


def trust(*logs: SimLog, **more: object) -> Trust:
    """The keys of these logs."""
    return Trust(keys=[log.signer.key for log in logs], **more)  # type: ignore[arg-type]


def verified(file: Path, *logs: SimLog, **more: object) -> Verified:
    """Proved, or NotProved is raised."""
    return verify(file, trust(*logs, **more), now=LATER)


def findings(file: Path, *logs: SimLog, **more: object) -> Sequence[Finding]:
    """What is wrong; nothing where all is proved."""
    try:
        verified(file, *logs, **more)
    except NotProved as fault:
        return fault.findings
    return ()


def said(found: Sequence[Finding]) -> set[tuple[str, int | None, int | None, str]]:
    """Findings without what differs by format."""
    return {(one.flaw.value, one.index, one.end, one.column) for one in found}
