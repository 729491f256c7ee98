"""A notify service on a fresh database, with a clock that the test moves and a gateway that does what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from infosec.clock import ManualClock
from infosec.private_files import read_secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import discover, migrate, prepare
from infosec.storage.postgres import Database
from services.notify import app
from tests.contract.notify.world import START, MoodyGateway, NotifyWorld
from tests.sim.servers import SharedServers


async def build(addresses: Addresses) -> None:
    role = addresses.role(app.ROLE)
    assert role.password_file is not None
    async with await Database.connect(addresses.postgres) as admin:
        await prepare(admin, app.SCHEMA, app.ROLE, read_secret(role.password_file))
        await migrate(admin, app.SCHEMA, discover(app.MIGRATIONS), datetime.now(UTC))


@pytest.fixture
def addresses(embedded: SharedServers, fresh_database: Callable[..., Addresses]) -> Addresses:
    """A fresh database that has the schema and the role."""
    return fresh_database(embedded.template("notify_template", build))


@pytest.fixture
async def world(addresses: Addresses) -> AsyncIterator[NotifyWorld]:
    """The service as its own role, its worker not running: a test sends by `send_due`."""
    async with await Database.connect(addresses.role(app.ROLE)) as db:
        yield NotifyWorld(db=db, clock=ManualClock(START), gateway=MoodyGateway())


@pytest.fixture
async def patient(addresses: Addresses) -> AsyncIterator[NotifyWorld]:
    """As `world`, but Submit waits so long for the gateway that no test passes because the wait ran out."""
    async with await Database.connect(addresses.role(app.ROLE)) as db:
        yield NotifyWorld(db=db, clock=ManualClock(START), gateway=MoodyGateway(), answer_wait_s=60)


@pytest.fixture
async def running(patient: NotifyWorld) -> AsyncIterator[NotifyWorld]:
    """As `patient`, with its worker running."""
    worker = asyncio.create_task(patient.app.run())
    yield patient
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
