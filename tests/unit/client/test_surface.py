"""What a store system gets: the SDK alone, without the server's packages; and where it finds its certificates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import infosec.client
from infosec.client.installation import address_of, certificate_files
from infosec.errors import Misconfigured

_SERVER_ONLY = """
import importlib, pkgutil, sys
for name in ("psycopg", "psycopg_pool", "redis", "structlog", "prometheus_client", "pydantic", "pydantic_settings",
             "argon2", "grpc_health", "grpc_reflection", "uvloop", "pyotp", "pypinyin", "passlib", "openpyxl"):
    sys.modules[name] = None
import infosec.client, infosec.rpc
for package in (infosec.client, infosec.rpc):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name != "infosec.rpc.server":
            importlib.import_module(module.name)
for name in infosec.client.__all__:
    getattr(infosec.client, name)
"""


def test_the_sdk_imports_without_the_servers_packages() -> None:
    done = subprocess.run([sys.executable, "-c", _SERVER_ONLY], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_importing_the_package_imports_no_grpc() -> None:
    code = "import sys, infosec.client; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_no_other() -> None:
    for name in infosec.client.__all__:
        assert getattr(infosec.client, name) is not None
    with pytest.raises(AttributeError):
        _ = infosec.client.no_such_name  # type: ignore[attr-defined]


def test_certificates_are_found_where_the_first_start_puts_them(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    for name in ("ca.pem", "system-cli.pem", "system-cli.key"):
        (tls / name).touch()
    files = certificate_files(environment={"INFOSEC_HOME": str(tmp_path)})
    assert (files.ca, files.certificate, files.key) == (
        tls / "ca.pem",
        tls / "system-cli.pem",
        tls / "system-cli.key",
    )
    mine = tmp_path / "mine.pem"
    mine.touch()
    assert certificate_files(environment={"INFOSEC_HOME": str(tmp_path), "INFOSEC_CERT": str(mine)}).certificate == mine


def test_a_missing_certificate_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        certificate_files(home=tmp_path, environment={})
    assert caught.value.details["path"] == str(tmp_path / "tls" / "ca.pem")
    assert "INFOSEC_HOME" in caught.value.details["hint"]


def test_the_address_is_the_environments_or_this_machines() -> None:
    assert address_of({}) == "127.0.0.1:7443"
    assert address_of({"INFOSEC_ADDRESS": "auth.example:7443"}) == "auth.example:7443"
