"""Checkpoints (C2SP tlog-checkpoint): a log's name, size and root in a signed note, and when one extends another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import EMPTY_ROOT, check_hash, check_order
from infosec.transparency.notes import NoteKey, NoteSigner, SignedNote, check_text, parse_note, sign_note, verify_note
from infosec.transparency.proofs import verify_consistency
from infosec.transparency.spelling import decode_base64, decode_decimal, encode_base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log commits itself to. Made of anything else than one can write down, raises NotVerified."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that no monitor can check; the logs here write none."""

    def __post_init__(self) -> None:
        check_order(self.size)
        check_hash(self.root)
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line:
                raise _malformed("an empty line or one of two")
            check_text(line + "\n")
        if self.size == 0 and self.root != EMPTY_ROOT:
            # There is one empty tree; a log that signs another is lying already.
            raise NotVerified(Fault.WRONG_ROOT, size=0)

    def body(self) -> str:
        """The text of the note."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, body: str) -> Checkpoint:
        """Of a note's text, unverified. Raises NotVerified: MALFORMED_CHECKPOINT, MALFORMED_HASH, WRONG_ROOT."""
        *lines, rest = body.split("\n")
        if rest or len(lines) < 3:
            raise _malformed("fewer than three lines")
        origin, size, root, *extensions = lines
        try:
            number, value = decode_decimal(size), decode_base64(root)
        except ValueError as error:
            raise _malformed(str(error)) from None
        return cls(origin=origin, size=number, root=value, extensions=tuple(extensions))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCheckpoint:
    """A checkpoint whose log signed it, and the note it came in, whose other signatures are not yet looked at."""

    checkpoint: Checkpoint
    note: SignedNote


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> SignedNote:
    """The log's own signature. That the tree only ever grew is the caller's to know."""
    return sign_note(checkpoint.body(), signer)


def open_checkpoint(data: bytes, *, origin: str, keys: Collection[NoteKey]) -> OpenedCheckpoint:
    """The checkpoint of the log `origin`, signed by at least one of its `keys`; never read before it is verified.

    Raises NotVerified: MALFORMED_NOTE, NOT_SIGNED, BAD_SIGNATURE, MALFORMED_CHECKPOINT, MALFORMED_HASH, WRONG_ROOT,
    WRONG_ORIGIN.
    """
    note = parse_note(data)
    verify_note(note, keys)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise NotVerified(Fault.WRONG_ORIGIN, origin=checkpoint.origin, expected=origin)
    return OpenedCheckpoint(checkpoint=checkpoint, note=note)


def extends(old: Checkpoint | None, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """`new` is the same log as `old`, not cut and not rewritten. `old` None means that none was seen: size 0.

    Every tree extends the empty one, and its proof is empty. Raises NotVerified: WRONG_ORIGIN, TREE_SHRANK, FORKED,
    WRONG_PROOF_LENGTH, MALFORMED_HASH, WRONG_ROOT.
    """
    if old and old.origin != new.origin:
        raise NotVerified(Fault.WRONG_ORIGIN, origin=new.origin, expected=old.origin)
    if old and new.size < old.size:
        raise NotVerified(Fault.TREE_SHRANK, size1=old.size, size2=new.size)
    if old and old.size:
        verify_consistency(size1=old.size, size2=new.size, root1=old.root, root2=new.root, proof=proof)
    elif proof:
        raise NotVerified(Fault.WRONG_PROOF_LENGTH, size1=0, size2=new.size, hashes=len(proof))


def _malformed(detail: str) -> NotVerified:
    return NotVerified(Fault.MALFORMED_CHECKPOINT, detail=detail)
