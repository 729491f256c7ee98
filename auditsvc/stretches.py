"""A stretch of a log as it is exported: which entries and gaps it consists of, and which nodes stand for the gaps.

Knows no storage and no wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infosec.errors import InvalidInput, Reason
from infosec.ids import RegionId
from infosec.transparency.merkle import HASH_BYTES, NodeId, covering

MAX_ROWS = 500
MAX_BYTES = 1 << 20
"""What one message holds; an entry is never cut."""
_ROW_OVERHEAD = 64


class Row(NamedTuple):
    """An entry; its body is empty where retention has taken it."""

    position: int
    leaf_hash: bytes
    body: bytes


class Gap(NamedTuple):
    """The entries [start, end), which do not match, as the hashes of the perfect subtrees that cover them."""

    start: int
    end: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Where an export of a log that was begun before goes on. Raises InvalidInput for what no export was."""

    log_id: RegionId
    start: int
    end: int
    size: int
    next_index: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.next_index <= self.end <= self.size:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="resume", detail="start <= next_index <= end <= size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The range [start, end) of a log, under its checkpoint of `size`; what is before `next_index` was sent already."""

    log_id: RegionId
    start: int
    end: int
    size: int
    note: str
    next_index: int

    def left(self) -> list[NodeId]:
        """The nodes before the range."""
        return covering(0, self.start)

    def right(self) -> list[NodeId]:
        """The nodes after the range, up to the end of the checkpoint's tree."""
        return covering(self.end, self.size)


def nodes_between(begin: int, end: int, positions: Sequence[int]) -> list[NodeId]:
    """The nodes of all there is in [begin, end): the leaves at these positions, and what covers the gaps between them."""
    found: list[NodeId] = []
    for position in positions:
        found += covering(begin, position)
        found.append(NodeId(0, position))
        begin = position + 1
    return found + covering(begin, end)


def between(begin: int, end: int, bodies: Mapping[int, bytes], hashes: Mapping[NodeId, bytes]) -> Iterator[Row | Gap]:
    """All there is in [begin, end), in order: an entry for each body, and a gap for each run of none."""
    for position, body in bodies.items():
        if begin < position:
            yield _gap(begin, position, hashes)
        yield Row(position, hashes[NodeId(0, position)], body)
        begin = position + 1
    if begin < end:
        yield _gap(begin, end, hashes)


def in_messages(items: Iterable[Row | Gap]) -> Iterator[list[Row | Gap]]:
    """The same, in lists of at most MAX_ROWS and about MAX_BYTES."""
    message: list[Row | Gap] = []
    size = 0
    for item in items:
        weight = _ROW_OVERHEAD + (len(item.body) if isinstance(item, Row) else len(item.hashes) * (HASH_BYTES + 2))
        if message and (len(message) == MAX_ROWS or size + weight > MAX_BYTES):
            yield message
            message, size = [], 0
        message.append(item)
        size += weight
    if message:
        yield message


def _gap(begin: int, end: int, hashes: Mapping[NodeId, bytes]) -> Gap:
    return Gap(begin, end, tuple(hashes[node] for node in covering(begin, end)))
