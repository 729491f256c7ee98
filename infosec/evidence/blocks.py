"""The tree of an exported range in blocks of 256 entries: what adds up to the root, and what names the place when it does not.

The hashes of each block stand in the export beside the rows. Together with the rest of the proof they add up to the same
root, so they are proved themselves, and a block of rows that differs from its own is where the fault is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from infosec.evidence.parts import Gap
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import HASH_BYTES, Node, NodeId, check_hash, check_order, covering, node_hash
from infosec.transparency.ranges import CompactRange

LEVEL = 8
BLOCK = 1 << LEVEL


class Block(NamedTuple):
    """The roots of the perfect subtrees that cover the part of a block before the range's end: one, but at the end."""

    number: int
    hashes: tuple[bytes, ...]


Piece = list[bytes] | Node
"""Leaf hashes, or a subtree of entries that are not in the file."""


@dataclass(slots=True)
class OpenBlock:
    """A block that is being filled: what lies left of the range in it, and what has come since."""

    base: CompactRange
    pieces: list[Piece] = field(default_factory=list)
    end: int = 0

    def __post_init__(self) -> None:
        self.end = self.base.end

    @property
    def number(self) -> int:
        return self.base.begin >> LEVEL

    @property
    def is_full(self) -> bool:
        return self.end == self.base.begin + BLOCK

    def leaf(self, value: bytes) -> None:
        """The next entry."""
        self.leaves([value])

    def leaves(self, values: list[bytes]) -> None:
        """The next entries, of this block alone."""
        self.end += len(values)
        last = self.pieces[-1] if self.pieces else None
        if isinstance(last, list):
            last += values
        else:
            self.pieces.append(values)

    def node(self, node: Node) -> None:
        """The next entries, as a subtree within this block."""
        level, position, _ = node
        self.pieces.append(node)
        self.end = (position + 1) << level

    def folded(self) -> CompactRange:
        """The covering subtrees of what is there. Nothing may be missing in between."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], list):
            return self.base.extend(self.pieces[0])[0]
        # One by one, because between many small gaps there are no long rows of leaves.
        stack: list[Node] = []
        for level, position, value in self.nodes():
            while position & 1 and stack and stack[-1][0] == level:  # the node before is adjacent, and so the sibling
                value = node_hash(stack.pop()[2], value)
                level, position = level + 1, position >> 1
            stack.append((level, position, value))
        return CompactRange(begin=self.base.begin, end=self.end, hashes=tuple(value for _, _, value in stack))

    def nodes(self) -> list[Node]:
        """What is there, one by one."""
        found, at = self.base.nodes(), self.base.end
        for piece in self.pieces:
            if isinstance(piece, list):
                found += [(0, position, value) for position, value in enumerate(piece, at)]
                at += len(piece)
            else:
                found.append(piece)
                at = (piece[1] + 1) << piece[0]
        return found


@dataclass(slots=True, kw_only=True)
class RangeTree:
    """A range that grows: the closed blocks as one tree, and the open one."""

    tree: CompactRange
    block: OpenBlock

    @classmethod
    def begun(cls, start: int, left: Sequence[bytes]) -> RangeTree:
        """Before the first entry. Raises NotVerified for hashes that do not cover [0, start)."""
        whole = CompactRange(begin=0, end=start, hashes=tuple(left))
        aligned = start - start % BLOCK
        above = len(covering(0, aligned))
        return cls(
            tree=CompactRange(begin=0, end=aligned, hashes=whole.hashes[:above]),
            block=OpenBlock(CompactRange(begin=aligned, end=start, hashes=whole.hashes[above:])),
        )

    @property
    def end(self) -> int:
        return self.block.end

    def leaf(self, value: bytes) -> Block | None:
        """The next entry; the block that it closes."""
        self.block.leaf(value)
        return self.closed() if self.block.is_full else None

    def gap(self, gap: Gap) -> Iterator[Block]:
        """Entries that are not in the file; the blocks that they close, but for those that lie wholly in the gap."""
        for node in gap_nodes(gap):
            if is_within_block(node):
                self.block.node(node)
                if self.block.is_full:
                    yield self.closed()
            else:
                self.tree, _ = self.tree.merge(range_of(node))
                self.block = _open(self.tree.end)

    def closed(self) -> Block:
        """The open block, as far as it goes, becomes a part of the tree."""
        folded = self.block.folded()
        block = Block(self.block.number, folded.hashes)
        self.tree, _ = self.tree.merge(folded)
        self.block = _open(self.tree.end)
        return block

    def ended(self) -> Block | None:
        """At the end of the range: the last block, if it is not closed yet."""
        return self.closed() if self.block.end > self.block.base.begin else None


def _open(at: int) -> OpenBlock:
    return OpenBlock(CompactRange(begin=at, end=at))


def root_of(tree: CompactRange, right: Sequence[bytes], size: int) -> bytes:
    """The root of the whole log from the range up to its end and what lies right of it. Raises NotVerified."""
    whole, _ = tree.merge(CompactRange(begin=tree.end, end=size, hashes=tuple(right)))
    return whole.root()


def gap_nodes(gap: Gap) -> list[Node]:
    """The subtrees that cover a gap. Raises NotVerified for hashes that do not."""
    check_order(gap.start, gap.end)
    cover = covering(gap.start, gap.end)
    if len(cover) != len(gap.hashes):
        raise NotVerified(Fault.WRONG_PROOF_LENGTH, begin=gap.start, end=gap.end, hashes=len(gap.hashes))
    for value in gap.hashes:
        check_hash(value)
    return [(level, position, value) for (level, position), value in zip(cover, gap.hashes, strict=True)]


def block_range(block: Block, end: int) -> CompactRange:
    """A block of the tree whose range ends at `end`. Raises NotVerified for hashes that are not a block's."""
    begin = block.number << LEVEL
    return CompactRange(begin=begin, end=min(begin + BLOCK, end), hashes=block.hashes)


def joined(blocks: Iterable[Block]) -> bytes:
    """The hashes of blocks that follow each other, in one string."""
    return b"".join(value for block in blocks for value in block.hashes)


def separated(data: bytes, start: int, end: int) -> Iterator[Block]:
    """The blocks of [start, end) from `joined`. Raises NotVerified for a string of another length."""
    at = 0
    for number in range(start >> LEVEL, (end + BLOCK - 1) >> LEVEL):
        begin = number << LEVEL
        count = len(covering(begin, min(begin + BLOCK, end)))
        piece = data[at : at + count * HASH_BYTES]
        at += count * HASH_BYTES
        yield Block(number, tuple(piece[i : i + HASH_BYTES] for i in range(0, len(piece), HASH_BYTES)))


def swapped(block: OpenBlock, wanted: Sequence[bytes]) -> tuple[int, int] | None:
    """The two entries of a whole block that, put in each other's place, give the wanted hashes; None if no two do."""
    hashes: dict[NodeId, bytes] = {NodeId(level, at): value for level, at, value in block.nodes()}
    leaves = [node.position for node in hashes if node.level == 0]
    goal = dict(zip(covering(block.base.begin, block.end), wanted, strict=False))
    _fill(hashes)
    wrong = [node for node, value in goal.items() if hashes.get(node) != value]
    if not 1 <= len(wrong) <= 2:
        return None
    for one, two in combinations(leaves, 2):
        if any(_swapped_hash(hashes, node, one, two) != goal[node] for node in wrong):
            continue
        return one, two
    return None


def _fill(hashes: dict[NodeId, bytes]) -> None:
    for level in range(LEVEL):
        for node in [node for node in hashes if node.level == level and not node.position & 1]:
            right = hashes.get(NodeId(level, node.position + 1))
            if right is not None:
                hashes[NodeId(level + 1, node.position >> 1)] = node_hash(hashes[node], right)


def _swapped_hash(hashes: dict[NodeId, bytes], top: NodeId, one: int, two: int) -> bytes:
    """The hash at `top` if these two leaves changed places."""
    changed = {one: hashes[NodeId(0, two)], two: hashes[NodeId(0, one)]}
    changed = {at: value for at, value in changed.items() if at >> top.level == top.position}
    for level in range(top.level):
        above: dict[int, bytes] = {}
        for at, value in changed.items():
            sibling = changed.get(at ^ 1) or hashes[NodeId(level, at ^ 1)]
            above[at >> 1] = node_hash(sibling, value) if at & 1 else node_hash(value, sibling)
        changed = above
    return changed.get(top.position, hashes[top])


def range_of(node: Node) -> CompactRange:
    """One subtree as a range."""
    level, position, value = node
    return CompactRange(begin=position << level, end=(position + 1) << level, hashes=(value,))


def is_within_block(node: Node) -> bool:
    """Whether it is smaller than a block, and so a part of one."""
    return node[0] < LEVEL


def fits(block: Block, end: int) -> bool:
    """Whether these are as many hashes as such a block has."""
    try:
        block_range(block, end)
    except NotVerified:
        return False
    return True
