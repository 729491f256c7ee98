"""When a tree continues what was signed: rules over stored trees that are made here, changed and forked."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditsvc.checkpoints import (
    NotSigned,
    Origins,
    SigningFault,
    edge_tiles,
    extended,
    nodes_to_sign,
    proof_between,
    tiles_wanted,
)
from auditsvc.tiles import TileId, Tree
from infosec.errors import Internal
from infosec.ids import RegionId
from infosec.transparency.checkpoints import Checkpoint, extends
from infosec.transparency.errors import Fault, NotVerified

ORIGIN = Origins(carrier="carrier.example", installation="7e57ab1e-0000-4000-8000-000000000000").of(RegionId("east"))
SIZES = st.one_of(st.integers(1, 1200), st.sampled_from([255, 256, 257, 511, 512, 513, 768]))


def _leaves(count: int, *, salt: str = "") -> list[bytes]:
    return [sha256(f"{salt}{number}".encode()).digest() for number in range(count)]


def _stored(count: int, *, salt: str = "") -> tuple[Tree, dict[TileId, bytes]]:
    tree, full = Tree().grown(_leaves(count, salt=salt))
    return tree, dict(full) | edge_tiles(tree)


def _checkpoint(tree: Tree) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=tree.size, root=tree.root())


def _fault(tree: Tree, bases: list[Checkpoint], tiles: dict[TileId, bytes]) -> SigningFault:
    with pytest.raises(NotSigned) as refused:
        extended(ORIGIN, tree, bases, tiles)
    return refused.value.fault


def test_a_log_is_named_by_carrier_installation_and_region() -> None:
    assert ORIGIN == "carrier.example/audit/7e57ab1e/east"


@pytest.mark.rule("CI-1")
@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES)
def test_a_tree_that_grew_is_proved_from_the_tiles_that_are_asked_for(one: int, other: int) -> None:
    old, new = sorted((one, other))
    base = _checkpoint(_stored(old)[0])
    tree, tiles = _stored(new)
    nodes = nodes_to_sign(tree, [base])
    given_tiles = {tile: tiles[tile] for tile in tiles_wanted(tree, nodes)} | edge_tiles(tree)
    signed = extended(ORIGIN, tree, [base], given_tiles)
    assert signed == _checkpoint(tree)
    extends(base, signed, proof_between(old, new, tiles))


@pytest.mark.rule("CI-1")
@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES)
def test_another_history_is_refused_whatever_the_sizes(one: int, other: int) -> None:
    old, new = sorted((one, other))
    base = _checkpoint(_stored(old, salt="other")[0])
    assert _fault(*_with(base, *_stored(new))) is SigningFault.FORKED
    if old < new:
        larger = _checkpoint(_stored(new)[0])
        assert _fault(*_with(larger, *_stored(old))) is SigningFault.ROLLED_BACK


@pytest.mark.rule("CI-1")
@settings(max_examples=30, deadline=None)
@given(st.integers(300, 1200), st.data())
def test_a_head_that_says_something_else_than_its_tiles_is_refused(size: int, data: st.DataObject) -> None:
    base, (tree, tiles) = _checkpoint(_stored(260)[0]), _stored(size)
    tile = data.draw(st.sampled_from(sorted(edge_tiles(tree))))
    changed = {**tiles, tile: bytes(32) + tiles[tile][32:]}
    assert _fault(tree, [base], changed) in (SigningFault.FORKED, SigningFault.TREE_BROKEN)


def test_a_tile_that_is_missing_is_told_apart_from_a_fork() -> None:
    tree, tiles = _stored(700)
    base = _checkpoint(_stored(300)[0])
    del tiles[TileId(0, 1)]
    assert _fault(tree, [base], tiles) is SigningFault.TREE_BROKEN
    with pytest.raises(Internal):
        proof_between(300, 700, tiles)


def test_the_checkpoint_of_another_log_is_no_base() -> None:
    tree, tiles = _stored(5)
    stranger = Checkpoint(origin="somebody.example/log", size=5, root=tree.root())
    assert _fault(tree, [stranger], tiles) is SigningFault.FOREIGN_CHECKPOINT


def test_every_base_has_to_be_continued() -> None:
    tree, tiles = _stored(20)
    right, wrong = _checkpoint(_stored(10)[0]), _checkpoint(_stored(12, salt="other")[0])
    assert extended(ORIGIN, tree, [right, right], tiles).size == 20
    assert _fault(tree, [right, wrong], tiles) is SigningFault.FORKED


def test_the_larger_of_two_sizes_is_no_beginning_of_the_smaller() -> None:
    _, tiles = _stored(20)
    with pytest.raises(NotVerified) as refused:
        proof_between(20, 10, tiles)
    assert refused.value.what is Fault.OUT_OF_RANGE


def _with(
    base: Checkpoint, tree: Tree, tiles: dict[TileId, bytes]
) -> tuple[Tree, list[Checkpoint], dict[TileId, bytes]]:
    return tree, [base], tiles
