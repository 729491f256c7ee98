"""The witness itself: one request in, the cosignature out, or why there is none. Knows no HTTP.

`add_checkpoint` never waits: from reading what was last cosigned to writing the new one nothing else runs on the loop, so
of two requests that conflict one at most is cosigned. InstanceLock keeps a second process out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from infosec import logging
from infosec.clock import Clock
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.cosignatures import WitnessSigner
from infosec.transparency.notes import NoteKey, SignedNote, verified
from infosec.transparency.witness import AddCheckpoint, Refusal, Refused, judge

_LOG = logging.get(__name__)


class Memory(Protocol):
    """What was cosigned."""

    def last(self, origin: str) -> Checkpoint | None:
        """Raises Misconfigured where it cannot be read; nothing is cosigned then."""

    def record(self, origin: str, note: SignedNote) -> None:
        """Durable when this returns."""

    def keep_evidence(self, checkpoint: str, request: bytes) -> Path | None:
        """Keep a request that contradicts what was cosigned, one for each checkpoint; None where it was not kept."""


class Witness:
    """Cosigns the logs that it was told of."""

    def __init__(
        self, logs: Mapping[str, Collection[NoteKey]], signer: WitnessSigner, memory: Memory, clock: Clock
    ) -> None:
        self._logs = logs
        self._signer = signer
        self._memory = memory
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> bytes:
        """The cosignature line. Raises Refused."""
        request = AddCheckpoint.parse(body)
        origin = request.checkpoint.origin
        # Only for a log that we know is anything looked for on the disk.
        last = self._memory.last(origin) if origin in self._logs else None
        try:
            new = judge(request, logs=self._logs, last=last)
        except Refused as refused:
            self._tell(request, last, refused, body)
            raise
        # First on the disk, then said: after a crash in between the log asks again, from this size.
        signed = tuple(one for _, one in verified(request.note, self._logs[origin]))
        self._memory.record(origin, SignedNote(text=request.note.text, signatures=signed))
        return self._signer.cosign(new, now=self._clock.now()).line().encode()

    def _tell(self, request: AddCheckpoint, last: Checkpoint | None, refused: Refused, body: bytes) -> None:
        new = request.checkpoint
        if last is None or not _contradicts(refused, last, new):
            _LOG.info("not cosigned", refusal=refused.refusal.value)
            return
        kept = self._memory.keep_evidence(request.note.text, body)
        _LOG.critical(
            "a log contradicts what it has shown before: it forked, or a backup was restored and written to",
            origin=new.origin,
            refusal=refused.refusal.value,
            cosigned_size=last.size,
            offered_size=new.size,
            evidence=str(kept),
        )


def _contradicts(refused: Refused, last: Checkpoint, new: Checkpoint) -> bool:
    """Whether this is more than a stale or a clumsy request: its checkpoint is signed by the log."""
    if refused.refusal is Refusal.BAD_PROOF:
        return (new.size, new.root) != (last.size, last.root)
    same_size = refused.refusal is Refusal.OTHER_SIZE and new.size == last.size
    return refused.refusal is Refusal.FORKED or (same_size and new.root != last.root)
