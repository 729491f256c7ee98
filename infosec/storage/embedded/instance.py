"""One process per data directory: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from infosec.errors import Misconfigured, Reason


class InstanceLock:
    """Holds the lock file of a data directory from construction until `release`."""

    def __init__(self, file: Path) -> None:
        """Raises Misconfigured(ALREADY_RUNNING) with the holder's process ID when another process has it."""
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise Misconfigured(
                Reason.ALREADY_RUNNING, key="data_dir", pid=pid, detail=f"{file.parent} is in use by process {pid}"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two in at once."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
