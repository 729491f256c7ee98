"""The stored form of a log's tree: tiles of 256 hashes, written once when full, and the edges of those that are not yet.

A node inside a tile is hashed from it when a proof needs it, so a batch writes a row for every 256 entries and not one
for every node. Knows no storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from infosec.errors import Internal, Reason
from infosec.transparency.merkle import HASH_BYTES, NodeId, node_hash
from infosec.transparency.ranges import CompactRange

HEIGHT = 8
WIDTH = 1 << HEIGHT


class TileId(NamedTuple):
    """Nodes of tree level `8 * level`, from node `256 * position` on."""

    level: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A log's tree as far as appending needs it."""

    frontier: CompactRange = field(default_factory=CompactRange)
    edges: tuple[bytes, ...] = ()
    """For each tile level the hashes that do not fill a tile yet, 32 bytes each."""

    @classmethod
    def stored(cls, size: int, frontier: bytes, edges: Sequence[bytes]) -> Tree:
        """As the head row has it. Raises Internal when the row contradicts itself."""
        hashes = tuple(frontier[at : at + HASH_BYTES] for at in range(0, len(frontier), HASH_BYTES))
        tree = cls(frontier=CompactRange(begin=0, end=size, hashes=hashes), edges=tuple(edges))
        expected = [(size >> HEIGHT * level) % WIDTH * HASH_BYTES for level in range(_levels(size))]
        if [len(edge) for edge in tree.edges] != expected:
            raise Internal(Reason.INTERNAL, detail="the head of a log contradicts itself")
        return tree

    @property
    def size(self) -> int:
        return self.frontier.end

    def root(self) -> bytes:
        return self.frontier.root()

    def grown(self, leaf_hashes: Sequence[bytes]) -> tuple[Tree, list[tuple[TileId, bytes]]]:
        """The tree with these leaves, and the tiles that they fill."""
        frontier, made = self.frontier.extend(leaf_hashes)
        by_level: dict[int, list[bytes]] = {0: list(leaf_hashes)}
        for level, _, value in made:
            if level % HEIGHT == 0:
                by_level.setdefault(level // HEIGHT, []).append(value)
        edges, full = [], list[tuple[TileId, bytes]]()
        for level in range(_levels(frontier.end)):
            row = (self.edges[level] if level < len(self.edges) else b"") + b"".join(by_level.get(level, ()))
            first = (frontier.end >> HEIGHT * level) // WIDTH - len(row) // (WIDTH * HASH_BYTES)
            whole = len(row) // (WIDTH * HASH_BYTES)
            for number in range(whole):
                start = number * WIDTH * HASH_BYTES
                full.append((TileId(level, first + number), row[start : start + WIDTH * HASH_BYTES]))
            edges.append(row[whole * WIDTH * HASH_BYTES :])
        return Tree(frontier=frontier, edges=tuple(edges)), full


def _levels(size: int) -> int:
    """Tile levels of a tree of this size: one, and one more for every time that 256 tiles are full below."""
    levels = 0
    while size >> HEIGHT * levels:
        levels += 1
    return levels


def tile_of(node: NodeId) -> TileId:
    """The tile that the node is hashed from."""
    level, within = divmod(node.level, HEIGHT)
    return TileId(level, (node.position << within) >> HEIGHT)


def hash_in(node: NodeId, hashes: bytes) -> bytes:
    """The node's hash from its tile's. Raises Internal when the tile does not reach so far."""
    within = node.level % HEIGHT
    first = (node.position << within) % WIDTH
    row = [hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(first, first + (1 << within))]
    if not row or len(row[-1]) != HASH_BYTES:
        raise Internal(Reason.INTERNAL, detail="a tile of the tree is not whole")
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def hashes_of(nodes: Sequence[NodeId], tiles: Mapping[TileId, bytes]) -> dict[NodeId, bytes]:
    """The hashes of these nodes. Raises Internal when a tile is missing."""
    try:
        return {node: hash_in(node, tiles[tile_of(node)]) for node in nodes}
    except KeyError:
        raise Internal(Reason.INTERNAL, detail="a tile of the tree is missing") from None
