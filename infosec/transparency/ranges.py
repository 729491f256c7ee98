"""Compact ranges: the few hashes that stand for a run of leaves, and all that a log must remember in order to grow.

A range is a value: a batch whose transaction rolls back leaves the range before it as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, repeat

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import (
    EMPTY_ROOT,
    NODE_PREFIX,
    Node,
    NodeId,
    check_hash,
    check_order,
    covering,
    node_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactRange:
    """The leaves [begin, end) as the hashes of their covering perfect subtrees, from left to right."""

    begin: int = 0
    end: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        check_order(self.begin, self.end)
        if len(self.hashes) != len(covering(self.begin, self.end)):
            raise NotVerified(Fault.WRONG_PROOF_LENGTH, begin=self.begin, end=self.end, hashes=len(self.hashes))
        for value in self.hashes:
            check_hash(value)

    @property
    def size(self) -> int:
        """How many leaves."""
        return self.end - self.begin

    def nodes(self) -> list[Node]:
        """The covering subtrees with their hashes, from left to right."""
        return [(*at, value) for at, value in zip(covering(self.begin, self.end), self.hashes, strict=True)]

    def root(self) -> bytes:
        """The root of the tree of these leaves. Raises NotVerified(OUT_OF_RANGE) for a range that leaves some out."""
        if self.begin:
            raise NotVerified(Fault.OUT_OF_RANGE, number=self.begin, limit=0)
        return fold(self.hashes) if self.hashes else EMPTY_ROOT

    def append(self, leaf_hash: bytes) -> tuple[CompactRange, list[Node]]:
        """`extend` by one leaf."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> tuple[CompactRange, list[Node]]:
        """The range with these leaf hashes added, and the nodes above them that they complete: what is to be stored.

        Hashes are of 32 bytes. The leaves themselves (level 0) are not in the answer: the caller has them. Level by
        level, because pairing a whole row is several times faster in Python, and every audit batch passes here.
        """
        row = list(leaf_hashes)
        end = self.end + len(row)
        left, right, made = self.nodes(), [], list[Node]()
        level, first = 0, self.end
        while row:
            if first & 1:
                if left and left[-1][:2] == (level, first - 1):
                    row.insert(0, left.pop()[2])
                    first -= 1
                else:  # its sibling lies before the range
                    left.append((level, first, row.pop(0)))
                    first += 1
            if len(row) & 1:  # its sibling is not there yet
                right.append(row.pop())
            pairs = iter(row)
            row = [sha256(NODE_PREFIX + one + two).digest() for one, two in zip(pairs, pairs, strict=True)]
            level, first = level + 1, first >> 1
            made += zip(repeat(level), count(first), row, strict=False)
        hashes = (*(value for _, _, value in left), *reversed(right))
        return CompactRange(begin=self.begin, end=end, hashes=hashes), made

    def merge(self, other: CompactRange) -> tuple[CompactRange, list[Node]]:
        """This range and the one that begins where it ends, as one; and the nodes that this completes.

        Raises NotVerified(OUT_OF_RANGE) when there is a gap or an overlap.
        """
        if other.begin != self.end:
            raise NotVerified(Fault.OUT_OF_RANGE, number=other.begin, limit=self.end)
        merged, made = self.nodes(), list[Node]()
        for level, position, value in other.nodes():
            while merged and position & 1 and merged[-1][0] == level:  # adjacent, so siblings
                level, position, value = level + 1, position >> 1, node_hash(merged.pop()[2], value)
                made.append((level, position, value))
            merged.append((level, position, value))
        hashes = tuple(value for _, _, value in merged)
        return CompactRange(begin=self.begin, end=other.end, hashes=hashes), made


EMPTY = CompactRange()
"""The range of a log without entries."""


def fold(hashes: tuple[bytes, ...]) -> bytes:
    """The hash of a subtree whose perfect parts these are, from left to right; at least one."""
    *rest, value = hashes
    for left in reversed(rest):
        value = node_hash(left, value)
    return value


def frontier(size: int) -> list[NodeId]:
    """Which stored nodes make the compact range of a whole log of this size: what is read to go on with it."""
    return covering(0, size)
