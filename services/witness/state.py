"""What a witness has cosigned, in its directory: for each origin the last note, whole and on the disk before anybody is told.

A state that is lost is a witness that cosigns anything once more, so a directory that was never set up is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from infosec.errors import AlreadyExists, Misconfigured, Reason
from infosec.keys import SigningKeys
from infosec.private_files import private_directory, read_private, write_private
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import SignedNote, parse_note

KEY_KIND = "witness"
MAX_EVIDENCE = 200
"""Contradictions that are kept; the first ones say it all."""


class WitnessFiles:
    """`witness.json` (the key), `seen/<hash of origin>.note`, `evidence/`. Its methods block, shortly."""

    def __init__(self, directory: Path) -> None:
        self._key = directory / f"{KEY_KIND}.json"
        self._seen = directory / "seen"
        self._evidence = directory / "evidence"
        self._directory = directory

    @property
    def lock(self) -> Path:
        """Held by the one process that works on these files."""
        return self._directory / "lock"

    def create(self, keys: SigningKeys) -> None:
        """A new witness. Raises AlreadyExists where one is: its key and its memory are not replaced."""
        private_directory(self._directory)
        if self._seen.exists() or self._key.exists():
            raise AlreadyExists(Reason.ALREADY_EXISTS, path=str(self._directory))
        private_directory(self._evidence)
        if not keys.write_new(self._key):
            raise AlreadyExists(Reason.ALREADY_EXISTS, path=str(self._directory))
        private_directory(self._seen)

    def load_keys(self) -> SigningKeys:
        """The key of a witness that was set up. Raises Misconfigured."""
        if not self._key.exists() and not self._seen.exists():
            raise self._broken(self._directory, "no witness was set up here", "run `infosec witness init` once")
        for part in (self._key, self._seen):
            if not part.exists():
                raise self._broken(part, "is missing", "restore the newest backup; a new witness needs a new directory")
        private_directory(self._evidence)
        return SigningKeys.load(self._key)

    def check(self, origins: Iterable[str]) -> None:
        """Read all that is there about these logs. Raises Misconfigured for the first that is not whole."""
        for origin in origins:
            self.last(origin)

    def last(self, origin: str) -> Checkpoint | None:
        """What was last cosigned; None for nothing. Raises Misconfigured."""
        path = self._path(origin)
        if not path.exists():
            return None
        try:
            found = Checkpoint.parse(parse_note(read_private(path)).text)
        except NotVerified:
            raise self._broken(path, "not a whole note", "restore the newest backup of this directory") from None
        if found.origin != origin:
            raise self._broken(path, "the note of another log", "restore the newest backup of this directory")
        return found

    def record(self, origin: str, note: SignedNote) -> None:
        """On the disk when this returns."""
        write_private(self._path(origin), note.encode())

    def keep_evidence(self, checkpoint: str, request: bytes) -> Path | None:
        """A request that contradicts what was cosigned; None where one with this checkpoint, or enough, are kept.

        The checkpoint alone is the log's word: of its proof and its further signatures anybody can make as many as they like.
        """
        path = self._evidence / f"{hashlib.sha256(checkpoint.encode()).hexdigest()[:32]}.request"
        if path.exists() or sum(1 for _ in self._evidence.iterdir()) >= MAX_EVIDENCE:
            return None
        write_private(path, request)
        return path

    def _path(self, origin: str) -> Path:
        return self._seen / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.note"

    @staticmethod
    def _broken(path: Path, detail: str, hint: str) -> Misconfigured:
        return Misconfigured(Reason.CONFIGURATION, path=str(path), detail=detail, hint=hint)
