"""Files and folders with an owner and a mode from the first moment on; never through a link that somebody planted."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from infosec.private_files import write_private
from infosec.storage.embedded.accounts import Account


def make_folder(path: Path, mode: int, *, owner: Account | None = None) -> None:
    """Create `path`, or set right the owner and mode of the folder that is there."""
    path.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if owner is not None:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def write_file(path: Path, text: str, *, mode: int = 0o600, owner: Account | None = None) -> None:
    """Replace `path` at once and durably: a reader finds the old text or the new one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            if owner is not None:
                os.fchown(stream.fileno(), owner.uid, owner.gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path) -> str | None:
    """The text of a small file of ours, or None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        return stream.read(1 << 16)


def password_file(folder: Path, name: str) -> Path:
    """The 0600 file of a random password (256 bits), made when it is first asked for."""
    path = folder / f"{name}.password"
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(32)}\n".encode(), replace=False)
    return path
