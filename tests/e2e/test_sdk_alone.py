"""The SDK in an environment that has nothing of the server's: it guards another system's method, and the command line runs."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORE_SYSTEM = Path(__file__).with_name("store_system.py")
SERVERS_OWN = ("psycopg", "structlog", "redis", "argon2", "prometheus_client", "authsvc", "services")


def needed() -> dict[str, Distribution]:
    """What `pip install infosec` brings, without extras: names and distributions, infosec itself left out."""
    found: dict[str, Distribution] = {}
    wanted = [("infosec", "")]
    done = set()
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        here = distribution(name)
        found[name] = here
        for line in here.requires or ():
            asked, _, marker = line.partition(";")
            if holds(marker, extra):
                match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[([^]]*)])?", asked.strip())
                assert match is not None, line
                extras = [one.strip() for one in (match[2] or "").split(",")]
                wanted += [(match[1].lower().replace("_", "-"), one) for one in {"", *extras}]
    del found["infosec"]
    return found


def holds(marker: str, extra: str) -> bool:
    """Whether a requirement's marker holds here. `packaging` comes with the tests, not with the SDK."""
    from packaging.markers import Marker

    return not marker.strip() or Marker(marker.strip()).evaluate({"extra": extra})


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the SDK, its dependencies, and nothing else."""
    place = tmp_path_factory.mktemp("alone")
    venv.create(place, with_pip=False, symlinks=True)
    site = next((place / "lib").glob("python*/site-packages"))
    for here in needed().values():
        for file in here.files or ():
            if file.parts[0] != "..":  # no scripts
                link(Path(str(here.locate_file(file))), site / file)
    (site / "infosec").symlink_to(ROOT / "infosec")
    return place / "bin" / "python"


def link(file: Path, at: Path) -> None:
    """File by file: packages of several distributions share folders (`google`)."""
    if file.suffix != ".pyc" and file.exists() and not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(file)


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", "-B", *arguments], capture_output=True, text=True, timeout=300, env={"PATH": "/usr/bin:/bin"}
    )


@pytest.mark.parametrize("module", SERVERS_OWN)
def test_nothing_of_the_servers_is_there(alone: Path, module: str) -> None:
    assert "ModuleNotFoundError" in run(alone, "-c", f"import {module}").stderr


@pytest.mark.rule("CI-2")
def test_a_method_of_another_store_system_is_guarded(alone: Path) -> None:
    done = run(alone, STORE_SYSTEM)
    assert (done.returncode, done.stdout.split()) == (
        0,
        ["paid:OK", "PERMISSION_DENIED:OPERATION_NOT_PERMITTED", "UNAUTHENTICATED:TOKEN_INVALID", "UNAVAILABLE:-"],
    ), done.stderr


def test_every_public_name_of_the_sdk_can_be_imported(alone: Path) -> None:
    code = "import infosec.client as sdk; print(*(getattr(sdk, name) for name in sdk.__all__))"
    done = run(alone, "-c", code)
    assert done.returncode == 0, done.stderr


def test_the_command_line_has_the_clients_commands_and_none_of_the_servers(alone: Path) -> None:
    code = "import sys; from infosec.cli.app import main; sys.argv = ['infosec', '--locale', 'en', '--help']; main()"
    done = run(alone, "-c", code)
    assert done.returncode == 0, done.stderr
    shown = set(re.findall(r"^\W*([a-z-]+)\s", done.stdout, re.MULTILINE))
    assert {"login", "check", "request", "approval", "staff"} <= shown
    assert not {"serve", "init", "migrate", "doctor", "cert", "demo"} & shown


def test_the_installation_that_runs_this_has_the_servers_commands() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "infosec", "--help"], capture_output=True, text=True, timeout=180
    )
    assert {"serve", "doctor"} <= set(re.findall(r"[a-z-]+", done.stdout))
