"""Key files, rotation, sealing, digests."""

import copy
import json
import os
import pickle
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from infosec.errors import AlreadyExists, Internal, Misconfigured
from infosec.keys import KeyRing, MacKey, MacKind, SealingKeys, SealingKind, SigningKeys, SigningKind, framed
from infosec.private_files import private_directory, read_private, read_secret, write_private

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_ring_is_made_once_and_then_read_the_same(folder: Path) -> None:
    made = KeyRing.create_missing(folder, now=NOW)
    again = KeyRing.create_missing(folder, now=LATER)
    assert again.public_keys() == made.public_keys() == KeyRing.load(folder).public_keys()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{kind}.json" for kinds in (SigningKind, SealingKind, MacKind) for kind in kinds
    )


def test_key_files_are_for_their_owner_alone(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_file_open_to_others_is_refused_with_the_fix(folder: Path, mode: int) -> None:
    KeyRing.create_missing(folder, now=NOW)
    path = folder / "session.json"
    path.chmod(mode)
    with pytest.raises(Misconfigured) as refused:
        KeyRing.load(folder)
    assert refused.value.details["path"] == str(path)
    assert refused.value.details["hint"] == f"chmod 600 {path}"


@pytest.mark.rule("ID-7")
def test_a_broken_file_is_refused_without_its_content(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    path = folder / "session.json"
    document = json.loads(path.read_text())
    private = document["keys"][0]["private"]
    document["keys"][0]["public"] = document["keys"][0]["private"]
    path.write_text(json.dumps(document))
    with pytest.raises(Misconfigured) as refused:
        KeyRing.load(folder)
    assert private not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_file_under_another_kinds_name_is_refused(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    (folder / "grant-approval.json").replace(folder / "session.json")
    with pytest.raises(Misconfigured):
        SigningKeys.load(folder / "session.json")


def test_a_missing_file_says_what_to_run(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    (folder / "seal-totp.json").unlink()
    with pytest.raises(Misconfigured, match=r"seal-totp\.json"):
        KeyRing.load(folder)


def test_a_kind_that_a_release_brought_is_added_by_name_and_nothing_else_is_touched(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    (folder / "assertion.json").unlink()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Misconfigured, match=r"assertion\.json") as refused:
        KeyRing.load(folder)
    assert refused.value.details["hint"].endswith("`infosec keys add assertion`")
    KeyRing.add(folder, "assertion", now=LATER)
    assert len(KeyRing.load(folder).signing[SigningKind.ASSERTION].public_keys()) == 1
    with pytest.raises(AlreadyExists):
        KeyRing.add(folder, "assertion", now=LATER)
    assert {path: path.read_bytes() for path in before} == before


def test_where_there_is_no_key_at_all_the_fix_is_to_set_up(folder: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        KeyRing.load(folder)
    assert refused.value.details["hint"].startswith("run `infosec init`")


def test_a_rotated_signing_key_still_checks_and_never_signs_again(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    path = folder / "session.json"
    old = SigningKeys.load(path)
    signature = old.sign(b"m")
    turned = old.rotate(now=LATER)
    assert turned.active.kid != old.active.kid
    assert set(turned.public_keys()) == {old.active.kid, turned.active.kid}
    Ed25519PublicKey.from_public_bytes(turned.public_keys()[old.active.kid]).verify(signature, b"m")
    entries = {entry["kid"]: entry for entry in json.loads(path.read_text())["keys"]}
    assert "private" not in entries[old.active.kid]
    assert SigningKeys.load(path).public_keys() == turned.public_keys()


def test_a_stolen_key_is_forgotten_and_nothing_it_signed_is_good(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    turned = SigningKeys.load(folder / "session.json").rotate(now=LATER).rotate(now=LATER)
    assert len(turned.public_keys()) == 3
    assert set(turned.forget_retired().public_keys()) == {turned.active.kid}
    assert set(SigningKeys.load(folder / "session.json").public_keys()) == {turned.active.kid}


def test_two_rotations_at_once_lose_no_key(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    keys = SigningKeys.load(folder / "session.json")
    threads = [threading.Thread(target=keys.rotate, kwargs={"now": LATER}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(SigningKeys.load(folder / "session.json").public_keys()) == 5


def test_public_halves_alone_check_and_do_not_sign(folder: Path) -> None:
    KeyRing.create_missing(folder, now=NOW)
    path = folder / "session.json"
    document = json.loads(path.read_text())
    for entry in document["keys"]:
        del entry["private"]
    path.write_text(json.dumps(document))
    keys = SigningKeys.load(path)
    assert len(keys.public_keys()) == 1
    with pytest.raises(Misconfigured):
        keys.sign(b"m")


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=20))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, context: bytes) -> None:
    keys = SealingKeys.generate(SealingKind.FACTS, now=NOW)
    assert keys.open(keys.seal(plaintext, context), context) == plaintext


@given(st.data())
def test_a_sealed_value_with_one_bit_changed_does_not_open(data: st.DataObject) -> None:
    keys = SealingKeys.generate(SealingKind.FACTS, now=NOW)
    sealed = bytearray(keys.seal(b"13800138000", b"staff/1"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Internal):
        keys.open(bytes(sealed), b"staff/1")


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_a_cut_sealed_value_does_not_open(length: int) -> None:
    keys = SealingKeys.generate(SealingKind.FACTS, now=NOW)
    with pytest.raises(Internal):
        keys.open(keys.seal(b"text", b"c")[:length], b"c")


def test_a_sealed_value_moved_elsewhere_does_not_open() -> None:
    keys = SealingKeys.generate(SealingKind.FACTS, now=NOW)
    sealed = keys.seal(b"text", b"staff/1")
    with pytest.raises(Internal):
        keys.open(sealed, b"staff/2")
    # The same key under another kind's name is another key.
    with pytest.raises(Internal):
        SealingKeys(SealingKind.TOTP, keys.records).open(sealed, b"staff/1")
    with pytest.raises(ValueError, match="context"):
        keys.seal(b"text", b"")


def test_sealed_before_a_rotation_opens_after_it() -> None:
    keys = SealingKeys.generate(SealingKind.FACTS, now=NOW)
    turned = keys.rotate(now=LATER)
    assert turned.open(keys.seal(b"text", b"c"), b"c") == b"text"
    with pytest.raises(Internal):
        keys.open(turned.seal(b"text", b"c"), b"c")


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_framing_tells_every_two_lists_of_parts_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (framed(*one) == framed(*other)) == (one == other)


def test_digests_match_across_a_rotation_and_not_across_kinds() -> None:
    keys = MacKey.generate(MacKind.CODES, now=NOW)
    digest = keys.digest(b"staff", b"123456")
    turned = keys.rotate(now=LATER)
    assert turned.matches(digest, b"staff", b"123456")
    assert not turned.matches(digest, b"staff1", b"23456")
    assert not turned.matches(digest[:8], b"staff", b"123456")
    assert turned.digests(b"x")[0] == turned.digest(b"x") != keys.digest(b"x")
    assert MacKey(MacKind.REQUESTS, keys.records).digest(b"x") != keys.digest(b"x")


@pytest.mark.rule("ID-7")
def test_keys_are_not_shown_copied_or_pickled() -> None:
    keys = MacKey.generate(MacKind.CODES, now=NOW)
    private = keys.records[0].private
    assert private is not None
    assert private.reveal().hex() not in repr(keys) + repr(keys.records)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(keys)


def test_a_private_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert write_private(path, b"one", replace=False)
    assert not write_private(path, b"two", replace=False)
    assert read_private(path) == b"one"
    assert write_private(path, b"three")
    assert read_private(path) == b"three"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    write_private(path, b"s3cret \n")
    assert read_secret(path).reveal() == "s3cret "
    for content in (b"", b"\n", b"a\nb\n", b"\xff"):
        write_private(path, content)
        with pytest.raises(Misconfigured):
            read_secret(path)


def test_what_is_no_private_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(Misconfigured):
            read_private(path)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(Misconfigured, match="chmod 700"):
        private_directory(open_to_all)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_file_of_another_account_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_private(path, b"x")
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(Misconfigured, match="another account"):
        read_private(path) if kind == "file" else private_directory(tmp_path)
