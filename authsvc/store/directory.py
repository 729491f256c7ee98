"""The organisation tree: regions, stores, terminals, systems. Every write replaces the whole entity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from authsvc.directory import DayHours, Region, SpecialDay, Store, System, Terminal
from authsvc.hiring import Place
from infosec.ids import RegionId, StoreId, SystemId, TerminalId

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentTerminal:
    """Where a terminal stands now."""

    store_id: StoreId
    region_id: RegionId
    is_retired: bool


async def put_region(conn: Connection, region: Region) -> None:
    await conn.execute(
        "insert into auth.regions (region_id, name) values (%s, %s)"
        " on conflict (region_id) do update set name = excluded.name",
        (region.region_id, region.name),
    )


async def region_exists(conn: Connection, region_id: RegionId) -> bool:
    row = await (await conn.execute("select 1 from auth.regions where region_id = %s", (region_id,))).fetchone()
    return row is not None


async def hold_store(conn: Connection, store_id: StoreId) -> RegionId | None:
    """The region that the store is in, held against every other writer until the transaction ends; None for no store."""
    query = "select region_id from auth.stores where store_id = %s for update"
    row = await (await conn.execute(query, (store_id,))).fetchone()
    return None if row is None else RegionId(row[0])


async def people_of(conn: Connection, store_id: StoreId) -> int:
    """How many staff IDs that are not closed belong to the store."""
    query = "select count(*) from auth.staff where store_id = %s and state <> 'CLOSED'"
    row = await (await conn.execute(query, (store_id,))).fetchone()
    return int(row[0]) if row else 0


async def put_store(conn: Connection, store: Store) -> None:
    await conn.execute(
        "insert into auth.stores (store_id, region_id, name, address, hotline, hours, special_days, is_closed)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (store_id) do update set region_id = excluded.region_id,"
        " name = excluded.name, address = excluded.address, hotline = excluded.hotline, hours = excluded.hours,"
        " special_days = excluded.special_days, is_closed = excluded.is_closed",
        (
            store.store_id,
            store.region_id,
            store.name,
            store.address,
            store.hotline,
            Jsonb([_hours_body(entry) for entry in store.hours]),
            Jsonb([_special_body(entry) for entry in store.special_days]),
            store.is_closed,
        ),
    )


async def present_terminal(conn: Connection, terminal_id: TerminalId) -> PresentTerminal | None:
    """The terminal as it is, held."""
    cursor = await conn.execute(
        "select t.store_id, s.region_id, t.is_retired from auth.terminals t join auth.stores s on s.store_id = t.store_id"
        " where t.terminal_id = %s for update of t",
        (terminal_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else PresentTerminal(store_id=row[0], region_id=row[1], is_retired=row[2])


async def put_terminal(conn: Connection, terminal: Terminal) -> None:
    await conn.execute(
        "insert into auth.terminals (terminal_id, store_id, name, is_retired) values (%s, %s, %s, %s)"
        " on conflict (terminal_id) do update set store_id = excluded.store_id, name = excluded.name,"
        " is_retired = excluded.is_retired",
        (terminal.terminal_id, terminal.store_id, terminal.name, terminal.is_retired),
    )


async def put_system(conn: Connection, system: System) -> None:
    await conn.execute(
        "insert into auth.systems (system_id, name, store_ids, terminal_ids, is_retired) values (%s, %s, %s, %s, %s)"
        " on conflict (system_id) do update set name = excluded.name, store_ids = excluded.store_ids,"
        " terminal_ids = excluded.terminal_ids, is_retired = excluded.is_retired",
        (system.system_id, system.name, list(system.store_ids), list(system.terminal_ids), system.is_retired),
    )


async def absent_stores(conn: Connection, store_ids: Sequence[StoreId]) -> list[str]:
    """Those of the IDs that no store has."""
    query = "select id from unnest(%s::text[]) as id where not exists (select 1 from auth.stores where store_id = id)"
    return [row[0] for row in await (await conn.execute(query, (list(store_ids),))).fetchall()]


async def absent_terminals(conn: Connection, terminal_ids: Sequence[TerminalId]) -> list[str]:
    """Those of the IDs that no terminal has."""
    query = (
        "select id from unnest(%s::text[]) as id where not exists (select 1 from auth.terminals where terminal_id = id)"
    )
    return [row[0] for row in await (await conn.execute(query, (list(terminal_ids),))).fetchall()]


async def places(conn: Connection) -> dict[StoreId, Place]:
    """Every store, as hiring needs it."""
    rows = await (await conn.execute("select store_id, region_id, is_closed from auth.stores")).fetchall()
    return {StoreId(row[0]): Place(region_id=RegionId(row[1]), is_closed=row[2]) for row in rows}


async def regions(conn: Connection, *, after: str, size: int) -> list[Region]:
    query = "select region_id, name from auth.regions where region_id > %s order by region_id limit %s"
    rows = await (await conn.execute(query, (after, size))).fetchall()
    return [Region(region_id=RegionId(row[0]), name=row[1]) for row in rows]


async def stores(conn: Connection, *, region_id: RegionId | None, after: str, size: int) -> list[Store]:
    cursor = await conn.execute(
        "select store_id, region_id, name, address, hotline, hours, special_days, is_closed from auth.stores"
        " where store_id > %s and (%s::text is null or region_id = %s) order by store_id limit %s",
        (after, region_id, region_id, size),
    )
    return [
        Store(
            store_id=StoreId(row[0]),
            region_id=RegionId(row[1]),
            name=row[2],
            address=row[3],
            hotline=row[4],
            hours=tuple(DayHours(**entry) for entry in row[5]),
            special_days=tuple(_special_from(entry) for entry in row[6]),
            is_closed=row[7],
        )
        for row in await cursor.fetchall()
    ]


async def terminals(conn: Connection, *, store_id: StoreId, after: str, size: int) -> list[Terminal]:
    cursor = await conn.execute(
        "select terminal_id, store_id, name, is_retired from auth.terminals where store_id = %s and terminal_id > %s"
        " order by terminal_id limit %s",
        (store_id, after, size),
    )
    return [
        Terminal(terminal_id=TerminalId(row[0]), store_id=StoreId(row[1]), name=row[2], is_retired=row[3])
        for row in await cursor.fetchall()
    ]


async def systems(conn: Connection, *, after: str, size: int) -> list[System]:
    cursor = await conn.execute(
        "select system_id, name, store_ids, terminal_ids, is_retired from auth.systems where system_id > %s"
        " order by system_id limit %s",
        (after, size),
    )
    return [
        System(
            system_id=SystemId(row[0]),
            name=row[1],
            store_ids=tuple(row[2]),
            terminal_ids=tuple(row[3]),
            is_retired=row[4],
        )
        for row in await cursor.fetchall()
    ]


def _hours_body(entry: DayHours) -> dict[str, int]:
    return {"weekday": entry.weekday, "opens_at_min": entry.opens_at_min, "closes_at_min": entry.closes_at_min}


def _special_body(entry: SpecialDay) -> dict[str, object]:
    return {
        "date": entry.day.isoformat(),
        "is_closed": entry.is_closed,
        "opens_at_min": entry.opens_at_min,
        "closes_at_min": entry.closes_at_min,
    }


def _special_from(body: dict[str, Any]) -> SpecialDay:
    return SpecialDay(
        day=date.fromisoformat(body["date"]), opens_at_min=body["opens_at_min"], closes_at_min=body["closes_at_min"]
    )
