"""Hashes of leaves and nodes, and the coordinates of subtrees."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import (
    EMPTY_ROOT,
    NodeId,
    check_hash,
    check_order,
    covering,
    leaf_hash,
    node_hash,
    split,
)
from infosec.transparency.ranges import EMPTY
from tests.unit.transparency.reference import largest_power_of_two_below, mth, vectors

REFERENCE = vectors("transparency-dev_merkle/rfc6962_reference_tree.json")
SINGLE = {one["desc"]: one for one in REFERENCE["single_hashes"]}


def test_the_published_hashes_of_leaf_node_and_empty_tree() -> None:
    assert EMPTY_ROOT.hex() == SINGLE["RFC6962 Empty (root of empty tree)"]["want"]
    assert leaf_hash(b"").hex() == SINGLE["RFC6962 Empty Leaf"]["want"]
    leaf, node = SINGLE["RFC6962 Leaf"], SINGLE["RFC6962 Node"]
    assert leaf_hash(leaf["leaf_utf8"].encode()).hex() == leaf["want"]
    assert node_hash(node["left_utf8"].encode(), node["right_utf8"].encode()).hex() == node["want"]


def test_the_published_tree_has_its_leaf_hashes_and_its_root_at_every_size() -> None:
    inputs = [bytes.fromhex(text) for text in REFERENCE["leaf_inputs_hex"]]
    assert [leaf_hash(data).hex() for data in inputs] == REFERENCE["leaf_hashes_hex"]
    grown, roots = EMPTY, [EMPTY.root().hex()]
    for data in inputs:
        grown, _ = grown.append(leaf_hash(data))
        roots.append(grown.root().hex())
    assert roots == REFERENCE["root_hex_by_size"]
    assert roots == [mth(inputs[:size]).hex() for size in range(len(inputs) + 1)]


def test_a_node_is_no_leaf_of_the_same_bytes() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_covering_is_of_perfect_subtrees_end_to_end_and_as_few_as_can_be(one: int, two: int) -> None:
    begin, end = sorted((one, two))
    at = begin
    nodes = covering(begin, end)
    for node in nodes:
        assert node.position << node.level == at
        at += 1 << node.level
    assert at == end
    assert len(nodes) <= 2 * max(1, end.bit_length())
    for left, right in pairwise(nodes):
        assert not (left.level == right.level and right.position & 1), "two siblings are one node"


def test_nothing_is_covered_by_nothing() -> None:
    assert covering(5, 5) == []
    assert covering(0, 8) == [NodeId(3, 0)]
    assert covering(1, 8) == [NodeId(0, 1), NodeId(1, 1), NodeId(2, 1)]


@settings(deadline=None)
@given(st.integers(2, 5000), st.integers(0, 100))
def test_a_tree_is_cut_where_the_rfc_says(size: int, begin: int) -> None:
    assert split(begin, begin + size) == begin + largest_power_of_two_below(size)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(NotVerified) as raised:
        check_hash(bytes(length))
    assert raised.value.what is Fault.MALFORMED_HASH
    assert str(raised.value) == f"MALFORMED_HASH(bytes={length})"


@pytest.mark.parametrize("numbers", [(-1,), (2, 1), (0, -1), (1, 3, 2), (2**63,)])
def test_numbers_out_of_order_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(NotVerified) as raised:
        check_order(*numbers)
    assert raised.value.what is Fault.OUT_OF_RANGE


def test_nodes_are_plain_tuples_for_storage() -> None:
    assert NodeId(1, 2) == (1, 2)
    assert (1, 2, b"h")[:2] == NodeId(1, 2)
