"""Logs that grow are signed; what does not continue what was signed is not. On a real database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import SigningFault, proof_between
from auditsvc.last_signed import LastSigned, Signed
from auditsvc.signing import CheckpointSigner
from auditsvc.store import checkpoints as store
from infosec.errors import Misconfigured
from infosec.events import catalogue
from infosec.events.event import Event
from infosec.ids import RegionId
from infosec.keys import SigningKeys
from infosec.transparency.checkpoints import extends, open_checkpoint
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import NoteKey
from infosec.transparency.proofs import consistency_nodes
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.signing import ORIGINS, checkpoint_keys, grow, newest, signer


@pytest.mark.rule("CI-1")
async def test_a_log_that_grew_is_signed_once_and_verifies_with_the_published_key(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    assert await signing.sign_due() == ()
    await grow(audit, 3)
    await grow(audit, 1, region=WEST)
    assert set(await signing.sign_due()) == {EAST, WEST}
    assert await signing.sign_due() == ()

    found = await newest(audit)
    published = [NoteKey.parse(vkey) for vkey in keys.vkeys(EAST)]
    opened = open_checkpoint(found.note.encode(), origin=f"carrier.example/audit/7e57ab1e/{EAST}", keys=published)
    assert opened.checkpoint.size == found.size == 3
    assert opened.checkpoint.root == found.root
    assert LastSigned(tmp_path / "audit").read()[EAST].root == found.root


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("steps", [(1, 1, 254), (256, 1), (255, 2, 600), (700, 68, 256)])
async def test_checkpoints_continue_each_other_across_the_edges_of_tiles(
    audit: AuditStand, tmp_path: Path, steps: tuple[int, ...]
) -> None:
    signing, size = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path), 0
    for step in steps:
        await grow(audit, step, first=size)
        size += step
        assert await signing.sign_due() == (EAST,)
        assert (await newest(audit)).size == size
    assert not signing.refused


@pytest.mark.parametrize("folders", [("one", "other"), ("shared", "shared")], ids=["a record each", "one record"])
async def test_several_processes_sign_the_same_logs(
    audit: AuditStand, tmp_path: Path, folders: tuple[str, str]
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    one, other = (signer(audit, keys, tmp_path / folder) for folder in folders)
    for number in range(3):
        await grow(audit, 5, first=5 * number)
        await one.sign_due()
        await other.sign_due()
    sizes = audit.rows("select size from audit.checkpoints order by size")
    assert sizes == [(5,), (10,), (15,)]
    assert not one.refused and not other.refused


async def test_what_was_judged_against_another_record_than_the_present_one_is_not_signed(
    audit: AuditStand, tmp_path: Path
) -> None:
    """Between looking and signing the process was held up: another signed a larger tree, or a restore was accepted."""
    keys = checkpoint_keys(tmp_path, audit)
    await grow(audit, 5)
    await signer(audit, keys, tmp_path).sign_due()

    class HeldUp(LastSigned):
        meanwhile: Signed

        def advance(self, signed: Mapping[RegionId, Signed], judged: Mapping[RegionId, Signed]) -> frozenset[RegionId]:
            LastSigned(self.path.parent).accept(EAST, self.meanwhile, reason="in between")
            return super().advance(signed, judged)

    record = HeldUp(tmp_path / "audit")
    held_up = CheckpointSigner(audit.db, keys, audit.clock, record)
    await grow(audit, 5, first=5)
    now = audit.clock.now()
    for size in (2, 12, 10):
        record.meanwhile = Signed(size=size, root=bytes(32), at=now)
        before = record.read()[EAST].size
        assert await held_up.sign_due() == (), f"a record of {size}, where {before} was looked at"
        assert record.read()[EAST].root == bytes(32)
        record.accept(EAST, Signed(size=5, root=(await newest(audit)).root, at=now), reason="as it was")
    assert audit.rows("select size from audit.checkpoints") == [(5,)]
    assert await signer(audit, keys, tmp_path).sign_due() == (EAST,)


async def test_a_crash_between_the_record_and_the_note_is_made_good(audit: AuditStand, tmp_path: Path) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    await grow(audit, 4)
    await signing.sign_due()
    audit.rows("delete from audit.checkpoints")  # the record outside knows size 4, the database no note
    assert await signing.sign_due() == (EAST,)
    assert (await newest(audit)).size == 4


async def test_a_rotated_key_is_taken_up_while_running_and_the_old_one_still_verifies(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    await grow(audit, 2)
    await signing.sign_due()
    before, (old,) = await newest(audit), keys.verifiers(EAST)

    SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now())
    await grow(audit, 2, first=2)
    await signing.sign_due()
    after, (active, retired) = await newest(audit), keys.verifiers(EAST)
    assert retired == old and active != old

    origin = ORIGINS.of(EAST)
    assert open_checkpoint(before.note.encode(), origin=origin, keys=[old]).checkpoint.size == 2
    assert open_checkpoint(after.note.encode(), origin=origin, keys=[active]).checkpoint.size == 4
    with pytest.raises(NotVerified) as refused:
        open_checkpoint(after.note.encode(), origin=origin, keys=[old])
    assert refused.value.what is Fault.NOT_SIGNED


async def test_a_key_file_that_is_not_whole_is_passed_over(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    (tmp_path / "checkpoint.json").write_text("{")
    await grow(audit, 2)
    assert await signing.sign_due() == (EAST,)


async def test_one_log_that_must_not_be_signed_keeps_no_other_from_it(audit: AuditStand, tmp_path: Path) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    await grow(audit, 2)
    await grow(audit, 2, region=WEST)
    await signing.sign_due()
    audit.rows("delete from audit.logs where log_id = 'east'")
    await grow(audit, 2, region=WEST, first=2)
    assert await signing.sign_due() == (WEST,)
    assert {log_id: refusal.fault for log_id, refusal in signing.refused.items()} == {EAST: SigningFault.LOG_GONE}


async def test_a_record_of_what_was_signed_that_is_not_whole_stops_the_start(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    await grow(audit, 1)
    await signer(audit, keys, tmp_path).sign_due()
    path = LastSigned(tmp_path / "audit").path
    path.write_text(path.read_text()[:-10])
    with pytest.raises(Misconfigured) as refused:
        signer(audit, keys, tmp_path)
    assert refused.value.details["path"] == str(path)


async def test_the_smallest_checkpoint_of_at_least_a_size_is_found(audit: AuditStand, tmp_path: Path) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    for number in range(3):
        await grow(audit, 10, first=10 * number)
        await signing.sign_due()
    async with audit.db.transaction() as conn:
        sizes = [await store.at_least(conn, EAST, size) for size in (1, 10, 11, 30, 31)]
    assert [one and one.size for one in sizes] == [10, 10, 20, 30, None]


async def test_every_signed_tree_begins_with_those_before_it(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    for number in range(4):
        await grow(audit, 150, first=150 * number)
        await signing.sign_due()
    async with audit.db.transaction() as conn:
        tree = await store.tree(conn, EAST)
        assert tree is not None
        notes = [await store.at_least(conn, EAST, size) for size in (150, 300, 450, 600)]
        checkpoints = [
            open_checkpoint(one.note.encode(), origin=ORIGINS.of(EAST), keys=keys.verifiers(EAST)).checkpoint
            for one in notes
            if one is not None
        ]
        for old in checkpoints:
            for new in checkpoints:
                if old.size <= new.size:
                    nodes = consistency_nodes(old.size, new.size)
                    tiles = await store.tiles_of(conn, EAST, tree, nodes)
                    extends(old, new, proof_between(old.size, new.size, tiles))


async def test_a_rotation_is_recorded_once_for_all_processes(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    recorded: list[Event] = []

    async def record(event: Event) -> None:
        catalogue.check(event)
        await audit.append(event)
        recorded.append(event)

    processes = [
        CheckpointSigner(audit.db, keys, audit.clock, LastSigned(tmp_path / name), record=record)
        for name in ("one", "other")
    ]
    for signing in processes:
        await signing.sign_due()
    assert recorded == []
    rotated = SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now())
    for signing in processes:
        await signing.sign_due()
        await signing.sign_due()
    assert [event.facts["key_id"] for event in recorded] == 2 * [rotated.active.kid]
    assert audit.rows("select count(*) from audit.entries where type = 'audit.key-rotated'") == [(1,)]


class _Late(CheckpointKeys):
    """Looks at the file only when it is asked a second time: it was changed in between."""

    asked = 0

    def refresh(self) -> None:
        self.asked += 1
        if self.asked % 2 == 0:
            super().refresh()


async def test_what_is_signed_with_a_key_newer_than_ours_is_not_taken_for_foreign(
    audit: AuditStand, tmp_path: Path
) -> None:
    first = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path / "first")
    lagging = _Late(SigningKeys.load(tmp_path / "checkpoint.json"), ORIGINS)
    SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now())
    await grow(audit, 2)
    await first.sign_due()
    await grow(audit, 2, first=2)
    second = signer(audit, lagging, tmp_path / "second")
    assert await second.sign_due() == (EAST,)
    assert not second.refused


async def test_a_process_that_has_not_seen_a_rotation_yet_does_not_announce_the_old_key(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    lagging = _Late(SigningKeys.load(tmp_path / "checkpoint.json"), ORIGINS)
    recorded: list[object] = []

    async def record(event: Event) -> None:
        recorded.append(event.facts["key_id"])

    first, second = (
        CheckpointSigner(audit.db, each, audit.clock, LastSigned(tmp_path / "audit"), record=record)
        for each in (keys, lagging)
    )
    await first.sign_due()
    rotated = SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now()).active.kid
    await first.sign_due()
    await second.sign_due()
    assert recorded == [rotated]
    assert LastSigned(tmp_path / "audit").key() == rotated


async def test_of_old_checkpoints_one_an_hour_is_left_and_the_newest(audit: AuditStand, tmp_path: Path) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    for number in range(9):
        await grow(audit, 1, first=number)
        await signing.sign_due()
        audit.advance(minutes=20)
    async with audit.keeper.transaction() as conn:
        assert await store.thin(conn, audit.clock.now() - timedelta(hours=1)) == 4
        assert await store.thin(conn, audit.clock.now() - timedelta(hours=1)) == 0
    assert audit.rows("select size from audit.checkpoints order by size") == [(1,), (4,), (7,), (8,), (9,)]
    audit.advance(days=1)
    async with audit.keeper.transaction() as conn:
        await store.thin(conn, audit.clock.now())
    assert audit.rows("select size from audit.checkpoints order by size") == [(1,), (4,), (7,), (9,)]
    assert await signing.sign_due() == ()


async def test_after_a_stolen_key_was_forgotten_signing_goes_on_with_the_new_one(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    await grow(audit, 2)
    await signing.sign_due()
    SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now()).forget_retired()
    await grow(audit, 2, first=2)
    assert await signing.sign_due() == (EAST,)
    assert len(keys.verifiers(EAST)) == 1


async def test_the_doctor_looks_without_signing(audit: AuditStand, tmp_path: Path) -> None:
    signing = signer(audit, checkpoint_keys(tmp_path, audit), tmp_path)
    await grow(audit, 2)
    assert await signing.check() == {}
    assert audit.rows("select count(*) from audit.checkpoints") == [(0,)]
    await signing.sign_due()
    audit.rows("update audit.logs set size = 0, frontier = '', edges = '{}'")
    assert (await signing.check())[EAST].fault is SigningFault.ROLLED_BACK
