"""Checkpoints: one text for one tree, signed by its own log, and when one extends another."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.secret import SecretBytes
from infosec.transparency.checkpoints import Checkpoint, extends, open_checkpoint, sign_checkpoint
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import EMPTY_ROOT, leaf_hash
from infosec.transparency.notes import NoteSigner, sign_note
from infosec.transparency.proofs import consistency_nodes, consistency_proof
from tests.unit.transparency.reference import entries, mth, vectors
from tests.unit.transparency.stored import StoredTree

GO = vectors("golang_mod/note_vectors.json")
C2SP = vectors("C2SP_C2SP/signed_note_examples.json")

ORIGIN = "audit.example/north"
LOG = NoteSigner.of_seed(ORIGIN, SecretBytes(bytes(31) + b"\x01"))
ENTRIES = entries(20)
TREE = StoredTree(ENTRIES)


def at(size: int) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=mth(ENTRIES[:size]))


def between(size1: int, size2: int) -> tuple[bytes, ...]:
    return consistency_proof(size1, size2, TREE.only(consistency_nodes(size1, size2)))


def refused(old: Checkpoint | None, new: Checkpoint, proof: tuple[bytes, ...] = ()) -> Fault:
    with pytest.raises(NotVerified) as raised:
        extends(old, new, proof)
    return raised.value.what


def test_the_published_bodies_come_back() -> None:
    golden = GO["tree_note"]
    tree = Checkpoint.parse(golden["golden"])
    assert (tree.size, tree.root) == (golden["n"], leaf_hash(golden["record_hash_of"].encode()))
    assert tree.body() == golden["golden"]
    body = C2SP["format_only"][0]["text"].rpartition("\n\n")[0] + "\n"
    assert Checkpoint.parse(body).body() == body


@pytest.mark.parametrize("bad", GO["bad_tree_notes"])
def test_a_bad_published_body_is_refused_or_is_another_logs(bad: str) -> None:
    try:
        assert Checkpoint.parse(bad).origin != "go.sum database tree"
    except NotVerified as error:
        assert error.what in {Fault.MALFORMED_CHECKPOINT, Fault.MALFORMED_HASH}


GOOD = at(12).body()
ROOT_LINE = GOOD.split("\n")[2]
BAD_BODIES = {
    "nothing": "",
    "two lines": f"{ORIGIN}\n12\n",
    "no final newline": GOOD[:-1],
    "an empty origin": f"\n12\n{ROOT_LINE}\n",
    "an empty line": GOOD + "\n",
    "a leading zero": GOOD.replace("\n12\n", "\n012\n"),
    "a sign": GOOD.replace("\n12\n", "\n+12\n"),
    "a space": GOOD.replace("\n12\n", "\n 12\n"),
    "a hexadecimal size": GOOD.replace("\n12\n", "\n0xc\n"),
    "digits of another script": GOOD.replace("\n12\n", "\n１２\n"),
    "no size": GOOD.replace("\n12\n", "\n\n"),
    "a size beyond all": GOOD.replace("\n12\n", f"\n{2**63}\n"),
    "very many digits": GOOD.replace("\n12\n", f"\n{'1' * 5000}\n"),
    "a root that is not base64": f"{ORIGIN}\n12\n{ROOT_LINE[:-1]}*\n",
    "a root without padding": f"{ORIGIN}\n12\n{ROOT_LINE[:-1]}\n",
    "a root that is not ASCII": f"{ORIGIN}\n12\né\n",
    "a short root": f"{ORIGIN}\n12\nAAAA\n",
    "an empty tree with a root of its own": f"{ORIGIN}\n0\n{ROOT_LINE}\n",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_another_spelling_is_no_checkpoint(body: str) -> None:
    with pytest.raises(NotVerified):
        Checkpoint.parse(body)


@pytest.mark.parametrize("line", ["", "two\nlines", "a\ttab"])
def test_no_checkpoint_is_made_that_could_not_be_read(line: str) -> None:
    for origin, extensions in ((line, ()), (ORIGIN, (line,))):
        with pytest.raises(NotVerified):
            Checkpoint(origin=origin, size=1, root=leaf_hash(b""), extensions=extensions)
    with pytest.raises(NotVerified):
        Checkpoint(origin=ORIGIN, size=-1, root=leaf_hash(b""))


LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)]), min_size=1)


@settings(deadline=None)
@given(LINES, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_every_checkpoint_comes_back_signed(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin=origin, size=size, root=root, extensions=tuple(extensions))
    opened = open_checkpoint(sign_checkpoint(checkpoint, LOG).encode(), origin=origin, keys=[LOG.key])
    assert opened.checkpoint == checkpoint
    assert opened.note == sign_checkpoint(checkpoint, LOG)


def test_a_checkpoint_of_another_log_is_refused_though_the_key_is_the_same() -> None:
    with pytest.raises(NotVerified) as raised:
        open_checkpoint(sign_checkpoint(at(3), LOG).encode(), origin="audit.example/south", keys=[LOG.key])
    assert raised.value.what is Fault.WRONG_ORIGIN


def test_a_changed_or_unsigned_checkpoint_is_refused() -> None:
    data = sign_checkpoint(at(12), LOG).encode()
    with pytest.raises(NotVerified) as raised:
        open_checkpoint(data.replace(b"\n12\n", b"\n13\n"), origin=ORIGIN, keys=[LOG.key])
    assert raised.value.what is Fault.BAD_SIGNATURE
    with pytest.raises(NotVerified) as raised:
        open_checkpoint(data, origin=ORIGIN, keys=[])
    assert raised.value.what is Fault.NOT_SIGNED


def test_a_signed_note_that_holds_no_checkpoint_is_refused() -> None:
    with pytest.raises(NotVerified) as raised:
        open_checkpoint(sign_note("hello\n", LOG).encode(), origin=ORIGIN, keys=[LOG.key])
    assert raised.value.what is Fault.MALFORMED_CHECKPOINT


def test_a_larger_tree_extends_a_smaller_one() -> None:
    for size1 in range(len(ENTRIES) + 1):
        for size2 in range(size1, len(ENTRIES) + 1):
            extends(at(size1), at(size2), between(size1, size2))


def test_every_tree_extends_none_and_the_empty_one_with_an_empty_proof_alone() -> None:
    for old in (None, at(0)):
        extends(old, at(0), ())
        extends(old, at(9), ())
        assert refused(old, at(9), (EMPTY_ROOT,)) is Fault.WRONG_PROOF_LENGTH


def test_a_cut_forked_or_rewritten_log_does_not_extend_what_was_seen() -> None:
    assert refused(at(9), at(8)) is Fault.TREE_SHRANK
    assert refused(at(9), at(0)) is Fault.TREE_SHRANK
    assert refused(at(9), replace(at(9), root=leaf_hash(b"other"))) is Fault.FORKED
    assert refused(at(9), replace(at(12), root=leaf_hash(b"other")), between(9, 12)) is Fault.WRONG_ROOT
    assert refused(replace(at(9), root=leaf_hash(b"other")), at(12), between(9, 12)) is Fault.WRONG_ROOT
    assert refused(at(9), at(12)) is Fault.WRONG_PROOF_LENGTH
    assert refused(at(9), replace(at(9), origin="audit.example/south")) is Fault.WRONG_ORIGIN
