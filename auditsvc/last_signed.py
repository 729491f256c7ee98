"""What was last signed of each log, in a small file outside the database: a database that went back does not know it.

`<data_dir>/audit/checkpoints.json`, of mode 0600. Must not go into the same backup as the database. Processes on one
data directory share it; elsewhere each has its own.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infosec.errors import Misconfigured, Reason
from infosec.ids import RegionId
from infosec.private_files import locked, private_directory, read_private, write_private
from infosec.transparency.errors import NotVerified
from infosec.transparency.merkle import check_hash
from infosec.transparency.spelling import decode_base64, encode_base64

FILE = "checkpoints.json"
_PATIENCE_S = 3.0
"""For another process that has it locked, and writes a few hundred bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The largest tree of a log that this installation has put its name to."""

    size: int
    root: bytes
    at: datetime


class LastSigned:
    """The file. Its methods block, shortly; they raise OSError where the disk refuses, or another process keeps it locked."""

    def __init__(self, directory: Path) -> None:
        """Raises Misconfigured when others may enter the directory."""
        self.path = private_directory(directory) / FILE

    def read(self) -> dict[RegionId, Signed]:
        """Every log in it; none before the first signature. Raises Misconfigured for a file that is not whole."""
        return {RegionId(log_id): _signed(entry) for log_id, entry in self._document()["logs"].items()}

    def key(self) -> str | None:
        """The identifier of the key that was signed with, as far as it was noted."""
        kid = self._document().get("key")
        return None if kid is None else str(kid)

    def note_key(self, kid: str) -> None:
        """The key that is signed with from now on."""
        with locked(self.path.parent, within_s=_PATIENCE_S):
            self._write({**self._document(), "key": kid})

    def advance(self, signed: Mapping[RegionId, Signed], judged: Mapping[RegionId, Signed]) -> frozenset[RegionId]:
        """Note what is about to be published; answers the logs of which it may be. On the disk when this returns.

        `judged` is what `read` said when it was found that these trees continue it. Where the record says something else by
        now (another process signed, or a restored database was accepted), the log is to be looked at again. No tree is followed by
        a smaller one, nor by another of its size.
        """
        with locked(self.path.parent, within_s=_PATIENCE_S):
            document = self._document()
            logs = document["logs"]
            may_be, new = set[RegionId](), set[RegionId]()
            for log_id, one in signed.items():
                now = None if log_id not in logs else _signed(logs[log_id])
                if _tree(now) == _tree(one):
                    may_be.add(log_id)
                elif _tree(now) == _tree(judged.get(log_id)) and (now is None or one.size > now.size):
                    new.add(log_id)
                    logs[log_id] = _entry(one, logs.get(log_id, {}).get("restores", []))
            if new:
                self._write(document)
        return frozenset(may_be | new)

    def accept(self, log_id: RegionId, now_is: Signed | None, *, reason: str) -> None:
        """Go on from `now_is`, or from no log at all: a person has said that the database was restored on purpose.

        Waits as long as it takes: what this is the end of is done already.
        """
        with locked(self.path.parent):
            document = self._document()
            old = document["logs"].pop(log_id, {})
            restores = [*old.get("restores", []), {"size": old.get("size"), "root": old.get("root"), "reason": reason}]
            if now_is is not None:
                document["logs"][log_id] = _entry(now_is, restores)
            self._write(document)

    def _document(self) -> dict[str, Any]:
        if not self.path.exists():
            return {"v": 1, "logs": {}}
        try:
            document: dict[str, Any] = json.loads(read_private(self.path))
            for entry in document["logs"].values():
                _signed(entry)
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, NotVerified):
            raise Misconfigured(
                Reason.CONFIGURATION,
                path=str(self.path),
                detail="not a whole record of what was signed",
                hint="restore it; or, if a witness or an auditor has the newest checkpoints, compare and remove it",
            ) from None
        return document

    def _write(self, document: Mapping[str, Any]) -> None:
        write_private(self.path, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def _entry(signed: Signed, restores: list[Any]) -> dict[str, Any]:
    entry = {"size": signed.size, "root": encode_base64(signed.root), "at": signed.at.isoformat()}
    return {**entry, "restores": restores} if restores else entry


def _tree(signed: Signed | None) -> tuple[int, bytes] | None:
    return None if signed is None else (signed.size, signed.root)


def _signed(entry: Mapping[str, Any]) -> Signed:
    size, root = entry["size"], decode_base64(entry["root"])
    check_hash(root)
    if type(size) is not int or size < 0:
        raise ValueError("not a size")
    return Signed(size=size, root=root, at=datetime.fromisoformat(entry["at"]))
