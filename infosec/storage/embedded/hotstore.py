"""The embedded Redis or Valkey: a Unix socket, one user without scripts or administration, nothing on disk.

What it holds may be lost at any time; a start finds it empty.
"""

from __future__ import annotations

import hashlib
import signal
import socket
import time
from pathlib import Path

from infosec.secret import Secret
from infosec.storage.embedded.accounts import Account
from infosec.storage.embedded.premises import Premises
from infosec.storage.embedded.processes import Engine, StopPlan, recorded_process, start_engine, stop_process
from infosec.storage.embedded.programs import Programs

USER = "infosec"
PREFIX = "infosec:"

STOP_PLAN: StopPlan = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

_READY_WITHIN_S = 10.0


def socket_path(premises: Premises) -> Path:
    return premises.run / "redis.sock"


def configuration(socket_file: Path, password: Secret) -> str:
    """The whole configuration; handed over by standard input, so that it is on no disk and in no command line.

    Order counts in the user's line: reading, writing, streams and publishing are opened, then what administers, scripts
    or walks the whole key space is closed again.
    """
    digest = hashlib.sha256(password.reveal().encode()).hexdigest()
    rights = "-@all +@read +@write +@stream +@pubsub +@transaction +@connection -@admin -@dangerous -@scripting"
    return "\n".join(
        (
            "port 0",
            f'unixsocket "{socket_file}"',
            "unixsocketperm 700",
            "daemonize no",
            'save ""',
            "appendonly no",
            "maxmemory 256mb",
            "maxmemory-policy allkeys-lru",
            "user default off nopass -@all",
            f"user {USER} on #{digest} ~{PREFIX}* resetchannels &{PREFIX}* {rights}",
            "",
        )
    )


def start(premises: Premises, programs: Programs, account: Account | None, password: Secret) -> Engine | None:
    """Start it and wait until it listens. None if there is no program or it does not start: all works without."""
    if programs.redis is None:
        return None
    path = socket_path(premises)
    path.unlink(missing_ok=True)
    engine = start_engine(
        "redis",
        [str(programs.redis), "-"],
        folder=premises.redis,
        account=account,
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        log=premises.log("redis"),
        record=premises.record("redis"),
        standard_input=configuration(path, password),
    )
    if _listens(engine, path):
        return engine
    engine.stop(STOP_PLAN)
    return None


def stop_orphan(premises: Premises) -> None:
    """Stop the server that a killed predecessor left; it holds nothing that is missed."""
    mark = recorded_process(premises.record("redis"))
    if mark is not None:
        stop_process(mark, STOP_PLAN)


def _listens(engine: Engine, path: Path) -> bool:
    deadline = time.monotonic() + _READY_WITHIN_S
    while engine.exit_code() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.01)
    return False
