"""The keys that checkpoints are signed with, taken up from their file whenever it changes: rotating needs no restart.

One Ed25519 key signs for every log; a C2SP key name is a log's origin, so each log has a verifier key of its own.
"""

from __future__ import annotations

from auditsvc.checkpoints import Origins
from infosec import logging
from infosec.errors import InfosecError
from infosec.ids import RegionId
from infosec.keys import KeyRecord, SigningKeys
from infosec.transparency.notes import NoteKey, NoteSigner

_LOG = logging.get(__name__)


class CheckpointKeys:
    """Keys of SigningKind.CHECKPOINT for the logs of one installation."""

    def __init__(self, keys: SigningKeys, origins: Origins) -> None:
        self._keys = keys
        self._seen = self._on_disk()
        self.origins = origins

    def refresh(self) -> None:
        """Take up the file if it is another one. One that is not whole is passed over: the present keys still hold."""
        found = self._on_disk()
        if self._keys.path is None or found is None or found == self._seen:
            return
        self._seen = found
        try:
            self._keys = SigningKeys.load(self._keys.path)
        except InfosecError as error:
            _LOG.error("changed checkpoint keys were not taken up", **error.details)
            return
        _LOG.warning("checkpoint keys were taken up", kid=self._keys.active.kid)

    @property
    def active(self) -> KeyRecord:
        """The key that signs now."""
        return self._keys.active

    def signer(self, log_id: RegionId) -> NoteSigner:
        """Signs with the active key."""
        return NoteSigner(key=self.verifiers(log_id)[0], sign_bytes=self._keys.sign)

    def verifiers(self, log_id: RegionId) -> tuple[NoteKey, ...]:
        """What a log's checkpoints are verified with: the active key first, then retired ones, for what they signed."""
        name = self.origins.of(log_id)
        publics = self._keys.public_keys()
        return tuple(NoteKey(name=name, public=publics[record.kid]) for record in self._keys.records)

    def vkeys(self, log_id: RegionId) -> tuple[str, ...]:
        """The same as C2SP verifier keys, to be published."""
        return tuple(key.vkey() for key in self.verifiers(log_id))

    def _on_disk(self) -> tuple[int, int] | None:
        """What tells one version of the file from another: each is written as a file of its own."""
        try:
            found = self._keys.path.stat() if self._keys.path is not None else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns) if found is not None else None
