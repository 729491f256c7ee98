"""An installation as people have it: a data directory, a server process, and the `infosec` command as a process of its own."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp

BIN = Path(sys.executable).parent
CHEAP_HASHING = "[hashing]\nmemory_kib = 64\ntime_cost = 1\n"
PEOPLE = (
    "--administrator", "adm01,赵管理,13900000001", "--administrator", "adm02,钱管理,13900000002",
    "--holder", "孙一", "--holder", "李二",
)  # fmt: skip

_NOT_FOR_CLIENTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections (ip_local_port_range)."""


def free_port() -> int:
    """A port of loopback that nobody has at this moment, and that no client of another test is given before it is used."""
    for port in random.SystemRandom().sample(_NOT_FOR_CLIENTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Process:
    """A server process. `said` grows with what it writes on stderr."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until_serving(self, pattern: str = r"^Serving at (\S+)\. ", within_s: float = 180) -> str:
        """The address that it serves at. Raises AssertionError, with what it said, when it does not come to that."""
        with self._heard:
            self._heard.wait_for(lambda: self._said(pattern) or not self._reader.is_alive(), within_s)
        found = self._said(pattern)
        assert found, f"not serving: {self.text}"
        return found

    @property
    def text(self) -> str:
        return "".join(self.said)

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        """kill -9, of this process alone."""
        self._process.kill()
        self.end()

    def end(self, within_s: float = 120) -> int:
        """Wait for the end; the exit code."""
        code = self._process.wait(within_s)
        self._reader.join(within_s)
        return code

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()

    def _said(self, pattern: str) -> str | None:
        found = re.search(pattern, self.text, re.MULTILINE)
        return found[1] if found else None


@dataclass(kw_only=True)
class Installation:
    """A folder with a configuration and, once it was started, data. Commands speak English and JSON."""

    place: Path
    config_text: str = ""
    name: str = "infosec"
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.place.mkdir(mode=0o700, exist_ok=True)
        text = f'[server]\nlisten = "127.0.0.1:{self.port}"\ndata_dir = "data"\n{self.config_text}\n{CHEAP_HASHING}'
        self.config.write_text(text, encoding="utf-8")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "INFOSEC_HOME": str(self.data),
            "INFOSEC_ADDRESS": f"127.0.0.1:{self.port}",
            "XDG_STATE_HOME": str(self.place / "state"),
            "LANG": "en_US.UTF-8",
        }

    @property
    def config(self) -> Path:
        return self.place / f"{self.name}.toml"

    @property
    def data(self) -> Path:
        return self.place / "data"

    def start(self, *options: str) -> Process:
        """`infosec serve`, until it serves."""
        process = self.spawn(*options)
        try:
            process.until_serving()
        except AssertionError:
            process.kill()
            raise
        return process

    def spawn(self, *options: str) -> Process:
        """`infosec serve`, without waiting."""
        return Process([*self.command("serve"), "--config", str(self.config), *options], self.environment)

    def command(self, *words: str) -> list[str]:
        """The words of an `infosec` command, which speaks English and JSON."""
        return [str(BIN / "infosec"), "--locale", "en", "--output", "json", *words]

    def on_server(self, *words: str, stdin: str = "", expect: int | None = 0) -> Done:
        """A server-side command on this configuration."""
        return self.run(*words, "--config", str(self.config), stdin=stdin, expect=expect)

    def run(self, *words: str, stdin: str = "", terminal: str = "console-1", expect: int | None = 0) -> Done:
        """One `infosec` command."""
        command = self.command("--terminal", terminal, *words)
        ended = subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, timeout=180, check=False
        )
        done = Done(code=ended.returncode, out=ended.stdout, err=ended.stderr)
        assert expect is None or done.code == expect, f"{' '.join(words)}: {done.code}\n{done.out}\n{done.err}"
        return done


@dataclass(kw_only=True)
class Administrator:
    """One of the two whom `infosec init` made, at the carrier's console."""

    installation: Installation
    staff_id: str
    password: str
    totp: pyotp.TOTP
    last_step: int = 0

    def log_in(self) -> Any:
        """With a code. What the login answered."""
        done = self.installation.run(
            "login", self.staff_id, "--password-stdin", "--totp", stdin=f"{self.password}\n{self.code()}\n"
        )
        return done.json

    def code(self) -> str:
        """One that was not used before (RQ-3): the present one, or the one after it, which is good already."""
        self.last_step = max(self.last_step + 1, self.totp.timecode(datetime.now(UTC)))
        while self.last_step > self.totp.timecode(datetime.now(UTC)) + 1:
            time.sleep(0.1)  # a quick machine has used both
        return self.totp.generate_otp(self.last_step)

    def change_password(self, new: str) -> None:
        self.installation.run("password", "change", "--password-stdin", stdin=f"{self.password}\n{new}\n")
        self.password = new


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What `infosec init` showed."""

    administrators: tuple[Administrator, Administrator]
    codes: tuple[str, str]


def opened(installation: Installation) -> Opened:
    """Set up with two administrators and two holders of codes."""
    return people_of(installation, installation.on_server("init", *PEOPLE).json)


def people_of(installation: Installation, shown: Any) -> Opened:
    """Those whom `infosec init` showed."""
    first, second = (
        Administrator(
            installation=installation, staff_id=one["staff_id"], password=one["password"],
            totp=pyotp.TOTP(pyotp.parse_uri(one["totp_uri"]).secret),
        )
        for one in shown["administrators"]
    )  # fmt: skip
    codes = [one["code"] for one in shown["break_glass"]]
    return Opened(administrators=(first, second), codes=(codes[0], codes[1]))


def staffed_store(installation: Installation, region: str, store: str, people: Sequence[tuple[str, str, str]]) -> None:
    """As the administrator who is logged in: a region, a store open day and night, its first desk, and its people."""
    installation.run("directory", "region", "put", region, "--name", f"片区{region}")
    installation.run(
        "directory", "store", "put", store, "--region", region, "--name", f"营业厅{store}", "--hours", "1-7=00:00-24:00"
    )
    installation.run("directory", "terminal", "put", f"{store}-t1", "--store", store)
    installation.run("directory", "system", "put", "cli", "--store", "carrier-hq", "--store", store)
    lines = [f"{staff_id},{name},{phone},clerk,{store}" for staff_id, name, phone in people]
    sheet = installation.place / f"{store}.csv"
    sheet.write_text("\n".join(["工号,姓名,手机,岗位,营业厅", *lines]), encoding="utf-8")
    installation.run("staff", "import", str(sheet))


def first_password(installation: Installation, phone: str) -> str:
    """What the SMS to this phone says (ID-1)."""
    texts = [one["text"] for one in installation.run("sms", "--phone-ends", phone).json]
    found = [match[0] for text in texts if (match := re.search(r"[a-z0-9]{4}(-[a-z0-9]{4}){2}", text))]
    assert found, texts
    return found[-1]


def auditor_of(installation: Installation, second: Administrator, phone: str = "13900000003") -> Installation:
    """The desk of an auditor, logged in: whom the administrator at the console proposes and the second one lets in (ID-8)."""
    auditor = {"name": "宋文", "phone": phone, "role_id": "auditor", "store_id": "carrier-hq"}
    words = ("staff", "create", "aud01", "--file", "-", "--reason", "internal audit")
    proposed = installation.run(*words, stdin=json.dumps(auditor), expect=5).json["id"]
    desk = copy(installation)
    desk.environment = {**installation.environment, "XDG_STATE_HOME": str(installation.place / "state-of-others")}
    second.installation = desk
    second.log_in()
    second.change_password("hazel.Spoon-41")
    desk.run("request", "approve", proposed, "--code-stdin", stdin=f"{second.code()}\n")
    given, own = first_password(desk, phone[-4:]), "maple.Chair-82"
    desk.run("login", "aud01", "--password-stdin", stdin=f"{given}\n")
    desk.run("password", "change", "--password-stdin", stdin=f"{given}\n{own}\n")
    uri = desk.run("totp", "enroll", "--password-stdin", stdin=f"{own}\n").json["otpauth_uri"]
    desk.run("totp", "activate", "--code-stdin", stdin=f"{pyotp.TOTP(pyotp.parse_uri(uri).secret).now()}\n")
    return desk
