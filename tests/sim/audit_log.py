"""An audit log in memory that can be exported: entries, a checkpoint with cosignatures, and the stream of parts of an export.

The same hashes and the same order as the service's, without its database.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from infosec import canonical
from infosec.api.audit.v1 import read_pb2 as pb
from infosec.errors import InfosecError, Reason, Unavailable
from infosec.evidence.cells import Row
from infosec.evidence.parts import Gap, LogBegun, LogEnded, Part, Rows
from infosec.secret import Secret, SecretBytes
from infosec.transparency.checkpoints import Checkpoint, sign_checkpoint
from infosec.transparency.cosignatures import WitnessSigner
from infosec.transparency.merkle import NodeId, covering, leaf_hash
from infosec.transparency.notes import NoteSigner
from infosec.transparency.proofs import consistency_nodes, consistency_proof
from infosec.transparency.ranges import EMPTY

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
NOW = START + timedelta(days=1)
CARRIER = "carrier.example"
INSTALLATION = "7e57ab1e"

Facts = dict[str, str | int | bool]
Wanted = Callable[[int, bytes], bool]


def entry(number: int, log: str = "east", facts: Facts | None = None, *, at: datetime | None = None) -> bytes:
    """A check's entry, as the service writes them; one like it for each number."""
    recorded = at or START + timedelta(milliseconds=number * 250)
    fields: dict[str, canonical.Json] = {
        "at": moment(recorded - timedelta(milliseconds=40)),
        "by": "service/suite",
        "facts": {
            "staff_id": f"clerk{number % 7}",
            "role_id": "clerk",
            "store_id": f"store-{number % 3}",
            "terminal_id": f"{log}-{number % 5}",
            "system_id": "crm",
            "session_id": str(uuid.UUID(int=number % 11, version=4)),
            "operation": "1121",
            "purpose": "walk-in",
            "decision": "DENIED" if number % 4 == 0 else "ALLOWED",
            "reason": "OK",
            "revision": number,
            **(facts or {}),
        },
        "id": str(uuid.UUID(int=(number << 40) + sum(log.encode()), version=4)),
        "log": log,
        "recorded": moment(recorded),
        "sealed": {"order_id": sha256(str(number).encode()).hexdigest()},
        "subject": str(uuid.UUID(int=number % 13, version=4)),
        "type": "check.decided",
        "v": 1,
    }
    return canonical.encode(fields)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class SimLog:
    """A log. `emptied` are indexes whose payload retention has taken."""

    log_id: str = "east"
    entries: list[bytes] = field(default_factory=list)
    emptied: set[int] = field(default_factory=set)
    witnesses: tuple[WitnessSigner, ...] = ()
    size: int | None = None
    """The checkpoint's; all entries where it is None."""

    @property
    def origin(self) -> str:
        return f"{CARRIER}/audit/{INSTALLATION}/{self.log_id}"

    @property
    def signer(self) -> NoteSigner:
        return NoteSigner.of_seed(self.origin, SecretBytes(sha256(self.origin.encode()).digest()))

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        wanted = len(self.entries) if size is None else size
        tree, _ = EMPTY.extend(leaf_hash(body) for body in self.entries[:wanted])
        return Checkpoint(origin=self.origin, size=wanted, root=tree.root())

    def note(self, size: int | None = None, *, at: datetime = NOW) -> bytes:
        checkpoint = self.checkpoint(size)
        note = sign_checkpoint(checkpoint, self.signer)
        return note.with_signatures(*(one.cosign(checkpoint, now=at) for one in self.witnesses)).encode()

    def nodes(self, size: int | None = None) -> dict[NodeId, bytes]:
        leaves = [leaf_hash(body) for body in self.entries[:size]]
        _, made = EMPTY.extend(leaves)
        hashes = {NodeId(0, index): value for index, value in enumerate(leaves)}
        return hashes | {NodeId(level, position): value for level, position, value in made}

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        hashes = self.nodes(new)
        needed = consistency_nodes(old, new)
        return consistency_proof(old, new, {node: hashes[node] for node in needed})

    def parts(
        self,
        *,
        start: int = 0,
        end: int | None = None,
        wanted: Wanted | None = None,
        next_index: int | None = None,
        rows_a_part: int = 100,
    ) -> Iterator[Part]:
        """The stream of an export of this log; `next_index` goes on with one."""
        size = len(self.entries) if self.size is None else self.size
        last = size if end is None else end
        hashes = self.nodes(size)
        yield LogBegun(
            log_id=self.log_id,
            start=start,
            end=last,
            checkpoint=self.note(size),
            left=tuple(hashes[node] for node in covering(0, start)),
            expected=sum(1 for index in range(start, last) if wanted is None or wanted(index, self.entries[index])),
        )
        rows = list(self._rows(start if next_index is None else next_index, last, wanted, hashes))
        for at in range(0, len(rows), rows_a_part):
            yield Rows(rows=tuple(rows[at : at + rows_a_part]))
        yield LogEnded(log_id=self.log_id, right=tuple(hashes[node] for node in covering(last, size)))

    def _rows(self, start: int, end: int, wanted: Wanted | None, hashes: dict[NodeId, bytes]) -> Iterator[Row | Gap]:
        gap = start
        for index in range(start, end):
            body = self.entries[index]
            if wanted is not None and not wanted(index, body):
                continue
            if gap < index:
                yield _gap(gap, index, hashes)
            yield Row(index, leaf_hash(body), b"" if index in self.emptied else body)
            gap = index + 1
        if gap < end:
            yield _gap(gap, end, hashes)


def log_of(count: int, log: str = "east", **more: object) -> SimLog:
    """A log of so many entries."""
    return SimLog(log_id=log, entries=[entry(number, log) for number in range(count)], **more)  # type: ignore[arg-type]


def witness(name: str) -> WitnessSigner:
    return WitnessSigner.of_seed(name, SecretBytes(sha256(name.encode()).digest()))


def export(logs: Sequence[SimLog], wanted: Wanted | None = None) -> Iterator[Part]:
    """The stream of an export of several logs."""
    for log in logs:
        yield from log.parts(wanted=wanted)


def _gap(start: int, end: int, hashes: dict[NodeId, bytes]) -> Gap:
    return Gap(start=start, end=end, hashes=tuple(hashes[node] for node in covering(start, end)))


def response_of(part: Part) -> pb.ExportResponse:
    """A part as it goes over the wire."""
    match part:
        case LogBegun():
            log = pb.ExportLog(
                log_id=part.log_id,
                start=part.start,
                end=part.end,
                checkpoint=part.checkpoint.decode(),
                left=part.left,
                expected=part.expected,
            )
            return pb.ExportResponse(log=log)
        case Rows():
            return pb.ExportResponse(rows=pb.ExportRows(rows=[_wire_row(row) for row in part.rows]))
        case LogEnded():
            return pb.ExportResponse(log_end=pb.ExportLogEnd(log_id=part.log_id, right=part.right))


def _wire_row(row: Row | Gap) -> pb.ExportRow:
    if isinstance(row, Gap):
        return pb.ExportRow(gap=pb.ExportGap(start=row.start, end=row.end, hashes=row.hashes))
    return pb.ExportRow(entry=pb.Entry(index=row.index, leaf_hash=row.leaf_hash, body=row.entry))


@dataclass
class ExportFeed:
    """The export method of a server that has these logs, and whose connections break after so many parts."""

    logs: Sequence[SimLog]
    wanted: Wanted | None = None
    breaks_after: list[int] = field(default_factory=list)
    """One for each stream, in order; later streams do not break."""
    asked: list[pb.ExportRequest] = field(default_factory=list)
    rows_a_part: int = 7
    failure: InfosecError = field(default_factory=lambda: Unavailable(Reason.PEER_UNAVAILABLE))

    async def export(
        self,
        assertion: Secret | str,
        wanted: pb.Filter | None = None,
        *,
        export_id: str | None = None,
        resume: Sequence[pb.ExportResume] = (),
    ) -> AsyncIterator[pb.ExportResponse]:
        self.asked.append(pb.ExportRequest(assertion=str(assertion), filter=wanted, export_id=export_id, resume=resume))
        begun = {one.log_id: one for one in resume}
        left = self.breaks_after.pop(0) if self.breaks_after else None
        for log in self.logs:
            known = begun.get(log.log_id)
            for part in log.parts(
                wanted=self.wanted,
                start=known.start if known else 0,
                end=known.end if known else None,
                next_index=known.next_index if known else None,
                rows_a_part=self.rows_a_part,
            ):
                if left == 0:
                    raise self.failure
                left = None if left is None else left - 1
                yield response_of(part)
