"""Merkle tree hashing and coordinates (RFC 6962 and RFC 9162, section 2.1). Knows no tree, only its arithmetic."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.spelling import MAX_SIZE

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

NODE_PREFIX = b"\x01"


class NodeId(NamedTuple):
    """A perfect subtree: the leaves from `position << level` on, `1 << level` of them. Level 0 is the leaves."""

    level: int
    position: int


Node: TypeAlias = tuple[int, int, bytes]
"""A row of the stored tree: level and position of a perfect subtree, and its hash, which never changes any more. A bare
tuple: half a thousand are made for each batch of records."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry. The prefix keeps leaves and nodes apart, so that neither can be passed off as the other."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two child nodes."""
    return sha256(NODE_PREFIX + left + right).digest()


def covering(begin: int, end: int) -> list[NodeId]:
    """The fewest perfect subtrees that together have just the leaves [begin, end), from left to right: O(log end)."""
    nodes = []
    while begin < end:
        # As large as the alignment of `begin` and the leaves that are left allow.
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        nodes.append(NodeId(level, begin >> level))
        begin += 1 << level
    return nodes


def split(begin: int, end: int) -> int:
    """Where RFC 6962 cuts a tree of two or more leaves: at the largest power of two smaller than their number."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def check_hash(value: bytes) -> None:
    """Raises NotVerified(MALFORMED_HASH). Hashes of another length could shift bytes between two children."""
    if len(value) != HASH_BYTES:
        raise NotVerified(Fault.MALFORMED_HASH, bytes=len(value))


def check_order(*numbers: int) -> None:
    """Raises NotVerified(OUT_OF_RANGE) unless 0 <= first <= second <= ... <= 2^63 - 1."""
    ordered = (0, *numbers, MAX_SIZE)
    for smaller, larger in pairwise(ordered):
        if smaller > larger:
            raise NotVerified(Fault.OUT_OF_RANGE, number=smaller, limit=larger)
