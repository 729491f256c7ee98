"""CheckService on the wire: as thin as it can be, for it is called before every operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from authsvc.feeder import Feeder
from authsvc.front import Answer, CheckFront, Question
from authsvc.watching import View
from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.auth.v1 import check_pb2_grpc
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.certificates import CallerKind
from infosec.decision.check import Decision, Mode
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import reason_text
from infosec.errors import PermissionDenied, Reason, Unavailable
from infosec.ids import CARRIER, RegionId, StoreId, SystemId, TerminalId, node_id, operation_code
from infosec.messages import Locale
from infosec.rpc import snapshot_codec
from infosec.rpc.server.identity import Caller, caller_of

_PURPOSES = {pb.Purpose.Value(f"PURPOSE_{purpose.value}"): purpose for purpose in Purpose}
_CLASSES = {cls: pb.OperationClass.Value(f"OPERATION_CLASS_{cls.value}") for cls in OperationClass}
_MODES = {mode: pb.DecisionMode.Value(f"DECISION_MODE_{mode.value}") for mode in Mode}
_STREAM_AT_ONCE = 64
_FAR_S = 253_402_300_799
"""The last second that a Timestamp can say."""


class CheckServicer(check_pb2_grpc.CheckServiceServicer):
    """Check, CheckBatch, CheckStream, WatchSnapshot and ReportActivity."""

    def __init__(self, front: CheckFront, feeder: Feeder) -> None:
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
        view = View(_system(caller_of(context)))
        async with self._feeder.watched() as queue:
            if not self._feeder.is_fresh:
                raise Unavailable(Reason.SNAPSHOT_STALE)
            changes, is_whole = view.whole(self._feeder.snapshot), True
            while True:
                yield pb.WatchSnapshotResponse(
                    body=snapshot_codec.encode(changes),
                    is_whole=is_whole,
                    revisions=[Revision(region_id=region, number=n) for region, n in changes.revisions.items()],
                    fresh_at=_timestamp(changes.as_of_s),
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
        return _response(await self._front.check(_question(request, system)), locale)


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
        purpose=_PURPOSES.get(request.purpose),
        work_order=request.work_order or None,
        product=request.product or None,
        order=request.order_id or None,
        grants=tuple(request.grants),
        at_least=tuple([(RegionId(entry.region_id), entry.number) for entry in request.at_least]),
        trace_id=request.trace_id,
    )


def _response(answer: Answer, locale: Locale) -> pb.CheckResponse:
    decision = answer.decision
    response = pb.CheckResponse(
        allowed=decision.allowed,
        reason=decision.reason.value,
        operation_class=_CLASSES[decision.cls] if decision.cls is not None else 0,
        revisions=_revisions(decision),
        record_id=answer.record_id,
        mode=_MODES[decision.mode],
    )
    if decision.allowed:
        masking = decision.masking
        response.masking.phone = masking.phone
        response.masking.name = masking.name
        response.masking.id_number = masking.id_number
        response.masking.address = masking.address
        response.holds_until.CopyFrom(_timestamp(decision.holds_until_s))
    else:
        response.text = reason_text(decision.reason, locale)
        for required in decision.required:
            response.required.add(kind=required.kind.value, any_of=required.accepted)
    return response


def _revisions(decision: Decision) -> list[Revision]:
    revisions = [Revision(region_id=CARRIER, number=decision.carrier_revision)]
    if decision.region != CARRIER:
        revisions.append(Revision(region_id=decision.region, number=decision.region_revision))
    return revisions


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(min(seconds, _FAR_S), UTC))
    return stamp
