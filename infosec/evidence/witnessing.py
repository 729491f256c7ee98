"""Checkpoints: signed by the log that they name, cosigned by enough witnesses, and continuing what was seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from infosec.evidence.faults import Finding, Findings, Flaw
from infosec.evidence.keys import ConsistencyProof
from infosec.evidence.manifest import LogPart, Manifest
from infosec.transparency.checkpoints import Checkpoint, extends, open_checkpoint
from infosec.transparency.cosignatures import WitnessKey, require_witnesses
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import NoteKey, SignedNote, parse_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the auditor brings. Nothing here comes from the export."""

    keys: Sequence[NoteKey]
    witnesses: Sequence[WitnessKey] = ()
    at_least: int = 0
    """So many of the witnesses must have cosigned every checkpoint."""
    previous: Sequence[bytes] = ()
    """Checkpoints (signed notes) seen before, which the logs must continue."""
    consistency: Sequence[ConsistencyProof] = ()


class Opened(NamedTuple):
    """A checkpoint, verified or not: what is wrong with it stands in the findings."""

    checkpoint: Checkpoint | None
    witnesses: frozenset[str]


def notes_of(data: bytes) -> tuple[bytes, ...]:
    """The checkpoints of a manifest, or the one in a file of its own; unverified. Raises NotProved(MALFORMED_MANIFEST)."""
    if data.lstrip().startswith(b"{"):
        return tuple(log.checkpoint.encode("utf-8") for log in Manifest.parse(data).logs)
    return (data,)


def opened(log: LogPart, trust: Trust, findings: Findings, *, now: datetime) -> Opened:
    """The checkpoint of a part. It is read even where it is not verified, so that the rows can be looked at."""
    data = log.checkpoint.encode("utf-8", "surrogatepass")
    try:
        note = parse_note(data)
        checkpoint = Checkpoint.parse(note.text)
    except NotVerified as fault:
        findings.add(_bad(log.log_id, fault))
        return Opened(None, frozenset())
    if checkpoint.size != log.size or log.origin != checkpoint.origin:
        findings.add(Finding(flaw=Flaw.MANIFEST_CHANGED, log=log.log_id, detail="checkpoint"))
    _check_signed(data, checkpoint.origin, log.log_id, trust, findings)
    return Opened(checkpoint, _witnesses(note, log.log_id, trust, findings, now))


def _check_signed(data: bytes, origin: str, log_id: str, trust: Trust, findings: Findings) -> None:
    # Only a key of this name: a key of another log, trusted for that one, says nothing of this.
    keys = [key for key in trust.keys if key.name == origin]
    if origin.rpartition("/")[2] != log_id:
        findings.add(Finding(flaw=Flaw.BAD_CHECKPOINT, log=log_id, detail=Fault.WRONG_ORIGIN.value))
    elif not keys:
        findings.add(Finding(flaw=Flaw.NO_KEY, log=log_id))
    else:
        try:
            open_checkpoint(data, origin=origin, keys=keys)
        except NotVerified as fault:
            findings.add(_bad(log_id, fault))


def _witnesses(note: SignedNote, log_id: str, trust: Trust, findings: Findings, now: datetime) -> frozenset[str]:
    try:
        return require_witnesses(note, trust.witnesses, at_least=trust.at_least, not_after=now)
    except NotVerified as fault:
        if fault.what is Fault.TOO_FEW_WITNESSES:
            detail = f"{fault.details['witnesses']} < {fault.details['required']}"
            findings.add(Finding(flaw=Flaw.TOO_FEW_WITNESSES, log=log_id, detail=detail))
        else:
            findings.add(Finding(flaw=Flaw.BAD_COSIGNATURE, log=log_id, detail=fault.what.value))
        return frozenset()


def previous(log: LogPart, trust: Trust, findings: Findings) -> tuple[Checkpoint, ...]:
    """The checkpoints of this log that were seen before, signed by its key."""
    found = []
    for data in trust.previous:
        try:
            checkpoint = Checkpoint.parse(parse_note(data).text)
        except NotVerified as fault:
            findings.add(_bad(log.log_id, fault, "previous: "))
            continue
        if checkpoint.origin == log.origin:
            _check_signed(data, checkpoint.origin, log.log_id, trust, findings)
            found.append(checkpoint)
    return tuple(found)


def check_continues(
    log_id: str,
    old: Checkpoint,
    new: Checkpoint,
    roots: Mapping[int, bytes],
    trust: Trust,
    findings: Findings,
    *,
    since: int = 0,
) -> bool:
    """Whether `new` continues `old`: by the rows themselves (`roots`: size to root) where they reach over it, else by a
    proof. `since` is the size of a smaller checkpoint that it does continue: what was rewritten lies behind that.
    """
    if old.size and old.size < new.size and old.size in roots:
        if roots[old.size] == old.root:
            return True
        findings.add(_contradicted(log_id, Fault.WRONG_ROOT, since, old.size))
        return False
    proof = _proof(log_id, old, new, trust)
    if proof is None:
        findings.add(Finding(flaw=Flaw.CONSISTENCY_UNPROVED, log=log_id, detail=f"{old.size} .. {new.size}"))
        return False
    try:
        extends(old, new, proof)
    except NotVerified as fault:
        begin = new.size if fault.what is Fault.TREE_SHRANK else since
        findings.add(_contradicted(log_id, fault.what, begin, old.size))
        return False
    return True


def _contradicted(log_id: str, fault: Fault, begin: int, end: int) -> Finding:
    return Finding(flaw=Flaw.NOT_CONSISTENT, log=log_id, index=begin, end=end, detail=fault.value)


def _proof(log_id: str, old: Checkpoint, new: Checkpoint, trust: Trust) -> tuple[bytes, ...] | None:
    if not 0 < old.size < new.size:
        return ()
    fits = (
        one for one in trust.consistency if (one.log_id, one.old_size, one.new_size) == (log_id, old.size, new.size)
    )
    found = next(fits, None)
    return found.hashes if found else None


def _bad(log_id: str, fault: NotVerified, prefix: str = "") -> Finding:
    return Finding(flaw=Flaw.BAD_CHECKPOINT, log=log_id, detail=prefix + fault.what.value)
