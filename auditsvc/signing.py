"""Signs each log that grew, at most an interval apart, and never a tree that does not continue what was signed before.

What continues what is proved from the stored tiles, against the newest stored checkpoint and against the record outside of
the database. Recording goes on where signing is refused: an entry that waits for a signature is worth more than none.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge

from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import WHAT_TO_DO, NotSigned, SigningFault, extended, nodes_to_sign
from auditsvc.last_signed import LastSigned, Signed
from auditsvc.store import checkpoints as store
from infosec import logging
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError, Internal
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.keys import SigningKind
from infosec.storage.postgres import Connection, Database, Isolation
from infosec.transparency.checkpoints import Checkpoint, OpenedCheckpoint, open_checkpoint, sign_checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.ranges import CompactRange

INTERVAL = timedelta(seconds=1)
_LOG = logging.get(__name__)


_ROTATIONS = uuid.UUID("5a1f8b0e-6d0b-4f43-9a55-3c0b7a1d9e64")

Record: TypeAlias = Callable[[Event], Awaitable[None]]
"""Records an event of this service's own. Raises InfosecError unless it is on record."""


class Offered(Protocol):
    """Where a new checkpoint goes to be cosigned. Does not wait and does not fail."""

    def offer(self, log_id: RegionId) -> None: ...


class CheckpointSigner:
    """Signs for one process; any number of processes may sign the same logs."""

    def __init__(
        self,
        db: Database,
        keys: CheckpointKeys,
        clock: Clock,
        last_signed: LastSigned,
        *,
        witnesses: Offered | None = None,
        record: Record | None = None,
        interval: timedelta = INTERVAL,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`db` as role audit_service. Raises Misconfigured when the record of what was signed is not whole."""
        last_signed.read()
        self._db = db
        self._keys = keys
        self._clock = clock
        self._last_signed = last_signed
        self._witnesses = witnesses
        self._record = record
        self._interval_s = interval.total_seconds()
        self._refused: dict[RegionId, NotSigned] = {}
        self._signed = Counter("infosec_audit_checkpoints", "Checkpoints signed.", registry=registry)
        self._refusals = Gauge(
            "infosec_audit_signing_refused",
            "1 while a log is not signed, because it does not continue what was signed.",
            ("log", "fault"),
            registry=registry,
        )
        self._passed = Gauge(
            "infosec_audit_signing_last_success_seconds", "When all logs were last looked at.", registry=registry
        )

    @property
    def refused(self) -> Mapping[RegionId, NotSigned]:
        """The logs that are not signed, and why: for the doctor."""
        return self._refused

    async def run(self) -> None:
        """Sign what is due, for ever; ends by cancellation."""
        loop = asyncio.get_running_loop()
        has_failed = False
        while True:
            began = loop.time()
            try:
                await self.sign_due()
                has_failed = False
            except Exception as error:
                # Told once, not every second; and a fault of ours in one round must not end all signing until a restart.
                if not has_failed:
                    _LOG.error("nothing is signed", exc_info=error)
                has_failed = True
            raise_if_cancelled()
            await asyncio.sleep(max(0.0, began + self._interval_s - loop.time()))

    async def sign_due(self) -> tuple[RegionId, ...]:
        """One round over all logs; answers which were signed. Raises Unavailable, Misconfigured.

        A log that must not be signed keeps no other from it.
        """
        self._keys.refresh()
        recorded, new = await self._look()
        published = await self._publish(new, recorded) if new else ()
        await self._announce_key()
        self._passed.set(self._clock.now().timestamp())
        return published

    async def check(self) -> Mapping[RegionId, NotSigned]:
        """The logs that must not be signed, and why; signs nothing. For the doctor. Raises as above."""
        await self._look()
        return self._refused

    async def _look(self) -> tuple[Mapping[RegionId, Signed], dict[RegionId, Checkpoint]]:
        """What was signed, and what is to be of all logs, proved to continue it; the others are in `refused` after it."""
        recorded = self._last_signed.read()
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            standings = await store.standings(conn)
            due = [one.log_id for one in standings if _is_due(one, recorded.get(one.log_id))]
            new = await self._judged(conn, due, recorded)
        gone = recorded.keys() - {one.log_id for one in standings}
        for log_id in gone:
            self._refuse(log_id, NotSigned(SigningFault.LOG_GONE, signed=recorded[log_id].size, size=0))
        for log_id in self._refused.keys() - set(due) - gone:
            self._clear(log_id)
        return recorded, new

    async def _announce_key(self) -> None:
        """Have a rotation recorded, once for all processes: its ID and its moment are the key's."""
        known = self._last_signed.key()
        self._keys.refresh()  # after that: who noted a newer key than ours has seen a file that we see too
        active = self._keys.active
        if active.kid == known:
            return
        if known is not None and self._record is not None:
            facts = {"key_kind": SigningKind.CHECKPOINT.value, "key_id": active.kid}
            event_id = uuid.uuid5(_ROTATIONS, active.kid)
            try:
                await self._record(
                    Event(type=EventType.AUDIT_KEY_ROTATED, at=active.created, facts=facts, event_id=event_id)
                )
            except InfosecError as error:
                _LOG.warning("a new checkpoint key is not on record yet", kid=active.kid, reason=error.reason.value)
                return
        await asyncio.to_thread(self._last_signed.note_key, active.kid)

    async def _judged(
        self, conn: Connection, due: list[RegionId], recorded: Mapping[RegionId, Signed]
    ) -> dict[RegionId, Checkpoint]:
        new: dict[RegionId, Checkpoint] = {}
        for log_id in due:
            try:
                new[log_id] = await self._continued(conn, log_id, recorded.get(log_id))
                self._clear(log_id)
            except NotSigned as refusal:
                self._refuse(log_id, refusal)
        return new

    async def _continued(self, conn: Connection, log_id: RegionId, recorded: Signed | None) -> Checkpoint:
        """The checkpoint of what is stored. Raises NotSigned."""
        origin = self._keys.origins.of(log_id)
        bases = [] if recorded is None else [Checkpoint(origin=origin, size=recorded.size, root=recorded.root)]
        newest = await store.newest(conn, log_id)
        # What the record knows needs no signature: its key may have been stolen since, and forgotten.
        if newest is not None and (recorded is None or (newest.size, newest.root) != (recorded.size, recorded.root)):
            bases.append(self._opened(log_id, newest))
        try:
            tree = await store.tree(conn, log_id)
        except (Internal, NotVerified):
            raise NotSigned(SigningFault.TREE_BROKEN) from None
        if tree is None:
            raise NotSigned(SigningFault.LOG_GONE)
        tiles = await store.tiles_of(conn, log_id, tree, nodes_to_sign(tree, bases))
        return extended(origin, tree, bases, tiles)

    def _opened(self, log_id: RegionId, stored: store.StoredCheckpoint) -> Checkpoint:
        """What stands in the database counts for what its signature says, not for what its columns say."""
        try:
            opened = self._verified(log_id, stored)
        except NotVerified:
            self._keys.refresh()  # another process may have signed with a key that is as new as this
            try:
                opened = self._verified(log_id, stored)
            except NotVerified:
                raise NotSigned(SigningFault.FOREIGN_CHECKPOINT, signed=stored.size) from None
        if (opened.checkpoint.size, opened.checkpoint.root) != (stored.size, stored.root):
            raise NotSigned(SigningFault.FOREIGN_CHECKPOINT, signed=stored.size)
        return opened.checkpoint

    def _verified(self, log_id: RegionId, stored: store.StoredCheckpoint) -> OpenedCheckpoint:
        origin, keys = self._keys.origins.of(log_id), self._keys.verifiers(log_id)
        return open_checkpoint(stored.note.encode(), origin=origin, keys=keys)

    async def _publish(
        self, found: Mapping[RegionId, Checkpoint], recorded: Mapping[RegionId, Signed]
    ) -> tuple[RegionId, ...]:
        """First the record outside the database, then the note: so nothing is published that the record does not know.

        Answers what is. Where the record is not what was judged any more, nothing is: the next round looks at it again.
        """
        now = self._clock.now()
        signed = {log_id: Signed(size=one.size, root=one.root, at=now) for log_id, one in found.items()}
        may_be = await asyncio.to_thread(self._last_signed.advance, signed, recorded)
        new = {log_id: one for log_id, one in found.items() if log_id in may_be}
        notes = {log_id: sign_checkpoint(one, self._keys.signer(log_id)) for log_id, one in new.items()}
        async with self._db.transaction() as conn:
            for log_id, one in new.items():
                note = notes[log_id].encode().decode()
                row = store.StoredCheckpoint(size=one.size, root=one.root, note=note, signed_at=now)
                await store.add(conn, log_id, row)
        self._signed.inc(len(new))
        for log_id in new:
            if self._witnesses is not None:
                self._witnesses.offer(log_id)
        return tuple(new)

    def _refuse(self, log_id: RegionId, refusal: NotSigned) -> None:
        known = self._refused.get(log_id)
        self._refused[log_id] = refusal
        if known is not None and known.fault is refusal.fault:
            return
        if known is not None:
            self._refusals.remove(log_id, known.fault.value)
        self._refusals.labels(log_id, refusal.fault.value).set(1)
        _LOG.critical(
            "a log is not signed any more",
            log=log_id,
            fault=refusal.fault.value,
            what_to_do=WHAT_TO_DO[refusal.fault].en,
            **refusal.details,
        )

    def _clear(self, log_id: RegionId) -> None:
        if (known := self._refused.pop(log_id, None)) is not None:
            self._refusals.remove(log_id, known.fault.value)
            _LOG.warning("a log is signed again", log=log_id)


def _is_due(standing: store.Standing, recorded: Signed | None) -> bool:
    """Whether what is stored is anything else than what was signed, here and in the database."""
    now = standing.size, _root(standing.size, standing.frontier)
    in_table = standing.signed_size or 0, standing.signed_root
    if standing.size == 0:
        return bool(in_table[0] or (recorded is not None and recorded.size))
    return now != in_table or (recorded is not None and (recorded.size, recorded.root) != now)


def _root(size: int, frontier: bytes) -> bytes | None:
    """None for a frontier that contradicts the size: looking closer will say so."""
    try:
        hashes = tuple(frontier[at : at + 32] for at in range(0, len(frontier), 32))
        return CompactRange(end=size, hashes=hashes).root()
    except NotVerified:
        return None
