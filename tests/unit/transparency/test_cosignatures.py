"""Witnesses' cosignatures: made, verified, counted once for each witness."""

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infosec.secret import SecretBytes
from infosec.transparency.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from infosec.transparency.cosignatures import (
    TIMESTAMPED_ED25519,
    Cosignature,
    WitnessKey,
    WitnessSigner,
    cosignatures,
    cosigned_seconds,
    require_witnesses,
    verified_witnesses,
)
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.notes import NoteKey, NoteSigner, Signature, parse_note, parse_signatures
from tests.unit.transparency.reference import vectors

PUBLISHED = vectors("C2SP_C2SP/signed_note_examples.json")["format_only"][1]

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORIGIN = "audit.example/north"
LOG = NoteSigner.of_seed(ORIGIN, SecretBytes(bytes(31) + b"\x01"))
ONE = WitnessSigner.of_seed("witness.example/one", SecretBytes(bytes(31) + b"\x11"))
TWO = WitnessSigner.of_seed("witness.example/two", SecretBytes(bytes(31) + b"\x12"))
ONE_RENEWED = WitnessSigner.of_seed("witness.example/one", SecretBytes(bytes(31) + b"\x13"))
KEYS = [ONE.key, TWO.key, ONE_RENEWED.key]
CHECKPOINT = Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"root"))
PLAIN = sign_checkpoint(CHECKPOINT, LOG)
BY_ONE = ONE.cosign(CHECKPOINT, now=NOW)
BY_TWO = TWO.cosign(CHECKPOINT, now=NOW + timedelta(seconds=5))


def fault(*signatures: Signature, keys: list[WitnessKey] = KEYS) -> Fault:
    with pytest.raises(NotVerified) as raised:
        cosignatures(PLAIN.with_signatures(*signatures), keys)
    return raised.value.what


def test_the_published_line_has_its_published_time() -> None:
    (line,) = parse_signatures(PUBLISHED["line"] + "\n")
    assert cosigned_seconds(line.name, line.signature) == PUBLISHED["timestamp"]


def test_cosignatures_are_found_with_their_time_on_the_note_as_it_was_sent() -> None:
    note = parse_note(PLAIN.with_signatures(BY_ONE, BY_TWO).encode())
    assert cosignatures(note, KEYS) == (
        Cosignature(witness=ONE.key.name, at=NOW),
        Cosignature(witness=TWO.key.name, at=NOW + timedelta(seconds=5)),
    )
    assert verified_witnesses(note, KEYS) == {ONE.key.name, TWO.key.name}
    assert open_checkpoint(note.encode(), origin=ORIGIN, keys=[LOG.key]).checkpoint == CHECKPOINT


def test_what_is_signed_is_as_the_specification_writes_it() -> None:
    seconds = int(NOW.timestamp())
    message = f"cosignature/v1\ntime {seconds}\n{CHECKPOINT.body()}".encode()
    assert BY_ONE.signature == struct.pack(">Q", seconds) + ONE.sign_bytes(message)
    assert len(BY_ONE.signature) == 72


def test_a_cosignature_of_another_time_or_another_checkpoint_does_not_hold() -> None:
    later = struct.pack(">Q", int(NOW.timestamp()) + 1) + BY_ONE.signature[8:]
    other = ONE.cosign(replace(CHECKPOINT, size=4), now=NOW)
    for forged in (replace(BY_ONE, signature=later), other, replace(BY_ONE, signature=BY_ONE.signature[:-1])):
        assert fault(forged) is Fault.BAD_SIGNATURE
        assert fault(BY_TWO, forged) is Fault.BAD_SIGNATURE


@pytest.mark.parametrize("seconds", [2**63, 2**64 - 1, 2**63 - 1, 253402300800])
def test_a_time_beyond_every_calendar_does_not_hold(seconds: int) -> None:
    assert fault(replace(BY_ONE, signature=struct.pack(">Q", seconds) + bytes(64))) is Fault.BAD_SIGNATURE


def test_a_plain_signature_by_the_same_key_is_no_cosignature() -> None:
    plain = NoteSigner(key=NoteKey(name=ONE.key.name, public=ONE.key.public), sign_bytes=ONE.sign_bytes)
    signature = plain.sign(CHECKPOINT.body())
    assert verified_witnesses(PLAIN.with_signatures(signature), KEYS) == frozenset()
    assert fault(replace(signature, key_id=ONE.key.key_id)) is Fault.BAD_SIGNATURE


def test_a_witness_key_has_one_line_of_text() -> None:
    assert WitnessKey.parse(ONE.key.vkey()) == ONE.key
    with pytest.raises(NotVerified):
        WitnessKey.parse(LOG.key.vkey())
    with pytest.raises(NotVerified):
        WitnessKey(name="no spaces", public=ONE.key.public)
    assert TIMESTAMPED_ED25519 == 4


def test_a_signer_whose_halves_do_not_belong_together_cosigns_nothing() -> None:
    with pytest.raises(NotVerified) as raised:
        WitnessSigner(key=ONE.key, sign_bytes=TWO.sign_bytes).cosign(CHECKPOINT, now=NOW)
    assert raised.value.what is Fault.BAD_SIGNATURE


def test_witnesses_are_counted_and_too_few_are_refused() -> None:
    both = PLAIN.with_signatures(BY_ONE, BY_TWO)
    assert require_witnesses(both, KEYS, at_least=2) == {ONE.key.name, TWO.key.name}
    assert require_witnesses(PLAIN, KEYS, at_least=0) == frozenset()
    with pytest.raises(NotVerified) as raised:
        require_witnesses(PLAIN.with_signatures(BY_ONE), KEYS, at_least=2)
    assert raised.value.what is Fault.TOO_FEW_WITNESSES
    assert raised.value.details == {"witnesses": 1, "required": 2}


def test_a_witness_counts_once_however_often_and_with_whatever_keys_it_signs() -> None:
    again = ONE.cosign(CHECKPOINT, now=NOW + timedelta(minutes=1))
    renewed = ONE_RENEWED.cosign(CHECKPOINT, now=NOW)
    with pytest.raises(NotVerified) as raised:
        require_witnesses(PLAIN.with_signatures(BY_ONE, again, renewed), KEYS, at_least=2)
    assert raised.value.what is Fault.TOO_FEW_WITNESSES


def test_one_key_under_two_names_is_refused_before_it_counts_twice() -> None:
    alias = WitnessKey(name="witness.example/alias", public=ONE.key.public)
    copied = Signature(name=alias.name, key_id=alias.key_id, signature=BY_ONE.signature)
    assert fault(BY_ONE, copied, keys=[ONE.key, alias]) is Fault.SHARED_WITNESS_KEY


def test_an_unknown_witness_does_not_count() -> None:
    assert verified_witnesses(PLAIN.with_signatures(BY_ONE, BY_TWO), [TWO.key]) == {TWO.key.name}


def test_a_cosignature_from_the_future_is_refused_where_a_time_is_given() -> None:
    both = PLAIN.with_signatures(BY_ONE, BY_TWO)
    assert require_witnesses(both, KEYS, at_least=2, not_after=NOW + timedelta(seconds=5))
    with pytest.raises(NotVerified) as raised:
        require_witnesses(both, KEYS, at_least=1, not_after=NOW)
    assert raised.value.what is Fault.FROM_THE_FUTURE
    assert raised.value.details["witness"] == TWO.key.name
