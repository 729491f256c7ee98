"""Compact ranges against the slow tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import EMPTY_ROOT, leaf_hash
from infosec.transparency.ranges import EMPTY, CompactRange, frontier
from tests.unit.transparency.reference import entries, mth

ENTRIES = entries(150)
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def of(begin: int, end: int) -> CompactRange:
    start = CompactRange(begin=begin, end=begin)
    return start.extend(LEAVES[begin:end])[0]


@pytest.mark.parametrize("size", range(len(ENTRIES)))
def test_the_root_is_that_of_the_slow_tree(size: int) -> None:
    assert of(0, size).root() == mth(ENTRIES[:size])
    assert of(0, size).size == size


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_however_the_leaves_are_batched_the_same_nodes_are_stored_each_once(batches: list[int]) -> None:
    grown, stored = EMPTY, {}
    for count in batches:
        before = grown.end
        grown, made = grown.extend(LEAVES[before : before + count] if before + count <= 150 else [])
        for level, position, value in made:
            assert (level, position) not in stored
            stored[level, position] = value
    whole, at_once = EMPTY.extend(LEAVES[: grown.end])
    assert whole == grown
    assert stored == {(level, position): value for level, position, value in at_once}
    for (level, position), value in stored.items():
        assert value == mth(ENTRIES[position << level : (position + 1) << level])
    assert len(stored) == sum(grown.end >> level for level in range(1, 9))


def test_one_by_one_is_the_same_as_at_once() -> None:
    grown, made = EMPTY, []
    for leaf in LEAVES:
        grown, nodes = grown.append(leaf)
        made += nodes
    at_once, together = EMPTY.extend(LEAVES)
    assert grown == at_once
    assert sorted(made) == sorted(together)


def test_an_extended_range_leaves_the_one_before_as_it_was() -> None:
    before = of(0, 5)
    before.extend(LEAVES[5:9])
    assert before == of(0, 5)


def test_every_range_has_the_hashes_of_its_covering_and_merges_with_its_neighbour() -> None:
    for begin in range(40):
        for end in range(begin, 40):
            here = of(begin, end)
            for level, position, value in here.nodes():
                assert value == mth(ENTRIES[position << level : (position + 1) << level])
    for begin in range(20):
        for middle in range(begin, 20):
            for end in range(middle, 40):
                merged, made = of(begin, middle).merge(of(middle, end))
                assert merged == of(begin, end)
                for level, position, value in made:
                    assert value == mth(ENTRIES[position << level : (position + 1) << level])


def test_merging_across_a_gap_or_an_overlap_is_refused() -> None:
    for begin in (4, 6):
        with pytest.raises(NotVerified) as raised:
            of(0, 5).merge(of(begin, 9))
        assert raised.value.what is Fault.OUT_OF_RANGE


def test_a_range_that_leaves_out_the_beginning_has_no_root() -> None:
    with pytest.raises(NotVerified) as raised:
        of(1, 5).root()
    assert raised.value.what is Fault.OUT_OF_RANGE
    assert EMPTY.root() == EMPTY_ROOT


def test_a_range_with_too_many_or_too_few_or_broken_hashes_is_refused() -> None:
    good = of(0, 7).hashes
    for hashes, fault in (
        (good[:-1], Fault.WRONG_PROOF_LENGTH),
        ((*good, good[0]), Fault.WRONG_PROOF_LENGTH),
        ((*good[:-1], good[-1][:31]), Fault.MALFORMED_HASH),
    ):
        with pytest.raises(NotVerified) as raised:
            CompactRange(begin=0, end=7, hashes=hashes)
        assert raised.value.what is fault
    with pytest.raises(NotVerified):
        CompactRange(begin=3, end=2)


def test_a_log_goes_on_from_the_nodes_of_its_frontier() -> None:
    stored = {(level, position): value for level, position, value in EMPTY.extend(LEAVES[:77])[1]}
    stored |= {(0, position): leaf for position, leaf in enumerate(LEAVES)}
    resumed = CompactRange(begin=0, end=77, hashes=tuple(stored[node] for node in frontier(77)))
    assert resumed.extend(LEAVES[77:])[0].root() == mth(ENTRIES)
