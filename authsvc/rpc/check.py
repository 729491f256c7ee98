"""CheckService on the wire: as thin as it can be, for it is called before every operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from authsvc.feeder import Feeder
from authsvc.front import CheckFront, Question
from authsvc.watching import View
from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.auth.v1 import check_pb2_grpc
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.certificates import CallerKind
from infosec.errors import PermissionDenied, Reason, Unavailable
from infosec.ids import RegionId, StoreId, SystemId, TerminalId, node_id, operation_code
from infosec.messages import Locale
from infosec.rpc import decision_codec, snapshot_codec
from infosec.rpc.server.identity import Caller, caller_of

_STREAM_AT_ONCE = 64


class CheckServicer(check_pb2_grpc.CheckServiceServicer):
    """Check, CheckBatch, CheckStream, WatchSnapshot and ReportActivity."""

    def __init__(self, front: CheckFront, feeder: Feeder, *, installation: str) -> None:
        self._installation = installation
        self._front = front
        self._feeder = feeder

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        caller = caller_of(context)
        return await self._answered(request, _system(caller), caller.locale)

    async def CheckBatch(self, request: pb.CheckBatchRequest, context: Any) -> pb.CheckBatchResponse:
        caller = caller_of(context)
        system = _system(caller)
        answers = await asyncio.gather(*(self._answered(check, system, caller.locale) for check in request.checks))
        return pb.CheckBatchResponse(answers=answers)

    async def CheckStream(
        self, request_iterator: AsyncIterator[pb.CheckStreamRequest], context: Any
    ) -> AsyncIterator[pb.CheckStreamResponse]:
        """Up to 64 questions of a stream are worked on at once; the stream is read no faster than that."""
        caller = caller_of(context)
        system = _system(caller)
        answers: asyncio.Queue[pb.CheckStreamResponse | None] = asyncio.Queue()
        places = asyncio.Semaphore(_STREAM_AT_ONCE)

        async def answer(asked: pb.CheckStreamRequest) -> None:
            try:
                response = await self._answered(asked.check, system, caller.locale)
                answers.put_nowait(pb.CheckStreamResponse(number=asked.number, answer=response))
            finally:
                places.release()

        async def read() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    async for asked in request_iterator:
                        await places.acquire()
                        group.create_task(answer(asked))
            finally:
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (response := await answers.get()) is not None:
                yield response
            await reader  # a fault of a question ends the stream with its own error
        finally:
            reader.cancel()

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        system = _system(caller_of(context))
        view = View(system)
        async with self._feeder.watched() as queue:
            if not self._feeder.is_fresh:
                raise Unavailable(Reason.SNAPSHOT_STALE)
            changes, is_whole = view.whole(self._feeder.snapshot), True
            while True:
                yield pb.WatchSnapshotResponse(
                    body=snapshot_codec.encode(changes),
                    is_whole=is_whole,
                    revisions=[Revision(region_id=region, number=n) for region, n in changes.revisions.items()],
                    fresh_at=decision_codec.timestamp(changes.as_of_s),
                    installation=self._installation,
                    system_id=system,
                )
                changes = await queue.get()
                if not self._feeder.follows(queue):
                    raise Unavailable(Reason.SNAPSHOT_STALE)
                is_whole = view.must_restart(changes)
                changes = view.whole(self._feeder.snapshot) if is_whole else view.of(changes, self._feeder.snapshot)

    async def ReportActivity(self, request: pb.ReportActivityRequest, context: Any) -> pb.ReportActivityResponse:
        system = _system(caller_of(context))
        for token in request.tokens:
            self._front.served(token, system)
        return pb.ReportActivityResponse()

    async def _answered(self, request: pb.CheckRequest, system: SystemId, locale: Locale) -> pb.CheckResponse:
        answer = await self._front.check(_question(request, system))
        return decision_codec.response(answer.decision, locale, record_id=answer.record_id)


def _system(caller: Caller) -> SystemId:
    """Checks are asked by systems, not by our own services."""
    if caller.kind is not CallerKind.SYSTEM:
        raise PermissionDenied(Reason.CALLER_NOT_ALLOWED, detail="only a store system asks checks")
    return SystemId(caller.name)


def _question(request: pb.CheckRequest, system: SystemId) -> Question:
    return Question(
        system=system,
        token=request.token,
        operation=operation_code(request.operation),
        store=StoreId(node_id(request.store_id, "store_id")),
        terminal=TerminalId(node_id(request.terminal_id, "terminal_id")),
        customer=request.customer,
        purpose=decision_codec.PURPOSES.get(request.purpose),
        work_order=request.work_order or None,
        product=request.product or None,
        order=request.order_id or None,
        grants=tuple(request.grants),
        at_least=tuple([(RegionId(entry.region_id), entry.number) for entry in request.at_least]),
        trace_id=request.trace_id,
    )
