"""AuditReadService on the wire: who asks is known by certificate and assertion; what is asked for becomes values, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from auditsvc.flows.exporting import Begun, Ended, Exporting, Part
from auditsvc.flows.proving import Proving
from auditsvc.flows.reading import MAX_PAGE, Hit, Question, Reading
from auditsvc.flows.reviewing import Reviewing
from auditsvc.flows.who import Inquiry, WhoAccessed
from auditsvc.rpc import review
from auditsvc.selection import Selection
from auditsvc.stretches import Gap, Resumed, Row
from infosec import ids
from infosec.api.audit.v1 import read_pb2 as pb
from infosec.api.audit.v1 import read_pb2_grpc
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import InvalidInput, Reason
from infosec.events.types import EventType
from infosec.ids import RegionId, StoreId
from infosec.rpc.server.assertions import AssertedPersons, require_role
from infosec.rpc.server.identity import caller_of
from infosec.transparency.merkle import leaf_hash

Context = Any
AUDITORS = frozenset({"auditor"})
DEFAULT_PAGE = 100


class AuditReadServicer(read_pb2_grpc.AuditReadServiceServicer):
    """AuditReadService."""

    def __init__(
        self,
        *,
        persons: AssertedPersons,
        customer_digests: Callable[[str], Sequence[bytes]],
        reading: Reading,
        exporting: Exporting,
        proving: Proving,
        who_accessed: WhoAccessed,
        reviewing: Reviewing,
    ) -> None:
        """`customer_digests`: of a customer's number, under every key of MacKind.CUSTOMERS."""
        self._persons = persons
        self._customer_digests = customer_digests
        self._reading = reading
        self._exporting = exporting
        self._proving = proving
        self._who_accessed = who_accessed
        self._reviewing = reviewing

    async def Query(self, request: pb.QueryRequest, context: Context) -> pb.QueryResponse:
        person = self._auditor(request.assertion, context)
        page = await self._reading.query(
            Question(
                selection=self._selection(request.filter),
                oldest_first=request.oldest_first,
                size=_page_size(request.page_size),
                token=request.page_token,
            ),
            person,
        )
        return pb.QueryResponse(entries=map(_entry, page.hits), next_page_token=page.next_token)

    async def WhoAccessed(self, request: pb.WhoAccessedRequest, context: Context) -> pb.WhoAccessedResponse:
        person = self._auditor(request.assertion, context)
        inquiry = Inquiry(
            customer=self._customer_digests(request.customer),
            since=_moment(request, "since"),
            until=_moment(request, "until"),
            size=_page_size(request.page_size),
            token=request.page_token,
        )
        page = await self._who_accessed.page(inquiry, person)
        return pb.WhoAccessedResponse(entries=map(_entry, page.hits), next_page_token=page.next_token)

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.ExportResponse]:
        person = self._auditor(request.assertion, context)
        resumed = [
            Resumed(log_id=RegionId(one.log_id), start=one.start, end=one.end, size=one.size, next_index=one.next_index)
            for one in request.resume
        ]
        export = await self._exporting.begin(self._selection(request.filter), resumed, request.export_id, person)
        log_id = ""
        async for part in self._exporting.parts(export):
            log_id = part.stretch.log_id if isinstance(part, Begun) else log_id
            yield _response(part, log_id)

    async def ListLogs(self, request: pb.ListLogsRequest, context: Context) -> pb.ListLogsResponse:
        return pb.ListLogsResponse(
            logs=[
                pb.Log(
                    log_id=log.log_id,
                    origin=log.origin,
                    size=log.size,
                    first_index=log.first_index,
                    verifier_keys=log.verifier_keys,
                )
                for log in await self._proving.logs()
            ]
        )

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Context) -> pb.GetCheckpointResponse:
        note = await self._proving.checkpoint(RegionId(request.log_id), request.at_least_size)
        return pb.GetCheckpointResponse(checkpoint=note)

    async def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.GetInclusionProofResponse:
        leaf, proof = await self._proving.inclusion(RegionId(request.log_id), request.index, request.size)
        return pb.GetInclusionProofResponse(leaf_hash=leaf, proof=proof)

    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        proof = await self._proving.consistency(RegionId(request.log_id), request.old_size, request.new_size)
        return pb.GetConsistencyProofResponse(proof=proof)

    async def DrawSample(self, request: pb.DrawSampleRequest, context: Context) -> pb.DrawSampleResponse:
        return await review.draw_sample(self._reviewing, request, self._auditor(request.assertion, context))

    async def ListPatterns(self, request: pb.ListPatternsRequest, context: Context) -> pb.ListPatternsResponse:
        return await review.list_patterns(self._reviewing, request, self._auditor(request.assertion, context))

    def _auditor(self, assertion: str, context: Context) -> IdentityAssertion:
        person = self._persons.person(assertion, caller_of(context))
        require_role(person, AUDITORS)
        return person

    def _selection(self, chosen: pb.Filter) -> Selection:
        return Selection(
            since=_moment(chosen, "since"),
            until=_moment(chosen, "until"),
            log_ids=tuple(RegionId(ids.node_id(one, "filter.log_ids")) for one in chosen.log_ids),
            types=tuple(map(_type, chosen.types)),
            store_ids=tuple(StoreId(ids.node_id(one, "filter.store_ids")) for one in chosen.store_ids),
            staff_ids=tuple(map(ids.staff_id, chosen.staff_ids)),
            operations=tuple(map(ids.operation_code, chosen.operations)),
            decision=chosen.decision or None,
            customer=tuple(self._customer_digests(chosen.customer)) if chosen.customer else None,
        )


def _page_size(asked: int) -> int:
    return min(asked or DEFAULT_PAGE, MAX_PAGE)


def _type(value: str) -> EventType:
    try:
        return EventType(value)
    except ValueError:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="filter.types", detail="not in the catalogue") from None


def _moment(message: pb.Filter | pb.WhoAccessedRequest, name: str) -> datetime | None:
    wire: Timestamp = getattr(message, name)
    return wire.ToDatetime(UTC) if message.HasField(name) else None  # type: ignore[arg-type]


def _entry(hit: Hit) -> pb.Entry:
    # The hash is that of the body, here; that it is in the tree is for a proof to say.
    place, body = hit.place, hit.row.body
    return pb.Entry(log_id=place.log_id, index=place.position, leaf_hash=leaf_hash(body), body=body)


def _response(part: Part, log_id: str) -> pb.ExportResponse:
    match part:
        case Begun():
            one = part.stretch
            begun = pb.ExportLog(
                log_id=one.log_id,
                start=one.start,
                end=one.end,
                checkpoint=one.note,
                left=part.left,
                expected=part.expected,
            )
            return pb.ExportResponse(log=begun)
        case Ended():
            return pb.ExportResponse(log_end=pb.ExportLogEnd(log_id=part.log_id, right=part.right))
        case rows:
            return pb.ExportResponse(rows=pb.ExportRows(rows=[_row(one, log_id) for one in rows]))


def _row(item: Row | Gap, log_id: str) -> pb.ExportRow:
    if isinstance(item, Gap):
        return pb.ExportRow(gap=pb.ExportGap(start=item.start, end=item.end, hashes=item.hashes))
    entry = pb.Entry(log_id=log_id, index=item.position, leaf_hash=item.leaf_hash, body=item.body)
    return pb.ExportRow(entry=entry)
