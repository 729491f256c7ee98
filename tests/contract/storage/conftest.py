"""Databases with the storage package's own tables, made from its SQL files as a service's migration would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib import resources

import pytest

from infosec.private_files import read_secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import Migration, migrate, prepare
from infosec.storage.postgres import Database
from tests.sim.servers import SharedServers

START = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)

SCHEMA = "storage_test"
ROLE = "storage_service"


async def build(addresses: Addresses) -> None:
    texts = [resources.files("infosec.storage").joinpath(name).read_text() for name in ("outbox.sql", "jobs.sql")]
    tables = "\n".join(texts).format(schema=SCHEMA, role=ROLE)
    role = addresses.role(ROLE)
    assert role.password_file is not None
    async with await Database.connect(addresses.postgres) as admin:
        await prepare(admin, SCHEMA, ROLE, read_secret(role.password_file))
        await migrate(admin, SCHEMA, [Migration(version=1, name="tables", text=tables)], START)


@pytest.fixture
def addresses(embedded: SharedServers, fresh_database: Callable[..., Addresses]) -> Addresses:
    """A fresh database that has schema, role, outbox and jobs."""
    return fresh_database(embedded.template("storage_template", build))


@pytest.fixture
async def database(addresses: Addresses) -> AsyncIterator[Database]:
    """That database, as the service's role."""
    async with await Database.connect(addresses.role(ROLE)) as database:
        yield database
