"""The embedded PostgreSQL: makes the cluster, starts it, and gets rid of what a killed predecessor left running.

Scram for everybody, no TCP, fsync on, checksums, UTF-8, C locale. Its log holds no statements and no values (ID-7).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from infosec.errors import Misconfigured, Reason
from infosec.secret import Secret
from infosec.storage.embedded.accounts import Account
from infosec.storage.embedded.files import make_folder, read_small, sync_folder, write_file
from infosec.storage.embedded.premises import Premises
from infosec.storage.embedded.processes import (
    Engine,
    ProcessMark,
    StopPlan,
    as_account,
    command_of,
    mark_of,
    recorded_process,
    start_engine,
    stop_process,
)
from infosec.storage.embedded.programs import Programs

ADMIN = "infosec_admin"
DATABASE = "infosec"

STOP_PLAN: StopPlan = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 8.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, immediate shutdown, kill. After any of them everything committed is there."""

_READY_WITHIN_S = 60.0
_RETRY_WITHIN_S = 15.0
_RETRY_AFTER_ORDERLY_END_S = 3.0
_HBA = "local all all scram-sha-256\n"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_ITERATIONS = "1"
"""Of SCRAM. The passwords here are 256 random bits: stretching them costs each connection 3 ms and adds nothing."""
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "scram_iterations": _ITERATIONS,
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # what a statement or an error could quote stays out of the log: statements, parameters, DETAIL, and ERROR itself
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}


def initialise(premises: Premises, programs: Programs, account: Account | None, password: Secret) -> None:
    """Make the cluster, unless it is there. A half-made one from a crash is thrown away: it was never used."""
    version_file = premises.postgres / "PG_VERSION"
    if version_file.exists():
        _require_same_version(version_file, programs)
        return
    draft = premises.engines / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft, 0o700, owner=account)
    password_file = premises.run / "initdb"  # a place that the account can read, gone in a moment
    write_file(password_file, password.reveal() + "\n", owner=account)
    where = str(draft) if premises.reachable else "/proc/self/cwd"
    command = [str(programs.initdb), "-D", where, "-U", ADMIN, f"--pwfile={password_file}", "--auth=scram-sha-256"]
    command += [
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--no-instructions",
        f"--set=scram_iterations={_ITERATIONS}",
    ]
    log = premises.log("initdb")
    try:
        with log.open("ab") as output:
            code = subprocess.run(
                command,
                cwd=draft,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_ENVIRONMENT,
                start_new_session=True,
                umask=0o077,
                check=False,
                **as_account(account),
            ).returncode
    finally:
        password_file.unlink()
    if code != 0:
        raise Misconfigured(Reason.CONFIGURATION, key="data_dir", detail=f"initdb failed; its own words are in {log}")
    draft.rename(premises.postgres)
    sync_folder(premises.engines)


def start(premises: Premises, programs: Programs, account: Account | None) -> Engine:
    """Start the server and wait until it takes connections."""
    write_file(premises.postgres / "pg_hba.conf", _HBA, owner=account)
    where = str(premises.postgres) if premises.reachable else "/proc/self/cwd"
    command = [str(programs.postgres), "-D", where, "-c", f"unix_socket_directories={premises.run}"]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    log = premises.log("postgres")
    unclean = (premises.postgres / "postmaster.pid").exists()
    deadline = time.monotonic() + (_RETRY_WITHIN_S if unclean else _RETRY_AFTER_ORDERLY_END_S)
    while True:
        engine = start_engine(
            "postgres",
            command,
            folder=premises.postgres,
            account=account,
            environment=_ENVIRONMENT,
            log=log,
            record=premises.record("postgres"),
        )
        if _became_ready(engine, premises.postgres / "postmaster.pid"):
            return engine
        engine.stop(STOP_PLAN)
        # Backends whose postmaster was killed, or had no time for them, need a moment to notice; until then the server
        # refuses to start, rightly.
        if time.monotonic() > deadline:
            raise Misconfigured(
                Reason.CONFIGURATION, key="data_dir", detail=f"PostgreSQL does not start; its own words are in {log}"
            )
        time.sleep(0.3)


def ensure_database(premises: Premises, password: Secret) -> None:
    """Make the database if this is the first start; proves that the password file and the cluster belong together."""
    try:
        with psycopg.connect(
            host=str(premises.run),
            port=5432,
            user=ADMIN,
            password=password.reveal(),
            dbname="postgres",
            autocommit=True,
        ) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(DATABASE)))
    except psycopg.OperationalError:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="data_dir",
            detail=f"PostgreSQL does not let us in: is {premises.passwords} that of this data directory?",
        ) from None


def stop_orphan(premises: Premises) -> None:
    """Stop the server that a killed predecessor left on our data; committed work is kept by its own shutdown."""
    mark = recorded_process(premises.record("postgres")) or _postmaster(premises.postgres)
    if mark is not None and not stop_process(mark, STOP_PLAN):
        raise Misconfigured(
            Reason.ALREADY_RUNNING, key="data_dir", pid=str(mark.pid), detail=f"PostgreSQL {mark.pid} does not stop"
        )


def _postmaster(folder: Path) -> ProcessMark | None:
    """The server that postmaster.pid names, if its command line shows that it serves this folder.

    Needed only if we were killed between starting it and writing our own record.
    """
    lines = (read_small(folder / "postmaster.pid") or "").split("\n")
    if len(lines) < 5 or not lines[0].strip().isdigit():
        return None
    command = command_of(int(lines[0]))
    ours = f"unix_socket_directories={lines[4].strip()}" in command and lines[1] in command
    return mark_of(int(lines[0])) if ours and os.path.basename(command[0]) == "postgres" else None  # noqa: PTH119


def _became_ready(engine: Engine, pid_file: Path) -> bool:
    """The server says so itself, in the last line of its pid file."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while engine.exit_code() is None and time.monotonic() < deadline:
        lines = (read_small(pid_file) or "").split("\n")
        if lines[0].strip() == str(engine.pid) and len(lines) > 7 and lines[7].strip() == "ready":
            return True
        time.sleep(0.01)
    return False


def _require_same_version(version_file: Path, programs: Programs) -> None:
    cluster = version_file.read_text(encoding="ascii").strip()
    answer = subprocess.run([programs.postgres, "--version"], capture_output=True, text=True, check=True).stdout
    ours = answer.split()[2].split(".")[0]
    if cluster != ours:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="data_dir",
            detail=f"the data is of PostgreSQL {cluster}, the program is {ours}: dump with the old, load with the new",
        )
