"""Inclusion and consistency proofs (RFC 9162, 2.1.3 and 2.1.4): which stored nodes they take, making and verifying them.

The verifiers follow the RFC's algorithms step by step; the makers go another way, by spans of leaves, and do no I/O:
ask for the nodes, fetch them in one query, hand them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import NodeId, check_hash, check_order, covering, node_hash, split
from infosec.transparency.ranges import fold

_Span = tuple[int, int]
"""The leaves [begin, end): one element of a proof. The last one on the right of a tree need not be a perfect subtree."""


def inclusion_nodes(index: int, size: int) -> list[NodeId]:
    """The stored nodes that prove entry `index` in the tree of `size` entries. Raises NotVerified(OUT_OF_RANGE)."""
    return _nodes(_inclusion_spans(index, size))


def inclusion_proof(index: int, size: int, hashes: Mapping[NodeId, bytes]) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 9162, 2.1.3.1, from the hashes of `inclusion_nodes`, at any spot of the mapping.

    Raises NotVerified: OUT_OF_RANGE; MISSING_NODE when a hash is not there.
    """
    return _assemble(_inclusion_spans(index, size), hashes)


def consistency_nodes(size1: int, size2: int) -> list[NodeId]:
    """The stored nodes that prove the tree of `size1` entries a beginning of that of `size2`.

    None for equal sizes, and none for `size1` 0: every tree extends the empty one. Raises NotVerified(OUT_OF_RANGE).
    """
    return _nodes(_consistency_spans(size1, size2))


def consistency_proof(size1: int, size2: int, hashes: Mapping[NodeId, bytes]) -> tuple[bytes, ...]:
    """PROOF(size1, D[size2]) of RFC 9162, 2.1.4.1, from the hashes of `consistency_nodes`.

    Raises NotVerified: OUT_OF_RANGE; MISSING_NODE when a hash is not there.
    """
    return _assemble(_consistency_spans(size1, size2), hashes)


def verify_inclusion(*, index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """The leaf is entry `index` of the tree of `size` entries with this root (RFC 9162, 2.1.3.2).

    Raises NotVerified: OUT_OF_RANGE, WRONG_PROOF_LENGTH, MALFORMED_HASH, WRONG_ROOT.
    """
    check_order(index, size - 1)
    _check_hashes(leaf_hash, root, *proof)
    fn, sn, value = index, size - 1, leaf_hash
    for sibling in proof:
        if sn == 0:
            raise _wrong_length(index=index, size=size)
        if fn & 1 or fn == sn:
            value = node_hash(sibling, value)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            value = node_hash(value, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise _wrong_length(index=index, size=size)
    if value != root:
        raise NotVerified(Fault.WRONG_ROOT, index=index, size=size)


def verify_consistency(*, size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """The tree of `size2` entries and `root2` begins with that of `size1` and `root1` (RFC 9162, 2.1.4.2).

    `size1` 0 is refused: nothing here proves anything about an empty tree; checkpoints.extends settles it.
    Raises NotVerified: OUT_OF_RANGE, FORKED, WRONG_PROOF_LENGTH, MALFORMED_HASH, WRONG_ROOT (`which` is old or new).
    """
    check_order(1, size1, size2)
    _check_hashes(root1, root2, *proof)
    if size1 == size2:
        if proof:
            raise _wrong_length(size1=size1, size2=size2)
        if root1 != root2:
            raise NotVerified(Fault.FORKED, size=size1)
        return
    # A power of two is one perfect subtree, whose hash is the old root and not sent.
    path = list(proof) if size1 & (size1 - 1) else [root1, *proof]
    if not proof:
        raise _wrong_length(size1=size1, size2=size2)
    old, new, sn = _walk(size1, size2, path)
    if sn:
        raise _wrong_length(size1=size1, size2=size2)
    for which, derived, root in (("old", old, root1), ("new", new, root2)):
        if derived != root:
            raise NotVerified(Fault.WRONG_ROOT, which=which, size1=size1, size2=size2)


def _walk(size1: int, size2: int, path: Sequence[bytes]) -> tuple[bytes, bytes, int]:
    """Steps 3 to 6 of RFC 9162, 2.1.4.2: the old root, the new root, and `sn`, which is 0 if the path was long enough."""
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for value in path[1:]:
        if sn == 0:
            raise _wrong_length(size1=size1, size2=size2)
        if fn & 1 or fn == sn:
            old, new = node_hash(value, old), node_hash(value, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, value)
        fn, sn = fn >> 1, sn >> 1
    return old, new, sn


def _inclusion_spans(index: int, size: int) -> list[_Span]:
    check_order(index, size - 1)
    begin, end, spans = 0, size, list[_Span]()
    while end - begin > 1:
        middle = split(begin, end)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    return spans[::-1]


def _consistency_spans(size1: int, size2: int) -> list[_Span]:
    check_order(size1, size2)
    begin, end, spans = 0, size2, list[_Span]()
    while 0 < size1 < end:
        middle = split(begin, end)
        if size1 <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    if begin:  # else what is left is the whole old tree, whose root the verifier has
        spans.append((begin, end))
    return spans[::-1]


def _nodes(spans: Sequence[_Span]) -> list[NodeId]:
    return [node for span in spans for node in covering(*span)]


def _assemble(spans: Sequence[_Span], hashes: Mapping[NodeId, bytes]) -> tuple[bytes, ...]:
    return tuple(fold(fetched(covering(*span), hashes)) for span in spans)


def fetched(nodes: Sequence[NodeId], hashes: Mapping[NodeId, bytes]) -> tuple[bytes, ...]:
    """The hashes of these nodes, in their order. Raises NotVerified(MISSING_NODE)."""
    for node in nodes:
        if node not in hashes:
            raise NotVerified(Fault.MISSING_NODE, level=node.level, position=node.position)
    return tuple(hashes[node] for node in nodes)


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        check_hash(value)


def _wrong_length(**details: int) -> NotVerified:
    return NotVerified(Fault.WRONG_PROOF_LENGTH, **details)
