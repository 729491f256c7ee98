"""Proofs from the stored tiles, for every entry and size, with few tiles; and what retention leaves provable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from auditsvc.checkpoints import tiles_wanted
from auditsvc.store import checkpoints
from auditsvc.tiles import Tree
from infosec.errors import InvalidInput, NotFound
from infosec.ids import RegionId
from infosec.transparency.merkle import covering, leaf_hash
from infosec.transparency.notes import NoteKey
from infosec.transparency.proofs import consistency_nodes, inclusion_nodes, verify_consistency, verify_inclusion
from infosec.transparency.ranges import EMPTY, CompactRange
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.audit_reading import ReadStand, read_stand
from tests.sim.signing import ORIGINS, grow

NORTH = RegionId("north")


@pytest.fixture
async def stand(audit: AuditStand, tmp_path: Path) -> ReadStand:
    return await read_stand(audit, tmp_path)


def roots(hashes: Sequence[bytes]) -> list[bytes]:
    """The root of the tree of every size, grown leaf by leaf."""
    tree, found = EMPTY, [EMPTY.root()]
    for value in hashes:
        tree, _ = tree.append(value)
        found.append(tree.root())
    return found


def sizes_and_places(size: int, draw: random.Random, count: int) -> list[tuple[int, int]]:
    edges = [at for at in (0, 1, 254, 255, 256, 257, 511, 512, 513, 768, size - 1, size) if at <= size]
    drawn = [(draw.randrange(size), draw.randrange(1, size + 1)) for _ in range(count)]
    return [pair for pair in (*pairwise(edges), *drawn) if pair[0] < pair[1]]


async def test_every_entry_is_proved_in_trees_of_every_size(stand: ReadStand) -> None:
    await grow(stand.audit, 1100)
    hashes = [leaf_hash(one.body) for one in stand.stored()]
    root = roots(hashes)
    for index, size in sizes_and_places(1100, random.Random(1), 80):
        leaf, proof = await stand.proving.inclusion(EAST, index, size)
        assert leaf == hashes[index]
        verify_inclusion(index=index, size=size, leaf_hash=leaf, proof=proof, root=root[size])


async def test_every_tree_is_proved_to_continue_the_ones_before(stand: ReadStand) -> None:
    await grow(stand.audit, 1100)
    root = roots([leaf_hash(one.body) for one in stand.stored()])
    for old, new in sizes_and_places(1100, random.Random(2), 80):
        proof = await stand.proving.consistency(EAST, old, new)
        if old:
            verify_consistency(size1=old, size2=new, root1=root[old], root2=root[new], proof=proof)
        else:
            assert proof == ()
    assert await stand.proving.consistency(EAST, 700, 700) == ()


async def test_what_no_tree_has_is_refused(stand: ReadStand) -> None:
    await grow(stand.audit, 300)
    for index, size in ((0, 0), (5, 5), (6, 5), (0, 301), (300, 301), (2**64 - 1, 2**64 - 1)):
        with pytest.raises(InvalidInput):
            await stand.proving.inclusion(EAST, index, size)
    for old, new in ((2, 1), (0, 301), (2**64 - 1, 2**64 - 1)):
        with pytest.raises(InvalidInput):
            await stand.proving.consistency(EAST, old, new)
    for asked in (
        stand.proving.inclusion(NORTH, 0, 1),
        stand.proving.consistency(NORTH, 0, 1),
        stand.proving.checkpoint(EAST, 0),
    ):
        with pytest.raises(NotFound):
            await asked


@pytest.mark.rule("CI-8")
async def test_below_what_retention_left_the_tree_is_whole_and_leaves_are_gone(stand: ReadStand) -> None:
    await grow(stand.audit, 1100)
    root = roots([leaf_hash(one.body) for one in stand.stored()])
    stand.audit.rows("update audit.logs set first_index = 512")
    stand.audit.rows("delete from audit.entries where index < 512 or index = 600")
    stand.audit.rows("delete from audit.tiles where level = 0 and index < 2")
    for index in (512, 600, 1099):
        leaf, proof = await stand.proving.inclusion(EAST, index, 1100)
        verify_inclusion(index=index, size=1100, leaf_hash=leaf, proof=proof, root=root[1100])
    for old in (256, 512, 700):
        proof = await stand.proving.consistency(EAST, old, 1100)
        verify_consistency(size1=old, size2=1100, root1=root[old], root2=root[1100], proof=proof)
    for asked in (stand.proving.inclusion(EAST, 511, 1100), stand.proving.consistency(EAST, 300, 1100)):
        with pytest.raises(NotFound) as refused:
            await asked
        assert "retention" in refused.value.details["detail"]


async def test_a_proof_takes_few_tiles_however_long_the_log() -> None:
    size = 50_000_017
    hashes = tuple(b"h" * 32 for _ in covering(0, size))
    tree = Tree(frontier=CompactRange(end=size, hashes=hashes))
    draw = random.Random(4)
    for _ in range(200):
        index, old = draw.randrange(size), draw.randrange(1, size)
        assert len(tiles_wanted(tree, inclusion_nodes(index, size))) <= 2 * size.bit_length()
        assert len(tiles_wanted(tree, consistency_nodes(old, size))) <= 2 * size.bit_length()


async def test_checkpoints_and_logs_are_there_for_whoever_asks(stand: ReadStand) -> None:
    await grow(stand.audit, 3)
    await stand.sign()
    await grow(stand.audit, 4, first=3)
    await stand.sign()
    await grow(stand.audit, 2, first=7)
    await grow(stand.audit, 1, region=WEST)
    found = [stand.checkpoint(await stand.proving.checkpoint(EAST, least), EAST).size for least in (0, 1, 3, 4, 7)]
    assert found == [7, 3, 3, 7, 7]
    for least in (8, 2**64 - 1):
        with pytest.raises(NotFound):
            await stand.proving.checkpoint(EAST, least)
    stand.audit.rows("update audit.logs set first_index = 1 where log_id = 'west'")
    east, west = await stand.proving.logs()
    assert (east.log_id, east.origin, east.size, east.first_index) == (EAST, ORIGINS.of(EAST), 9, 0)
    assert (west.log_id, west.size, west.first_index) == (WEST, 1, 1)
    assert [NoteKey.parse(vkey) for vkey in east.verifier_keys] == list(stand.keys.verifiers(EAST))


async def test_a_proof_is_of_one_moment_while_the_log_grows(stand: ReadStand) -> None:
    await grow(stand.audit, 250)

    async def growing() -> None:
        for number in range(250, 530, 7):
            await grow(stand.audit, 7, first=number)

    task = asyncio.create_task(growing())
    proofs = []
    while not task.done():
        async with stand.audit.db.transaction() as conn:
            tree = await checkpoints.tree(conn, EAST)
        assert tree is not None
        proofs.append((tree.size, await stand.proving.inclusion(EAST, tree.size - 1, tree.size)))
    await task
    root = roots([leaf_hash(one.body) for one in stand.stored()])
    for size, (leaf, proof) in proofs:
        verify_inclusion(index=size - 1, size=size, leaf_hash=leaf, proof=proof, root=root[size])
