"""When a witness cosigns: the table of the specification, row by row."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.secret import SecretBytes
from infosec.transparency.checkpoints import Checkpoint, sign_checkpoint
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import EMPTY_ROOT, leaf_hash
from infosec.transparency.notes import NoteSigner, Signature, sign_note
from infosec.transparency.proofs import consistency_nodes, consistency_proof
from infosec.transparency.witness import (
    MAX_PROOF_LINES,
    MAX_REQUEST_BYTES,
    STATUS,
    AddCheckpoint,
    Refusal,
    Refused,
    judge,
    parse_size,
)
from tests.unit.transparency.reference import entries, mth
from tests.unit.transparency.stored import StoredTree

ORIGIN = "audit.example/north"
LOG = NoteSigner.of_seed(ORIGIN, SecretBytes(bytes(31) + b"\x01"))
EVE = NoteSigner.of_seed(ORIGIN, SecretBytes(bytes(31) + b"\x02"))
LOGS = {ORIGIN: [LOG.key]}
ENTRIES = entries(20)
TREE = StoredTree(ENTRIES)
OTHER = leaf_hash(b"other")


def at(size: int) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=mth(ENTRIES[:size]))


def between(size1: int, size2: int) -> tuple[bytes, ...]:
    return consistency_proof(size1, size2, TREE.only(consistency_nodes(size1, size2)))


def request(old: int, new: Checkpoint, proof: Sequence[bytes] | None = None, signer: NoteSigner = LOG) -> AddCheckpoint:
    proof = between(old, new.size) if proof is None else proof
    return AddCheckpoint.of(old_size=old, proof=tuple(proof), note=sign_checkpoint(new, signer))


def refused(asked: AddCheckpoint, last: Checkpoint | None) -> Refused:
    with pytest.raises(Refused) as raised:
        judge(asked, logs=LOGS, last=last)
    return raised.value


FORK = replace(at(9), root=OTHER)
REWRITTEN = replace(at(12), root=OTHER)
TABLE: dict[str, tuple[AddCheckpoint, Checkpoint | None, Refusal | None]] = {
    "the first checkpoint of a log": (request(0, at(9)), None, None),
    "the first checkpoint of an empty log": (request(0, at(0)), None, None),
    "an empty log again": (request(0, at(0)), at(0), None),
    "the first entries after the empty log": (request(0, at(9)), at(0), None),
    "growth": (request(9, at(12)), at(9), None),
    "growth from a power of two": (request(8, at(12)), at(8), None),
    "the same checkpoint again": (request(9, at(9)), at(9), None),
    "signed by nobody that we know": (request(9, at(12), signer=EVE), at(9), Refusal.NOT_SIGNED),
    "an old size above the new": (request(12, at(9), ()), at(12), Refusal.OLD_ABOVE_NEW),
    "a rollback that admits it": (request(12, at(9), ()), at(9), Refusal.OLD_ABOVE_NEW),
    "a rollback that hides it": (request(9, at(9)), at(12), Refusal.OTHER_SIZE),
    "a rollback to nothing": (request(0, at(0)), at(12), Refusal.OTHER_SIZE),
    "a new beginning": (request(0, at(15)), at(12), Refusal.OTHER_SIZE),
    "a caller who is behind": (request(9, at(15)), at(12), Refusal.OTHER_SIZE),
    "a caller who is ahead of us": (request(12, at(15)), at(9), Refusal.OTHER_SIZE),
    "a caller who knows a past that we do not": (request(9, at(12)), None, Refusal.OTHER_SIZE),
    "a fork at the same size": (request(9, FORK, ()), at(9), Refusal.FORKED),
    "a fork at the same size with a proof": (request(9, FORK, between(9, 12)), at(9), Refusal.FORKED),
    "the same checkpoint with a proof": (request(9, at(9), (OTHER,)), at(9), Refusal.BAD_PROOF),
    "a rewritten past": (request(9, REWRITTEN, between(9, 12)), at(9), Refusal.BAD_PROOF),
    "no proof": (request(9, at(12), ()), at(9), Refusal.BAD_PROOF),
    "a proof from another size": (request(9, at(12), between(8, 12)), at(9), Refusal.BAD_PROOF),
    "a proof from nothing": (request(0, at(9), (OTHER,)), None, Refusal.BAD_PROOF),
    "a proof from the empty tree": (request(0, at(9), (OTHER,)), at(0), Refusal.BAD_PROOF),
}


@pytest.mark.parametrize(("asked", "last", "refusal"), TABLE.values(), ids=TABLE.keys())
def test_the_table(asked: AddCheckpoint, last: Checkpoint | None, refusal: Refusal | None) -> None:
    if refusal is None:
        assert judge(asked, logs=LOGS, last=last) == asked.checkpoint
    else:
        assert refused(asked, last).refusal is refusal


def test_an_unknown_log_is_not_looked_at_further() -> None:
    with pytest.raises(Refused) as raised:
        judge(request(9, at(12), (), signer=EVE), logs={}, last=None)
    assert raised.value.refusal is Refusal.UNKNOWN_LOG
    assert raised.value.size_body() == b""


def test_a_forged_signature_beside_a_good_one_is_refused() -> None:
    good = request(9, at(12))
    forged = Signature(name=LOG.key.name, key_id=LOG.key.key_id, signature=bytes(64))
    assert refused(replace(good, note=good.note.with_signatures(forged)), at(9)).refusal is Refusal.NOT_SIGNED


def test_every_refusal_has_the_status_of_the_specification() -> None:
    assert set(STATUS) == set(Refusal)
    assert refused(request(9, at(12), signer=EVE), at(9)).status == 403
    assert refused(request(12, at(9), ()), at(12)).status == 400
    assert refused(request(9, FORK, ()), at(9)).status == 409
    assert refused(request(9, at(12), ()), at(9)).status == 422
    assert (STATUS[Refusal.UNKNOWN_LOG], STATUS[Refusal.MALFORMED]) == (404, 400)


@pytest.mark.parametrize(("last", "body"), [(at(12), b"12\n"), (None, b"0\n")])
def test_a_conflict_tells_the_size_that_we_know(last: Checkpoint | None, body: bytes) -> None:
    conflict = refused(request(9, at(15)), last)
    assert (conflict.status, conflict.size_body()) == (409, body)
    assert parse_size(body) == conflict.size


@pytest.mark.parametrize("body", [b"", b"12", b"012\n", b"12\n\n", b"12\n13\n", b"-1\n", b"x\n", b"\xff\n"])
def test_an_answer_that_is_no_size_is_refused(body: bytes) -> None:
    with pytest.raises(NotVerified) as raised:
        parse_size(body)
    assert raised.value.what is Fault.MALFORMED_REQUEST


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20))
def test_a_request_comes_back_from_its_body(one: int, two: int) -> None:
    old, new = sorted((one, two))
    asked = request(old, at(new))
    assert AddCheckpoint.parse(asked.encode()) == asked


BODY = request(9, at(12)).encode()
HEAD, NOTE = BODY.split(b"\n\n", 1)
PROOF_LINE = HEAD.split(b"\n")[1]
MALFORMED = {
    "nothing": b"",
    "no note": HEAD + b"\n\n",
    "no empty line": HEAD,
    "no old size": BODY.replace(b"old 9\n", b""),
    "another word": BODY.replace(b"old 9", b"new 9"),
    "no number": BODY.replace(b"old 9", b"old "),
    "a leading zero": BODY.replace(b"old 9", b"old 09"),
    "two spaces": BODY.replace(b"old 9", b"old  9"),
    "a negative size": BODY.replace(b"old 9", b"old -9"),
    "a carriage return": BODY.replace(b"old 9\n", b"old 9\r\n"),
    "a proof line that is not base64": BODY.replace(PROOF_LINE, b"*" * 44),
    "a proof line that is not ASCII": BODY.replace(PROOF_LINE, b"\xff" * 44),
    "a proof line that is no hash": BODY.replace(PROOF_LINE, b"AAAA"),
    "a proof of too many lines": b"old 9\n" + (PROOF_LINE + b"\n") * (MAX_PROOF_LINES + 1) + b"\n" + NOTE,
    "an unsigned checkpoint": HEAD + b"\n\n" + at(12).body().encode(),
    "a note that is no checkpoint": HEAD + b"\n\n" + sign_note("hello\n", LOG).encode(),
    "an empty tree with a root of its own": BODY.replace(b"\n12\n", b"\n0\n"),
    "too long": BODY + b"\n" * MAX_REQUEST_BYTES,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_refused_whole(body: bytes) -> None:
    with pytest.raises(Refused) as raised:
        AddCheckpoint.parse(body)
    assert raised.value.refusal is Refusal.MALFORMED


def test_as_many_proof_lines_as_the_limit_are_read() -> None:
    body = b"old 9\n" + (PROOF_LINE + b"\n") * MAX_PROOF_LINES + b"\n" + NOTE
    assert len(AddCheckpoint.parse(body).proof) == MAX_PROOF_LINES


def test_a_log_makes_no_request_that_a_witness_cannot_read() -> None:
    for proof in ((OTHER,) * (MAX_PROOF_LINES + 1), (b"short",)):
        with pytest.raises(NotVerified):
            request(9, at(12), proof)
    with pytest.raises(NotVerified):
        AddCheckpoint.of(old_size=0, proof=(), note=sign_note("hello\n", LOG))


def test_what_was_cosigned_only_ever_grows() -> None:
    """Any order of requests: the state moves along one history, the true one."""
    last: Checkpoint | None = None
    sizes = [0, 3, 3, 1, 9, 8, 0, 20, 12]
    seen = []
    for size in sizes:
        known = last.size if last else 0
        for old in (known, 0, size):
            try:
                proof = between(old, size) if old <= size else ()
                last = judge(request(old, at(size), proof), logs=LOGS, last=last)
            except Refused:
                continue
            seen.append(last.size)
    assert seen == sorted(seen)
    assert last == at(20)
    assert at(0).root == EMPTY_ROOT
