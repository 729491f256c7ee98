"""DirectoryAdminService: regions, stores, terminals, systems; and assigned customers (CI-2)."""

from __future__ import annotations

from collections.abc import Sequence

from infosec.api.auth.v1 import directory_pb2 as pb
from infosec.api.common.v1 import revision_pb2
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed

_SERVICE = "/infosec.api.auth.v1.DirectoryAdminService/"

PUT_REGION = Method(
    path=_SERVICE + "PutRegion", request=pb.PutRegionRequest, response=pb.PutRegionResponse, is_repeatable=True
)
PUT_STORE = Method(
    path=_SERVICE + "PutStore", request=pb.PutStoreRequest, response=pb.PutStoreResponse, is_repeatable=True
)
PUT_TERMINAL = Method(
    path=_SERVICE + "PutTerminal", request=pb.PutTerminalRequest, response=pb.PutTerminalResponse, is_repeatable=True
)
PUT_SYSTEM = Method(
    path=_SERVICE + "PutSystem", request=pb.PutSystemRequest, response=pb.PutSystemResponse, is_repeatable=True
)
LIST_REGIONS = Method(
    path=_SERVICE + "ListRegions", request=pb.ListRegionsRequest, response=pb.ListRegionsResponse, is_repeatable=True
)
LIST_STORES = Method(
    path=_SERVICE + "ListStores", request=pb.ListStoresRequest, response=pb.ListStoresResponse, is_repeatable=True
)
LIST_TERMINALS = Method(
    path=_SERVICE + "ListTerminals",
    request=pb.ListTerminalsRequest,
    response=pb.ListTerminalsResponse,
    is_repeatable=True,
)
LIST_SYSTEMS = Method(
    path=_SERVICE + "ListSystems", request=pb.ListSystemsRequest, response=pb.ListSystemsResponse, is_repeatable=True
)
ASSIGN_CUSTOMERS = Method(
    path=_SERVICE + "AssignCustomers",
    request=pb.AssignCustomersRequest,
    response=pb.AssignCustomersResponse,
    is_repeatable=True,
)
UNASSIGN_CUSTOMERS = Method(
    path=_SERVICE + "UnassignCustomers",
    request=pb.UnassignCustomersRequest,
    response=pb.UnassignCustomersResponse,
    is_repeatable=True,
)


class DirectoryClient:
    """A `put` replaces the whole entity. `request_id` makes it safe to repeat; one is made where none is given."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def put_region(
        self, token: SecretText, region: pb.Region, *, request_id: str | None = None
    ) -> revision_pb2.Revision:
        """Make or replace a region."""
        request = pb.PutRegionRequest(request_id=retry_key(request_id), token=revealed(token), region=region)
        return (await self._invoker.unary(PUT_REGION, request)).revision

    async def put_store(
        self, token: SecretText, store: pb.Store, *, request_id: str | None = None
    ) -> revision_pb2.Revision:
        """Make or replace a store with its hours."""
        request = pb.PutStoreRequest(request_id=retry_key(request_id), token=revealed(token), store=store)
        return (await self._invoker.unary(PUT_STORE, request)).revision

    async def put_terminal(
        self, token: SecretText, terminal: pb.Terminal, *, request_id: str | None = None
    ) -> revision_pb2.Revision:
        """Make or replace a terminal."""
        request = pb.PutTerminalRequest(request_id=retry_key(request_id), token=revealed(token), terminal=terminal)
        return (await self._invoker.unary(PUT_TERMINAL, request)).revision

    async def put_system(
        self, token: SecretText, system: pb.System, *, request_id: str | None = None
    ) -> revision_pb2.Revision:
        """Register a system for stores and terminals."""
        request = pb.PutSystemRequest(request_id=retry_key(request_id), token=revealed(token), system=system)
        return (await self._invoker.unary(PUT_SYSTEM, request)).revision

    async def regions(self, token: SecretText, *, page_size: int = 100, page_token: str = "") -> pb.ListRegionsResponse:
        """One page of regions."""
        request = pb.ListRegionsRequest(token=revealed(token), page_size=page_size, page_token=page_token)
        return await self._invoker.unary(LIST_REGIONS, request)

    async def stores(
        self, token: SecretText, *, region_id: str = "", page_size: int = 100, page_token: str = ""
    ) -> pb.ListStoresResponse:
        """One page of stores."""
        request = pb.ListStoresRequest(
            token=revealed(token), region_id=region_id, page_size=page_size, page_token=page_token
        )
        return await self._invoker.unary(LIST_STORES, request)

    async def terminals(
        self, token: SecretText, store_id: str, *, page_size: int = 100, page_token: str = ""
    ) -> pb.ListTerminalsResponse:
        """One page of a store's terminals."""
        request = pb.ListTerminalsRequest(
            token=revealed(token), store_id=store_id, page_size=page_size, page_token=page_token
        )
        return await self._invoker.unary(LIST_TERMINALS, request)

    async def systems(self, token: SecretText, *, page_size: int = 100, page_token: str = "") -> pb.ListSystemsResponse:
        """One page of systems."""
        request = pb.ListSystemsRequest(token=revealed(token), page_size=page_size, page_token=page_token)
        return await self._invoker.unary(LIST_SYSTEMS, request)

    async def assign_customers(
        self, token: SecretText, staff_id: str, customers: Sequence[str], *, request_id: str | None = None
    ) -> pb.AssignCustomersResponse:
        """Assign customers to a person: at most 10,000 in all."""
        request = pb.AssignCustomersRequest(
            request_id=retry_key(request_id), token=revealed(token), staff_id=staff_id, customers=customers
        )
        return await self._invoker.unary(ASSIGN_CUSTOMERS, request)

    async def unassign_customers(
        self, token: SecretText, staff_id: str, customers: Sequence[str], *, request_id: str | None = None
    ) -> pb.UnassignCustomersResponse:
        """Take customers from a person."""
        request = pb.UnassignCustomersRequest(
            request_id=retry_key(request_id), token=revealed(token), staff_id=staff_id, customers=customers
        )
        return await self._invoker.unary(UNASSIGN_CUSTOMERS, request)
