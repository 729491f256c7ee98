"""StaffAdminService: staff IDs as administrators see them. What ID-8 protects changes by request alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, cut_off, retry_key, revealed
from infosec.rpc.deadlines import LONG_CALL_S

_SERVICE = "/infosec.api.auth.v1.StaffAdminService/"

CREATE_STAFF = Method(
    path=_SERVICE + "CreateStaff", request=pb.CreateStaffRequest, response=pb.CreateStaffResponse, is_repeatable=True
)
GET_STAFF = Method(
    path=_SERVICE + "GetStaff", request=pb.GetStaffRequest, response=pb.GetStaffResponse, is_repeatable=True
)
LIST_STAFF = Method(
    path=_SERVICE + "ListStaff", request=pb.ListStaffRequest, response=pb.ListStaffResponse, is_repeatable=True
)
UPDATE_STAFF = Method(
    path=_SERVICE + "UpdateStaff", request=pb.UpdateStaffRequest, response=pb.UpdateStaffResponse, is_repeatable=True
)
SUSPEND_STAFF = Method(
    path=_SERVICE + "SuspendStaff", request=pb.SuspendStaffRequest, response=pb.SuspendStaffResponse, is_repeatable=True
)
CLOSE_STAFF = Method(
    path=_SERVICE + "CloseStaff", request=pb.CloseStaffRequest, response=pb.CloseStaffResponse, is_repeatable=True
)
IMPORT_STAFF = Method(
    path=_SERVICE + "ImportStaff",
    request=pb.ImportStaffRequest,
    response=pb.ImportStaffResponse,
    is_repeatable=True,
    deadline_s=LONG_CALL_S,
)
LIST_FINDINGS = Method(
    path=_SERVICE + "ListFindings", request=pb.ListFindingsRequest, response=pb.ListFindingsResponse, is_repeatable=True
)

Progress = Callable[[pb.ImportStaffResponse], None]
"""Told of rows checked and prepared so far."""


class StaffClient:
    """`request_id` makes a write safe to repeat; one is made where none is given."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def create(
        self, token: SecretText, staff: pb.NewStaff, *, reason: str = "", request_id: str | None = None
    ) -> pb.CreateStaffResponse:
        """Make a staff ID; `pending` is set instead where a second administrator has to approve (ID-8)."""
        request = pb.CreateStaffRequest(
            request_id=retry_key(request_id), token=revealed(token), staff=staff, reason=reason
        )
        return await self._invoker.unary(CREATE_STAFF, request)

    async def get(self, token: SecretText, staff_id: str) -> pb.Staff:
        """One staff ID."""
        request = pb.GetStaffRequest(token=revealed(token), staff_id=staff_id)
        return (await self._invoker.unary(GET_STAFF, request)).staff

    async def list(
        self,
        token: SecretText,
        *,
        store_id: str = "",
        region_id: str = "",
        state: pb.StaffState.ValueType = pb.STAFF_STATE_UNSPECIFIED,
        page_size: int = 100,
        page_token: str = "",
    ) -> pb.ListStaffResponse:
        """One page of staff IDs."""
        request = pb.ListStaffRequest(
            token=revealed(token),
            store_id=store_id,
            region_id=region_id,
            state=state,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._invoker.unary(LIST_STAFF, request)

    async def update(
        self,
        token: SecretText,
        staff_id: str,
        *,
        name: str = "",
        birthday: SecretText | None = None,
        id_number: SecretText | None = None,
        request_id: str | None = None,
    ) -> pb.Staff:
        """Correct name and personal facts; what is not given stays."""
        request = pb.UpdateStaffRequest(
            request_id=retry_key(request_id),
            token=revealed(token),
            staff_id=staff_id,
            name=name,
            birthday=revealed(birthday),
            id_number=revealed(id_number),
        )
        return (await self._invoker.unary(UPDATE_STAFF, request)).staff

    async def suspend(
        self, token: SecretText, staff_id: str, *, reason: str, request_id: str | None = None
    ) -> pb.SuspendStaffResponse:
        """Suspend at once; lifting it is a request."""
        request = pb.SuspendStaffRequest(
            request_id=retry_key(request_id), token=revealed(token), staff_id=staff_id, reason=reason
        )
        return await self._invoker.unary(SUSPEND_STAFF, request)

    async def close(
        self, token: SecretText, staff_id: str, *, reason: str, request_id: str | None = None
    ) -> pb.CloseStaffResponse:
        """Close a leaver's ID for ever (ID-10)."""
        request = pb.CloseStaffRequest(
            request_id=retry_key(request_id), token=revealed(token), staff_id=staff_id, reason=reason
        )
        return await self._invoker.unary(CLOSE_STAFF, request)

    async def import_many(
        self,
        token: SecretText,
        rows: Sequence[pb.NewStaff],
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        request_id: str | None = None,
    ) -> pb.ImportStaffResponse:
        """Import all rows or none; the answer has the count, or every fault by row. `progress` is told on the way."""
        header = pb.ImportHeader(
            request_id=retry_key(request_id), token=revealed(token), dry_run=dry_run, rows=len(rows)
        )

        async def once(left_s: float) -> pb.ImportStaffResponse:
            faults: list[pb.RowFault] = []
            go_on = asyncio.Event()
            async for answer in self._invoker.raw_stream(IMPORT_STAFF, _parts(header, rows, go_on), left_s):
                go_on.set()
                faults += answer.faults  # very many come in several messages
                if answer.is_done:
                    done: pb.ImportStaffResponse = answer
                    del done.faults[:]
                    done.faults.extend(faults)
                    return done
                if progress is not None:
                    progress(answer)
            raise cut_off()

        return await self._invoker.repeated(IMPORT_STAFF, once)

    async def findings(
        self, token: SecretText, *, store_id: str = "", page_size: int = 100, page_token: str = ""
    ) -> pb.ListFindingsResponse:
        """One page of what a person should look at (ID-10, ID-11)."""
        request = pb.ListFindingsRequest(
            token=revealed(token), store_id=store_id, page_size=page_size, page_token=page_token
        )
        return await self._invoker.unary(LIST_FINDINGS, request)


async def _parts(
    header: pb.ImportHeader, rows: Sequence[pb.NewStaff], go_on: asyncio.Event
) -> AsyncIterator[pb.ImportStaffRequest]:
    """The rows are sent once the server has answered the header: it refuses there who may not import."""
    yield pb.ImportStaffRequest(header=header)
    await go_on.wait()
    for row in rows:
        yield pb.ImportStaffRequest(row=row)
