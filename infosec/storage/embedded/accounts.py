"""Which account the engines run as, and what that account can reach. PostgreSQL refuses to run as root, rightly.

Reads modes and owners, and changes none.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from infosec.errors import Misconfigured, Reason

_CANDIDATES = ("postgres", "redis", "nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged account, by number; it is given no supplementary groups."""

    uid: int
    gid: int


def engine_account(existing: Path) -> Account | None:
    """Whom the engines run as: None is ourselves; for root an account that exists already.

    A cluster that exists (folder `existing`) keeps its owner: new accounts on the machine lock nobody out.
    """
    owner = existing.stat() if existing.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise Misconfigured(
                Reason.CONFIGURATION, key="data_dir", detail=f"{existing} belongs to user {owner.st_uid}: run as them"
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise Misconfigured(
        Reason.CONFIGURATION,
        key="data_dir",
        detail=f"PostgreSQL cannot run as root, and no account {' or '.join(_CANDIDATES)} exists: run as another user",
    )


def can_reach(account: Account | None, folder: Path) -> bool:
    """Whether `account` may pass through `folder` and everything above it (mode bits; access lists are not read)."""
    if account is None:
        return True
    resolved = folder.resolve()
    return all(_may_pass(account, part) for part in (resolved, *resolved.parents))


def _may_pass(account: Account, folder: Path) -> bool:
    info = folder.stat()
    if info.st_uid == account.uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if info.st_gid == account.gid:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)
