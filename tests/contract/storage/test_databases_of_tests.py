"""The databases that tests get: one that another test has had is as one that was made anew."""

from __future__ import annotations

import psycopg
import pytest

from infosec.storage.addresses import PostgresAddress
from infosec.storage.embedded import Addresses
from tests.sim.servers import SharedServers, sync_connection

TEMPLATE = "template_of_two_tables"


async def build(addresses: Addresses) -> None:
    with sync_connection(addresses.postgres) as made:
        made.execute("create schema shop")
        made.execute("create table shop.stores (id bigint generated always as identity primary key, name text)")
        made.execute("create table shop.tills (store bigint references shop.stores, note text)")
        made.execute("insert into shop.stores (name) select 'store ' || n from generate_series(1, 50) n")
        made.execute("insert into shop.tills select id, E'tab\\tand \\\\ line\\n' || id from shop.stores")


def told(postgres: PostgresAddress) -> list[list[tuple[object, ...]]]:
    """Every row, and where it lies."""
    queries = ("select ctid, id, name from shop.stores", "select ctid, store, note from shop.tills")
    with sync_connection(postgres) as database:
        rows = [database.execute(query).fetchall() for query in queries]
        return [*rows, database.execute("insert into shop.stores (name) values ('next') returning id").fetchall()]


def test_rows_their_order_and_sequences_are_those_of_a_new_one(embedded: SharedServers) -> None:
    template = embedded.template(TEMPLATE, build)
    first = embedded.database(template)
    anew = told(first.postgres)
    for change in (
        "update shop.stores set name = upper(name) where id % 3 = 0",
        "delete from shop.tills where store % 2 = 0",
        "insert into shop.stores (name) select 'more' from generate_series(1, 700)",
        "select 1",
    ):
        with sync_connection(first.postgres) as database:
            database.execute(change)
        embedded.drop(first)
        again = embedded.database(template)
        assert told(again.postgres) == anew
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            sync_connection(first.postgres)
        first = again
    embedded.drop(first)


@pytest.mark.parametrize(
    "change",
    [
        "alter table shop.tills add column more int",
        "grant select on shop.tills to public",
        "create table public.other ()",
        "create function shop.one() returns int language sql as 'select 1'",
        "drop schema shop cascade",
        "alter table shop.tills disable trigger all",
        "insert into shop.stores (name) select repeat('x', 1000) from generate_series(1, 9000)",
    ],
)
def test_one_that_was_defined_otherwise_or_has_grown_is_made_anew(embedded: SharedServers, change: str) -> None:
    template = embedded.template(TEMPLATE, build)
    changed = embedded.database(template)
    identity = "select oid from pg_database where datname = current_database()"
    with sync_connection(changed.postgres) as database:
        before = database.execute(identity).fetchall()
        database.execute(change)  # type: ignore[call-overload]
    embedded.drop(changed)
    again = embedded.database(template)
    with sync_connection(again.postgres) as database:
        assert database.execute(identity).fetchall() != before
    assert [len(rows) for rows in told(again.postgres)] == [50, 50, 1]
    embedded.drop(again)
