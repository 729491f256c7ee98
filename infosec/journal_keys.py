"""The keys of a directory of spools: what waits there names customers and their orders, and is sealed for as long as it does.

Each process seals under a key of its own, in a file beside its spool; both go when everything was delivered, and what is left
of delivered records in a spool's files opens with nothing from then on (CI-8).
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from infosec.errors import Reason, Unavailable
from infosec.keys import SealingKeys

_LOG = logging.getLogger(__name__)
_CONTEXT = b"a decision"


class JournalKeys:
    """Those of one process, and of the processes whose spools it delivers. A spool goes by the name of its directory."""

    def __init__(self, directory: Path, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._now = now
        self._kept: dict[str, SealingKeys] = {}

    def begun(self, spool: str) -> None:
        """The key is on the disk before the first record. Raises Unavailable where it cannot be written."""
        self._sweep()
        self._kept[spool] = SealingKeys.generate(_kind(spool), now=self._now())
        try:
            self._kept[spool].write_new(self._file(spool))
        except OSError:
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="spool", detail="disk") from None

    def seal(self, spool: str, record: bytes) -> bytes:
        """A record for a spool that was begun. Raises InfosecError where its key is gone."""
        return self._keys_of(spool).seal(record, _CONTEXT)

    def open(self, spool: str, sealed: bytes) -> bytes:
        """A record of any spool of the directory. Raises InfosecError for one that does not open."""
        return self._keys_of(spool).open(sealed, _CONTEXT)

    def ended(self, spool: str) -> None:
        """The spool is gone, with nothing undelivered in it. Does not raise."""
        self._kept.pop(spool, None)
        try:
            self._file(spool).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("a spool's key stays: error %s", error.errno)

    def _keys_of(self, spool: str) -> SealingKeys:
        if spool not in self._kept:
            self._kept[spool] = SealingKeys.load(self._file(spool))
        return self._kept[spool]

    def _file(self, spool: str) -> Path:
        return self._directory / f"{_kind(spool)}.json"

    def _sweep(self) -> None:
        """Keys whose spool is gone; a spool is there before its key is."""
        for file in self._directory.glob(f"{_kind('*')}.json"):
            name = file.stem.removeprefix(_kind(""))
            if not (self._directory / name).exists() and stat.S_ISREG(file.lstat().st_mode):
                file.unlink(missing_ok=True)


def _kind(spool: str) -> str:
    """The spool's name is sealed with every record: what was copied into another spool does not open."""
    return f"seal-{spool}"
