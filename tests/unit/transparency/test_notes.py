"""Signed notes against the Go and C2SP vectors, and every other spelling refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.secret import SecretBytes
from infosec.transparency.cosignatures import WitnessKey
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import (
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteKey,
    NoteSigner,
    Signature,
    SignedNote,
    format_vkey,
    parse_note,
    parse_signatures,
    sign_note,
    verify_note,
)
from tests.unit.transparency.reference import vectors

GO = vectors("golang_mod/note_vectors.json")
C2SP = vectors("C2SP_C2SP/signed_note_examples.json")
PUBLISHED = [*GO["valid_notes"], *C2SP["signed_note_valid"]]

ALICE = NoteSigner.of_seed("log.example/alice", SecretBytes(bytes(31) + b"\x01"))
BOB = NoteSigner.of_seed("log.example/bob", SecretBytes(bytes(31) + b"\x02"))
TEXT = "a text\n\nof two parts\n"
NOTE = sign_note(TEXT, ALICE)


def fault(data: bytes, *known: NoteKey) -> Fault:
    with pytest.raises(NotVerified) as raised:
        verify_note(parse_note(data), known)
    return raised.value.what


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one["vkey"].partition("+")[0])
def test_a_published_note_verifies_and_is_written_as_it_was(published: dict[str, str]) -> None:
    key = NoteKey.parse(published["vkey"])
    note = parse_note(published["note"].encode())
    assert verify_note(note, [key]) == (key,)
    assert note.encode() == published["note"].encode()
    assert key.vkey() == published["vkey"]


def test_the_published_private_key_makes_the_published_note() -> None:
    *_, name, _, encoded = GO["signer_key_test_only"].split("+", 4)
    kind, seed = base64.b64decode(encoded)[:1], base64.b64decode(encoded)[1:]
    assert kind == bytes((ED25519,))
    signer = NoteSigner.of_seed(name, SecretBytes(seed))
    note = parse_note(GO["valid_notes"][0]["note"].encode())
    assert sign_note(note.text, signer) == note


@pytest.mark.parametrize("bad", GO["bad_vkeys"], ids=lambda one: one["why"])
def test_a_bad_published_key_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(NotVerified) as raised:
        NoteKey.parse(bad["vkey"])
    assert raised.value.what is Fault.MALFORMED_KEY


@pytest.mark.parametrize("vkey", [one["vkey"] for one in PUBLISHED])
def test_no_part_of_a_key_and_no_key_with_one_letter_moved_is_a_key(vkey: str) -> None:
    mangled = {vkey[:end] for end in range(len(vkey))} | {vkey[start:] for start in range(1, len(vkey))}
    mangled |= {vkey[:at] + chr(ord(vkey[at]) + 1) + vkey[at + 1 :] for at in range(len(vkey))}
    for one in mangled:
        with pytest.raises(NotVerified) as raised:
            NoteKey.parse(one)
        assert raised.value.what is Fault.MALFORMED_KEY


def test_a_key_identifier_in_capitals_is_another_spelling() -> None:
    name, identifier, encoded = ALICE.key.vkey().split("+", 2)
    assert identifier.upper() != identifier
    with pytest.raises(NotVerified):
        NoteKey.parse(f"{name}+{identifier.upper()}+{encoded}")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01b", "a\ud800"])
def test_a_name_that_no_signature_line_holds_is_no_key_name(name: str) -> None:
    with pytest.raises(NotVerified) as raised:
        NoteKey(name=name, public=bytes(32))
    assert raised.value.what is Fault.MALFORMED_KEY


def test_a_key_of_one_type_is_not_taken_for_another() -> None:
    with pytest.raises(NotVerified):
        NoteKey.parse(WitnessKey(name="w", public=ALICE.key.public).vkey())
    with pytest.raises(NotVerified):
        NoteKey.parse(format_vkey("w", ED25519, bytes(31)))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)])))
def test_any_text_without_controls_comes_back_as_signed(line: str) -> None:
    note = sign_note(f"{line}\n", ALICE, BOB)
    again = parse_note(note.encode())
    assert again == note
    assert verify_note(again, [BOB.key, ALICE.key]) == (ALICE.key, BOB.key)


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\r\n", "\x00\n", "a\ud800\n"])
def test_text_that_no_note_holds_is_not_signed(text: str) -> None:
    with pytest.raises(NotVerified) as raised:
        sign_note(text, ALICE)
    assert raised.value.what is Fault.MALFORMED_NOTE


def test_a_signer_whose_halves_do_not_belong_together_signs_nothing() -> None:
    crossed = NoteSigner(key=ALICE.key, sign_bytes=BOB.sign_bytes)
    with pytest.raises(NotVerified) as raised:
        sign_note(TEXT, crossed)
    assert raised.value.what is Fault.BAD_SIGNATURE


LINE = NOTE.signatures[0].line()
ENCODED = LINE.rpartition(" ")[2].rstrip("\n")
MALFORMED = {
    "nothing": b"",
    "text alone": TEXT.encode(),
    "one line": b"a text\n",
    "no text and no signatures": b"\n\n",
    "no final newline": NOTE.encode()[:-1],
    "one more newline": NOTE.encode() + b"\n",
    "a line after the signatures": NOTE.encode() + b"more\n",
    "not UTF-8": NOTE.encode().replace(b"a text", b"a \xfftext"),
    "a tab": NOTE.encode().replace(b"a text", b"a\ttext"),
    "a carriage return": NOTE.encode().replace(b"\n", b"\r\n"),
    "a hyphen for the dash": NOTE.encode().replace("— ".encode(), b"- "),
    "a dash without a space": NOTE.encode().replace("— ".encode(), "—".encode()),
    "two spaces": NOTE.encode().replace("— ".encode(), "—  ".encode()),
    "no name": NOTE.encode().replace(b"log.example/alice ", b""),
    "a plus in the name": NOTE.encode().replace(b"log.example/alice", b"log+alice"),
    "no base64": NOTE.encode().replace(ENCODED.encode(), b"****"),
    "an empty signature": NOTE.encode().replace(ENCODED.encode(), b""),
    "a key identifier alone": NOTE.encode().replace(ENCODED.encode(), b"AAAAAA=="),
    "a space after the signature": NOTE.encode()[:-1] + b" \n",
    "base64 without padding": NOTE.encode()[:-1].rstrip(b"=") + b"\n",
    "base64 for the web": f"{TEXT}\n— {ALICE.key.name} ____\n".encode(),
    "too long": b"a" * MAX_NOTE_BYTES + NOTE.encode(),
    "too many signatures": (TEXT + "\n" + LINE * (MAX_SIGNATURES + 1)).encode(),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_note_is_refused(data: bytes) -> None:
    assert fault(data, ALICE.key) is Fault.MALFORMED_NOTE


def test_unused_bits_in_base64_are_refused() -> None:
    assert ENCODED.endswith("=")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body, padding = ENCODED.rstrip("="), ENCODED[len(ENCODED.rstrip("=")) :]
    other = body[:-1] + letters[letters.index(body[-1]) + 1] + padding
    assert base64.b64decode(other) == base64.b64decode(ENCODED)
    assert fault(NOTE.encode().replace(ENCODED.encode(), other.encode()), ALICE.key) is Fault.MALFORMED_NOTE


def test_as_many_signatures_as_the_limit_are_read() -> None:
    note = parse_note((TEXT + "\n" + LINE * MAX_SIGNATURES).encode())
    assert verify_note(note, [ALICE.key]) == (ALICE.key,)


def test_an_unknown_signature_is_passed_over_and_alone_is_not_enough() -> None:
    both = sign_note(TEXT, BOB, ALICE)
    assert verify_note(both, [ALICE.key]) == (ALICE.key,)
    assert fault(sign_note(TEXT, BOB).encode(), ALICE.key) is Fault.NOT_SIGNED
    assert fault(NOTE.encode()) is Fault.NOT_SIGNED


def test_a_signature_that_shares_only_name_or_only_identifier_with_a_known_key_is_unknown() -> None:
    one = NOTE.signatures[0]
    for other in (
        Signature(name="log.example/eve", key_id=one.key_id, signature=bytes(64)),
        Signature(name=one.name, key_id=bytes(4), signature=bytes(64)),
    ):
        assert verify_note(NOTE.with_signatures(other), [ALICE.key]) == (ALICE.key,)


def test_a_known_keys_bad_signature_spoils_the_note_even_beside_a_good_one() -> None:
    one = NOTE.signatures[0]
    for broken in (bytes(64), one.signature[:-1], one.signature + b"\x00"):
        forged = Signature(name=one.name, key_id=one.key_id, signature=broken)
        with pytest.raises(NotVerified) as raised:
            verify_note(NOTE.with_signatures(forged), [ALICE.key])
        assert raised.value.what is Fault.BAD_SIGNATURE
        assert raised.value.details == {"key": ALICE.key.name}


@settings(deadline=None)
@given(st.integers(0, len(TEXT) - 2), st.sampled_from("xyz—"))
def test_no_letter_of_a_signed_text_can_change(at: int, letter: str) -> None:
    changed = SignedNote(text=TEXT[:at] + letter + TEXT[at + 1 :], signatures=NOTE.signatures)
    if changed != NOTE:
        with pytest.raises(NotVerified) as raised:
            verify_note(changed, [ALICE.key])
        assert raised.value.what is Fault.BAD_SIGNATURE


def test_a_signature_is_added_once() -> None:
    twice = NOTE.with_signatures(*NOTE.signatures)
    assert twice == NOTE
    more = NOTE.with_signatures(BOB.sign(TEXT))
    assert [one.name for one in more.signatures] == [ALICE.key.name, BOB.key.name]


def test_signature_lines_are_read_by_themselves() -> None:
    lines = "".join(one.line() for one in sign_note(TEXT, ALICE, BOB).signatures)
    assert parse_signatures(lines) == sign_note(TEXT, ALICE, BOB).signatures
    for bad in ("", lines[:-1], "\n" + lines):
        with pytest.raises(NotVerified):
            parse_signatures(bad)


def test_the_published_lines_without_a_key_are_well_formed() -> None:
    checkpoint, cosignature = C2SP["format_only"]
    assert parse_note(checkpoint["text"].encode()).encode() == checkpoint["text"].encode()
    assert parse_signatures(cosignature["line"] + "\n")[0].line() == cosignature["line"] + "\n"
