"""Hashes of tree nodes, from the stored tiles and the edges in a log's head."""

from __future__ import annotations

from collections.abc import Sequence

from auditsvc.checkpoints import tiles_wanted
from auditsvc.store import checkpoints, entries
from auditsvc.tiles import WIDTH, Tree, hashes_of
from infosec.errors import NotFound, Reason
from infosec.ids import RegionId
from infosec.storage.postgres import Connection
from infosec.transparency.merkle import NodeId


async def hashes(conn: Connection, log_id: RegionId, nodes: Sequence[NodeId]) -> dict[NodeId, bytes]:
    """The hashes of these nodes, by at most a tile for each. `conn` is in a snapshot: head and tiles are of one moment.

    Raises NotFound for leaves that retention has taken from the tree as well, and for a log that is not there; Internal
    when the stored tree is not whole.
    """
    tree = await checkpoints.tree(conn, log_id)
    if tree is None:
        raise NotFound(Reason.NOT_FOUND, field="log_id")
    return await hashes_in(conn, log_id, tree, nodes)


async def hashes_in(conn: Connection, log_id: RegionId, tree: Tree, nodes: Sequence[NodeId]) -> dict[NodeId, bytes]:
    """As `hashes`, from a tree that was read in the same snapshot."""
    tiles = await checkpoints.tiles_of(conn, log_id, tree, nodes)
    missing = [tile.position for tile in tiles_wanted(tree, nodes) - tiles.keys() if tile.level == 0]
    if missing:
        head = await entries.head(conn, log_id)
        if head is not None and (max(missing) + 1) * WIDTH <= head.first_index:
            raise NotFound(
                Reason.NOT_FOUND, detail="gone by retention: the tree has its hash within larger nodes alone"
            )
    return hashes_of(nodes, tiles)
