"""StaffAdminService on the wire: messages in, flows called, messages out. Phones leave masked, facts never."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from authsvc.flows.hire import Hiring, PreparedHire
from authsvc.flows.import_staff import Imports, check_rows, rejected
from authsvc.flows.once import once
from authsvc.flows.privileged import PrivilegedHires
from authsvc.flows.staff_changes import StaffChanges
from authsvc.flows.submit import Submissions
from authsvc.hiring import MAX_ROWS, Applicant, Hire, RowFault, hired
from authsvc.rpc.admin_calls import AdminCalls, Call
from authsvc.rpc.id_pages import start_of, token_after
from authsvc.rpc.paging import timestamp
from authsvc.rpc.requests import to_wire as request_to_wire
from authsvc.sessions import FindingKind
from authsvc.sight import Sight, sight_of
from authsvc.staff import StaffState
from authsvc.store import findings, retries, staff_admin
from authsvc.store.findings import Found
from authsvc.store.staff_admin import Filter, Listed
from authsvc.work import Work, Works
from infosec import ids
from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.api.auth.v1 import staff_pb2_grpc
from infosec.clock import carrier_date
from infosec.errors import InvalidInput, NotFound, PermissionDenied, Reason
from infosec.ids import RegionId, StaffId, StoreId
from infosec.keys import framed
from infosec.messages import Locale, Text
from infosec.rpc.server import newest_first
from infosec.rpc.server.retries import without_secrets

FAULTS_A_MESSAGE = 5000
"""Keeps a message far below what a peer takes (4 MiB)."""
_PROTECTED = ("phone", "store_id", "role_id")
_STATES = {pb.StaffState.Value(f"STAFF_STATE_{state.value}"): state for state in StaffState}
_STATE_OF = {state.value: number for number, state in _STATES.items()}

FINDING_TEXTS = {
    FindingKind.TWO_PLACES: Text(
        zh="同一工号同时在两处使用，请核实是否本人。",
        en="This staff ID was used in two places at once. Find out who used it.",
    ),
    FindingKind.IMPOSSIBLE_TRAVEL: Text(
        zh="同一工号在两个营业厅的使用间隔短于路程所需，请核实是否本人。",
        en="This staff ID was used in two stores within less time than the way takes. Find out who used it.",
    ),
    FindingKind.DORMANT: Text(
        zh="工号长期未使用；不再需要的，请停用或注销。",
        en="This staff ID was not used for long. Suspend or close it if nobody needs it.",
    ),
    FindingKind.TERMINAL_REFUSED: Text(
        zh="该台席短时间内多个工号登录失败，已拒绝该台席登录，请到现场查看。",
        en="Several staff IDs failed at this terminal within minutes; it was refused. Go and look.",
    ),
    FindingKind.OUT_OF_REGION: Text(
        zh="有人在片区外的台席尝试登录该工号，请核实。",
        en="Somebody tried this staff ID at a terminal outside its region. Find out who.",
    ),
}


class StaffAdminServicer(staff_pb2_grpc.StaffAdminServiceServicer):
    """StaffAdminService."""

    def __init__(
        self,
        *,
        works: Works,
        calls: AdminCalls,
        hiring: Hiring,
        imports: Imports,
        privileged: PrivilegedHires,
        changes: StaffChanges,
        submissions: Submissions,
    ) -> None:
        self._works = works
        self._calls = calls
        self._hiring = hiring
        self._imports = imports
        self._privileged = privileged
        self._changes = changes
        self._submissions = submissions

    async def CreateStaff(self, request: pb.CreateStaffRequest, context: Any) -> pb.CreateStaffResponse:
        call = await self._calls.by_administrator(request.token, context)
        retry = self._calls.retry("CreateStaff", request, request.request_id, call)
        today = carrier_date(self._works.clock.now())
        hire = hired(_applicant(request.staff), await self._hiring.known(), today)
        if hire.is_privileged:
            return await self._proposed(request, call, hire)
        prepared = await self._hiring.prepare(hire)

        async def act(work: Work) -> str:
            await self._hiring.put(work, prepared, call.actor.staff_id)
            return hire.staff_id

        done = await once(self._works, retry, act)
        return pb.CreateStaffResponse(staff=_to_wire(await self._listed(StaffId(done.outcome))))

    async def _proposed(self, request: pb.CreateStaffRequest, call: Call, hire: Hire) -> pb.CreateStaffResponse:
        """ID-8: a second administrator decides."""
        if not request.reason.strip():
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="reason", detail="required for a privileged role")

        async def act(work: Work) -> str:
            submitted = await self._privileged.propose(work, call.actor, hire, request.reason, self._submissions)
            return str(submitted.id)

        retry = self._calls.retry("CreateStaff", request, request.request_id, call)
        done = await once(self._works, retry, act)
        pending = await self._submissions.get(call.actor, done.outcome)
        return pb.CreateStaffResponse(pending=request_to_wire(pending, call.locale))

    async def GetStaff(self, request: pb.GetStaffRequest, context: Any) -> pb.GetStaffResponse:
        sight = _sight(await self._calls.by_anybody(request.token, context))
        listed = await self._listed(ids.staff_id(request.staff_id))
        if not sight.covers(region_id=listed.region_id, store_id=listed.store_id):
            raise NotFound(Reason.NOT_FOUND, field="staff_id")
        return pb.GetStaffResponse(staff=_to_wire(listed))

    async def ListStaff(self, request: pb.ListStaffRequest, context: Any) -> pb.ListStaffResponse:
        sight = _sight(await self._calls.by_anybody(request.token, context))
        state = _STATES.get(request.state)
        wanted = Filter(
            region_id=RegionId(_narrowed(request.region_id, sight.region_id, "region_id")) or None,
            store_id=StoreId(_narrowed(request.store_id, sight.store_id, "store_id")) or None,
            state=state.value if state else None,
        )
        size = newest_first.size_of(request.page_size)
        async with self._works.read() as conn:
            found = await staff_admin.page(
                conn, wanted, self._works.clock.now(), after=start_of(request.page_token), size=size + 1
            )
        return pb.ListStaffResponse(
            staff=map(_to_wire, found[:size]), next_page_token=token_after([one.staff_id for one in found], size)
        )

    async def UpdateStaff(self, request: pb.UpdateStaffRequest, context: Any) -> pb.UpdateStaffResponse:
        call = await self._calls.by_administrator(request.token, context)
        staff_id = ids.staff_id(request.staff_id)
        named = tuple(field for field in _PROTECTED if getattr(request, field))
        await self._changes.refuse_protected(call.actor, staff_id, named)

        async def act(work: Work) -> str:
            await self._changes.update(
                work,
                call.actor,
                staff_id,
                name=request.name,
                birthday=request.birthday,
                id_number=request.id_number,
            )
            return staff_id

        await once(self._works, self._calls.retry("UpdateStaff", request, request.request_id, call), act)
        return pb.UpdateStaffResponse(staff=_to_wire(await self._listed(staff_id)))

    async def SuspendStaff(self, request: pb.SuspendStaffRequest, context: Any) -> pb.SuspendStaffResponse:
        call = await self._calls.by_administrator(request.token, context)
        staff_id = ids.staff_id(request.staff_id)

        async def act(work: Work) -> str:
            return (await self._changes.suspend(work, call.actor, staff_id, request.reason)).staff_id

        done = await once(self._works, self._calls.retry("SuspendStaff", request, request.request_id, call), act)
        listed = await self._listed(staff_id)
        revision = await self._calls.revision(done, listed.region_id)
        return pb.SuspendStaffResponse(staff=_to_wire(listed), revision=revision)

    async def CloseStaff(self, request: pb.CloseStaffRequest, context: Any) -> pb.CloseStaffResponse:
        call = await self._calls.by_administrator(request.token, context)
        staff_id = ids.staff_id(request.staff_id)

        async def act(work: Work) -> str:
            return (await self._changes.close(work, call.actor, staff_id, request.reason)).staff_id

        done = await once(self._works, self._calls.retry("CloseStaff", request, request.request_id, call), act)
        listed = await self._listed(staff_id)
        revision = await self._calls.revision(done, listed.region_id)
        return pb.CloseStaffResponse(staff=_to_wire(listed), revision=revision)

    async def ImportStaff(
        self, request_iterator: AsyncIterator[pb.ImportStaffRequest], context: Any
    ) -> AsyncIterator[pb.ImportStaffResponse]:
        """Nothing is written before the whole file was read and found good; a stream that is cut leaves nothing."""
        header = await _header(request_iterator)
        call = await self._calls.by_administrator(header.token, context)
        # Go on: who is refused must not be writing rows meanwhile, or their library loses our status.
        yield pb.ImportStaffResponse()
        rows, digest = await _rows(request_iterator)
        check_rows(header.rows, len(rows))
        retry = self._calls.retry(f"ImportStaff {digest}", header, header.request_id, call)
        async with self._works.read() as conn:
            stored = await retries.carried_out(conn, retry.caller, retry.request_id)
        if stored is not None and not header.dry_run:
            retry.check_same(stored)
            yield _finished(len(rows), int(stored.outcome.decode()))
            return
        examined = await self._imports.examine(rows)
        if examined.faults or header.dry_run:
            for answer in _faulty(len(rows), examined.faults, call.locale):
                yield answer
            return
        yield pb.ImportStaffResponse(checked=len(rows))
        ready: list[PreparedHire] = []
        async for some in self._imports.prepared(examined.hires):
            ready += some
            yield pb.ImportStaffResponse(checked=len(rows), prepared=len(ready))
        # Minutes may have passed: whoever began it must still be an administrator.
        call = await self._calls.by_administrator(header.token, context)

        async def act(work: Work) -> str:
            return str(await self._imports.put(work, ready, call.actor.staff_id))

        done = await once(self._works, retry, act)
        yield _finished(len(rows), int(done.outcome))

    async def ListFindings(self, request: pb.ListFindingsRequest, context: Any) -> pb.ListFindingsResponse:
        call = await self._calls.by_anybody(request.token, context)
        sight, size = _sight(call), newest_first.size_of(request.page_size)
        async with self._works.read() as conn:
            found = await findings.page(
                conn,
                region_id=sight.region_id,
                store_id=_narrowed(request.store_id, sight.store_id, "store_id") or None,
                before=newest_first.position(request.page_token),
                size=size + 1,
            )
        return pb.ListFindingsResponse(
            findings=[_finding_to_wire(one, call.locale) for one in found[:size]],
            next_page_token=newest_first.token_after([(each.at, each.finding_id) for each in found], size),
        )

    async def _listed(self, staff_id: StaffId) -> Listed:
        async with self._works.read() as conn:
            listed = await staff_admin.get(conn, staff_id, self._works.clock.now())
        if listed is None:
            raise NotFound(Reason.NOT_FOUND, field="staff_id")
        return listed


def _sight(call: Call) -> Sight:
    actor = call.actor
    return sight_of(role_id=actor.role_id, region_id=actor.region_id, store_id=actor.store_id)


def _narrowed(asked: str, seen: str | None, field: str) -> str:
    """What is asked for, within what is in sight. Raises PermissionDenied(NOT_PERMITTED) for what is not."""
    wanted = ids.node_id(asked, field) if asked else ""
    if seen is not None and wanted not in ("", seen):
        raise PermissionDenied(Reason.NOT_PERMITTED, field=field)
    return wanted or seen or ""


def _applicant(staff: pb.NewStaff) -> Applicant:
    return Applicant(
        staff_id=staff.staff_id,
        name=staff.name,
        phone=staff.phone,
        role_id=staff.role_id,
        store_id=staff.store_id,
        birthday=staff.birthday,
        id_number=staff.id_number,
        legacy_hash=staff.legacy_hash,
    )


async def _header(parts: AsyncIterator[pb.ImportStaffRequest]) -> pb.ImportHeader:
    async for part in parts:
        if part.WhichOneof("part") == "header":
            return part.header
        break
    raise rejected("the header comes first")


async def _rows(parts: AsyncIterator[pb.ImportStaffRequest]) -> tuple[list[Applicant], str]:
    """The rows, and a digest of what is not secret in them: what makes two imports the same."""
    rows: list[Applicant] = []
    digest = hashlib.sha256()
    async for part in parts:
        if part.WhichOneof("part") != "row":
            raise rejected("after the header come rows")
        if len(rows) == MAX_ROWS:
            raise rejected(f"more than {MAX_ROWS} rows")
        rows.append(_applicant(part.row))
        digest.update(framed(without_secrets(part.row).SerializeToString(deterministic=True)))
    return rows, digest.hexdigest()


def _finished(checked: int, imported: int) -> pb.ImportStaffResponse:
    return pb.ImportStaffResponse(checked=checked, prepared=imported, is_done=True, imported=imported)


def _faulty(checked: int, faults: Sequence[RowFault], locale: Locale) -> list[pb.ImportStaffResponse]:
    """Every fault, some in each message; the last one ends it."""
    wire = [pb.RowFault(row=fault.row, field=fault.field, text=fault.text.in_(locale)) for fault in faults]
    parts = [wire[first : first + FAULTS_A_MESSAGE] for first in range(0, len(wire), FAULTS_A_MESSAGE)] or [[]]
    return [
        pb.ImportStaffResponse(checked=checked, faults=part, is_done=number == len(parts))
        for number, part in enumerate(parts, start=1)
    ]


def _to_wire(listed: Listed) -> pb.Staff:
    return pb.Staff(
        staff_id=listed.staff_id,
        name=listed.name,
        role_id=listed.role_id,
        store_id=listed.store_id,
        region_id=listed.region_id,
        state=_STATE_OF[listed.state],
        state_since=timestamp(listed.state_since),
        masked_phone=listed.phone_masked,
        is_partner=listed.is_partner,
        totp_active=listed.totp_active,
        password_ends_at=timestamp(listed.password_ends_at),
        last_login_at=timestamp(listed.last_login_at),
        created_at=timestamp(listed.created_at),
        created_by=listed.created_by,
        first_password_delivery=listed.delivery_state,
    )


def _finding_to_wire(found: Found, locale: Locale) -> pb.Finding:
    return pb.Finding(
        kind=found.kind.value,
        staff_id=found.staff_id,
        terminal_id=found.terminal_id,
        store_id=found.store_id,
        at=timestamp(found.at),
        text=FINDING_TEXTS[found.kind].in_(locale),
    )
