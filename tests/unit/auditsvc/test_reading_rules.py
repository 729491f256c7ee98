"""What reading rests on: selections in words, logs merged into one order, stretches of rows and gaps that add up."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditsvc.merging import merged
from auditsvc.paging import Place
from auditsvc.selection import Selection
from auditsvc.stretches import Gap, Resumed, Row, between, nodes_between
from infosec.errors import InvalidInput
from infosec.events.kinds import MAX_TEXT
from infosec.events.types import EventType
from infosec.ids import OperationCode, RegionId, StaffId
from infosec.transparency.merkle import NodeId, covering, leaf_hash
from infosec.transparency.ranges import EMPTY, CompactRange

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_selection_in_words_is_bounded_and_names_no_customer() -> None:
    many = tuple(StaffId(f"clerk.{number:040}") for number in range(100))
    chosen = Selection(since=NOON, staff_ids=many, customer=(b"\x01" * 32,), decision="DENIED")
    said = chosen.summary()
    assert said is not None
    assert len(said) <= MAX_TEXT
    assert said.startswith("since=2026-03-02T12:00:00.000000Z decision=DENIED customer=named staff=")
    assert (b"\x01" * 32).hex() not in said
    assert Selection().summary() is None
    assert Selection(only_reads=True).summary() == "class=READ"


def test_only_a_period_and_logs_leave_an_export_complete() -> None:
    assert Selection(since=NOON, until=NOON, log_ids=(RegionId("east"),)).takes_all
    for chosen in (
        Selection(types=(EventType.CHECK_DECIDED,)),
        Selection(operations=(OperationCode("1500"),)),
        Selection(only_reads=True),
        Selection(decision="ALLOWED"),
        Selection(customer=()),
    ):
        assert not chosen.takes_all
        assert chosen.identity() != Selection().identity()


PLACES = st.lists(
    st.builds(
        lambda second, log, position: Place(NOON + timedelta(seconds=second), RegionId(log), position),
        st.integers(0, 5),
        st.sampled_from(["carrier", "east", "west"]),
        st.integers(0, 9),
    ),
    unique=True,
)


@given(places=PLACES, newest_first=st.booleans())
async def test_merged_logs_are_in_the_order_of_places(places: list[Place], newest_first: bool) -> None:
    async def source(mine: Sequence[Place]) -> AsyncGenerator[tuple[Place, int], None]:
        for place in sorted(mine, reverse=newest_first):
            yield place, place.position

    logs = sorted({place.log_id for place in places})
    sources = [source([place for place in places if place.log_id == log]) for log in logs]
    found = [place async for place, _ in merged(sources, newest_first=newest_first)]
    assert found == sorted(places, reverse=newest_first)


LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(300)]


def hash_at(node: NodeId) -> bytes:
    begin = node.position << node.level
    tree, _ = EMPTY.extend(LEAVES[begin : begin + (1 << node.level)])
    return tree.root()


@given(st.data())
def test_rows_and_gaps_add_up_to_the_tree_with_few_hashes(data: st.DataObject) -> None:
    end = data.draw(st.integers(1, 300))
    begin = data.draw(st.integers(0, end))
    kept = data.draw(st.sets(st.integers(begin, end - 1), max_size=12)) if begin < end else set()
    positions = sorted(kept)
    nodes = nodes_between(begin, end, positions)
    assert len(nodes) <= (len(positions) + 1) * 2 * end.bit_length() + len(positions)
    items = list(between(begin, end, dict.fromkeys(positions, b"body"), {node: hash_at(node) for node in nodes}))
    tree = CompactRange(end=begin, hashes=tuple(hash_at(node) for node in covering(0, begin)))
    for item in items:
        if isinstance(item, Gap):
            tree, _ = tree.merge(CompactRange(begin=item.start, end=item.end, hashes=item.hashes))
        else:
            tree, _ = tree.append(item.leaf_hash)
    whole, _ = EMPTY.extend(LEAVES[:end])
    assert tree == whole
    assert [item.position for item in items if isinstance(item, Row)] == positions


@pytest.mark.parametrize("numbers", [(1, 5, 5, 0), (0, 5, 4, 0), (0, 5, 5, 6), (6, 5, 9, 6), (-1, 5, 5, 0)])
def test_nothing_goes_on_outside_of_its_range(numbers: tuple[int, int, int, int]) -> None:
    start, end, size, next_index = numbers
    with pytest.raises(InvalidInput):
        Resumed(log_id=RegionId("east"), start=start, end=end, size=size, next_index=next_index)
