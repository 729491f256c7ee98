"""The pool and its border, embedded and outside."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from infosec.errors import Aborted, AlreadyExists, Internal, Misconfigured, Reason, ResourceExhausted, Unavailable
from infosec.private_files import write_private
from infosec.storage.embedded import Addresses
from infosec.storage.postgres import Connection, Database, Ends, Isolation, PoolLimits, together
from tests.contract.storage.conftest import ROLE, SCHEMA
from tests.sim.patience import PATIENCE_S, connected, once_available
from tests.sim.servers import TcpServers, postgres_link_to, sync_connection

_ALIVE = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
# It is over when the statement is: a signal that was only sent may come after what it should prevent.
_END = "SELECT pg_terminate_backend(%s, 60000)"
_END_ALL = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = %s"
COUNT = f"SELECT count(*) FROM {SCHEMA}.jobs"
ADD = f"INSERT INTO {SCHEMA}.jobs (name) VALUES (%s)"


@pytest.fixture(params=["socket", "tls"])
async def either(request: pytest.FixtureRequest, addresses: Addresses) -> AsyncIterator[Database]:
    """The same database by its socket, and as an outside server by TCP and TLS."""
    address = addresses.role(ROLE)
    if request.param == "tls":
        tcp: TcpServers = request.getfixturevalue("tcp_servers")
        address = tcp.postgres(address)
    async with await Database.connect(address) as database:
        yield database


async def add(connection: Connection, name: str) -> None:
    await connection.execute(ADD, (name,))


async def count(database: Database) -> int:
    row = await database.read_one(COUNT)
    assert row is not None
    return int(row[0])


async def test_a_block_that_ends_well_is_committed_and_one_that_raises_is_not(either: Database) -> None:
    async with either.transaction() as connection:
        await add(connection, "kept")
    with pytest.raises(RuntimeError):
        async with either.transaction() as connection:
            await add(connection, "dropped")
            raise RuntimeError
    assert await either.read_all(f"SELECT name FROM {SCHEMA}.jobs") == [("kept",)]
    await either.health()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_goes_on_serving(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE), PoolLimits(max_size=1)) as database:
        begun = asyncio.Event()

        async def hang() -> None:
            async with database.transaction() as connection:
                await add(connection, "dropped")
                begun.set()
                await connection.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(hang())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await count(database) == 0


async def test_a_snapshot_does_not_see_what_is_committed_after_it_began(either: Database) -> None:
    async with either.transaction(Isolation.SNAPSHOT_READ_ONLY) as reader:
        before = await (await reader.execute(COUNT)).fetchone()
        async with either.transaction() as writer:
            await add(writer, "later")
        assert await (await reader.execute(COUNT)).fetchone() == before
    assert await count(either) == 1


async def test_the_loser_of_a_serialization_conflict_is_aborted(either: Database) -> None:
    async with either.transaction() as connection:
        await add(connection, "row")
    touch = f"UPDATE {SCHEMA}.jobs SET lease_owner = %s WHERE name = 'row'"
    with pytest.raises(Aborted) as caught:
        async with either.transaction(Isolation.REPEATABLE_READ) as slow:
            await slow.execute(COUNT)
            async with either.transaction() as quick:
                await quick.execute(touch, ("quick",))
            await slow.execute(touch, ("slow",))
    assert caught.value.reason is Reason.STATE_CONFLICT
    assert caught.value.retry_after is not None


async def test_driver_text_and_values_never_leave(either: Database, caplog: pytest.LogCaptureFixture) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    with caplog.at_level(logging.DEBUG), pytest.raises(AlreadyExists) as exists:
        async with either.transaction() as connection:
            await add(connection, marker)
            await add(connection, marker)
    with caplog.at_level(logging.DEBUG), pytest.raises(Internal) as internal:
        await either.read_one("SELECT %s::text::uuid", (marker,))
    for error in (exists.value, internal.value):
        assert marker not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__
    assert marker not in caplog.text


@pytest.mark.rule("ID-7")
async def test_the_server_log_holds_no_values_and_no_passwords(addresses: Addresses, database: Database) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    for statement in ("SELECT %s::text::uuid", ADD, ADD):
        with pytest.raises((Internal, AlreadyExists)):
            async with database.transaction() as connection:
                await connection.execute(ADD, (marker,))
                await connection.execute(statement, (marker,))
    password_file = addresses.role(ROLE).password_file
    assert password_file is not None
    for log in addresses.passwords.parent.glob("*.log"):
        assert marker not in log.read_text()
        assert password_file.read_text().strip() not in log.read_text()


async def test_a_failed_transaction_cannot_be_committed_in_silence(either: Database) -> None:
    with pytest.raises(Internal):
        async with either.transaction() as connection:
            await add(connection, "twice")
            with pytest.raises(psycopg.errors.UniqueViolation):
                await add(connection, "twice")
    assert await count(either) == 0


async def test_an_exhausted_pool_says_overloaded(addresses: Addresses) -> None:
    limits = PoolLimits(max_size=1, wait_s=1.0)
    async with await Database.connect(addresses.role(ROLE), limits) as database:
        await connected(database)
        async with database.transaction():
            with pytest.raises(ResourceExhausted) as caught:
                await database.read_one(COUNT)
        assert caught.value.reason is Reason.OVERLOADED
        assert await count(database) == 0


async def test_a_statement_that_takes_too_long_is_unavailable(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE), PoolLimits(statement_s=0.05)) as database:
        with pytest.raises(Unavailable):
            await database.read_one("SELECT pg_sleep(30)")
        assert await once_available(lambda: count(database)) == 0


async def test_a_cut_line_is_unavailable_and_is_over_when_it_heals(addresses: Addresses) -> None:
    link = postgres_link_to(addresses.postgres)
    address = replace(addresses.role(ROLE), host="127.0.0.1", port=link.port)
    try:
        async with await Database.connect(address, PoolLimits(min_size=3, wait_s=0.5)) as database:
            assert await once_available(lambda: count(database)) == 0
            link.cut()
            with pytest.raises(Unavailable) as caught:
                await database.health()
            assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
            with pytest.raises(Unavailable):
                async with database.transaction():
                    raise AssertionError("there is no server")
            link.heal()
            await once_available(database.health)
    finally:
        link.close()


async def test_connections_that_died_in_the_pool_are_replaced_before_anybody_notices(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE), PoolLimits(min_size=3)) as database:
        for use in (database.health, lambda: count(database)):
            await use()
            with sync_connection(addresses.postgres) as admin:
                admin.execute(_END_ALL, (ROLE,))
            await use()
        with sync_connection(addresses.postgres) as admin:
            admin.execute(_END_ALL, (ROLE,))
        async with database.transaction() as connection:
            await add(connection, "written")


async def test_a_commit_that_got_lost_says_that_it_may_have_happened(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE)) as database:
        with pytest.raises(Unavailable) as caught:
            async with database.transaction() as connection:
                await add(connection, "perhaps")
                with sync_connection(addresses.postgres) as admin:
                    admin.execute(_END, (connection.info.backend_pid,))
        assert caught.value.details["outcome"] == "unknown"


async def test_a_wrong_password_is_refused(addresses: Addresses, tmp_path: Path) -> None:
    write_private(tmp_path / "password", b"wrong\n")
    address = replace(addresses.role(ROLE), password_file=tmp_path / "password")
    async with await Database.connect(address, PoolLimits(wait_s=0.5)) as database:
        with pytest.raises(Unavailable):
            await database.health()


async def test_a_server_whose_certificate_is_not_of_the_ca_is_not_used(
    addresses: Addresses, tcp_servers: TcpServers, tmp_path: Path
) -> None:
    from tests.sim.servers import server_tls

    server_tls(tmp_path)
    address = replace(tcp_servers.postgres(addresses.role(ROLE)), tls_ca=tmp_path / "ca.pem")
    async with await Database.connect(address, PoolLimits(wait_s=0.5)) as database:
        with pytest.raises(Unavailable):
            await database.health()


async def test_another_machine_without_tls_is_refused_before_anything_is_sent(addresses: Addresses) -> None:
    with pytest.raises(Misconfigured):
        await Database.connect(replace(addresses.role(ROLE), host="db.example"))


async def test_the_service_role_can_do_its_work_and_no_more(database: Database) -> None:
    for statement in (
        f"CREATE TABLE {SCHEMA}.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE ROLE other",
        f"DELETE FROM {SCHEMA}.schema_migrations",
        f"DROP TABLE {SCHEMA}.outbox",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(Internal):
            async with database.statements() as connection:
                await connection.execute(statement)


async def test_statements_sent_together_answer_in_their_order(database: Database) -> None:
    async with database.statements() as connection:
        rows = await together(connection, ("SELECT %s::int", (1,)), (ADD, ("x",)), ("SELECT %s::int + 1", (1,)))
    assert rows == [[(1,)], [], [(2,)]]


@pytest.mark.parametrize("again", [False, True], ids=["first time", "already prepared"])
async def test_of_statements_sent_together_all_or_none_is_carried_out(database: Database, again: bool) -> None:
    async with database.statements() as connection:
        for _ in range(2 if again else 1):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await together(connection, (ADD, ("x",)), ("SELECT 1 / %s::int", (0,)), (ADD, ("y",)))
        await together(connection, ("SELECT 1 / %s::int", (1,)), (ADD, ("good",)))
    assert await count(database) == 1


async def test_what_travels_with_the_ends_of_a_transaction_is_part_of_it(database: Database) -> None:
    ends = Ends(first=("SELECT %s::text", ("first",)), last=lambda: [(ADD, ("last",)), (COUNT, ())])
    async with database.transaction(ends=ends) as connection:
        assert ends.first_rows == [("first",)]
        await add(connection, "inside")
    assert ends.last_rows == [[], [(2,)]]
    assert await count(database) == 2


async def test_nothing_is_committed_when_what_travels_with_the_commit_fails(database: Database) -> None:
    ends = Ends(last=lambda: [(ADD, ("last",)), ("SELECT 1 / %s::int", (0,))])
    with pytest.raises(Internal):
        async with database.transaction(ends=ends) as connection:
            await add(connection, "inside")
    assert await count(database) == 0


async def test_a_transaction_whose_first_statement_fails_leaves_a_good_connection(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE), PoolLimits(max_size=1)) as database:
        with pytest.raises(Internal):
            async with database.transaction(ends=Ends(first=("SELECT 1 / %s::int", (0,)))):
                raise AssertionError("unreachable")
        assert await count(database) == 0


async def test_statements_sent_together_leave_in_one_piece(database: Database) -> None:
    """Else a process that is stopped between two of them would hold its locks for ever: no timeout of the server runs."""
    seen: list[str] = []

    class Watched:
        """Looks, after each statement is queued, at what the server has of it."""

        def __init__(self, connection: Connection, watcher: Connection) -> None:
            self._connection, self._watcher = connection, watcher

        def pipeline(self) -> object:
            return self._connection.pipeline()

        async def execute(self, query: LiteralString, values: object, *, prepare: bool) -> object:
            cursor = await self._connection.execute(query, values, prepare=prepare)  # type: ignore[arg-type]
            asked = "SELECT state FROM pg_stat_activity WHERE pid = %s"
            rows = await self._watcher.execute(asked, (self._connection.info.backend_pid,))
            seen.extend(row[0] for row in await rows.fetchall())
            return cursor

    async with database.statements() as watcher, database.transaction() as connection:
        await together(Watched(connection, watcher), (ADD, ("x",)), (ADD, ("y",)))  # type: ignore[arg-type]
    assert set(seen) == {"idle in transaction"}
    assert len(seen) == 2
    assert await count(database) == 2


@pytest.mark.parametrize("good", [True, False], ids=["after good ones", "after a failed one"])
async def test_who_sleeps_in_a_transaction_after_a_message_loses_it(addresses: Addresses, good: bool) -> None:
    # Longer where there is something to be done before the sleep.
    limits = PoolLimits(max_size=1, idle_in_transaction_s=1.0 if good else 4.0)
    async with await Database.connect(addresses.role(ROLE), limits) as database:
        with pytest.raises(Unavailable):
            async with database.transaction(ends=Ends(first=(ADD, ("first",)))) as connection:
                if not good:
                    with pytest.raises(psycopg.errors.UniqueViolation):
                        await together(connection, (ADD, ("more",)), (ADD, ("first",)))
                with sync_connection(addresses.postgres) as admin:
                    async with asyncio.timeout(PATIENCE_S):
                        while admin.execute(_ALIVE, (connection.info.backend_pid,)).fetchone():
                            await asyncio.sleep(0.01)
                await connection.execute(ADD, ("late",))
        assert await count(database) == 0


async def test_a_message_to_a_server_that_hung_up_is_unavailable(addresses: Addresses) -> None:
    async with await Database.connect(addresses.role(ROLE)) as database:
        with pytest.raises(Unavailable):
            async with database.statements() as connection:
                with sync_connection(addresses.postgres) as admin:
                    admin.execute(_END, (connection.info.backend_pid,))
                await together(connection, (ADD, ("x",)), (ADD, ("y",)))
        for ends in (Ends(first=(COUNT, ())), Ends(last=lambda: [(ADD, ("z",))])):
            with pytest.raises(Unavailable):
                async with database.transaction(ends=ends) as connection:
                    with sync_connection(addresses.postgres) as admin:
                        admin.execute(_END, (connection.info.backend_pid,))
                    await together(connection, (ADD, ("x",)), (ADD, ("y",)))
        assert await count(database) == 0
