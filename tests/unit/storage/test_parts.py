"""The parts of storage that need no server: addresses, accounts, process marks, error table, local windows."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.errors import Aborted, AlreadyExists, InfosecError, Internal, Misconfigured, Unavailable
from infosec.private_files import write_private
from infosec.secret import Secret
from infosec.storage.addresses import PostgresAddress, require_private_path
from infosec.storage.embedded.accounts import Account, can_reach
from infosec.storage.embedded.files import password_file, read_small, write_file
from infosec.storage.embedded.hotstore import configuration
from infosec.storage.embedded.processes import ProcessMark, mark_of, recorded_process, stop_process
from infosec.storage.identifiers import sql_name
from infosec.storage.jobs import _next_due
from infosec.storage.postgres import PoolLimits, connection_arguments, storage_error

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "/run/postgresql"])
def test_this_machine_needs_no_tls(host: str) -> None:
    require_private_path(host=host, tls_ca=None, key="postgres")


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "localhost.example", "::2", "0.0.0.0", ""])
def test_another_machine_needs_tls(host: str) -> None:
    with pytest.raises(Misconfigured):
        require_private_path(host=host, tls_ca=None, key="postgres")


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        require_private_path(host="db", tls_ca=tmp_path / "ca.pem", key="postgres")


def test_over_a_network_the_server_is_verified_in_full_and_gets_no_plain_password(tmp_path: Path) -> None:
    write_private(tmp_path / "password", b"secret\n")
    address = PostgresAddress(
        host="db", dbname="infosec", user="auth", password_file=tmp_path / "password", tls_ca=tmp_path / "ca.pem"
    )
    told = connection_arguments(address, PoolLimits())
    assert (told["sslmode"], told["require_auth"]) == ("verify-full", "scram-sha-256")
    assert "secret" not in repr(address)


@pytest.mark.parametrize("name", ["", "Auth", "auth.x", 'a"b', "a b", "1a", "a;drop", "ä", "a\n", "x" * 64])
def test_only_plain_names_come_near_sql(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 63"):
        sql_name(name)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (psycopg.errors.SerializationFailure(), Aborted),
        (psycopg.errors.DeadlockDetected(), Aborted),
        (psycopg.errors.LockNotAvailable(), Aborted),
        (psycopg.errors.UniqueViolation(), AlreadyExists),
        (psycopg.errors.QueryCanceled(), Unavailable),
        (psycopg.errors.AdminShutdown(), Unavailable),
        (psycopg.errors.DiskFull(), Unavailable),
        (psycopg.OperationalError("secret host"), Unavailable),
        (psycopg.errors.CheckViolation("secret row"), Internal),
        (psycopg.errors.InsufficientPrivilege("secret table"), Internal),
        (psycopg.InterfaceError("secret"), Internal),
    ],
)
def test_every_driver_error_becomes_one_of_ours_without_its_words(
    error: psycopg.Error, ours: type[InfosecError]
) -> None:
    mapped = storage_error(error)
    assert type(mapped) is ours
    assert "secret" not in str(mapped)


def test_an_account_reaches_what_every_parent_lets_it_through(tmp_path: Path) -> None:
    stranger = Account(uid=54321, gid=54321)
    assert can_reach(None, tmp_path / "anything")
    assert can_reach(stranger, Path("/usr"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not can_reach(stranger, closed)
    info = closed.stat()
    assert can_reach(Account(uid=info.st_uid, gid=info.st_gid), closed)


def test_a_process_is_told_from_a_later_one_with_its_number(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        mark = mark_of(child.pid)
        assert mark is not None
        earlier = ProcessMark(pid=mark.pid, start_ticks=mark.start_ticks - 1, boot_id=mark.boot_id)
        other_boot = ProcessMark(pid=mark.pid, start_ticks=mark.start_ticks, boot_id="other")
        for wrong in (earlier, other_boot):
            write_file(tmp_path / "record", wrong.text())
            assert recorded_process(tmp_path / "record") is None
            assert stop_process(wrong, ((signal.SIGKILL, 5.0),))
            assert child.poll() is None
        write_file(tmp_path / "record", mark.text())
        assert recorded_process(tmp_path / "record") == mark
        assert stop_process(mark, ((signal.SIGKILL, 5.0),))
        assert child.wait() == -signal.SIGKILL
        assert recorded_process(tmp_path / "record") is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("text", ["", "x", "1 2", "a b c", "1 2 3 4", "-1 0 x"])
def test_a_broken_record_names_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "record").write_text(text)
    assert recorded_process(tmp_path / "record") is None


def test_a_planted_link_is_neither_followed_nor_kept(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("untouched")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    write_file(tmp_path / "file", "ours")
    assert (tmp_path / "target").read_text() == "untouched"
    assert not (tmp_path / "file").is_symlink()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        read_small(tmp_path / "link")


def test_a_password_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = password_file(tmp_path, "auth_service")
    text = first.read_text()
    assert password_file(tmp_path, "auth_service") == first
    assert first.read_text() == text
    assert len(text.strip()) >= 43
    assert first.stat().st_mode & 0o777 == 0o600


def test_the_redis_configuration_holds_no_password() -> None:
    assert "hunter2" not in configuration(Path("/run/x.sock"), Secret("hunter2"))


@given(every=st.integers(1, 10_000), late=st.integers(0, 1_000_000))
def test_the_next_time_is_after_now_by_one_step_at_most_and_on_the_raster(every: int, late: int) -> None:
    step, now = timedelta(seconds=every), NOW + timedelta(seconds=late)
    following = _next_due(NOW, step, now)
    assert now < following <= now + step
    assert (following - NOW) % step == timedelta(0)
