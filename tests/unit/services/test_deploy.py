"""What lies in deploy/ fits the program: the sample is a configuration, the alerts name metrics that exist, the unit commands."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.main import get_command

from infosec.cli.app import app
from infosec.config import Config
from infosec.rpc.server.metrics import ServerMetrics
from services.checking import ROLES, RPC_SERVICES, SUITE

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"


def test_the_sample_for_outside_servers_is_a_configuration() -> None:
    document = tomllib.loads((DEPLOY / "config/outside-servers.toml").read_text(encoding="utf-8"))
    config = Config.from_mapping(document)
    assert config.postgres is not None and config.redis.mode == "external"
    assert set(config.postgres.role_password_files) == {role for part in SUITE for role in ROLES[part]}
    assert set(config.callers.allow) <= RPC_SERVICES
    assert not config.hashing.is_below_owasp


def test_every_alert_is_about_a_metric_that_exists() -> None:
    rules = (DEPLOY / "prometheus/infosec.rules.yml").read_text(encoding="utf-8")
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("auditsvc", "authsvc", "services", "infosec")
        for path in (ROOT / folder).rglob("*.py")
    )
    declared = set(re.findall(r'"(infosec_[a-z_]+)"', source))
    suffixed = {name + suffix for name in declared for suffix in ("", "_total", "_bucket", "_count", "_sum")}
    named = set(re.findall(r"\binfosec_[a-z_]+", rules))
    assert named and named <= suffixed


def test_the_counters_of_the_alerts_have_the_labels_that_they_ask_for() -> None:
    registry = CollectorRegistry()
    metrics = ServerMetrics(registry)
    metrics.answered("/x/Y", "INTERNAL", "LOGIN_REFUSED", 0.01)
    metrics.refusal_fault(is_lost=False)
    found = {(sample.name, *sorted(sample.labels)) for family in registry.collect() for sample in family.samples}
    assert ("infosec_rpc_calls_total", "grpc_code", "method", "reason") in found
    assert ("infosec_rpc_seconds_bucket", "le", "method") in found
    assert ("infosec_rpc_refusal_faults_total", "is_lost") in found


def test_the_unit_starts_commands_that_exist_without_privileges() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/infosec.service", encoding="utf-8")
    service = unit["Service"]
    assert service["User"] == "infosec" and service["NoNewPrivileges"] == "yes"
    for key in ("ExecStart", "ExecStartPre"):
        _program, *words = shlex.split(service[key])
        _require_command(words)


def test_every_command_of_the_manual_exists() -> None:
    manual = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", manual, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.startswith("$ ")]
    asked = [shlex.split(line[2:], comments=True) for line in lines]
    ours = [words[words.index("infosec") + 1 :] for words in asked if "infosec" in words]
    assert len(ours) > 10
    for words in ours:
        _require_command(words)


def _require_command(words: list[str]) -> None:
    """That these words lead to a command, and that its options are among them."""
    root = get_command(app)
    command, known = root, {name for parameter in root.params for name in parameter.opts}
    rest = list(words)
    while rest and hasattr(command, "get_command"):
        name = rest.pop(0)
        if name.startswith("-"):
            pytest.fail(f"{words}: write options behind the command")
        found = command.get_command(None, name)  # type: ignore[arg-type]
        assert found is not None, f"no command {name!r} in {words}"
        command = found
        known |= {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert options <= known, f"{words}: {options - known}"
