"""CheckService on the wire: as thin as it can be, for it is called before every operation."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from authsvc.feeder import Feeder, News
from authsvc.front import CheckFront, Question
from authsvc.watching import View
from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.auth.v1 import check_pb2_grpc
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.decision.snapshot import Changes
from infosec.errors import InvalidInput, Reason, Unavailable
from infosec.ids import RegionId, StoreId, SystemId, TerminalId, node_id, operation_code
from infosec.rpc import decision_codec, snapshot_codec
from infosec.rpc.server.identity import caller_of

_STREAM_AT_ONCE = 64
_SAY_FRESH_EVERY_S = 1.0
"""A view to which nothing happened is confirmed this often: a fraction of the staleness bound."""


class CheckServicer(check_pb2_grpc.CheckServiceServicer):
    """Check, CheckBatch, CheckStream, WatchSnapshot and ReportActivity."""

    def __init__(self, front: CheckFront, feeder: Feeder, *, installation: str) -> None:
        self._installation = installation
        self._front = front
        self._feeder = feeder

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        caller = caller_of(context)
        answer = await self._front.check(_question(request, caller.system))
        return decision_codec.response(answer.decision, caller.locale, record_id=answer.record_id)

    async def CheckBatch(self, request: pb.CheckBatchRequest, context: Any) -> pb.CheckBatchResponse:
        caller = caller_of(context)
        system = caller.system
        questions = [_numbered_question(index, check, system) for index, check in enumerate(request.checks)]
        answers = await self._front.check_all(questions)
        return pb.CheckBatchResponse(
            answers=[decision_codec.response(a.decision, caller.locale, record_id=a.record_id) for a in answers]
        )

    async def CheckStream(
        self, request_iterator: AsyncIterator[pb.CheckStreamRequest], context: Any
    ) -> AsyncIterator[pb.CheckStreamResponse]:
        """Up to 64 questions of a stream are between being read and being answered; it is read no faster than that."""
        caller = caller_of(context)
        system = caller.system
        answers: asyncio.Queue[pb.CheckStreamResponse | None] = asyncio.Queue()
        places = asyncio.Semaphore(_STREAM_AT_ONCE)

        async def answer(asked: pb.CheckStreamRequest) -> None:
            made = await self._front.check(_question(asked.check, system))
            response = decision_codec.response(made.decision, caller.locale, record_id=made.record_id)
            answers.put_nowait(pb.CheckStreamResponse(number=asked.number, answer=response))

        async def read() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    async for asked in request_iterator:
                        await places.acquire()
                        group.create_task(answer(asked))
            except BaseExceptionGroup as several:
                raise _first(several) from None
            finally:
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (response := await answers.get()) is not None:
                yield response
                places.release()  # only now: an answer that nobody takes must hold back the reading
            await reader  # a fault of a question ends the stream with its own error
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        system = caller_of(context).system
        view = View(system)
        async with self._feeder.watched() as queue:
            if not self._feeder.is_fresh:
                raise Unavailable(Reason.SNAPSHOT_STALE)  # before a view is made of it
            yield self._whole(view, system)
            told_at = time.monotonic()
            while True:
                news = await self._next(queue)
                if view.must_restart(news.changes):
                    while not queue.empty():  # the whole has these in it
                        queue.get_nowait()
                    yield self._whole(view, system)
                elif not news.is_empty or time.monotonic() - told_at >= _SAY_FRESH_EVERY_S:
                    seen = view.of(news.changes, self._feeder.snapshot)
                    yield self._message(system, seen, news.read_at_s, is_whole=False)
                else:
                    continue
                told_at = time.monotonic()

    async def ReportActivity(self, request: pb.ReportActivityRequest, context: Any) -> pb.ReportActivityResponse:
        system = caller_of(context).system
        for token in request.tokens:
            self._front.served(token, system, request.seconds_ago)
        return pb.ReportActivityResponse()

    async def _next(self, queue: asyncio.Queue[News]) -> News:
        """What is read next. Raises Unavailable where this server cannot vouch for freshness: another one may."""
        while True:
            if not self._feeder.follows(queue) or not self._feeder.is_fresh:
                raise Unavailable(Reason.SNAPSHOT_STALE)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SAY_FRESH_EVERY_S):
                    return await queue.get()

    def _whole(self, view: View, system: SystemId) -> pb.WatchSnapshotResponse:
        return self._message(system, view.whole(self._feeder.snapshot), self._feeder.read_at_s, is_whole=True)

    def _message(
        self, system: SystemId, changes: Changes, read_at_s: float, *, is_whole: bool
    ) -> pb.WatchSnapshotResponse:
        return pb.WatchSnapshotResponse(
            body=snapshot_codec.encode(changes),
            is_whole=is_whole,
            revisions=[Revision(region_id=region, number=n) for region, n in changes.revisions.items()],
            fresh_at=decision_codec.timestamp(changes.as_of_s),
            installation=self._installation,
            system_id=system,
            read_at_ms=int(read_at_s * 1000),
            age_ms=math.ceil((time.monotonic() - read_at_s) * 1000) + 1,
        )


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; a wrong question is an error of the caller's, not of ours."""
    first = several.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _numbered_question(index: int, request: pb.CheckRequest, system: SystemId) -> Question:
    """A question of a batch. One that is none refuses the batch, and says which it was."""
    try:
        return _question(request, system)
    except InvalidInput as error:
        field, detail = error.details.get("field", ""), error.details.get("detail", "")
        raise InvalidInput(error.reason, field=f"checks[{index}].{field}", detail=detail) from None


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
