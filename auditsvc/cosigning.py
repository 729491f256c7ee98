"""Has one checkpoint cosigned by one witness (C2SP tlog-witness, the log's side), and reads its refusal.

A witness's word is checked: only a cosignature that verifies is stored, and a contradiction is looked at again first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from auditsvc.checkpoints import proof_between
from auditsvc.store import checkpoints as store
from infosec.errors import InfosecError, Internal
from infosec.ids import RegionId
from infosec.storage.postgres import Database, Isolation
from infosec.transparency.cosignatures import WitnessKey, cosignatures
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import Signature, SignedNote, parse_note, parse_signatures, verified
from infosec.transparency.proofs import consistency_nodes
from infosec.transparency.witness import AddCheckpoint, parse_size

_TRIES = 8
"""The first tells us the witness's size, the second is for it; the others, because other processes of ours may come between."""


class Outcome(StrEnum):
    """What came of asking a witness. The last two mean that it has seen another log than ours."""

    COSIGNED = "COSIGNED"
    UNREACHABLE = "UNREACHABLE"
    REFUSED = "REFUSED"
    """It does not know our log or our key, or does not understand us."""
    BAD_ANSWER = "BAD_ANSWER"
    """No cosignature of its key on our checkpoint."""
    NO_PROOF = "NO_PROOF"
    """It is so far behind that retention has taken the hashes to prove from."""
    ROLLED_BACK = "ROLLED_BACK"
    FORKED = "FORKED"


CONTRADICTIONS = frozenset({Outcome.ROLLED_BACK, Outcome.FORKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness answered over HTTP."""

    status: int
    body: bytes


class Link(Protocol):
    """Reaches one witness."""

    async def add_checkpoint(self, body: bytes) -> Answer:
        """Raises Unavailable when there is no answer within the deadline."""

    async def close(self) -> None:
        """Close what is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness that is asked: its key, and how it is reached."""

    key: WitnessKey
    link: Link
    logs: frozenset[RegionId] = frozenset()
    """Those that it watches; all where empty."""

    def is_for(self, log_id: RegionId) -> bool:
        return not self.logs or log_id in self.logs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """The newest checkpoint of a log and what proves it, as of one snapshot of the database."""

    note: SignedNote
    size: int
    proof: tuple[bytes, ...]
    """From the size that was asked for; empty where that is 0 or larger than `size`."""


class _NoProof(Exception):
    """The hashes that it takes are not there."""


class Asking:
    """Asks one witness, and remembers which size of each log it has."""

    def __init__(self, db: Database, witness: Witness) -> None:
        """`db` as role audit_service."""
        self._db = db
        self._witness = witness
        self._sizes: dict[RegionId, int] = {}

    async def about(self, log_id: RegionId) -> Outcome:
        """Have the newest checkpoint of a log cosigned. Raises Unavailable without a database."""
        for _ in range(_TRIES):
            old = self._sizes.get(log_id, 0)
            try:
                material = await self._material(log_id, old)
            except _NoProof:
                return Outcome.NO_PROOF
            if material is None or self._has_cosigned(material.note):
                return Outcome.COSIGNED
            if old > material.size:
                # Told by the witness and then looked for again: a checkpoint is stored before any witness sees it.
                self._sizes.pop(log_id)
                return Outcome.ROLLED_BACK
            request = AddCheckpoint.of(old_size=old, proof=material.proof, note=material.note)
            try:
                answer = await self._witness.link.add_checkpoint(request.encode())
            except InfosecError:
                return Outcome.UNREACHABLE
            outcome = await self._judged(log_id, old, material, answer)
            if outcome is not None:
                return outcome
        return Outcome.BAD_ANSWER

    async def _judged(self, log_id: RegionId, old: int, material: _Material, answer: Answer) -> Outcome | None:
        """None for asking again, from the size that the witness has told."""
        match answer.status:
            case 200:
                return await self._cosigned(log_id, material, answer.body)
            case 409:
                return self._conflict(log_id, old, material.size, answer.body)
            case 422:
                self._sizes.pop(log_id, None)
                return Outcome.FORKED
        return Outcome.REFUSED

    def _conflict(self, log_id: RegionId, old: int, offered: int, body: bytes) -> Outcome | None:
        try:
            size = parse_size(body)
        except NotVerified:
            return Outcome.BAD_ANSWER
        self._sizes[log_id] = size
        if size != old:
            return None
        # The size was right, so it is the root that is not.
        return Outcome.FORKED if offered == old else Outcome.BAD_ANSWER

    async def _cosigned(self, log_id: RegionId, material: _Material, body: bytes) -> Outcome:
        key = self._witness.key
        try:
            answered = SignedNote(text=material.note.text, signatures=parse_signatures(body.decode()))
            ours = [one for _, one in verified(answered, [key])]
        except (NotVerified, UnicodeDecodeError):
            return Outcome.BAD_ANSWER
        if not ours:
            return Outcome.BAD_ANSWER
        async with self._db.transaction() as conn:
            text = await store.locked_note(conn, log_id, material.size)
            if text is not None:
                note = _with(parse_note(text.encode()), key, ours[0])
                await store.replace_note(conn, log_id, material.size, note.encode().decode())
        self._sizes[log_id] = material.size
        return Outcome.COSIGNED

    async def _material(self, log_id: RegionId, old: int) -> _Material | None:
        """None where nothing has been signed yet. Raises _NoProof."""
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            newest = await store.newest(conn, log_id)
            tree = await store.tree(conn, log_id)
            if newest is None:
                return None
            note = parse_note(newest.note.encode())
            if not 0 < old < newest.size:
                return _Material(note=note, size=newest.size, proof=())
            if tree is None or tree.size < newest.size:
                raise _NoProof
            tiles = await store.tiles_of(conn, log_id, tree, consistency_nodes(old, newest.size))
        try:
            return _Material(note=note, size=newest.size, proof=proof_between(old, newest.size, tiles))
        except Internal:
            raise _NoProof from None

    def _has_cosigned(self, note: SignedNote) -> bool:
        try:
            return bool(cosignatures(note, [self._witness.key]))
        except NotVerified:  # somebody has written into the database: ask for a good one
            return False


def _with(note: SignedNote, key: WitnessKey, cosignature: Signature) -> SignedNote:
    """The note with one cosignature of this key, in the place of any that it may have."""
    others = tuple(one for one in note.signatures if (one.name, one.key_id) != (key.name, key.key_id))
    return SignedNote(text=note.text, signatures=(*others, cosignature))
