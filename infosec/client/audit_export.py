"""Receiving an export into its part file: goes on where it ended after a broken connection, in this process or a later one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.calls import SecretText, cut_off
from infosec.errors import Internal, Reason, ResourceExhausted, Unauthenticated, Unavailable
from infosec.evidence.cells import Row
from infosec.evidence.formats import Format
from infosec.evidence.manifest import Manifest
from infosec.evidence.part_file import PartFile
from infosec.evidence.parts import Gap, LogBegun, LogEnded, Part, Rows
from infosec.evidence.receiving import Receiving
from infosec.evidence.rendering import Order, render
from infosec.ids import new_id
from infosec.rpc.deadlines import Backoff

PATIENCE = Backoff(attempts=8)
"""Tries in a row that bring nothing; one that brings something begins anew."""

Progress = Callable[[int, int], None]
"""Told of entries so far, and of how many there will be (0: not known)."""


class Exporter(Protocol):
    """AuditReadClient, as far as it is needed here."""

    def export(
        self,
        assertion: SecretText,
        wanted: pb.Filter | None = None,
        *,
        export_id: str | None = None,
        resume: Sequence[pb.ExportResume] = (),
    ) -> AsyncIterator[pb.ExportResponse]: ...


def part_of(response: pb.ExportResponse) -> Part:
    """A message as a plain value. Raises Internal for one that is none of the contract's."""
    match response.WhichOneof("part"):
        case "log":
            log = response.log
            return LogBegun(
                log_id=log.log_id,
                start=log.start,
                end=log.end,
                checkpoint=log.checkpoint.encode("utf-8"),
                left=tuple(log.left),
                expected=log.expected,
            )
        case "rows":
            return Rows(rows=tuple(_row(row) for row in response.rows.rows))
        case "log_end":
            return LogEnded(log_id=response.log_end.log_id, right=tuple(response.log_end.right))
    raise Internal(Reason.INTERNAL, detail="export stream: an empty part")


def received(part: PartFile) -> Receiving:
    """The state that a part file is in. Raises Internal for one that was not written by `receive`."""
    state = Receiving()
    for one in parts_of(part):
        state.accept(one)
    return state


def parts_of(part: PartFile) -> Iterator[Part]:
    """All that was received so far."""
    return (part_of(pb.ExportResponse.FromString(frame)) for frame in part.frames())


def resume_of(state: Receiving) -> list[pb.ExportResume]:
    """Where each log that was begun goes on."""
    return [
        pb.ExportResume(
            log_id=log_id, start=log.begun.start, end=log.begun.end, size=log.size, next_index=log.next_index
        )
        for log_id, log in state.logs.items()
    ]


async def receive(
    exporter: Exporter,
    assertion: Callable[[], Awaitable[SecretText]],
    wanted: pb.Filter,
    *,
    export_id: str,
    into: PartFile,
    state: Receiving,
    progress: Progress | None = None,
    backoff: Backoff = PATIENCE,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Receive all parts that are not in the file yet. `assertion` is asked for a fresh one at each try.

    Raises Unavailable and the like once `backoff` is used up without anything new; whoever calls again goes on.
    """
    tries = 0
    while True:
        before = _position(state)
        try:
            await _once(exporter, await assertion(), wanted, export_id=export_id, into=into, state=state, tell=progress)
            return
        except (Unavailable, ResourceExhausted, Unauthenticated) as failure:
            has_moved = _position(state) != before
            tries = 1 if has_moved else tries + 1
            # An assertion that ran out on the way is no refusal; one that is refused at once is.
            if tries >= backoff.attempts or (isinstance(failure, Unauthenticated) and not has_moved):
                raise
            await sleep(backoff.wait_s(tries, told=failure.retry_after, jitter=random.random()))


async def export_file(
    exporter: Exporter,
    assertion: Callable[[], Awaitable[SecretText]],
    wanted: pb.Filter,
    file: Path,
    *,
    format: Format,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> Manifest:
    """A whole export in one call: received, proved to itself, and written with its manifest.

    What had arrived of one that failed is not kept. To go on with it in a later process, use a PartFile and `receive`.
    Raises what `receive` raises, NotProved, FileExistsError for one that is under way; InvalidInput for what the format
    cannot hold.
    """
    shown, export_id = _shown(wanted), new_id()
    part = PartFile.begin(file.with_name(file.name + ".part"), {"export_id": export_id, "filter": shown})
    try:
        state = Receiving()
        await receive(exporter, assertion, wanted, export_id=export_id, into=part, state=state, progress=progress)
        order = Order(format=format, export_id=export_id, filter=shown, now=now())
        return await asyncio.to_thread(render, parts_of(part), file, order)
    finally:
        part.remove()


def _shown(wanted: pb.Filter) -> dict[str, Any]:
    """What was asked for, for the manifest; of a customer only that one was."""
    shown: dict[str, Any] = MessageToDict(wanted, preserving_proto_field_name=True)
    return {**shown, "customer": True} if wanted.customer else shown


async def _once(
    exporter: Exporter,
    assertion: SecretText,
    wanted: pb.Filter,
    *,
    export_id: str,
    into: PartFile,
    state: Receiving,
    tell: Progress | None,
) -> None:
    state.connected()
    stream = exporter.export(assertion, wanted, export_id=export_id, resume=resume_of(state))
    async for response in stream:
        if state.accept(part_of(response)):
            into.append(response.SerializeToString())
        if tell is not None:
            tell(state.entries, state.expected)
    if not state.is_between_logs:
        raise cut_off()


def _position(state: Receiving) -> tuple[int, ...]:
    return tuple(log.next_index + log.is_ended for log in state.logs.values())


def _row(row: pb.ExportRow) -> Row | Gap:
    if row.HasField("gap"):
        return Gap(start=row.gap.start, end=row.gap.end, hashes=tuple(row.gap.hashes))
    return Row(row.entry.index, row.entry.leaf_hash, row.entry.body)
