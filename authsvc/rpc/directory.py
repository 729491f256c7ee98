"""DirectoryAdminService on the wire: messages in, flows called, messages out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from authsvc import directory as rules
from authsvc.directory import DayHours, Region, Store, System, Terminal
from authsvc.flows import directory_changes as changes
from authsvc.flows.assign import Assigned, CustomerLists
from authsvc.flows.once import once
from authsvc.rpc.admin_calls import AdminCalls, Call
from authsvc.rpc.id_pages import start_of, token_after
from authsvc.sight import ADMINISTRATOR, AUDITOR, CARRIER_DUTY_OFFICER, REGIONAL_MANAGER, STORE_MANAGER
from authsvc.store import directory as store
from authsvc.work import Work, Works
from infosec import ids
from infosec.api.auth.v1 import directory_pb2 as pb
from infosec.api.auth.v1 import directory_pb2_grpc
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.ids import RegionId, StaffId, StoreId
from infosec.rpc.server.newest_first import size_of

_READERS = (ADMINISTRATOR, AUDITOR, CARRIER_DUTY_OFFICER, REGIONAL_MANAGER)


class DirectoryAdminServicer(directory_pb2_grpc.DirectoryAdminServiceServicer):
    """DirectoryAdminService."""

    def __init__(self, *, works: Works, calls: AdminCalls, lists: CustomerLists) -> None:
        self._works = works
        self._calls = calls
        self._lists = lists

    async def PutRegion(self, request: pb.PutRegionRequest, context: Any) -> pb.PutRegionResponse:
        call = await self._calls.by_administrator(request.token, context)
        region = rules.region(region_id=request.region.region_id, name=request.region.name)
        put = await self._put(
            "PutRegion", request, request.request_id, call, lambda work, by: changes.put_region(work, region, by)
        )
        return pb.PutRegionResponse(revision=put)

    async def PutStore(self, request: pb.PutStoreRequest, context: Any) -> pb.PutStoreResponse:
        call = await self._calls.by_administrator(request.token, context)
        put_store = _store_from(request.store)
        put = await self._put(
            "PutStore", request, request.request_id, call, lambda work, by: changes.put_store(work, put_store, by)
        )
        return pb.PutStoreResponse(revision=put)

    async def PutTerminal(self, request: pb.PutTerminalRequest, context: Any) -> pb.PutTerminalResponse:
        call = await self._calls.by_administrator(request.token, context)
        wire = request.terminal
        terminal = rules.terminal(
            terminal_id=wire.terminal_id, store_id=wire.store_id, name=wire.name, is_retired=wire.is_retired
        )
        put = await self._put(
            "PutTerminal", request, request.request_id, call, lambda work, by: changes.put_terminal(work, terminal, by)
        )
        return pb.PutTerminalResponse(revision=put)

    async def PutSystem(self, request: pb.PutSystemRequest, context: Any) -> pb.PutSystemResponse:
        call = await self._calls.by_administrator(request.token, context)
        wire = request.system
        system = rules.system(
            system_id=wire.system_id,
            name=wire.name,
            store_ids=wire.store_ids,
            terminal_ids=wire.terminal_ids,
            is_retired=wire.is_retired,
        )
        put = await self._put(
            "PutSystem", request, request.request_id, call, lambda work, by: changes.put_system(work, system, by)
        )
        return pb.PutSystemResponse(revision=put)

    async def ListRegions(self, request: pb.ListRegionsRequest, context: Any) -> pb.ListRegionsResponse:
        await self._calls.by(request.token, context, *_READERS)
        size = size_of(request.page_size)
        async with self._works.read() as conn:
            found = await store.regions(conn, after=start_of(request.page_token), size=size + 1)
        return pb.ListRegionsResponse(
            regions=map(_region_to_wire, found[:size]), next_page_token=token_after([r.region_id for r in found], size)
        )

    async def ListStores(self, request: pb.ListStoresRequest, context: Any) -> pb.ListStoresResponse:
        await self._calls.by(request.token, context, *_READERS)
        size = size_of(request.page_size)
        region_id = RegionId(ids.node_id(request.region_id, "region_id")) if request.region_id else None
        async with self._works.read() as conn:
            found = await store.stores(conn, region_id=region_id, after=start_of(request.page_token), size=size + 1)
        return pb.ListStoresResponse(
            stores=map(_store_to_wire, found[:size]), next_page_token=token_after([s.store_id for s in found], size)
        )

    async def ListTerminals(self, request: pb.ListTerminalsRequest, context: Any) -> pb.ListTerminalsResponse:
        await self._calls.by(request.token, context, *_READERS)
        size = size_of(request.page_size)
        store_id = StoreId(ids.node_id(request.store_id, "store_id"))
        async with self._works.read() as conn:
            found = await store.terminals(conn, store_id=store_id, after=start_of(request.page_token), size=size + 1)
        return pb.ListTerminalsResponse(
            terminals=map(_terminal_to_wire, found[:size]),
            next_page_token=token_after([t.terminal_id for t in found], size),
        )

    async def ListSystems(self, request: pb.ListSystemsRequest, context: Any) -> pb.ListSystemsResponse:
        await self._calls.by(request.token, context, *_READERS)
        size = size_of(request.page_size)
        async with self._works.read() as conn:
            found = await store.systems(conn, after=start_of(request.page_token), size=size + 1)
        return pb.ListSystemsResponse(
            systems=map(_system_to_wire, found[:size]), next_page_token=token_after([s.system_id for s in found], size)
        )

    async def AssignCustomers(self, request: pb.AssignCustomersRequest, context: Any) -> pb.AssignCustomersResponse:
        call = await self._calls.by(request.token, context, ADMINISTRATOR, STORE_MANAGER)
        staff_id = ids.staff_id(request.staff_id)
        count, revision = await self._listed(
            "AssignCustomers",
            request,
            request.request_id,
            call,
            lambda work: self._lists.assign(work, call.actor, staff_id, request.customers),
        )
        return pb.AssignCustomersResponse(assigned=count, revision=revision)

    async def UnassignCustomers(
        self, request: pb.UnassignCustomersRequest, context: Any
    ) -> pb.UnassignCustomersResponse:
        call = await self._calls.by(request.token, context, ADMINISTRATOR, STORE_MANAGER)
        staff_id = ids.staff_id(request.staff_id)
        count, revision = await self._listed(
            "UnassignCustomers",
            request,
            request.request_id,
            call,
            lambda work: self._lists.unassign(work, call.actor, staff_id, request.customers),
        )
        return pb.UnassignCustomersResponse(assigned=count, revision=revision)

    async def _put(
        self,
        method: str,
        request: Message,
        request_id: str,
        call: Call,
        put: Callable[[Work, StaffId], Awaitable[RegionId]],
    ) -> Revision:
        """Carry a change out once; its outcome is the region whose revision says that it is in force."""

        async def act(work: Work) -> str:
            return await put(work, call.actor.staff_id)

        done = await once(self._works, self._calls.retry(method, request, request_id, call), act)
        return await self._calls.revision(done, RegionId(done.outcome))

    async def _listed(
        self, method: str, request: Message, request_id: str, call: Call, change: Callable[[Work], Awaitable[Assigned]]
    ) -> tuple[int, Revision]:
        """Change a list once; how many are on it, and the revision."""

        async def act(work: Work) -> str:
            assigned = await change(work)
            return f"{assigned.count} {assigned.region_id}"

        done = await once(self._works, self._calls.retry(method, request, request_id, call), act)
        count, _, region_id = done.outcome.partition(" ")
        return int(count), await self._calls.revision(done, RegionId(region_id))


def _store_from(wire: pb.Store) -> Store:
    return rules.store(
        store_id=wire.store_id,
        region_id=wire.region_id,
        name=wire.name,
        address=wire.address,
        hotline=wire.hotline,
        hours=[
            DayHours(weekday=day.weekday, opens_at_min=day.opens_at_min, closes_at_min=day.closes_at_min)
            for day in wire.hours
        ],
        special_days=[
            rules.special_day(
                day=day.date,
                is_closed=day.is_closed,
                opens_at_min=day.opens_at_min,
                closes_at_min=day.closes_at_min,
            )
            for day in wire.special_days
        ],
        is_closed=wire.is_closed,
    )


def _region_to_wire(region: Region) -> pb.Region:
    return pb.Region(region_id=region.region_id, name=region.name)


def _store_to_wire(one: Store) -> pb.Store:
    return pb.Store(
        store_id=one.store_id,
        region_id=one.region_id,
        name=one.name,
        address=one.address,
        hotline=one.hotline,
        hours=[
            pb.DayHours(weekday=day.weekday, opens_at_min=day.opens_at_min, closes_at_min=day.closes_at_min)
            for day in one.hours
        ],
        special_days=[
            pb.SpecialDay(
                date=day.day.isoformat(),
                is_closed=day.is_closed,
                opens_at_min=day.opens_at_min,
                closes_at_min=day.closes_at_min,
            )
            for day in one.special_days
        ],
        is_closed=one.is_closed,
    )


def _terminal_to_wire(one: Terminal) -> pb.Terminal:
    return pb.Terminal(terminal_id=one.terminal_id, store_id=one.store_id, name=one.name, is_retired=one.is_retired)


def _system_to_wire(one: System) -> pb.System:
    return pb.System(
        system_id=one.system_id,
        name=one.name,
        store_ids=one.store_ids,
        terminal_ids=one.terminal_ids,
        is_retired=one.is_retired,
    )
