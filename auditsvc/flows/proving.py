"""The logs, their checkpoints, and proofs from the stored tiles: for everybody who has a certificate of ours.

Says nothing of what an entry holds. A proof takes O(log n) tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditsvc.store import checkpoints, entries, nodes
from auditsvc.tiles import Tree
from infosec.errors import InvalidInput, NotFound, Reason
from infosec.ids import RegionId
from infosec.storage.postgres import Connection, Database, Isolation
from infosec.transparency.merkle import NodeId
from infosec.transparency.proofs import consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log as anybody may know it."""

    log_id: RegionId
    origin: str
    size: int
    first_index: int
    verifier_keys: Sequence[str]


class Proving:
    """Proves for one process. `db` as role audit_service; `origin_of` and `vkeys_of` as CheckpointKeys has them."""

    def __init__(
        self,
        db: Database,
        *,
        origin_of: Callable[[RegionId], str],
        vkeys_of: Callable[[RegionId], Sequence[str]],
    ) -> None:
        self._db = db
        self._origin_of = origin_of
        self._vkeys_of = vkeys_of

    async def logs(self) -> list[Log]:
        """Every log, by name."""
        async with self._db.transaction() as conn:
            heads = await entries.heads(conn)
        return [
            Log(
                log_id=head.log_id,
                origin=self._origin_of(head.log_id),
                size=head.size,
                first_index=head.first_index,
                verifier_keys=self._vkeys_of(head.log_id),
            )
            for head in heads
        ]

    async def checkpoint(self, log_id: RegionId, at_least: int) -> str:
        """The newest signed note, or the first of at least a size. Raises NotFound."""
        async with self._db.transaction() as conn:
            found = (
                await checkpoints.at_least(conn, log_id, at_least)
                if at_least
                else await checkpoints.newest(conn, log_id)
            )
        if found is None:
            raise NotFound(Reason.NOT_FOUND, detail="no such log, or no checkpoint of this size yet")
        return found.note

    async def inclusion(self, log_id: RegionId, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The leaf hash of an entry, and its proof in the tree of `size`.

        Raises NotFound (no such log; or retention has taken the entry with its leaf hash), InvalidInput.
        """
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            tree = await _tree(conn, log_id)
            if not index < size <= tree.size:
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="size", detail=f"index < size <= {tree.size}")
            leaf = NodeId(0, index)
            hashes = await nodes.hashes_in(conn, log_id, tree, [leaf, *inclusion_nodes(index, size)])
        return hashes[leaf], inclusion_proof(index, size, hashes)

    async def consistency(self, log_id: RegionId, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """The proof that the tree of `new_size` continues that of `old_size`; empty from size 0, as from the same size.

        Raises NotFound (no such log; or the old tree ends where retention has taken the leaf hashes), InvalidInput.
        """
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            tree = await _tree(conn, log_id)
            if not old_size <= new_size <= tree.size:
                detail = f"old_size <= new_size <= {tree.size}"
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="new_size", detail=detail)
            hashes = await nodes.hashes_in(conn, log_id, tree, consistency_nodes(old_size, new_size))
        return consistency_proof(old_size, new_size, hashes)


async def _tree(conn: Connection, log_id: RegionId) -> Tree:
    tree = await checkpoints.tree(conn, log_id)
    if tree is None:
        raise NotFound(Reason.NOT_FOUND, field="log_id", detail="there is no such log")
    return tree
