"""Somebody with the database, or with the log's key, wants an audit log to say something else than it said (CI-1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import WHAT_TO_DO, NotSigned, SigningFault
from auditsvc.cosigning import Outcome
from auditsvc.flows.restores import Restores
from auditsvc.last_signed import LastSigned
from auditsvc.signing import CheckpointSigner
from auditsvc.tiles import Tree
from infosec.errors import FailedPrecondition
from infosec.ids import CARRIER
from infosec.keys import SigningKeys
from infosec.secret import SecretBytes
from infosec.storage.postgres import Database
from infosec.transparency.checkpoints import Checkpoint, sign_checkpoint
from infosec.transparency.cosignatures import WitnessKey, WitnessSigner
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.notes import NoteKey, NoteSigner, SignedNote, parse_note, parse_signatures, verify_note
from infosec.transparency.witness import AddCheckpoint, Refusal, Refused
from services.witness.state import WitnessFiles
from services.witness.witness import Witness
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.signing import (
    ORIGINS,
    back_up,
    checkpoint_keys,
    grow,
    newest,
    restore,
    signer,
    witness,
    witness_config,
    witnesses,
)

pytestmark = pytest.mark.rule("CI-1")


async def _signed_twice(stand: AuditStand, keys: CheckpointKeys, folder: Path) -> CheckpointSigner:
    """Signed at 300, backed up, and signed at 500."""
    signing = signer(stand, keys, folder)
    await grow(stand, 300)
    await signing.sign_due()
    back_up(stand)
    await grow(stand, 200, first=300)
    await signing.sign_due()
    return signing


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        (0, SigningFault.ROLLED_BACK),
        (100, SigningFault.ROLLED_BACK),
        (200, SigningFault.FORKED),
        (700, SigningFault.FORKED),
    ],
)
async def test_a_database_that_went_back_is_not_signed_while_running_nor_after_a_restart(
    audit: AuditStand, tmp_path: Path, added: int, fault: SigningFault
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = await _signed_twice(audit, keys, tmp_path)
    restore(audit)
    if added:
        await grow(audit, added, first=5000)
    for attempt in (signing, signer(audit, keys, tmp_path)):
        with capture_logs() as logs:
            assert await attempt.sign_due() == ()
            assert await attempt.sign_due() == ()
        assert attempt.refused[EAST].fault is fault
        (told,) = [line for line in logs if line["log_level"] == "critical"]
        assert told["log"] == EAST and "accept-restore" in told["what_to_do"] and told["signed"] == 500
    assert (await newest(audit)).size == 300


@pytest.mark.parametrize(
    ("added", "outcome"),
    [(0, Outcome.ROLLED_BACK), (100, Outcome.ROLLED_BACK), (200, Outcome.FORKED), (700, Outcome.FORKED)],
)
async def test_where_the_record_went_back_too_the_witness_finds_it(
    audit: AuditStand, tmp_path: Path, added: int, outcome: Outcome
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    async with (
        witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running,
        witnesses(audit, running) as asked,
    ):
        await _signed_twice(audit, keys, tmp_path)
        await asked.ask_all()
        restore(audit)
        await grow(audit, added, first=5000)
        await signer(audit, keys, tmp_path / "without a record").sign_due()
        assert (await newest(audit)).size == 300 + added
        with capture_logs() as logs:
            await asked.ask_all()
            await asked.ask_all()
        assert asked.contradictions == {("witness.example/w1", EAST): outcome}
        ours = [line for line in logs if line["event"] == "a witness contradicts the log"]
        assert len(ours) == 1 and ours[0]["fault"] == outcome.value
        at_the_witness = [line for line in logs if line["event"].startswith("a log contradicts")]
        assert all(line["log_level"] == "critical" and line["cosigned_size"] == 500 for line in at_the_witness)
        assert bool(at_the_witness) is bool(running.evidence()) is (outcome is Outcome.FORKED)
        note = parse_note((await newest(audit)).note.encode())
        assert [one.name for one in note.signatures] == [ORIGINS.of(EAST)]


async def test_entries_rewritten_with_their_whole_tree_are_found(audit: AuditStand, tmp_path: Path) -> None:
    signing = await _signed_twice(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    _rewrite(audit, index=7)
    await grow(audit, 3, first=900)
    assert await signing.sign_due() == ()
    assert signing.refused[EAST].fault is SigningFault.FORKED


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("update audit.tiles set hashes = overlay(hashes placing '\\x00'::bytea from 4000) where level = 0", "FORKED"),
        ("delete from audit.tiles", "TREE_BROKEN"),
        ("update audit.logs set edges[1] = overlay(edges[1] placing '\\x00'::bytea from 5)", "FORKED"),
        ("update audit.logs set frontier = overlay(frontier placing '\\x00'::bytea from 5)", "FORKED"),
        ("update audit.logs set size = size + 1", "TREE_BROKEN"),
    ],
)
async def test_a_tree_that_is_tampered_with_in_the_tables_is_not_signed(
    audit: AuditStand, tmp_path: Path, change: str, fault: str
) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    await grow(audit, 130)
    await signing.sign_due()
    await grow(audit, 200, first=130)
    audit.rows(change)
    assert await signing.sign_due() == ()
    assert signing.refused[EAST].fault == fault


async def test_a_checkpoint_signed_with_another_key_deceives_nobody(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = await _signed_twice(audit, keys, tmp_path)
    stolen = NoteSigner.of_seed(ORIGINS.of(EAST), SecretBytes(bytes(32)))
    forged = sign_checkpoint(Checkpoint(origin=ORIGINS.of(EAST), size=501, root=bytes(32)), stolen)
    async with (
        witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running,
        witnesses(audit, running) as asked,
    ):
        audit.rows(
            "insert into audit.checkpoints values ('east', 501, %s, %s, now())", bytes(32), forged.encode().decode()
        )
        assert await signing.sign_due() == ()
        assert signing.refused[EAST].fault is SigningFault.FOREIGN_CHECKPOINT
        await asked.ask_all()
        assert running.seen() == []


async def test_a_restore_that_was_meant_is_accepted_loudly_and_recorded_and_the_witness_still_refuses(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    async with (
        witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running,
        witnesses(audit, running) as asked,
        await Database.connect(audit.addresses.postgres) as admin,
    ):
        signing = await _signed_twice(audit, keys, tmp_path)
        await grow(audit, 1, region=WEST)
        await signing.sign_due()
        await asked.ask_all()
        lost = (await newest(audit)).note
        restore(audit, tables=("logs", "entries", "tiles"))  # the checkpoints were left standing
        await grow(audit, 50, first=5000)
        await signing.sign_due()
        assert signing.refused[EAST].fault is SigningFault.ROLLED_BACK

        restores = Restores(admin, keys, LastSigned(tmp_path / "audit"), audit.appender(db=admin))
        with capture_logs() as logs:
            accepted = await restores.accept(EAST, reason="disk failure of 3 March", now=audit.clock.now())
        assert (accepted.signed_size, accepted.size, accepted.replaced) == (500, 350, 1)
        assert [line["log"] for line in logs if line["log_level"] == "critical"] == [EAST]
        (kept,) = (tmp_path / "audit" / "replaced").iterdir()
        assert json.loads(kept.read_text()) == [lost]
        ((body,),) = audit.rows("select body from audit.entries where type = 'audit.restore-accepted'")
        assert json.loads(bytes(body))["facts"]["signed_size"] == 500  # type: ignore[arg-type]

        assert EAST in await signing.sign_due()
        assert EAST not in signing.refused
        with pytest.raises(FailedPrecondition):
            await restores.accept(EAST, reason="once more", now=audit.clock.now())
        await asked.ask_all()
        assert asked.contradictions == {("witness.example/w1", EAST): Outcome.ROLLED_BACK}


async def test_of_two_requests_that_conflict_one_at_most_is_cosigned(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    config = witness_config(tmp_path / "w", keys.verifiers(EAST))
    async with witness(audit, config) as running, aiohttp.ClientSession(running.url) as http:

        async def post(note: SignedNote) -> tuple[int, bytes]:
            body = AddCheckpoint.of(old_size=0, proof=(), note=note).encode()
            async with http.post("/add-checkpoint", data=body) as answer:
                return answer.status, await answer.read()

        notes = [_note(keys, size=1 + number % 3, leaf=b"%d" % number) for number in range(40)]
        answers = await asyncio.gather(*map(post, notes))
        assert sorted(status for status, _ in answers) == [200] + 39 * [409]
        (won,) = [note for note, (status, _) in zip(notes, answers, strict=True) if status == 200]
        (seen,) = running.seen()
        assert parse_note(seen.read_bytes()).text == won.text


async def test_a_crash_between_the_write_and_the_answer_costs_one_more_request(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    files = _files(tmp_path, audit)

    class Dying(WitnessFiles):
        def record(self, origin: str, note: SignedNote) -> None:
            super().record(origin, note)
            raise OSError("the power is gone")

    note = _note(keys, size=2, leaf=b"one")
    with pytest.raises(OSError):
        _witness(audit, keys, Dying(tmp_path / "w")).add_checkpoint(_request(0, note))
    risen = _witness(audit, keys, files)
    with pytest.raises(Refused) as refused:
        risen.add_checkpoint(_request(0, note))
    assert refused.value.size_body() == b"2\n"
    with pytest.raises(Refused) as forked:
        risen.add_checkpoint(_request(2, _note(keys, size=2, leaf=b"other")))
    assert forked.value.refusal is Refusal.FORKED
    answer = risen.add_checkpoint(_request(2, note))
    verify_note(SignedNote(text=note.text, signatures=parse_signatures(answer.decode())), [_witness_key(files)])


async def test_a_witness_that_cannot_write_cosigns_nothing(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    config = witness_config(tmp_path / "w", keys.verifiers(EAST))
    async with witness(audit, config) as running, aiohttp.ClientSession(running.url) as http:
        (tmp_path / "w" / "seen").rmdir()
        for _ in range(2):
            body = _request(0, _note(keys, size=2, leaf=b"one"))
            async with http.post("/add-checkpoint", data=body) as answer:
                assert answer.status == 500
                assert b"seen" not in await answer.read()


async def test_a_witness_whose_memory_was_tampered_with_does_not_start(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    files = _files(tmp_path, audit)
    _witness(audit, keys, files).add_checkpoint(_request(0, _note(keys, size=2, leaf=b"one")))
    (seen,) = (tmp_path / "w" / "seen").iterdir()
    seen.write_bytes(seen.read_bytes()[:40])
    with pytest.raises(Exception, match="CONFIGURATION"):
        async with witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))):
            pass


async def test_what_is_padded_onto_a_note_is_not_kept(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    files = _files(tmp_path, audit)
    stranger = NoteSigner.of_seed("somebody.example", SecretBytes(bytes(32)))
    note = _note(keys, size=2, leaf=b"one")
    padded = note.with_signatures(stranger.sign(note.text))
    _witness(audit, keys, files).add_checkpoint(_request(0, padded))
    (seen,) = (tmp_path / "w" / "seen").iterdir()
    assert seen.read_bytes() == note.encode()


def test_every_fault_of_signing_says_what_to_do() -> None:
    assert set(WHAT_TO_DO) == set(SigningFault)
    assert str(NotSigned(SigningFault.FORKED)) == "FORKED"


def _rewrite(stand: AuditStand, *, index: int) -> None:
    """What somebody with the owner's password does: another entry, and every hash above it anew."""
    stand.rows("update audit.entries set body = body || ' '::bytea where log_id = 'east' and index = %s", index)
    bodies = [
        bytes(row[0]) for row in stand.rows("select body from audit.entries where log_id = 'east' order by index")
    ]  # type: ignore[arg-type]
    tree, full = Tree().grown([leaf_hash(body) for body in bodies])
    for tile, hashes in full:
        stand.rows(
            "update audit.tiles set hashes = %s where log_id = 'east' and level = %s and index = %s", hashes, *tile
        )
    frontier = b"".join(tree.frontier.hashes)
    stand.rows("update audit.logs set frontier = %s, edges = %s where log_id = 'east'", frontier, list(tree.edges))


def _note(keys: CheckpointKeys, *, size: int, leaf: bytes) -> SignedNote:
    """A checkpoint of some tree, signed with the log's own key."""
    tree, _ = Tree().grown([leaf_hash(leaf)] * size)
    return sign_checkpoint(Checkpoint(origin=ORIGINS.of(EAST), size=size, root=tree.root()), keys.signer(EAST))


def _request(old: int, note: SignedNote, proof: Sequence[bytes] = ()) -> bytes:
    return AddCheckpoint.of(old_size=old, proof=tuple(proof), note=note).encode()


def _files(folder: Path, stand: AuditStand) -> WitnessFiles:
    files = WitnessFiles(folder / "w")
    files.create(SigningKeys.generate("witness", now=stand.clock.now()))
    return files


def _witness(stand: AuditStand, keys: CheckpointKeys, files: WitnessFiles) -> Witness:
    own = files.load_keys()
    watched: dict[str, tuple[NoteKey, ...]] = {ORIGINS.of(EAST): keys.verifiers(EAST)}
    return Witness(watched, WitnessSigner(key=_witness_key(files), sign_bytes=own.sign), files, stand.clock)


def _witness_key(files: WitnessFiles) -> WitnessKey:
    own = files.load_keys()
    return WitnessKey(name="witness.example/w1", public=own.public_keys()[own.active.kid])


async def test_a_log_that_has_gone_altogether_can_be_given_up_by_a_person_only(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = await _signed_twice(audit, keys, tmp_path)
    for table in ("logs", "entries", "tiles"):
        audit.rows(f"delete from audit.{table}")
    await signing.sign_due()
    assert signing.refused[EAST].fault is SigningFault.LOG_GONE
    async with await Database.connect(audit.addresses.postgres) as admin:
        restores = Restores(admin, keys, LastSigned(tmp_path / "audit"), audit.appender(db=admin))
        accepted = await restores.accept(EAST, reason="region closed", now=audit.clock.now())
    assert (accepted.signed_size, accepted.size, accepted.replaced) == (500, 0, 2)
    assert await signing.sign_due() == (CARRIER,)
    assert not signing.refused
    assert audit.rows("select log_id from audit.entries where type = 'audit.restore-accepted'") == [("carrier",)]


async def test_a_broken_tree_cannot_be_accepted(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = await _signed_twice(audit, keys, tmp_path)
    audit.rows("update audit.logs set frontier = overlay(frontier placing '\\x00'::bytea from 5)")
    await signing.sign_due()
    assert EAST in signing.refused
    async with await Database.connect(audit.addresses.postgres) as admin:
        restores = Restores(admin, keys, LastSigned(tmp_path / "audit"), audit.appender(db=admin))
        with pytest.raises(FailedPrecondition):
            await restores.accept(EAST, reason="never mind", now=audit.clock.now())
    assert len(audit.rows("select 1 from audit.checkpoints")) == 2


async def test_of_many_checkpoints_only_those_that_do_not_fit_are_replaced(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    for number in range(9):
        await grow(audit, 40, first=40 * number)
        await signing.sign_due()
        if number == 3:
            back_up(audit)
    restore(audit, tables=("logs", "entries", "tiles"))
    await grow(audit, 300, first=5000)
    await signing.sign_due()
    assert signing.refused[EAST].fault is SigningFault.FORKED
    async with await Database.connect(audit.addresses.postgres) as admin:
        restores = Restores(admin, keys, LastSigned(tmp_path / "audit"), audit.appender(db=admin))
        accepted = await restores.accept(EAST, reason="disk failure", now=audit.clock.now())
    assert accepted.replaced == 5
    await signing.sign_due()
    assert audit.rows("select size from audit.checkpoints order by size") == [(40,), (80,), (120,), (160,), (461,)]
