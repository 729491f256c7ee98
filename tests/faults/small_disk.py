"""A small disk in a file: an ext4 of its own on a loop device, which a test fills and frees. For root, on Linux."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TOOLS = ("mkfs.ext4", "mount", "umount", "losetup")
_BLOCKS = (1 << 20, 4096, 1)


class NoSmallDisk(Exception):
    """What is missing to have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """A mounted one."""

    root: Path

    @property
    def ballast(self) -> Path:
        return self.root / "ballast"

    def fill(self) -> int:
        """To the last byte; how many they were."""
        with self.ballast.open("ab", buffering=0) as file:
            for size in _BLOCKS:
                _write_until_full(file.fileno(), bytes(size))
            return file.tell()

    def free(self) -> None:
        """What `fill` took is there again."""
        self.ballast.unlink(missing_ok=True)

    def take_in(self, folder: Path) -> None:
        """Move a folder here, with its owners; a link stays in its place."""
        place = self.root / folder.name
        subprocess.run(["cp", "-a", folder, place], check=True)
        shutil.rmtree(folder)
        folder.symlink_to(place)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[SmallDisk]:
    """In `place`, an empty folder; unmounted and detached in every case. Raises NoSmallDisk, saying what is missing."""
    _require_means()
    image, root = place / "image", place / "root"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    # No blocks for root alone: full is full for everybody.
    _run("mkfs.ext4", "-q", "-m", "0", "-F", str(image))
    try:
        # With this option the kernel detaches the device by itself once it is unmounted, and nobody else has to.
        _run("mount", "-o", "loop,nosuid,nodev", str(image), str(root))
        root.chmod(0o755)
        yield SmallDisk(root=root)
    finally:
        if root.is_mount() and subprocess.run(["umount", root], check=False).returncode != 0:
            # Somebody still has a file open there: it goes with the last of them.
            subprocess.run(["umount", "--lazy", root], check=False)
        shutil.rmtree(place)


def _require_means() -> None:
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if not Path("/dev/loop-control").exists():
        missing.append("loop devices (/dev/loop-control)")
    if missing:
        raise NoSmallDisk(", ".join(missing))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoSmallDisk(f"{command[0]}: {done.stderr.strip()}")


def _write_until_full(handle: int, block: bytes) -> None:
    while True:
        try:
            os.write(handle, block)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                break
            raise
    os.fsync(handle)
