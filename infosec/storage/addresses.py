"""Where PostgreSQL and Redis are, and which file holds the password. Embedded or outside: one code path.

Holds no secret, only the names of the files that do.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from infosec.errors import Misconfigured, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """One database and one login role.

    `host` is a host name, or the folder of the server's Unix socket (it starts with a slash). A host that is not
    loopback needs `tls_ca`, a PEM file; the server's certificate and name are then verified in full.
    """

    host: str
    port: int = 5432
    dbname: str
    user: str
    password_file: Path | None = None
    tls_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """One Redis or Valkey server and one user. `socket` is the path of its Unix socket; else host and port are used."""

    socket: Path | None = None
    host: str = ""
    port: int = 6379
    db: int = 0
    user: str = "infosec"
    password_file: Path | None = None
    tls_ca: Path | None = None


def require_private_path(*, host: str, tls_ca: Path | None, key: str) -> None:
    """Refuse to send passwords and staff data over a network in the clear."""
    if tls_ca is not None:
        if not tls_ca.is_file():
            raise Misconfigured(Reason.CONFIGURATION, key=key, detail=f"{tls_ca} is not a file of CA certificates")
        return
    if host.startswith("/") or _is_loopback(host):
        return
    raise Misconfigured(
        Reason.CONFIGURATION, key=key, detail=f"{host} is another machine: TLS and its CA file are needed"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
