"""Migrations: each once, in order, by one; and no edited or unknown one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infosec.errors import Internal, Misconfigured
from infosec.private_files import read_secret, write_private
from infosec.secret import Secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import Migration, discover, migrate, prepare, verify
from infosec.storage.postgres import Database
from tests.contract.storage.conftest import START
from tests.sim.patience import once_available

FIRST = Migration(version=1, name="first", text="CREATE TABLE app.a (x int); INSERT INTO app.a VALUES (1);")
SECOND = Migration(version=2, name="second", text="UPDATE app.a SET x = x + 1; GRANT SELECT ON app.a TO app_service;")


@pytest.fixture
async def admin(fresh_database: Callable[..., Addresses]) -> AsyncIterator[Database]:
    addresses = fresh_database()
    async with await Database.connect(addresses.postgres) as database:
        await prepare(database, "app", "app_service", Secret("first password"))
        yield database


async def test_files_are_applied_in_order_and_once(admin: Database) -> None:
    assert await migrate(admin, "app", [FIRST], START) == (1,)
    assert await migrate(admin, "app", [FIRST, SECOND], START) == (2,)
    assert await migrate(admin, "app", [FIRST, SECOND], START) == ()
    assert await admin.read_all("SELECT x FROM app.a") == [(2,)]
    await verify(admin, "app", [FIRST, SECOND])


async def test_of_many_at_once_one_applies_and_the_others_find_it_done(admin: Database) -> None:
    answers = await asyncio.gather(*(migrate(admin, "app", [FIRST, SECOND], START) for _ in range(5)))
    assert sorted(number for answer in answers for number in answer) == [1, 2]
    assert await admin.read_all("SELECT x FROM app.a") == [(2,)]


async def test_an_edited_file_is_refused(admin: Database) -> None:
    await migrate(admin, "app", [FIRST], START)
    edited = replace(FIRST, text=FIRST.text + " -- harmless")
    for call in (migrate(admin, "app", [edited, SECOND], START), verify(admin, "app", [edited])):
        with pytest.raises(Misconfigured) as caught:
            await call
        assert "0001_first.sql was changed" in caught.value.details["detail"]


async def test_a_database_of_a_newer_release_is_refused(admin: Database) -> None:
    await migrate(admin, "app", [FIRST, SECOND], START)
    for call in (
        migrate(admin, "app", [FIRST], START),
        verify(admin, "app", [FIRST]),
        migrate(admin, "app", [], START),
    ):
        with pytest.raises(Misconfigured) as caught:
            await call
        assert "does not know" in caught.value.details["detail"]


async def test_a_missing_migration_is_named(admin: Database) -> None:
    await migrate(admin, "app", [FIRST], START)
    with pytest.raises(Misconfigured) as caught:
        await verify(admin, "app", [FIRST, SECOND])
    assert "0002 is not applied" in caught.value.details["detail"]


async def test_a_file_that_fails_leaves_nothing_behind(admin: Database) -> None:
    broken = Migration(version=1, name="first", text="CREATE TABLE app.a (x int); SELECT 1/0;")
    with pytest.raises(Internal):
        await migrate(admin, "app", [broken], START)
    assert await migrate(admin, "app", [FIRST], START) == (1,)


async def test_a_password_can_be_changed_and_only_its_verifier_is_stored(
    admin: Database, fresh_database: Callable[..., Addresses], tmp_path: Path
) -> None:
    addresses = fresh_database()
    async with await Database.connect(addresses.postgres) as other:
        await prepare(other, "app", "app_service", Secret("second password"))
        rows = await other.read_all("SELECT rolpassword FROM pg_authid WHERE rolname = 'app_service'")
        assert rows[0][0].startswith("SCRAM-SHA-256$")
        write_private(tmp_path / "password", b"second password\n")
        assert read_secret(tmp_path / "password") == Secret("second password")
        role = replace(addresses.postgres, user="app_service", password_file=tmp_path / "password")
        async with await Database.connect(role) as service:
            await once_available(service.health)


def test_the_services_own_migrations_are_found_in_order() -> None:
    assert [migration.name for migration in discover("authsvc.migrations")][:1] == ["auth"]


@pytest.mark.parametrize("names", [("0002_b.sql",), ("0001_a.sql", "0003_b.sql"), ("1_a.sql",), ("0001_A.sql",)])
def test_odd_names_and_gaps_are_refused(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "odd_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in names:
        (package / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "odd_migrations", raising=False)
    with pytest.raises(Misconfigured):
        discover("odd_migrations")
