"""CheckService: may this person do this, here, to this customer? A denial is an answer, not an error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.common.v1 import revision_pb2
from infosec.client.calls import Invoker, Method, SecretText, revealed
from infosec.decision.operations import Purpose

_SERVICE = "/infosec.api.auth.v1.CheckService/"

CHECK = Method(
    path=_SERVICE + "Check", request=pb.CheckRequest, response=pb.CheckResponse, is_repeatable=True, deadline_s=5.0
)
CHECK_BATCH = Method(
    path=_SERVICE + "CheckBatch", request=pb.CheckBatchRequest, response=pb.CheckBatchResponse, is_repeatable=True
)
CHECK_STREAM = Method(
    path=_SERVICE + "CheckStream", request=pb.CheckStreamRequest, response=pb.CheckStreamResponse, is_repeatable=True
)
WATCH_SNAPSHOT = Method(
    path=_SERVICE + "WatchSnapshot",
    request=pb.WatchSnapshotRequest,
    response=pb.WatchSnapshotResponse,
    is_repeatable=True,
)
REPORT_ACTIVITY = Method(
    path=_SERVICE + "ReportActivity",
    request=pb.ReportActivityRequest,
    response=pb.ReportActivityResponse,
    is_repeatable=True,
)


def question(
    token: SecretText,
    operation: str,
    *,
    store_id: str,
    terminal_id: str,
    customer: SecretText | None = None,
    purpose: Purpose | None = None,
    work_order: str = "",
    product: str = "",
    order_id: str = "",
    grants: Sequence[SecretText] = (),
    at_least: Sequence[revision_pb2.Revision] = (),
    trace_id: str = "",
) -> pb.CheckRequest:
    """One question, for `ask`, `batch` and `stream`."""
    return pb.CheckRequest(
        token=revealed(token),
        operation=operation,
        store_id=store_id,
        terminal_id=terminal_id,
        customer=revealed(customer),
        purpose=pb.PURPOSE_UNSPECIFIED if purpose is None else pb.Purpose.Value(f"PURPOSE_{purpose.name}"),
        work_order=work_order,
        product=product,
        order_id=order_id,
        grants=[revealed(grant) for grant in grants],
        at_least=at_least,
        trace_id=trace_id,
    )


class Asks(ABC):
    """Whoever answers a question that is put together: the centre, or a Guard."""

    async def check(
        self,
        token: SecretText,
        operation: str,
        *,
        store_id: str,
        terminal_id: str,
        customer: SecretText | None = None,
        purpose: Purpose | None = None,
        work_order: str = "",
        product: str = "",
        order_id: str = "",
        grants: Sequence[SecretText] = (),
        at_least: Sequence[revision_pb2.Revision] = (),
        trace_id: str = "",
    ) -> pb.CheckResponse:
        """Decide one operation. Raises only when no decision could be made."""
        return await self.ask(
            question(
                token,
                operation,
                store_id=store_id,
                terminal_id=terminal_id,
                customer=customer,
                purpose=purpose,
                work_order=work_order,
                product=product,
                order_id=order_id,
                grants=grants,
                at_least=at_least,
                trace_id=trace_id,
            )
        )

    @abstractmethod
    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """As `check`, for a question that is put together already."""


class CheckClient(Asks):
    """Questions to the centre. `masking` of an answer says what the caller must mask (CI-5)."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """As `check`, for a question that is put together already."""
        return await self._invoker.unary(CHECK, request)

    async def batch(self, requests: Sequence[pb.CheckRequest]) -> Sequence[pb.CheckResponse]:
        """Up to 50 questions, each decided for itself; answers in the same order."""
        return (await self._invoker.unary(CHECK_BATCH, pb.CheckBatchRequest(checks=requests))).answers

    async def stream(
        self, questions: AsyncIterable[tuple[int, pb.CheckRequest]]
    ) -> AsyncIterator[tuple[int, pb.CheckResponse]]:
        """Questions as they come, each with a number; answers carry the number and may come in another order."""

        async def numbered() -> AsyncIterator[pb.CheckStreamRequest]:
            async for number, request in questions:
                yield pb.CheckStreamRequest(number=number, check=request)

        async for answer in self._invoker.both_streams(CHECK_STREAM, numbered()):
            yield answer.number, answer.answer

    def watch_snapshot(self) -> AsyncIterator[pb.WatchSnapshotResponse]:
        """What a Guard follows: first whole, then changes. The follower opens the next stream when this one ends."""
        return self._invoker.server_stream(WATCH_SNAPSHOT, pb.WatchSnapshotRequest())

    async def report_activity(self, tokens: Sequence[SecretText], *, seconds_ago: int = 0) -> None:
        """Tell which sessions a Guard served (ID-9), and how long ago at most."""
        request = pb.ReportActivityRequest(tokens=[revealed(token) for token in tokens], seconds_ago=seconds_ago)
        await self._invoker.unary(REPORT_ACTIVITY, request)
