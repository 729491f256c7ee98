"""A whole stretch of a log proved complete: every leaf of it is hashed again, and the rest of the tree is O(log n) hashes.

What is missing, added, changed or reordered within the stretch changes the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import NodeId, check_order, covering
from infosec.transparency.proofs import fetched
from infosec.transparency.ranges import CompactRange

_CHUNK = 1024
"""Leaves hashed together: enough for rows to be long, little enough for an export of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeProof:
    """Proves the entries [start, end) of a tree of `size`: the compact ranges before and after them."""

    start: int
    end: int
    size: int
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]


def range_nodes(start: int, end: int, size: int) -> list[NodeId]:
    """The stored nodes that the proof takes. Raises NotVerified(OUT_OF_RANGE)."""
    check_order(start, end, size)
    return covering(0, start) + covering(end, size)


def range_proof(start: int, end: int, size: int, hashes: Mapping[NodeId, bytes]) -> RangeProof:
    """The proof from the hashes of `range_nodes`. Raises NotVerified: OUT_OF_RANGE, MISSING_NODE."""
    check_order(start, end, size)
    left, right = fetched(covering(0, start), hashes), fetched(covering(end, size), hashes)
    return RangeProof(start=start, end=end, size=size, left=left, right=right)


def verify_range(proof: RangeProof, leaf_hashes: Iterable[bytes], *, size: int, root: bytes) -> None:
    """`leaf_hashes` are all the entries [start, end), in order, of the tree of this size and root; read once, as a stream.

    The caller hashes the entries itself: hashes that came with them would prove nothing about them.
    Size and root come from one verified checkpoint: a root alone does not say how large its tree is.
    Raises NotVerified: OUT_OF_RANGE, WRONG_SIZE, WRONG_PROOF_LENGTH, MALFORMED_HASH, WRONG_LEAF_COUNT, WRONG_ROOT.
    """
    if proof.size != size:
        raise NotVerified(Fault.WRONG_SIZE, size=proof.size, expected=size)
    check_order(proof.start, proof.end, proof.size)
    tree = CompactRange(begin=0, end=proof.start, hashes=proof.left)
    after = CompactRange(begin=proof.end, end=proof.size, hashes=proof.right)
    leaves = iter(leaf_hashes)
    while chunk := list(islice(leaves, min(_CHUNK, proof.end - tree.end + 1))):
        tree, _ = tree.extend(chunk)
        if tree.end > proof.end:
            break
    if tree.end != proof.end:
        raise NotVerified(Fault.WRONG_LEAF_COUNT, start=proof.start, end=proof.end, reached=tree.end)
    tree, _ = tree.merge(after)
    if tree.root() != root:
        raise NotVerified(Fault.WRONG_ROOT, start=proof.start, end=proof.end, size=proof.size)
