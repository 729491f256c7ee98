"""The folders of the embedded servers: what lies in the data directory, and the short-lived private folder outside it.

<data>/infosec.lock, and in <data>/engines: postgres/ redis/ run/ (the engines' account), passwords/ program/ and logs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from infosec.errors import Misconfigured, Reason
from infosec.storage.embedded.accounts import Account, can_reach
from infosec.storage.embedded.files import make_folder, read_small, write_file

LONGEST_SOCKET_PATH = 99
"""Bytes. The kernel's limit is 107; under 100 also holds where it is lower."""

_LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
_PRIVATE_PREFIX = "infosec-"
_LOG_LIMIT = 16 << 20


class Premises:
    """Paths of one data directory, made with owners and modes by `prepare`.

    Sockets need a short path, and for root also one that the engines' account can reach, like the copy of the programs.
    Where the data directory gives neither (a long name; a parent such as /root, closed to others), both live in a
    private folder under /tmp or /var/tmp until the stop; <data>/engines/private names it. The data stays where it was
    told to be: an engine is started *in* its folder, which needs no way through the parents. No mode is opened for it.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.engines = self.data_dir / "engines"
        self.postgres = self.engines / "postgres"
        self.redis = self.engines / "redis"
        self.passwords = self.engines / "passwords"
        self.program = self.engines / "program"
        self.run = self.engines / "run"
        self.lock_file = self.data_dir / "infosec.lock"
        self.reachable = True
        self._private: Path | None = None
        self._private_record = self.engines / "private"
        self._private_hold: int | None = None

    def open(self) -> None:
        """Make the data directory if there is none; 0711 for root, whose engines pass through it, else 0700."""
        try:
            if not self.data_dir.exists():
                self.data_dir.mkdir(parents=True)
                self.data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as failure:
            raise Misconfigured(
                Reason.CONFIGURATION, key="data_dir", detail=f"cannot make {self.data_dir}: {failure.strerror}"
            ) from None
        if not os.access(self.data_dir, os.R_OK | os.W_OK | os.X_OK):
            raise Misconfigured(Reason.CONFIGURATION, key="data_dir", detail=f"{self.data_dir} cannot be written by us")

    def prepare(self, account: Account | None) -> None:
        """Make every folder. No engine may be running."""
        passage = 0o700 if account is None else 0o711
        make_folder(self.engines, passage)
        make_folder(self.passwords, 0o700)
        self._drop_private(self._recorded_private())
        self.reachable = can_reach(account, self.engines)
        if not self.reachable or _too_long(self.run):
            self._private = self._make_private(account)
            make_folder(self._private, passage)
            self.run = self._private / "run"
            self.program = self._private / "program"
        make_folder(self.run, 0o700, owner=account)
        make_folder(self.redis, 0o700, owner=account)

    def close(self) -> None:
        """Remove the private folder, if there is one. No engine may be running."""
        self._drop_private(self._private)
        self._private = None
        if self._private_hold is not None:
            os.close(self._private_hold)
            self._private_hold = None

    def log(self, name: str) -> Path:
        """The log file of an engine, moved aside when it has grown."""
        path = self.engines / f"{name}.log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
        return path

    def record(self, name: str) -> Path:
        """The file that says which process an engine is."""
        return self.engines / f"{name}.process"

    def _make_private(self, account: Account | None) -> Path:
        for place in _private_places():
            if can_reach(account, place) and not os.statvfs(place).f_flag & os.ST_NOEXEC:
                folder = Path(tempfile.mkdtemp(prefix=_PRIVATE_PREFIX, dir=place))
                write_file(self._private_record, f"{folder}\n")
                # cleaners of temporary files leave alone what somebody holds a lock on
                self._private_hold = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._private_hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return folder
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="data_dir",
            detail=f"{self.data_dir} is too long for sockets or closed to the engines' account, and no temporary "
            "folder will do instead: choose a shorter, open place",
        )

    def _recorded_private(self) -> Path | None:
        """The private folder that a killed predecessor left, if it is surely one of ours."""
        folder = Path((read_small(self._private_record) or "").strip() or "/")
        if folder.parent not in _private_places() or not folder.name.startswith(_PRIVATE_PREFIX):
            return None
        try:
            info = folder.lstat()
        except FileNotFoundError:
            return None
        return folder if stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() else None

    def _drop_private(self, folder: Path | None) -> None:
        if folder is not None:
            shutil.rmtree(folder)
        self._private_record.unlink(missing_ok=True)


def _private_places() -> list[Path]:
    return [place for place in (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")) if place.is_dir()]  # noqa: S108


def _too_long(run: Path) -> bool:
    return len(os.fsencode(run)) + _LONGEST_SOCKET_NAME > LONGEST_SOCKET_PATH
