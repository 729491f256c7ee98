"""Regions, stores, terminals, systems and assigned customers, as administrators and store managers change them."""

from __future__ import annotations

from typing import Any

import pytest

from infosec.api.auth.v1 import directory_pb2 as pb
from infosec.keys import MacKind
from tests.sim.admin_office import XU, Office, rid
from tests.sim.login_nodes import outcome


def a_store(store_id: str = "e9", region_id: str = "east", **values: Any) -> pb.Store:
    hours = [pb.DayHours(weekday=day, opens_at_min=480, closes_at_min=1200) for day in range(1, 8)]
    return pb.Store(store_id=store_id, region_id=region_id, **{"name": "新营业厅", "hours": hours, **values})


async def put_store(office: Office, token: str, store: pb.Store) -> str:
    request = pb.PutStoreRequest(request_id=rid(), token=token, store=store)
    return await office.refused(office.directory.PutStore, request)


def changes(office: Office, region: str) -> list[tuple[str, str]]:
    return office.world.rows("select kind, entity_id from auth.changes where region_id = %s order by number", region)


@pytest.mark.rule("CI-2")
async def test_a_branch_grows_from_region_to_system(office: Office) -> None:
    token = await office.token(XU)
    region = pb.PutRegionRequest(request_id=rid(), token=token, region=pb.Region(region_id="North", name="北片区"))
    answer = await office.call(office.directory.PutRegion, region)
    assert (answer.revision.region_id, answer.revision.number) == ("north", 1)
    holiday = pb.SpecialDay(date="2026-10-01", is_closed=True)
    store = a_store("n1", "north", address="一楼\n二楼", hotline="10086", special_days=[holiday])
    assert await put_store(office, token, store) == "OK"
    terminal = pb.PutTerminalRequest(
        request_id=rid(), token=token, terminal=pb.Terminal(terminal_id="n1-t1", store_id="n1", name="1号")
    )
    assert await office.refused(office.directory.PutTerminal, terminal) == "OK"
    system = pb.PutSystemRequest(
        request_id=rid(), token=token, system=pb.System(system_id="kiosk", store_ids=["n1"], terminal_ids=["e1-t1"])
    )
    assert (await office.call(office.directory.PutSystem, system)).revision.region_id == "carrier"
    assert changes(office, "north") == [("region", "north"), ("store", "n1"), ("terminal", "n1-t1")]
    assert ("system", "kiosk") in changes(office, "carrier")
    stores = await office.call(office.directory.ListStores, pb.ListStoresRequest(token=token, region_id="north"))
    assert list(stores.stores[0].special_days) == [holiday]
    assert stores.stores[0].address == "一楼\n二楼"
    terminals = await office.call(office.directory.ListTerminals, pb.ListTerminalsRequest(token=token, store_id="n1"))
    assert [one.terminal_id for one in terminals.terminals] == ["n1-t1"]
    systems = await office.call(office.directory.ListSystems, pb.ListSystemsRequest(token=token))
    assert [one.system_id for one in systems.systems] == ["crm", "kiosk", "pos", "queue"]
    facts = [event["facts"] for event in office.world.events("directory.changed")]
    assert [one["entity_id"] for one in facts] == ["north", "n1", "n1-t1", "kiosk"]
    assert {one["staff_id"] for one in facts} == {XU}


@pytest.mark.rule("CI-2")
async def test_nodes_read_a_store_as_it_was_written(office: Office) -> None:
    from authsvc.store import snapshot

    token = await office.token(XU)
    days = [pb.SpecialDay(date="2026-10-01"), pb.SpecialDay(date="2026-10-02", opens_at_min=600, closes_at_min=720)]
    assert await put_store(office, token, a_store(special_days=days)) == "OK"
    async with office.node.works.read() as conn:
        read = snapshot.stores(["e9"], office.world.clock.now())
        rows = await (await conn.execute(*read.statement)).fetchall()
    store = read.tables(rows)["stores"]["e9"]
    assert store is not None
    assert store.weekly[0] == ((480 * 60, 1200 * 60),)
    assert sorted(store.special.values()) == [(), ((600 * 60, 720 * 60),)]


async def test_what_a_change_rests_on_must_be_there(office: Office) -> None:
    token = await office.token(XU)
    assert await put_store(office, token, a_store(region_id="south")) == "NOT_FOUND"
    terminal = pb.Terminal(terminal_id="z-t1", store_id="zz")
    request = pb.PutTerminalRequest(request_id=rid(), token=token, terminal=terminal)
    assert await office.refused(office.directory.PutTerminal, request) == "NOT_FOUND"
    for system in (pb.System(system_id="s", store_ids=["zz"]), pb.System(system_id="s", terminal_ids=["zz"])):
        put = pb.PutSystemRequest(request_id=rid(), token=token, system=system)
        assert await office.refused(office.directory.PutSystem, put) == "NOT_FOUND"


@pytest.mark.rule("ID-8")
async def test_a_store_changes_region_only_when_nobody_belongs_to_it(office: Office) -> None:
    token = await office.token(XU)
    assert await put_store(office, token, a_store("e2", "west")) == "STATE_CONFLICT"
    office.world.rows("update auth.staff set state = 'CLOSED' where store_id = 'e2'")
    assert await put_store(office, token, a_store("e2", "west")) == "OK"
    assert changes(office, "east")[-1] == ("store", "e2") == changes(office, "west")[-1]


@pytest.mark.rule("ID-9")
async def test_a_terminal_that_is_moved_or_retired_ends_what_is_done_at_it(office: Office) -> None:
    token = await office.token(XU)
    for number, terminal in enumerate(
        (
            pb.Terminal(terminal_id="e1-t2", store_id="e2"),
            pb.Terminal(terminal_id="e1-t3", store_id="e1", is_retired=True),
        )
    ):
        clerk = await office.token("li.na", f"e1-t{number + 2}")
        request = pb.PutTerminalRequest(request_id=rid(), token=token, terminal=terminal)
        assert await office.refused(office.directory.PutTerminal, request) == "OK"
        assert await outcome(office.node.actors.of(clerk, "crm")) == "SESSION_ENDED"
    office.world.rows("update auth.stores set region_id = 'west' where store_id = 'e2'")
    back = pb.Terminal(terminal_id="e1-t2", store_id="e1")
    request = pb.PutTerminalRequest(request_id=rid(), token=token, terminal=back)
    assert await office.refused(office.directory.PutTerminal, request) == "OK"
    assert changes(office, "west")[-1] == ("terminal", "e1-t2")


async def test_a_retry_is_answered_and_another_body_is_not(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    request = pb.PutStoreRequest(request_id=request_id, token=token, store=a_store())
    first = await office.call(office.directory.PutStore, request)
    assert await office.call(office.directory.PutStore, request) == first
    other = pb.PutStoreRequest(request_id=request_id, token=token, store=a_store(name="别的"))
    assert await office.refused(office.directory.PutStore, other) == "REQUEST_ID_REUSED"
    assert office.world.one("select name from auth.stores where store_id = 'e9'") == "新营业厅"


@pytest.mark.rule("CI-2")
async def test_only_administrators_change_the_tree_and_only_who_needs_it_reads_it(office: Office) -> None:
    for staff in ("zhao.lei", "hu.bin", "chen.jing"):
        token = await office.token(staff)
        assert await put_store(office, token, a_store()) == "NOT_PERMITTED"
    regions = await office.call(office.directory.ListRegions, pb.ListRegionsRequest(token=await office.token("hu.bin")))
    assert [one.region_id for one in regions.regions] == ["carrier", "east", "west"]
    clerk = pb.ListRegionsRequest(token=await office.token("li.na"))
    assert await office.refused(office.directory.ListRegions, clerk) == "NOT_PERMITTED"


async def test_regions_come_page_by_page(office: Office) -> None:
    token = await office.token(XU)
    first = await office.call(office.directory.ListRegions, pb.ListRegionsRequest(token=token, page_size=2))
    rest = pb.ListRegionsRequest(token=token, page_size=2, page_token=first.next_page_token)
    page = await office.call(office.directory.ListRegions, rest)
    assert [one.region_id for one in page.regions] == ["west"] and not page.next_page_token


def assign(token: str, staff_id: str, customers: list[str], **more: str) -> pb.AssignCustomersRequest:
    return pb.AssignCustomersRequest(
        request_id=more.get("request_id", rid()), token=token, staff_id=staff_id, customers=customers
    )


@pytest.mark.rule("CI-2")
async def test_a_store_manager_assigns_customers_to_their_own_people(office: Office) -> None:
    token = await office.token("chen.jing")
    request = assign(token, "li.na", ["13700000001", "13700000002", "13700000001"])
    answer = await office.call(office.directory.AssignCustomers, request)
    assert (answer.assigned, answer.revision.region_id) == (2, "east")
    assert await office.call(office.directory.AssignCustomers, request) == answer
    stored = {bytes(row[0]) for row in office.world.rows("select customer_digest from auth.assignments")}
    key = office.world.keys.mac[MacKind.CUSTOMERS]
    assert stored == {key.digest(b"13700000001"), key.digest(b"13700000002")}
    assert ("assignment", "li.na") in changes(office, "east")
    assert "1370000" not in str(office.world.events())
    remove = pb.UnassignCustomersRequest(request_id=rid(), token=token, staff_id="li.na", customers=["13700000002"])
    assert (await office.call(office.directory.UnassignCustomers, remove)).assigned == 1


@pytest.mark.rule("CI-2")
async def test_customers_are_not_assigned_across_stores_nor_by_others(office: Office) -> None:
    manager = await office.token("chen.jing")
    for staff_id in ("zhang.min", "nobody.here"):
        assert (
            await office.refused(office.directory.AssignCustomers, assign(manager, staff_id, ["1"])) == "NOT_PERMITTED"
        )
    for staff in ("li.na", "hu.bin", "zhao.lei"):
        token = await office.token(staff)
        assert await office.refused(office.directory.AssignCustomers, assign(token, "li.na", ["1"])) == "NOT_PERMITTED"
    admin = await office.token(XU)
    assert await office.refused(office.directory.AssignCustomers, assign(admin, "nobody.here", ["1"])) == "NOT_FOUND"
    office.world.rows("update auth.staff set state = 'CLOSED' where staff_id = 'zhang.min'")
    assert await office.refused(office.directory.AssignCustomers, assign(admin, "zhang.min", ["1"])) == "STATE_CONFLICT"


@pytest.mark.rule("CI-2")
async def test_nobody_has_more_than_ten_thousand_customers(office: Office) -> None:
    token = await office.token(XU)
    full = await office.call(office.directory.AssignCustomers, assign(token, "li.na", [str(n) for n in range(10_000)]))
    assert full.assigned == 10_000
    assert (
        await office.refused(office.directory.AssignCustomers, assign(token, "li.na", ["one more"]))
        == "INVALID_ARGUMENT"
    )
    assert office.world.one("select count(*) from auth.assignments") == 10_000


@pytest.mark.rule("ID-10")
async def test_a_leavers_customers_are_nobodys(office: Office) -> None:
    from infosec.api.auth.v1 import staff_pb2

    token = await office.token(XU)
    await office.call(office.directory.AssignCustomers, assign(token, "li.na", ["13700000001"]))
    close = staff_pb2.CloseStaffRequest(request_id=rid(), token=token, staff_id="li.na", reason="离职")
    await office.call(office.staff.CloseStaff, close)
    assert office.world.one("select count(*) from auth.assignments") == 0
