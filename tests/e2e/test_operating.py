"""docs/operating.md, done: every command line of it, in its order, on an installation that serves.

A line that is new in the document is run as it stands. Only what HOW and NOT_RUN say is done otherwise, or not at all.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.sim.installation import (
    PEOPLE,
    Administrator,
    Installation,
    Opened,
    Process,
    auditor_of,
    free_port,
    people_of,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"
SHEET = "工号,姓名,手机,岗位,营业厅\nclerk.li,李营业,13900001111,clerk,s001\n"
OWN_ENGINES = (
    "First start",
    "Certificates",
    "Keys",
    "Signed logs and witnesses",
    "Backup and restore",
    "Retention",
    "Break-glass",
)
OUTSIDE_ENGINES = ("Servers of your own",)
WITHOUT_COMMANDS = ("Metrics and alerts",)
NOT_RUN = {
    "systemctl stop infosec": "no systemd where tests run: the process gets the SIGTERM that systemd would send",
    "systemctl start infosec": "the same; tests/unit/services/test_deploy.py holds the unit against the program",
}


def sections() -> dict[str, list[str]]:
    """The console lines under each heading."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```console\n(.*?)```", part, re.DOTALL)
        found[part.partition("\n")[0]] = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return found


@dataclass(kw_only=True)
class Walk:
    """Somebody who does what the document says."""

    here: Installation
    processes: list[Process]
    people: Opened | None = None
    audit: str = ""
    """Where the process with the audit logs listens; it comes first."""
    ran: list[str] = field(default_factory=list)

    def through(self, *headings: str) -> None:
        for heading in headings:
            for line in sections()[heading]:
                if line not in NOT_RUN:
                    HOW.get(line, run)(self, self.words(line))
                elif "stop" in line:
                    self.stop()
                else:
                    self.processes.append(self.here.start())
                self.ran.append(line)

    def words(self, line: str) -> list[str]:
        """With this installation's paths in the place of the document's."""
        paths = {"/etc/infosec": str(self.here.place), "people.csv": str(self.here.place / "people.csv")}
        paths |= {name: str(self.here.place / name.strip("/")) for name in ("/backup", "/safe")} | {
            "/var/lib": str(self.here.place)
        }
        for of_document, of_ours in paths.items():
            line = line.replace(of_document, of_ours)
        return shlex.split(line)

    def stop(self) -> None:
        assert self.processes[-1].terminate() == 0

    @property
    def administrator(self) -> Administrator:
        assert self.people is not None
        return self.people.administrators[0]


def run(walk: Walk, words: list[str], *more: str, stdin: str = "") -> Any:
    """Run it to its end, which is a good one. What works on the server takes the configuration of the test: its port is free."""
    assert words.pop(0) == "infosec"
    if words[0] in ON_SERVER and "--config" not in words:
        more = (*more, "--config", str(walk.here.config))
    return walk.here.run(*words, *more, stdin=stdin)


ON_SERVER = {"init", "doctor", "migrate", "cert", "keys", "break-glass", "audit-log"}


def serve(walk: Walk, words: list[str]) -> str:
    """Where it serves."""
    options = words[2:] if len(words) > 2 else ["--config", str(walk.here.config)]
    process = Process([*walk.here.command("serve"), *options], walk.here.environment)
    walk.processes.append(process)
    return process.until_serving()


def check_config(walk: Walk, words: list[str]) -> None:
    run(walk, words)
    assert "Traceback" not in walk.processes[-1].text


def init(walk: Walk, words: list[str]) -> None:
    """It asks; here the answers are given as options."""
    walk.people = people_of(walk.here, run(walk, words, *PEOPLE).json)


def log_in(walk: Walk, words: list[str]) -> None:
    """It asks; and the one-time password is to be changed there."""
    one = walk.administrator
    run(walk, words, "--password-stdin", "--totp", stdin=f"{one.password}\n{one.code()}\n")
    one.change_password("plum.Fence-27")
    (walk.here.place / "people.csv").write_text(SHEET, encoding="utf-8")


def add_keys(walk: Walk, words: list[str]) -> None:
    """As if this release had brought the kind."""
    (walk.here.data / "keys" / f"{words[3]}.json").unlink()
    run(walk, words)


def set_up_witness(walk: Walk, words: list[str]) -> None:
    """Of the log of the region, on a port that is free."""
    log = next(one for one in walk.here.on_server("audit-log", "keys").json if one["log_id"] == "south")
    origin = log["key"].rsplit("+", 2)[0]
    text = f"""
name = "witness.south.example/audit"
listen = "127.0.0.1:0"
data_dir = "witness"
[[logs]]
origin = "{origin}"
keys = ["{log["key"]}"]
"""
    (walk.here.place / "witness.toml").write_text(text, encoding="utf-8")
    assert run(walk, words).json["key"].startswith("witness.south.example/audit+")


def run_witness(walk: Walk, words: list[str]) -> None:
    """Until it is stopped."""
    witness = Process(walk.here.command(*words[1:]), walk.here.environment)
    try:
        address = witness.until_serving(r"^The witness answers at (\S+)\. ")
        with urllib.request.urlopen(f"http://{address}/healthz") as answer:
            assert answer.read() == b"ok\n"
        assert witness.terminate() == 0
    finally:
        witness.kill()


def archived(walk: Walk, words: list[str]) -> None:
    """The document's folder has another name here."""
    for folder in ("backup", "safe"):
        (walk.here.place / folder).mkdir(exist_ok=True)
    ours = [re.sub("^infosec(?=$|/)", walk.here.data.name, word) for word in words]
    subprocess.run(ours, check=True)


def restore(walk: Walk, words: list[str]) -> None:
    """After more was recorded, and with the server stopped; everything is removed but what must not go back."""
    walk.administrator.log_in()  # a stolen key was turned since the last time
    before = signed_size(walk, "south")
    walk.here.run("directory", "terminal", "put", "s001-t2", "--store", "s001")
    while signed_size(walk, "south") == before:
        time.sleep(0.1)
    walk.stop()
    for path in walk.here.data.iterdir():
        if path.name != "audit":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    archived(walk, words)


def accept_restore(walk: Walk, words: list[str]) -> None:
    """For the log that the document names, and then for every other that the doctor still names."""
    run(walk, words)
    for about in wrong(walk):
        log = about.removeprefix("audit.checkpoints.")
        walk.here.on_server("audit-log", "accept-restore", log, "--reason", "the same restore")
    assert wrong(walk) == []
    record = json.loads((walk.here.data / "audit" / "checkpoints.json").read_text(encoding="utf-8"))
    (kept,) = record["logs"]["south"]["restores"]
    assert kept["reason"] in words


def wrong(walk: Walk) -> list[str]:
    """What the doctor finds wrong."""
    return [one["about"] for one in walk.here.on_server("doctor", expect=None).json if one["verdict"] == "WRONG"]


def signed_size(walk: Walk, log: str) -> int:
    record = json.loads((walk.here.data / "audit" / "checkpoints.json").read_text(encoding="utf-8"))
    return int(record["logs"].get(log, {"size": 0})["size"])


def as_auditor(walk: Walk, words: list[str]) -> None:
    """Whom one administrator proposes and the other lets in."""
    assert walk.people is not None
    first, second = walk.people.administrators
    first.log_in()
    desk = auditor_of(walk.here, second)
    assert desk.run(*words[1:]).json == {"payloads": 0, "entries": 0, "held": 0}


def break_glass(walk: Walk, words: list[str]) -> None:
    assert walk.people is not None
    shown = run(walk, words, "--codes-stdin", stdin="".join(f"{code}\n" for code in walk.people.codes)).json
    assert shown["password"] and len(shown["break_glass"]) == 2


def another_process(walk: Walk, words: list[str]) -> None:
    """The same engines and keys, a port of its own; the whole suite has made way."""
    if walk.ran[-1] == "infosec serve --config /etc/infosec/infosec.toml":
        walk.stop()
    config = Path(words[words.index("--config") + 1])
    audit = f'[audit]\naddress = "{walk.audit}"\n' if walk.audit else ""
    shared = "shares_port = true\n" if config.stem == "audit" else ""
    Installation(place=walk.here.place, config_text=shared + walk.here.config_text + audit, name=config.stem)
    address = serve(walk, words)
    walk.audit = walk.audit or address


def a_second_recorder(walk: Walk, words: list[str]) -> None:
    """At the address of the first; its page of metrics where nobody else is."""
    assert serve(walk, [*words[:-1], f"127.0.0.1:{free_port()}"]) == walk.audit


HOW: dict[str, Callable[[Walk, list[str]], Any]] = {
    "infosec serve": serve,
    "infosec serve --config /etc/infosec/infosec.toml": serve,
    "infosec serve --config /etc/infosec/infosec.toml --check-config": check_config,
    "infosec serve --config /etc/infosec/audit.toml --part audit": another_process,
    "infosec serve --config /etc/infosec/audit.toml --part audit --metrics-listen 127.0.0.1:7451": a_second_recorder,
    "infosec serve --config /etc/infosec/core.toml --part core": another_process,
    "infosec serve --config /etc/infosec/check.toml --part check": another_process,
    "infosec init": init,
    "infosec init --config /etc/infosec/infosec.toml": init,
    "infosec login adm01": log_in,
    "infosec keys add assertion --config /etc/infosec/infosec.toml": add_keys,
    "infosec witness init --config /etc/infosec/witness.toml": set_up_witness,
    "infosec witness run --config /etc/infosec/witness.toml": run_witness,
    "tar --create --numeric-owner --exclude infosec/audit --exclude infosec/keys --exclude infosec/tls"
    " --file /backup/infosec.tar --directory /var/lib infosec": archived,
    "tar --create --numeric-owner --file /safe/infosec-keys.tar --directory /var/lib infosec/keys infosec/tls": archived,
    "tar --create --numeric-owner --file /backup/infosec-audit.tar --directory /var/lib infosec/audit": archived,
    "tar --extract --same-permissions --file /backup/infosec.tar --directory /var/lib": restore,
    "tar --extract --same-permissions --file /safe/infosec-keys.tar --directory /var/lib": archived,
    'infosec audit-log accept-restore south --reason "the disk failed; backup of Sunday night"': accept_restore,
    "infosec audit retention --dry-run": as_auditor,
    'infosec break-glass adm01 --reason "both administrators lost their phones" --reset-totp': break_glass,
}
"""What asks people, runs until it is stopped, or needs something to have happened."""


def test_every_section_is_gone_through_and_nothing_is_told_of_lines_that_are_not_there() -> None:
    found = sections()
    assert found.keys() == {*OWN_ENGINES, *OUTSIDE_ENGINES, *WITHOUT_COMMANDS}
    assert [heading for heading in WITHOUT_COMMANDS if found[heading]] == []
    assert HOW.keys() | NOT_RUN.keys() <= {line for lines in found.values() for line in lines}


@pytest.mark.rule("ID-8")
def test_an_installation_with_engines_of_its_own_is_run_by_the_book(place: Path, processes: list[Process]) -> None:
    here = Installation(place=place)
    walk = Walk(here=here, processes=processes)
    walk.through(*OWN_ENGINES)
    assert [one["verdict"] for one in here.on_server("doctor").json if one["verdict"] == "WRONG"] == []
    walk.stop()
    assert all("Traceback" not in process.text for process in processes)


def test_servers_of_ones_own_are_run_by_the_book(place: Path, outside: str, processes: list[Process]) -> None:
    walk = Walk(here=Installation(place=place, config_text=outside), processes=processes)
    walk.through(*OUTSIDE_ENGINES)
    for process in processes[1:]:
        assert process.terminate() == 0
    assert all("Traceback" not in process.text for process in processes)
