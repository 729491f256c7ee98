"""A stored tree in a dict, grown by compact ranges, as the audit log's nodes grow in its tables."""

from __future__ import annotations

from collections.abc import Sequence

from infosec.transparency.merkle import NodeId, leaf_hash
from infosec.transparency.ranges import EMPTY, CompactRange


class StoredTree:
    def __init__(self, entries: Sequence[bytes], *, batch: int = 7) -> None:
        self.leaves = [leaf_hash(entry) for entry in entries]
        self.hashes = {NodeId(0, position): value for position, value in enumerate(self.leaves)}
        self.range: CompactRange = EMPTY
        for start in range(0, len(entries), batch):
            self.range, made = self.range.extend(self.leaves[start : start + batch])
            for level, position, value in made:
                assert (level, position) not in self.hashes, "a stored node never changes"
                self.hashes[NodeId(level, position)] = value

    def only(self, nodes: Sequence[NodeId]) -> dict[NodeId, bytes]:
        """What one query fetches."""
        return {node: self.hashes[node] for node in nodes}
