"""Tiles and edges: a row that contradicts itself, or a tile that is not whole, is no tree."""

from __future__ import annotations

import pytest

from auditsvc.tiles import HEIGHT, WIDTH, Tree, hash_in, hashes_of
from infosec.errors import Internal
from infosec.transparency.merkle import HASH_BYTES, NodeId, leaf_hash

LEAVES = [leaf_hash(bytes([number % 256])) for number in range(WIDTH + 3)]


def test_what_is_stored_reads_back_and_with_an_edge_too_short_it_does_not() -> None:
    tree, full = Tree().grown(LEAVES)
    frontier = b"".join(tree.frontier.hashes)
    assert Tree.stored(tree.size, frontier, tree.edges) == tree
    assert [len(hashes) for _, hashes in full] == [WIDTH * HASH_BYTES]
    for edges in (tree.edges[:1], (tree.edges[0][:-HASH_BYTES], *tree.edges[1:]), (*tree.edges, b"")):
        with pytest.raises(Internal):
            Tree.stored(tree.size, frontier, edges)


def test_a_node_comes_from_a_whole_tile_alone() -> None:
    _, ((tile, hashes),) = Tree().grown(LEAVES)
    node = NodeId(HEIGHT - 1, 1)
    assert hashes_of([node], {tile: hashes})[node] == hash_in(node, hashes)
    with pytest.raises(Internal):
        hash_in(node, hashes[:-1])
    with pytest.raises(Internal):
        hashes_of([node], {})
