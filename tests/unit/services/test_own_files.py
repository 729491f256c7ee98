"""`infosec cert` and `infosec keys`: what they do with the files of an installation, and that they show no key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infosec.cli.app import app
from infosec.keys import KeyRing

PRIVATE = 0o600


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose data directory has keys, and no certificates yet."""
    file = tmp_path / "infosec.toml"
    file.write_text('[server]\ndata_dir = "data"\n', encoding="utf-8")
    KeyRing.create_missing(tmp_path / "data" / "keys", now=datetime.now(UTC))
    return file


def run(config: Path, *words: str, expect: int = 0) -> Any:
    ended = CliRunner().invoke(app, ["--output", "json", "--locale", "en", *words, "--config", str(config)])
    assert ended.exit_code == expect, ended.output
    return json.loads(ended.stdout) if expect == 0 else ended.output


def test_a_certificate_is_issued_once_and_listed(config: Path) -> None:
    made = run(config, "cert", "issue", "billing-front")
    assert Path(made["key"]).stat().st_mode & 0o777 == PRIVATE
    before = Path(made["certificate"]).read_bytes()
    assert run(config, "cert", "issue", "billing-front") == made
    assert Path(made["certificate"]).read_bytes() == before
    names = [one["subject"] for one in run(config, "cert", "list")]
    assert "spiffe://carrier.example/system/billing-front" in names
    assert run(config, "cert", "renew") == []


def test_a_name_that_no_certificate_can_have_is_refused(config: Path) -> None:
    assert "a-z 0-9" in run(config, "cert", "issue", "no such name", expect=2)


def test_a_services_certificate_names_its_hosts(config: Path) -> None:
    made = run(config, "cert", "issue", "check", "--service", "--host", "check-1.carrier.example")
    assert made["certificate"].endswith("service-check.pem")


def test_with_configured_certificates_the_own_ca_issues_nothing(config: Path) -> None:
    config.write_text(config.read_text() + '[tls]\nca = "ca.pem"\ncert = "c.pem"\nkey = "c.key"\n', encoding="utf-8")
    assert "PKI" in run(config, "cert", "issue", "billing-front", expect=2)


def test_a_key_is_turned_and_the_old_one_is_kept_retired(config: Path) -> None:
    (before,) = [one for one in run(config, "keys", "list") if one["kind"] == "session"]
    new = run(config, "keys", "rotate", "session")
    after = [one for one in run(config, "keys", "list") if one["kind"] == "session"]
    assert [one["kid"] for one in after] == [new["kid"], before["kid"]]
    assert after[1]["retired_at"] and not after[0]["retired_at"]


def test_after_a_theft_nothing_that_the_old_key_signed_is_good(config: Path) -> None:
    run(config, "keys", "rotate", "session")
    new = run(config, "keys", "rotate", "session", "--stolen")
    assert [one["kid"] for one in run(config, "keys", "list") if one["kind"] == "session"] == [new["kid"]]
    run(config, "keys", "rotate", "seal-facts", "--stolen", expect=1)


def test_the_keys_of_a_new_kind_are_added_to_an_installation_that_is_there(config: Path) -> None:
    (config.parent / "data" / "keys" / "assertion.json").unlink()
    assert "infosec keys add assertion" in run(config, "keys", "list", expect=2)
    added = run(config, "keys", "add", "assertion")
    assert Path(added["path"]).stat().st_mode & 0o777 == PRIVATE
    assert "assertion" in [one["kind"] for one in run(config, "keys", "list")]
    assert "keys rotate" in run(config, "keys", "add", "assertion", expect=6)
    run(config, "keys", "add", "front-door", expect=1)


def test_no_command_shows_a_key(config: Path) -> None:
    shown = json.dumps(run(config, "keys", "list"))
    for file in (config.parent / "data" / "keys").glob("*.json"):
        for key in json.loads(file.read_text())["keys"]:
            assert key["private"] not in shown


def test_what_digests_depend_on_is_not_turned(config: Path) -> None:
    run(config, "keys", "rotate", "mac-customers", expect=6)
    run(config, "keys", "rotate", "front-door", expect=1)
