"""Inclusion and consistency proofs against RFC 6962's own definitions, and every small lie about them refused."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import NodeId, leaf_hash
from infosec.transparency.proofs import (
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.transparency.reference import entries, mth, path, proof, vectors
from tests.unit.transparency.stored import StoredTree

MOST = 70
ENTRIES = entries(MOST)
TREE = StoredTree(ENTRIES)
ROOTS = [mth(ENTRIES[:size]) for size in range(MOST + 1)]

SIZES = st.integers(1, MOST)
OTHER_HASH = leaf_hash(b"something else")


def included(index: int, size: int) -> tuple[bytes, ...]:
    return inclusion_proof(index, size, TREE.only(inclusion_nodes(index, size)))


def consistent(size1: int, size2: int) -> tuple[bytes, ...]:
    return consistency_proof(size1, size2, TREE.only(consistency_nodes(size1, size2)))


def refused(call: Callable[[], None]) -> Fault:
    with pytest.raises(NotVerified) as raised:
        call()
    return raised.value.what


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_inclusion_proof_is_the_rfcs_and_holds(size: int) -> None:
    for index in range(size):
        made = included(index, size)
        assert list(made) == path(index, ENTRIES[:size])
        verify_inclusion(index=index, size=size, leaf_hash=TREE.leaves[index], proof=made, root=ROOTS[size])


@pytest.mark.parametrize("size2", range(1, MOST + 1))
def test_every_consistency_proof_is_the_rfcs_and_holds(size2: int) -> None:
    for size1 in range(1, size2 + 1):
        made = consistent(size1, size2)
        assert list(made) == proof(size1, ENTRIES[:size2])
        verify_consistency(size1=size1, size2=size2, root1=ROOTS[size1], root2=ROOTS[size2], proof=made)


def test_the_published_digest_of_all_inclusion_proofs_in_all_subtrees_comes_out() -> None:
    """Subtrees [start, end) with start a multiple of the power of two that holds them, of leaves 0x00, 0x01, ..."""
    want = vectors("transparency-dev_merkle/rfc6962_reference_tree.json")["accumulated_subtree_vectors"]
    rolling = sha256()
    for end in range(1, 131):
        for start in range(end):
            size = end - start
            if start % (1 << (size - 1).bit_length()):
                continue
            tree = StoredTree([bytes([number]) for number in range(start, end)], batch=size)
            for index in range(size):
                made = inclusion_proof(index, size, tree.hashes)
                rolling.update(f"{start + index} [{start}, {end}){''.join(' ' + one.hex() for one in made)}\n".encode())
    assert rolling.hexdigest() == want["subtree_inclusion"]


def mutations(hashes: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """Each element changed in a bit, left out, doubled, replaced or of another length; two swapped; one more."""
    out = [(*hashes, OTHER_HASH), (OTHER_HASH, *hashes), (*hashes, b"")]
    for at, value in enumerate(hashes):
        before, after = hashes[:at], hashes[at + 1 :]
        flipped = bytes([value[0] ^ 0x80]) + value[1:]
        for one in (flipped, OTHER_HASH, value[:-1], value + b"\x00"):
            out.append((*before, one, *after))
        out += [(*before, *after), (*before, value, value, *after)]
        if after:
            out.append((*before, after[0], value, *after[1:]))
    return [mutated for mutated in out if mutated != hashes]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_altered_inclusion_proof_holds(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    made, leaf, root = included(index, size), TREE.leaves[index], ROOTS[size]
    for mutated in mutations(made):
        refused(lambda p=mutated: verify_inclusion(index=index, size=size, leaf_hash=leaf, proof=p, root=root))  # type: ignore[misc]
    assert Fault.WRONG_ROOT is refused(
        lambda: verify_inclusion(index=index, size=size, leaf_hash=OTHER_HASH, proof=made, root=root)
    )
    assert Fault.WRONG_ROOT is refused(
        lambda: verify_inclusion(index=index, size=size, leaf_hash=leaf, proof=made, root=OTHER_HASH)
    )
    for other in {-1, size, size + 1, *range(size)} - {index}:
        refused(lambda i=other: verify_inclusion(index=i, size=size, leaf_hash=leaf, proof=made, root=root))  # type: ignore[misc]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_altered_consistency_proof_holds(data: st.DataObject) -> None:
    size2 = data.draw(SIZES)
    size1 = data.draw(st.integers(1, size2))
    made, root1, root2 = consistent(size1, size2), ROOTS[size1], ROOTS[size2]

    def verify(proof: tuple[bytes, ...] = made, old: bytes = root1, new: bytes = root2, first: int = size1) -> None:
        verify_consistency(size1=first, size2=size2, root1=old, root2=new, proof=proof)

    for mutated in mutations(made):
        refused(lambda p=mutated: verify(p))  # type: ignore[misc]
    same_size = Fault.FORKED if size1 == size2 else Fault.WRONG_ROOT
    assert refused(lambda: verify(old=OTHER_HASH)) is same_size
    assert refused(lambda: verify(new=OTHER_HASH)) is same_size
    for other in {0, -1, size2 + 1, *range(1, size2 + 1)} - {size1}:
        refused(lambda s=other: verify(first=s))  # type: ignore[misc]


def test_the_faults_say_what_is_wrong() -> None:
    leaf, root = TREE.leaves[3], ROOTS[7]
    made = included(3, 7)

    def inclusion(proof: tuple[bytes, ...], index: int = 3, size: int = 7) -> None:
        verify_inclusion(index=index, size=size, leaf_hash=leaf, proof=proof, root=root)

    assert refused(lambda: inclusion(made[:-1])) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: inclusion((*made, root))) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: inclusion((*made[:-1], b"short"))) is Fault.MALFORMED_HASH
    assert refused(lambda: inclusion(made, index=7)) is Fault.OUT_OF_RANGE
    assert refused(lambda: inclusion((), index=0, size=0)) is Fault.OUT_OF_RANGE

    def consistency(proof: tuple[bytes, ...], size1: int = 3, size2: int = 7) -> None:
        verify_consistency(size1=size1, size2=size2, root1=ROOTS[size1], root2=ROOTS[size2], proof=proof)

    made = consistent(3, 7)
    assert refused(lambda: consistency(made[:-1])) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: consistency((*made, root))) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: consistency(())) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: consistency((), size1=4)) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: consistency((root,), size1=7)) is Fault.WRONG_PROOF_LENGTH
    assert refused(lambda: consistency((), size1=0)) is Fault.OUT_OF_RANGE
    assert refused(lambda: consistency(made, size1=7, size2=3)) is Fault.OUT_OF_RANGE


def test_a_node_missing_from_the_stored_tree_is_named() -> None:
    nodes = inclusion_nodes(3, 11)
    hashes = TREE.only(nodes)
    gone = nodes[1]
    del hashes[gone]
    with pytest.raises(NotVerified) as raised:
        inclusion_proof(3, 11, hashes)
    assert raised.value.what is Fault.MISSING_NODE
    assert raised.value.details == {"level": gone.level, "position": gone.position}


def test_nothing_is_fetched_to_prove_a_tree_from_itself_or_from_the_empty_one() -> None:
    for size in range(MOST + 1):
        assert consistency_nodes(size, size) == []
        assert consistency_nodes(0, size) == []
        assert consistency_proof(0, size, {}) == ()


def test_an_entry_outside_the_tree_has_no_proof() -> None:
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(NotVerified):
            inclusion_nodes(index, size)
    with pytest.raises(NotVerified):
        consistency_nodes(6, 5)


@settings(deadline=None)
@given(st.integers(1, 2**40), st.data())
def test_proofs_of_huge_trees_stay_logarithmic(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    bits = size.bit_length()
    for nodes in (inclusion_nodes(index, size), consistency_nodes(index, size)):
        assert len(nodes) <= 2 * bits
        assert all((node.position + 1) << node.level <= size for node in nodes), "only subtrees that are complete"
        hashes = dict.fromkeys(nodes, OTHER_HASH)
        assert len(hashes) == len(nodes)
    assert len(inclusion_proof(index, size, _Anything())) <= bits
    assert len(consistency_proof(index, size, _Anything())) <= bits + 1


class _Anything(dict[NodeId, bytes]):
    """A stored tree too large to make."""

    def __contains__(self, node: object) -> bool:
        return True

    def __missing__(self, node: NodeId) -> bytes:
        return OTHER_HASH
