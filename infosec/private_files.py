"""Files that only this account may read: permission checks, and writes that are whole or not there at all.

Knows nothing of what is in them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infosec.errors import Misconfigured, Reason
from infosec.secret import Secret

MAX_BYTES = 1 << 20
_LOOK_S = 0.01


def read_private(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a file of mode 0600 or narrower that this account owns; else Misconfigured, with the fix."""
    try:
        # Without waiting: a pipe in this place must not hold up the start.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            # The open file is judged, not the path: what was checked is what is read, through symbolic links too.
            _check(path, os.fstat(file.fileno()))
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise _refused(path, os.strerror(error.errno or 0), "check the path and the owner") from None
    if len(data) > max_bytes:
        raise _refused(path, "too long", "check the path")
    return data


def read_secret(path: Path) -> Secret:
    """The one line of text in a private file, such as a database password; a final line end is not part of it."""
    try:
        text = read_private(path).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _refused(path, "not UTF-8 text", "write the secret as one line of text") from None
    if not text or "\n" in text:
        raise _refused(path, "not one line of text", "write the secret as one line of text")
    return Secret(text)


def write_private(path: Path, data: bytes, *, replace: bool = True, mode: int = 0o600) -> bool:
    """Write a file whole: after a crash there is the old content or the new. True if it was written.

    With `replace=False` a file that is already there stays, and the answer is False: of two starters one wins.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if not _publish(draft, path, replace=replace):
            return False
    finally:
        draft.unlink(missing_ok=True)
    _sync_directory(path.parent)
    return True


def private_directory(path: Path) -> Path:
    """Make sure that `path` is a directory of this account which nobody else may enter."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise _refused(
            path, os.strerror(error.errno or 0), "check the path and the owner of the folder above"
        ) from None
    if found.st_uid != os.geteuid():
        raise _refused(path, "belongs to another account", f"chown it to uid {os.geteuid()}")
    if found.st_mode & 0o077:
        raise _refused(path, "other accounts may enter it", f"chmod 700 {path}")
    return path


@contextmanager
def locked(directory: Path, *, within_s: float | None = None) -> Iterator[None]:
    """One process at a time changes what is in `directory`. Blocks until it is free.

    Raises TimeoutError where it is not `within_s`: whoever has it is held up. A process that ends lets go of it.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(handle, directory, within_s)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, directory: Path, within_s: float | None) -> None:
    if within_s is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    until = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, "another process keeps it locked", str(directory)) from None
            time.sleep(_LOOK_S)
        else:
            return


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "not a regular file", "check the path")
    if found.st_uid != os.geteuid():
        raise _refused(path, "belongs to another account", f"chown it to uid {os.geteuid()}")
    if found.st_mode & 0o077:
        raise _refused(path, "other accounts may read it", f"chmod 600 {path}")


def _publish(draft: Path, path: Path, *, replace: bool) -> bool:
    if replace:
        draft.replace(path)
        return True
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    return True


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, path=str(path), detail=detail, hint=hint)
