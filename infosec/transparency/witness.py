"""When a witness cosigns (C2SP tlog-witness, add-checkpoint): pure rules, no HTTP and no storage.

Whoever calls `judge` holds the origin's row from reading the last checkpoint to writing the new one, and answers only
after the write: between two requests for one log, a check that is not atomic lets a tree roll back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from infosec.transparency.checkpoints import Checkpoint, extends
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import check_hash
from infosec.transparency.notes import MAX_NOTE_BYTES, NoteKey, SignedNote, parse_note, verify_note
from infosec.transparency.spelling import decode_base64, decode_decimal, encode_base64

MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = MAX_NOTE_BYTES
SIZE_CONTENT_TYPE = "text/x.tlog.size"
"""Of the answer 409, whose body is `Refused.size_body()`."""


class Refusal(StrEnum):
    """Why a witness does not cosign. STATUS has the HTTP status of each."""

    MALFORMED = "MALFORMED"
    UNKNOWN_LOG = "UNKNOWN_LOG"
    NOT_SIGNED = "NOT_SIGNED"
    OLD_ABOVE_NEW = "OLD_ABOVE_NEW"
    OTHER_SIZE = "OTHER_SIZE"
    """The caller's old size is not that of the last cosigned checkpoint: stale, or a rollback."""
    FORKED = "FORKED"
    BAD_PROOF = "BAD_PROOF"


STATUS: Mapping[Refusal, int] = {
    Refusal.MALFORMED: 400,
    Refusal.UNKNOWN_LOG: 404,
    Refusal.NOT_SIGNED: 403,
    Refusal.OLD_ABOVE_NEW: 400,
    Refusal.OTHER_SIZE: 409,
    Refusal.FORKED: 409,
    Refusal.BAD_PROOF: 422,
}


class Refused(Exception):
    """Not cosigned. `size` is that of the last cosigned checkpoint, where the caller is told it."""

    def __init__(self, refusal: Refusal, *, size: int | None = None) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.size = size

    @property
    def status(self) -> int:
        return STATUS[self.refusal]

    def size_body(self) -> bytes:
        """The body of the answer: the size and a newline for 409, else nothing."""
        return b"" if self.size is None else f"{self.size}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request: from the tree of `old_size`, by this proof, to the checkpoint in `note`. Nothing is verified yet."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint

    def encode(self) -> bytes:
        """The request's body."""
        lines = (f"old {self.old_size}", *map(encode_base64, self.proof), "")
        return "".join(f"{line}\n" for line in lines).encode("ascii") + self.note.encode()

    @classmethod
    def of(cls, *, old_size: int, proof: tuple[bytes, ...], note: SignedNote) -> AddCheckpoint:
        """Raises NotVerified when the note holds no checkpoint, or the proof is too long or not of hashes."""
        if len(proof) > MAX_PROOF_LINES:
            raise NotVerified(Fault.MALFORMED_REQUEST, detail="too many proof lines")
        for value in proof:
            check_hash(value)
        return cls(old_size=old_size, proof=proof, note=note, checkpoint=Checkpoint.parse(note.text))

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Raises Refused(MALFORMED)."""
        if len(body) > MAX_REQUEST_BYTES:
            raise Refused(Refusal.MALFORMED)
        # A checkpoint has no empty line of its own before its signatures, so the first one ends the proof.
        head, _, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
            word, _, size = first.partition(" ")
            if word != "old":
                raise NotVerified(Fault.MALFORMED_REQUEST, detail="no old size")
            proof = tuple(map(decode_base64, lines))
            return cls.of(old_size=decode_decimal(size), proof=proof, note=parse_note(note))
        except (ValueError, NotVerified):
            raise Refused(Refusal.MALFORMED) from None


def judge(request: AddCheckpoint, *, logs: Mapping[str, Collection[NoteKey]], last: Checkpoint | None) -> Checkpoint:
    """The checkpoint to persist and then to cosign. `last` is what was last cosigned for its origin, None for nothing.

    Raises Refused, for the first that is so in the order of the specification.
    """
    new = request.checkpoint
    if new.origin not in logs:
        raise Refused(Refusal.UNKNOWN_LOG)
    _check_signed(request.note, logs[new.origin])
    if request.old_size > new.size:
        raise Refused(Refusal.OLD_ABOVE_NEW)
    known_size = last.size if last else 0
    if request.old_size != known_size:
        raise Refused(Refusal.OTHER_SIZE, size=known_size)
    if last and last.size == new.size and last.root != new.root:
        raise Refused(Refusal.FORKED, size=known_size)
    try:
        extends(last, new, request.proof)
    except NotVerified:
        raise Refused(Refusal.BAD_PROOF) from None
    return new


def parse_size(body: bytes) -> int:
    """The size in the body of an answer 409, for the log's side. Raises NotVerified(MALFORMED_REQUEST)."""
    try:
        number, newline, rest = body.decode("ascii").partition("\n")
        if not newline or rest:
            raise ValueError("not one line")
        return decode_decimal(number)
    except ValueError:
        raise NotVerified(Fault.MALFORMED_REQUEST, detail="not a size") from None


def _check_signed(note: SignedNote, keys: Collection[NoteKey]) -> None:
    try:
        verify_note(note, keys)
    except NotVerified:
        raise Refused(Refusal.NOT_SIGNED) from None
