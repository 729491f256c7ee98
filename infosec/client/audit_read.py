"""AuditReadService: what is on record, and its proofs. Who reads shows an assertion, and is on record for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, revealed
from infosec.errors import InvalidInput, Reason
from infosec.ids import new_id
from infosec.rpc.deadlines import SLOW_CALL_S

_SERVICE = "/infosec.api.audit.v1.AuditReadService/"

QUERY = Method(
    path=_SERVICE + "Query",
    request=pb.QueryRequest,
    response=pb.QueryResponse,
    is_repeatable=True,
    deadline_s=SLOW_CALL_S,
)
EXPORT = Method(path=_SERVICE + "Export", request=pb.ExportRequest, response=pb.ExportResponse, is_repeatable=True)
LIST_LOGS = Method(
    path=_SERVICE + "ListLogs", request=pb.ListLogsRequest, response=pb.ListLogsResponse, is_repeatable=True
)
GET_CHECKPOINT = Method(
    path=_SERVICE + "GetCheckpoint",
    request=pb.GetCheckpointRequest,
    response=pb.GetCheckpointResponse,
    is_repeatable=True,
)
GET_INCLUSION_PROOF = Method(
    path=_SERVICE + "GetInclusionProof",
    request=pb.GetInclusionProofRequest,
    response=pb.GetInclusionProofResponse,
    is_repeatable=True,
)
GET_CONSISTENCY_PROOF = Method(
    path=_SERVICE + "GetConsistencyProof",
    request=pb.GetConsistencyProofRequest,
    response=pb.GetConsistencyProofResponse,
    is_repeatable=True,
)
DRAW_SAMPLE = Method(
    path=_SERVICE + "DrawSample",
    request=pb.DrawSampleRequest,
    response=pb.DrawSampleResponse,
    is_repeatable=True,
    deadline_s=SLOW_CALL_S,
)
WHO_ACCESSED = Method(
    path=_SERVICE + "WhoAccessed",
    request=pb.WhoAccessedRequest,
    response=pb.WhoAccessedResponse,
    is_repeatable=True,
    deadline_s=SLOW_CALL_S,
)
LIST_PATTERNS = Method(
    path=_SERVICE + "ListPatterns",
    request=pb.ListPatternsRequest,
    response=pb.ListPatternsResponse,
    is_repeatable=True,
    deadline_s=SLOW_CALL_S,
)


def audit_filter(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    log_ids: Sequence[str] = (),
    types: Sequence[str] = (),
    store_ids: Sequence[str] = (),
    staff_ids: Sequence[str] = (),
    operations: Sequence[str] = (),
    customer: SecretText | None = None,
    decision: str = "",
) -> pb.Filter:
    """Which entries: recorded at or after `since` and before `until` (aware); several values of one kind are alternatives."""
    return pb.Filter(
        since=_stamp(since, "since"),
        until=_stamp(until, "until"),
        log_ids=log_ids,
        types=types,
        store_ids=store_ids,
        staff_ids=staff_ids,
        operations=operations,
        customer=revealed(customer),
        decision=decision,
    )


class AuditReadClient:
    """`assertion` is from `login.issue_assertion`; it lives minutes. All methods are safe to repeat."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def query(
        self,
        assertion: SecretText,
        wanted: pb.Filter | None = None,
        *,
        oldest_first: bool = False,
        page_size: int = 100,
        page_token: str = "",
    ) -> pb.QueryResponse:
        """One page of entries."""
        request = pb.QueryRequest(
            assertion=revealed(assertion),
            filter=wanted,
            oldest_first=oldest_first,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._invoker.unary(QUERY, request)

    async def export(
        self,
        assertion: SecretText,
        wanted: pb.Filter | None = None,
        *,
        export_id: str | None = None,
        resume: Sequence[pb.ExportResume] = (),
    ) -> AsyncIterator[pb.ExportResponse]:
        """The parts as they come, not repeated here: `audit_export.receive` goes on after a broken connection.

        Breaks off with Unavailable; FailedPrecondition(STATE_CONFLICT): what is to go on is gone by retention.
        """
        request = pb.ExportRequest(
            assertion=revealed(assertion), filter=wanted, resume=resume, export_id=export_id or new_id()
        )
        async for part in self._invoker.server_stream(EXPORT, request):
            yield part

    async def logs(self) -> Sequence[pb.Log]:
        """The logs, with their sizes and verifier keys."""
        return (await self._invoker.unary(LIST_LOGS, pb.ListLogsRequest())).logs

    async def checkpoint(self, log_id: str, *, at_least_size: int = 0) -> bytes:
        """The newest signed checkpoint, or the first of at least a size, with the cosignatures that it has by now."""
        request = pb.GetCheckpointRequest(log_id=log_id, at_least_size=at_least_size)
        return (await self._invoker.unary(GET_CHECKPOINT, request)).checkpoint.encode("utf-8")

    async def inclusion_proof(self, log_id: str, index: int, *, size: int) -> pb.GetInclusionProofResponse:
        """The leaf's hash, and the proof that it is in the tree of this size."""
        request = pb.GetInclusionProofRequest(log_id=log_id, index=index, size=size)
        return await self._invoker.unary(GET_INCLUSION_PROOF, request)

    async def consistency_proof(self, log_id: str, *, old_size: int, new_size: int) -> Sequence[bytes]:
        """That the tree of the new size continues that of the old one."""
        request = pb.GetConsistencyProofRequest(log_id=log_id, old_size=old_size, new_size=new_size)
        return (await self._invoker.unary(GET_CONSISTENCY_PROOF, request)).proof

    async def draw_sample(
        self, assertion: SecretText, *, store_id: str, log_id: str, week: str
    ) -> pb.DrawSampleResponse:
        """The spot checks of a store and week, which begins on the Monday `week` (CI-6). `log_id` is the store's region.

        FailedPrecondition(STATE_CONFLICT) with `retry_after`: ask again then, the draw waits for the next checkpoint.
        """
        request = pb.DrawSampleRequest(assertion=revealed(assertion), store_id=store_id, log_id=log_id, week=week)
        return await self._invoker.unary(DRAW_SAMPLE, request)

    async def who_accessed(
        self,
        assertion: SecretText,
        customer: SecretText,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 100,
        page_token: str = "",
    ) -> pb.WhoAccessedResponse:
        """One page of who looked at a customer's data, oldest first (CI-8)."""
        request = pb.WhoAccessedRequest(
            assertion=revealed(assertion),
            customer=revealed(customer),
            since=_stamp(since, "since"),
            until=_stamp(until, "until"),
            page_size=page_size,
            page_token=page_token,
        )
        return await self._invoker.unary(WHO_ACCESSED, request)

    async def patterns(
        self, assertion: SecretText, *, since: datetime, until: datetime, log_ids: Sequence[str] = ()
    ) -> Sequence[pb.Pattern]:
        """Odd patterns in a period (CI-7)."""
        request = pb.ListPatternsRequest(
            assertion=revealed(assertion), since=_stamp(since, "since"), until=_stamp(until, "until"), log_ids=log_ids
        )
        return (await self._invoker.unary(LIST_PATTERNS, request)).patterns


def _stamp(at: datetime | None, field: str) -> Timestamp | None:
    """Raises InvalidInput for a moment without a time zone: what is meant by it is nobody's to guess."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="a moment with its time zone")
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
