"""One running installation for the tests that only use it, and places for those that start and stop their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infosec.storage.embedded import Addresses
from services.schemas import SCHEMAS
from tests.sim.installation import Installation, Opened, Process, free_port, opened
from tests.sim.servers import TcpServers

ROLES = [role for _schema, roles, _migrations in SCHEMAS for role in roles]
"""Every login role of every service."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short, private folder."""
    folder = Path(tempfile.mkdtemp(prefix="infosec-e2e-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """Whatever a test puts in here is ended after it, with the engines that it started."""
    started: list[Process] = []
    yield started
    for process in reversed(started):
        try:
            process.terminate()
        finally:
            process.kill()


@pytest.fixture(scope="session")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def office(metrics_port: int) -> Iterator[tuple[Installation, Opened]]:
    """A running installation, set up; the first administrator is logged in at the console, with a password of their own."""
    folder = Path(tempfile.mkdtemp(prefix="infosec-e2e-"))
    installation = Installation(place=folder, config_text=f'metrics_listen = "127.0.0.1:{metrics_port}"')
    server = installation.start()
    try:
        people = opened(installation)
        people.administrators[0].log_in()
        people.administrators[0].change_password("plum.Fence-27")
        yield installation, people
        assert server.terminate() == 0
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture
def database(fresh_database: Callable[[], Addresses]) -> Addresses:
    return fresh_database()


@pytest.fixture
def outside(place: Path, tcp_servers: TcpServers, database: Addresses) -> str:
    """The sections [postgres] and [redis] for a fresh database, with private copies of the passwords."""
    addresses = database
    admin, redis = tcp_servers.postgres(addresses.postgres), tcp_servers.redis()
    assert admin.password_file is not None and admin.tls_ca is not None
    assert redis is not None and redis.password_file is not None
    secrets = place / "secrets"
    secrets.mkdir(mode=0o700)
    for name, file in (
        ("admin", admin.password_file),
        ("redis", redis.password_file),
        *((role, addresses.role(role).password_file) for role in ROLES),
    ):
        assert file is not None
        shutil.copy(file, secrets / name)
        (secrets / name).chmod(0o600)
    return f"""
[postgres]
host = "localhost"
port = {admin.port}
dbname = "{admin.dbname}"
tls_ca = "{admin.tls_ca}"
admin_user = "{admin.user}"
admin_password_file = "secrets/admin"
role_password_files = {{ {", ".join(f'{role} = "secrets/{role}"' for role in ROLES)} }}
[redis]
host = "localhost"
port = {redis.port}
username = "{redis.user}"
password_file = "secrets/redis"
tls_ca = "{redis.tls_ca}"
"""
