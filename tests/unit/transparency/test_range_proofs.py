"""A stretch of a log proved complete: what is missing, added, changed, reordered or doubled in it is found."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.range_proofs import RangeProof, range_nodes, range_proof, verify_range
from tests.unit.transparency.reference import entries, mth
from tests.unit.transparency.stored import StoredTree

MOST = 70
ENTRIES = entries(MOST)
TREE = StoredTree(ENTRIES)
ROOTS = [mth(ENTRIES[:size]) for size in range(MOST + 1)]
OTHER_HASH = leaf_hash(b"something else")


def proved(start: int, end: int, size: int) -> RangeProof:
    return range_proof(start, end, size, TREE.only(range_nodes(start, end, size)))


def fault(proof: RangeProof, leaves: list[bytes], root: bytes) -> Fault:
    with pytest.raises(NotVerified) as raised:
        verify_range(proof, leaves, size=proof.size, root=root)
    return raised.value.what


@pytest.mark.parametrize("size", [*range(34), 63, 64, 65, 70])
def test_every_stretch_of_the_tree_is_proved(size: int) -> None:
    for start in range(size + 1):
        for end in range(start, size + 1):
            verify_range(proved(start, end, size), iter(TREE.leaves[start:end]), size=size, root=ROOTS[size])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_altered_export_is_complete(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    start = data.draw(st.integers(0, size - 2))
    end = data.draw(st.integers(start + 2, size))
    at = data.draw(st.integers(0, end - start - 2))
    proof, leaves, root = proved(start, end, size), TREE.leaves[start:end], ROOTS[size]
    assert fault(proof, leaves[:at] + leaves[at + 1 :], root) is Fault.WRONG_LEAF_COUNT
    assert fault(proof, leaves[:-1], root) is Fault.WRONG_LEAF_COUNT
    assert fault(proof, [*leaves, OTHER_HASH], root) is Fault.WRONG_LEAF_COUNT
    assert fault(proof, [*leaves[:at], leaves[at], *leaves[at:]], root) is Fault.WRONG_LEAF_COUNT
    assert fault(proof, [*leaves[:at], OTHER_HASH, *leaves[at + 1 :]], root) is Fault.WRONG_ROOT
    assert fault(proof, [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]], root) is Fault.WRONG_ROOT
    assert fault(proof, [*leaves[:at], leaves[at], leaves[at], *leaves[at + 2 :]], root) is Fault.WRONG_ROOT
    assert fault(proof, leaves, OTHER_HASH) is Fault.WRONG_ROOT


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_altered_proof_holds(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MOST))
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, size))
    proof, leaves, root = proved(start, end, size), TREE.leaves[start:end], ROOTS[size]
    for side in ("left", "right"):
        hashes: tuple[bytes, ...] = getattr(proof, side)
        assert fault(replace(proof, **{side: (*hashes, OTHER_HASH)}), leaves, root) is Fault.WRONG_PROOF_LENGTH  # type: ignore[arg-type]
        for at in range(len(hashes)):
            shorter = (*hashes[:at], *hashes[at + 1 :])
            other = (*hashes[:at], OTHER_HASH, *hashes[at + 1 :])
            broken = (*hashes[:at], hashes[at][:31], *hashes[at + 1 :])
            assert fault(replace(proof, **{side: shorter}), leaves, root) is Fault.WRONG_PROOF_LENGTH  # type: ignore[arg-type]
            assert fault(replace(proof, **{side: other}), leaves, root) is Fault.WRONG_ROOT  # type: ignore[arg-type]
            assert fault(replace(proof, **{side: broken}), leaves, root) is Fault.MALFORMED_HASH  # type: ignore[arg-type]


def test_a_stretch_said_to_lie_elsewhere_is_refused() -> None:
    proof, leaves, root = proved(8, 12, 40), TREE.leaves[8:12], ROOTS[40]
    for moved in (replace(proof, start=12, end=16), replace(proof, start=0, end=4, left=()), replace(proof, size=48)):
        with pytest.raises(NotVerified):
            verify_range(moved, leaves, size=40, root=root)


def test_a_proof_for_a_tree_of_another_size_is_refused_though_its_hashes_give_the_same_root() -> None:
    proof, leaves = replace(proved(8, 12, 40), size=48), TREE.leaves[8:12]
    verify_range(proof, leaves, size=48, root=ROOTS[40])
    with pytest.raises(NotVerified) as raised:
        verify_range(proof, leaves, size=40, root=ROOTS[40])
    assert raised.value.what is Fault.WRONG_SIZE


@pytest.mark.parametrize(("start", "end", "size"), [(-1, 2, 3), (2, 1, 3), (1, 4, 3)])
def test_a_stretch_that_is_none_is_refused(start: int, end: int, size: int) -> None:
    with pytest.raises(NotVerified) as raised:
        range_nodes(start, end, size)
    assert raised.value.what is Fault.OUT_OF_RANGE
    with pytest.raises(NotVerified):
        range_proof(start, end, size, {})
    assert fault(RangeProof(start=start, end=end, size=size, left=(), right=()), [], OTHER_HASH) is Fault.OUT_OF_RANGE


def test_a_missing_node_is_named() -> None:
    with pytest.raises(NotVerified) as raised:
        range_proof(4, 5, 9, {})
    assert raised.value.what is Fault.MISSING_NODE


def test_an_export_is_read_as_a_stream_and_not_beyond_its_end() -> None:
    many = entries(5000)
    tree = StoredTree(many, batch=5000)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for leaf in tree.leaves[100:]:
            taken += 1
            yield leaf

    proof = range_proof(100, 4321, 5000, tree.hashes)
    verify_range(proof, tree.leaves[100:4321], size=5000, root=tree.range.root())
    with pytest.raises(NotVerified) as raised:
        verify_range(proof, endless(), size=5000, root=tree.range.root())
    assert raised.value.what is Fault.WRONG_LEAF_COUNT
    assert taken == 4321 - 100 + 1


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_range_proofs_of_huge_trees_stay_logarithmic(one: int, two: int, three: int) -> None:
    start, end, size = sorted((one, two, three))
    assert len(range_nodes(start, end, size)) <= 3 * (size.bit_length() + 1)
