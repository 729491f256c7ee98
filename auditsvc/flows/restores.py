"""A person says that the database was restored on purpose: the log is signed again from what it is now, loudly (CI-1).

It takes back nothing of what was published: the checkpoints that do not fit any more are kept in a file, and a witness goes
on refusing until whoever runs it has been convinced as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from auditsvc.appending import Appender
from auditsvc.batch import Submission
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import WHAT_TO_DO, NotSigned, SigningFault, extended, nodes_to_sign
from auditsvc.last_signed import LastSigned, Signed
from auditsvc.store import checkpoints as store
from auditsvc.store import log
from auditsvc.tiles import Tree
from infosec import logging
from infosec.errors import FailedPrecondition, InfosecError, Internal, NotFound, Reason
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId
from infosec.private_files import private_directory, write_private
from infosec.storage.postgres import Connection, Database
from infosec.transparency.checkpoints import Checkpoint, open_checkpoint
from infosec.transparency.errors import NotVerified

_LOG = logging.get(__name__)
BY = "service/audit-log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was signed before, and what the log goes on from."""

    log_id: RegionId
    signed_size: int
    size: int
    replaced: int
    """Checkpoints that do not fit any more."""


class Restores:
    """Settles one log after the other. Run beside the server, as the administrator of the database."""

    def __init__(self, admin: Database, keys: CheckpointKeys, last_signed: LastSigned, appender: Appender) -> None:
        self._admin = admin
        self._keys = keys
        self._last_signed = last_signed
        self._appender = appender

    async def accept(self, log_id: RegionId, *, reason: str, now: datetime) -> Accepted:
        """Go on from the log as it is, and record that in it.

        Raises NotFound; FailedPrecondition where nothing contradicts, or the stored tree is broken; RECORD_UNAVAILABLE
        where it could not be recorded, though the log is signed again: then accepting once more says so.
        """
        recorded = self._last_signed.read().get(log_id)
        async with self._admin.transaction() as conn:
            tree = await self._tree(conn, log_id)
            sizes = await store.sizes(conn, log_id)
            if tree is None and recorded is None and not sizes:
                raise NotFound(Reason.NOT_FOUND, field="log")
            fitting = await self._fitting(conn, log_id, tree, sizes)
            if fitting == len(sizes) and await self._continues(conn, log_id, tree, recorded):
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="the log continues what was signed")
            stale = await store.remove_beyond(conn, log_id, sizes[fitting - 1] if fitting else 0)
            self._keep(log_id, stale, now)  # before they are gone for good
        signed_size = max([recorded.size if recorded else 0, *sizes[fitting:]])
        now_is = Signed(size=tree.size, root=tree.root(), at=now) if tree is not None else None
        accepted = Accepted(
            log_id=log_id, signed_size=signed_size, size=now_is.size if now_is else 0, replaced=len(stale)
        )
        _LOG.critical("a restore was accepted", log=log_id, signed=signed_size, size=accepted.size)
        self._last_signed.accept(log_id, now_is, reason=reason)
        await self._record(accepted, reason=reason, now=now)
        return accepted

    async def _tree(self, conn: Connection, log_id: RegionId) -> Tree | None:
        """The head as it is, held against appending, and proved from its tiles."""
        await conn.execute(*log.locking(log_id))
        try:
            tree = await store.tree(conn, log_id)
        except (Internal, NotVerified):
            raise _broken(SigningFault.TREE_BROKEN) from None
        if tree is not None and not await self._fits(conn, log_id, tree, []):
            raise _broken(SigningFault.TREE_BROKEN)
        return tree

    async def _fitting(self, conn: Connection, log_id: RegionId, tree: Tree | None, sizes: list[int]) -> int:
        """How many of the stored checkpoints the tree continues: the first ones, since each continued those before it."""
        begin, end = 0, len(sizes)
        while begin < end:
            middle = (begin + end) // 2
            found = await store.at_least(conn, log_id, sizes[middle])
            if (
                tree is not None
                and found is not None
                and await self._fits(conn, log_id, tree, self._opened(log_id, found))
            ):
                begin = middle + 1
            else:
                end = middle
        return begin

    async def _continues(self, conn: Connection, log_id: RegionId, tree: Tree | None, recorded: Signed | None) -> bool:
        if recorded is None or tree is None:
            return recorded is None
        origin = self._keys.origins.of(log_id)
        return await self._fits(conn, log_id, tree, [Checkpoint(origin=origin, size=recorded.size, root=recorded.root)])

    async def _fits(self, conn: Connection, log_id: RegionId, tree: Tree, bases: list[Checkpoint] | None) -> bool:
        if bases is None:
            return False
        tiles = await store.tiles_of(conn, log_id, tree, nodes_to_sign(tree, bases))
        try:
            extended(self._keys.origins.of(log_id), tree, bases, tiles)
        except NotSigned:
            return False
        return True

    def _opened(self, log_id: RegionId, stored: store.StoredCheckpoint) -> list[Checkpoint] | None:
        origin, keys = self._keys.origins.of(log_id), self._keys.verifiers(log_id)
        try:
            return [open_checkpoint(stored.note.encode(), origin=origin, keys=keys).checkpoint]
        except NotVerified:
            return None

    def _keep(self, log_id: RegionId, stale: list[str], now: datetime) -> None:
        """Evidence: what was once published, in a file that stays."""
        if stale:
            folder = private_directory(self._last_signed.path.parent / "replaced")
            notes = json.dumps(stale, ensure_ascii=False, indent=1)
            write_private(folder / f"{log_id}-{now:%Y%m%dT%H%M%S%f}.json", notes.encode())

    async def _record(self, accepted: Accepted, *, reason: str, now: datetime) -> None:
        event = Event(
            type=EventType.AUDIT_RESTORE_ACCEPTED,
            at=now,
            region_id=accepted.log_id if accepted.size else CARRIER,
            facts={
                "region_id": accepted.log_id,
                "signed_size": accepted.signed_size,
                "tree_size": accepted.size,
                "grounds": reason,
            },
        )
        (outcome,) = await self._appender.append([Submission(event, BY)], may_begin_log=True)
        if isinstance(outcome, InfosecError):
            raise outcome


def _broken(fault: SigningFault) -> FailedPrecondition:
    return FailedPrecondition(Reason.STATE_CONFLICT, detail=WHAT_TO_DO[fault].en)
