"""Where a session's token rests between two commands: a private file for each address, system and terminal.

A proof of identity (RQ-1) rests in the same way, until it is used. Nothing here is ever shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from infosec.clock import SystemClock
from infosec.private_files import private_directory, read_private, write_private
from infosec.secret import Secret

PROOF_TTL_S = 600
"""As the contract says of ProveIdentity's answer; an older one would only be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """What a login left behind."""

    token: Secret
    staff_id: str
    role_id: str
    store_id: str
    ends_at: datetime


def state_directory(environment: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/infosec, or ~/.local/state/infosec."""
    shared = environment.get("XDG_STATE_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "state") / "infosec"


class SessionFiles:
    """The session and the proofs of one address, system and terminal. Raises Misconfigured for files that others can read."""

    def __init__(self, directory: Path, *, address: str, system: str, terminal: str) -> None:
        self._directory = directory
        self._name = quote(f"{address}@{system}@{terminal}", safe="")

    @property
    def session_path(self) -> Path:
        return self._directory / f"{self._name}.session"

    def session(self) -> StoredSession | None:
        """The session that the last login left, if any; what cannot be read as one is as good as none."""
        found = self._read(self.session_path)
        try:
            return None if found is None else _session(found)
        except (KeyError, TypeError, ValueError):
            return None

    def keep_session(self, session: StoredSession) -> None:
        """Store it, in place of an older one."""
        self._write(
            self.session_path,
            {
                "token": session.token.reveal(),
                "staff_id": session.staff_id,
                "role_id": session.role_id,
                "store_id": session.store_id,
                "ends_at": session.ends_at.isoformat(),
            },
        )

    def drop_session(self) -> None:
        """Forget it."""
        self.session_path.unlink(missing_ok=True)

    def proof(self, staff_id: str) -> Secret | None:
        """The proof that was obtained for a staff ID, not used yet, and still good."""
        path = self._proof_path(staff_id)
        if path.exists() and SystemClock().now().timestamp() - path.stat().st_mtime > PROOF_TTL_S:
            path.unlink(missing_ok=True)
        found = self._read(path)
        proof = None if found is None else found.get("proof")
        return Secret(proof) if isinstance(proof, str) else None

    def keep_proof(self, staff_id: str, proof: Secret) -> None:
        """Store it until it is used."""
        self._write(self._proof_path(staff_id), {"proof": proof.reveal()})

    def drop_proof(self, staff_id: str) -> None:
        """Forget it."""
        self._proof_path(staff_id).unlink(missing_ok=True)

    def _proof_path(self, staff_id: str) -> Path:
        return self._directory / f"{self._name}@{quote(staff_id, safe='')}.proof"

    def _read(self, path: Path) -> dict[str, object] | None:
        if not path.exists():
            return None
        try:
            found = json.loads(read_private(path))
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _write(self, path: Path, content: Mapping[str, str]) -> None:
        private_directory(self._directory)
        write_private(path, json.dumps(content).encode())


def _session(found: Mapping[str, object]) -> StoredSession:
    return StoredSession(
        token=Secret(str(found["token"])),
        staff_id=str(found["staff_id"]),
        role_id=str(found["role_id"]),
        store_id=str(found["store_id"]),
        ends_at=datetime.fromisoformat(str(found["ends_at"])),
    )
