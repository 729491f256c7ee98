"""What a witness is told, and what the audit service is told about witnesses: strict, and explained where it is wrong."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest

from infosec.config import Config, validated
from infosec.errors import Misconfigured
from infosec.transparency.cosignatures import WitnessKey
from infosec.transparency.notes import NoteKey
from services.witness.config import WitnessConfig

DEPLOY = Path(__file__).parents[3] / "deploy"
PUBLIC = bytes(range(32))
ORIGIN = "carrier.example/audit/7e57ab1e/east"
LOG_KEY = NoteKey(name=ORIGIN, public=PUBLIC).vkey()
WITNESS_KEY = WitnessKey(name="witness.example/w1", public=PUBLIC).vkey()
MINIMAL: dict[str, object] = {"name": "witness.example/w1", "data_dir": "state"}


def test_a_witness_watches_the_logs_that_it_is_told_of(tmp_path: Path) -> None:
    log = {"origin": ORIGIN, "keys": [LOG_KEY]}
    config = validated(WitnessConfig, {**MINIMAL, "logs": [log]}, base=tmp_path)
    assert config.watched == {ORIGIN: (NoteKey(name=ORIGIN, public=PUBLIC),)}
    assert config.data_dir == tmp_path / "state"
    config.check()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": "two words"}, "name"),
        ({"name": "a+b"}, "name"),
        ({"logs": [{"origin": ORIGIN, "keys": []}]}, "logs.0.keys"),
        ({"logs": [{"origin": ORIGIN, "keys": [WITNESS_KEY]}]}, "logs.0.keys.0"),
        ({"logs": [{"origin": ORIGIN, "keys": [LOG_KEY.replace("east", "west")]}]}, "logs.0.keys.0"),
        ({"logs": [{"origin": ORIGIN, "keys": [LOG_KEY]}] * 2}, ""),
        ({"logs": [{"origin": ORIGIN, "kees": [LOG_KEY]}]}, "logs.0.keys"),
        ({"listen": "nowhere"}, "listen"),
        ({"lissen": "127.0.0.1:1"}, "lissen"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], key: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        validated(WitnessConfig, {**MINIMAL, **change})
    assert refused.value.details["key"] == key


def test_an_unknown_key_in_a_list_gets_a_suggestion_of_its_own_place() -> None:
    with pytest.raises(Misconfigured) as refused:
        Config.from_mapping({"audit": {"witnesses": [{"url": "https://w", "key": WITNESS_KEY, "cu": "ca.pem"}]}})
    assert refused.value.details["key"] == "audit.witnesses.0.cu"
    assert refused.value.details["hint"] == "known here: url, key, ca, logs"


def test_beyond_loopback_a_witness_needs_a_certificate() -> None:
    config = validated(WitnessConfig, {**MINIMAL, "listen": "0.0.0.0:7470"})
    with pytest.raises(Misconfigured) as refused:
        config.check()
    assert refused.value.details["key"] == "listen"


@pytest.mark.parametrize("url", ["http://127.0.0.1:7470", "https://witness.example/prefix", "http://[::1]:7470/"])
def test_the_audit_service_asks_witnesses_over_tls_or_on_this_machine(url: str) -> None:
    config = Config.from_mapping({"audit": {"witnesses": [{"url": url, "key": WITNESS_KEY, "logs": ["east"]}]}})
    (witness,) = config.audit.witnesses
    assert witness.key.name == "witness.example/w1" and witness.logs == ("east",)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://witness.example", WITNESS_KEY),
        ("ftp://127.0.0.1", WITNESS_KEY),
        ("https://user:word@witness.example", WITNESS_KEY),
        ("https://witness.example?x=1", WITNESS_KEY),
        ("https://", WITNESS_KEY),
        ("https://witness.example:99999", WITNESS_KEY),
        ("https://witness.example", LOG_KEY),
        ("https://witness.example", "nonsense"),
    ],
)
def test_a_witness_that_cannot_be_trusted_is_refused(url: str, key: str) -> None:
    with pytest.raises(Misconfigured):
        Config.from_mapping({"audit": {"witnesses": [{"url": url, "key": key}]}})


def test_one_witness_does_not_count_twice() -> None:
    other = WitnessKey(name="witness.example/w2", public=PUBLIC).vkey()
    with pytest.raises(Misconfigured):
        Config.from_mapping(
            {"audit": {"witnesses": [{"url": "https://a", "key": WITNESS_KEY}, {"url": "https://b", "key": other}]}}
        )


def test_the_sample_is_a_configuration_and_the_unit_runs_it_without_privileges() -> None:
    sample = WitnessConfig.load(DEPLOY / "config/witness.toml")
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/infosec-witness.service", encoding="utf-8")
    service = unit["Service"]
    assert service["NoNewPrivileges"] == "yes" and service["User"] != "root"
    assert str(sample.data_dir) == f"/var/lib/{service['StateDirectory']}"
    _program, *words = shlex.split(service["ExecStart"])
    assert words[:3] == ["witness", "run", "--config"]
