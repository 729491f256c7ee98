"""Erasure: who a customer was is gone for good, also from a restored backup, and every proof stays valid (CI-8)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditsvc.appending import Appender
from auditsvc.batch import Receipt, Submission
from auditsvc.entry import parse
from auditsvc.erasures import FILE, Erasure, ErasureJournal, Settled
from auditsvc.flows.erasing import replay
from auditsvc.opened_subjects import OpenedSubjects
from auditsvc.store import checkpoints as store
from auditsvc.store import subjects
from auditsvc.subjects import opened
from auditsvc.tiles import hashes_of
from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.errors import Internal, Misconfigured, Unavailable
from infosec.keys import MacKey, MacKind, SealingKind
from infosec.private_files import locked
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.proofs import inclusion_nodes, inclusion_proof, verify_inclusion
from tests.sim.audit import EAST, RECORDER, AuditStand
from tests.sim.audit_office import NUMBER, Office, office

_SUBJECTS = "select digest, subject_id, data_key, made_at from audit.subjects"


@pytest.fixture
async def desk(audit: AuditStand, tmp_path: Path) -> Office:
    await audit.append(*(audit.check(number) for number in range(300)))
    return office(audit, tmp_path)


def put_back(audit: AuditStand, rows: list[tuple[object, ...]]) -> None:
    """As a restored backup would."""
    for row in rows:
        audit.rows(
            "insert into audit.subjects (digest, subject_id, data_key, made_at) values (%s, %s, %s, %s)"
            " on conflict do nothing",
            *row,
        )


async def erased(desk: Office) -> pb.Act:
    return await desk.confirm((await desk.erase()).act_id)


@pytest.mark.rule("CI-8")
async def test_every_entry_and_every_proof_stays_as_it_was(desk: Office) -> None:
    before = desk.audit.rows("select index, body from audit.entries where log_id = %s order by index", EAST)
    await erased(desk)
    assert desk.audit.rows("select index, body from audit.entries where log_id = %s order by index", EAST) == before
    async with desk.audit.db.transaction() as conn:
        tree = await store.tree(conn, EAST)
        assert tree is not None
        for index, body in before:
            nodes = inclusion_nodes(int(str(index)), tree.size)
            hashes = hashes_of(nodes, await store.tiles_of(conn, EAST, tree, nodes))
            proof = inclusion_proof(int(str(index)), tree.size, hashes)
            leaf = leaf_hash(bytes(body))  # type: ignore[call-overload]
            verify_inclusion(index=int(str(index)), size=tree.size, leaf_hash=leaf, proof=proof, root=tree.root())


@pytest.mark.rule("CI-8")
async def test_what_was_sealed_opens_with_no_key_that_is_left(desk: Office) -> None:
    subject_id = (await desk.erase()).subject_id
    entries = desk.audit.rows("select body from audit.entries where subject_id = %s order by index", subject_id)
    sealed = [parse(bytes(body)) for (body,) in entries]  # type: ignore[call-overload]
    assert all(entry.sealed["order_id"] for entry in sealed)
    await erased(desk)
    keys = desk.audit.keys.sealing[SealingKind.SUBJECTS]
    left = desk.audit.rows("select subject_id, data_key from audit.subjects")
    for left_id, data_key in left:
        subject = opened(left_id, bytes(data_key), keys)  # type: ignore[arg-type, call-overload]
        with pytest.raises(Internal):
            subject.open(sealed[0].event_id, "order_id", sealed[0].sealed["order_id"])
    assert desk.audit.customer(NUMBER) not in str(desk.audit.rows("select * from audit.subjects"))


@pytest.mark.rule("CI-8")
async def test_who_comes_back_is_somebody_else(desk: Office) -> None:
    """Also in a process that had the old key in memory."""
    first = (await desk.erase()).subject_id
    await erased(desk)
    event = desk.audit.check(1)
    await desk.audit.append(event)
    ((now_is, body),) = desk.audit.rows(
        "select subject_id, body from audit.entries where event_id = %s", event.event_id
    )
    assert str(now_is) != first
    ((data_key,),) = desk.audit.rows("select data_key from audit.subjects where subject_id = %s", now_is)
    subject = opened(now_is, bytes(data_key), desk.audit.keys.sealing[SealingKind.SUBJECTS])  # type: ignore[arg-type, call-overload]
    read = parse(bytes(body))  # type: ignore[call-overload]
    assert subject.open(read.event_id, "order_id", read.sealed["order_id"]) == "order-1"


@pytest.mark.rule("CI-8")
async def test_another_process_that_had_the_key_in_memory_appends_nothing_under_it(desk: Office) -> None:
    elsewhere, before, after = desk.audit.appender(), desk.audit.check(1), desk.audit.check(1)
    await elsewhere.append([Submission(before, RECORDER)], may_begin_log=True)
    await erased(desk)
    await elsewhere.append([Submission(after, RECORDER)], may_begin_log=True)
    subject_of = dict(desk.audit.rows("select event_id, subject_id from audit.entries where subject_id is not null"))
    known = {row[0] for row in desk.audit.rows("select subject_id from audit.subjects")}
    assert subject_of[before.event_id] not in known
    assert subject_of[after.event_id] in known


@pytest.mark.rule("CI-8")
async def test_another_process_drops_the_key_from_its_memory_without_being_asked_for_anything(desk: Office) -> None:
    lane, customer = asyncio.Semaphore(1), desk.audit.customer(NUMBER)
    elsewhere = OpenedSubjects(desk.audit.db, desk.audit.keys.sealing[SealingKind.SUBJECTS], desk.audit.clock)
    before = (await elsewhere.of({customer}, lane)).subjects[customer]
    following = asyncio.create_task(elsewhere.follow(timedelta(milliseconds=5)))
    assert (await elsewhere.of({customer}, lane)).subjects[customer] == before
    await erased(desk)
    async with asyncio.timeout(60):
        while (await elsewhere.of({customer}, lane)).subjects[customer] == before:
            await asyncio.sleep(0.005)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.rule("CI-8")
async def test_under_any_interleaving_nothing_is_appended_about_somebody_who_is_gone(desk: Office) -> None:
    """Four processes append about two customers while these are erased again and again."""
    audit, is_over = desk.audit, asyncio.Event()
    digests = [bytes.fromhex(audit.customer(f"1380000{number:04}")) for number in (1, 2)]

    async def appending(appender: Appender) -> int:
        count = 0
        while not is_over.is_set():
            events = [audit.check(number) for number in (1, 2)]
            outcomes = await appender.append([Submission(event, RECORDER) for event in events], may_begin_log=True)
            count += sum(isinstance(outcome, Receipt) for outcome in outcomes)
        return count

    appenders = [audit.appender() for _ in range(4)]
    running = [asyncio.create_task(appending(one)) for one in appenders]
    gone: dict[object, int] = {}
    for _ in range(25):
        async with audit.keeper.transaction() as conn:
            found = await subjects.find(conn, digests)
            for subject_id in await subjects.erase(conn, [subject_id for subject_id, _ in found]):
                head = await conn.execute("select size from audit.logs where log_id = %s", (EAST,))
                gone[subject_id] = (await head.fetchone() or (0,))[0]
        await asyncio.sleep(0.01)
    is_over.set()
    assert sum([await one for one in running]) > 0
    entries = audit.rows("select subject_id, index from audit.entries where subject_id is not null")
    assert {subject_id for subject_id, _ in entries} & gone.keys()
    assert not [index for subject_id, index in entries if subject_id in gone and index >= gone[subject_id]]  # type: ignore[operator]


@pytest.mark.rule("CI-8")
async def test_an_erasure_reaches_behind_a_rotation_of_the_key_that_names_customers(
    audit: AuditStand, tmp_path: Path
) -> None:
    before = audit.keys.mac[MacKind.CUSTOMERS]
    await audit.append(audit.check(1))
    rotated = MacKey(before.kind, before.records).rotate(now=audit.clock.now())  # in memory: the file is everybody's
    audit.keys = replace(audit.keys, mac={**audit.keys.mac, MacKind.CUSTOMERS: rotated})
    await audit.append(audit.check(1))
    desk = office(audit, tmp_path)
    assert desk.subjects() == 2
    await erased(desk)
    assert desk.subjects() == 0
    assert desk.told_types() == ["act-proposed", "act-confirmed", "subject-erased", "subject-erased"]


@pytest.mark.rule("CI-8")
async def test_a_restored_backup_shows_no_erased_subject(desk: Office) -> None:
    backup = desk.audit.rows(_SUBJECTS)
    act = await erased(desk)
    put_back(desk.audit, backup)
    # A backup is older than the act itself.
    desk.audit.rows("delete from audit.acts")
    assert desk.subjects() == 40
    assert await replay(ErasureJournal(desk.journal.path.parent), desk.audit.keeper) == 1
    assert await replay(ErasureJournal(desk.journal.path.parent), desk.audit.keeper) == 0
    assert desk.audit.rows("select count(*) from audit.subjects where subject_id = %s", act.subject_id) == [(0,)]
    assert desk.subjects() == 39
    await desk.work()
    assert desk.told_types().count("subject-erased") == 1


async def test_the_log_of_a_restored_backup_tells_of_the_erasure_again(desk: Office) -> None:
    backup = desk.audit.rows(_SUBJECTS)
    act = await erased(desk)
    put_back(desk.audit, backup)
    (told,) = [entry for entry in desk.told() if entry.type.value == "audit.subject-erased"]
    for table in ("acts", "retries"):
        desk.audit.rows(f"delete from audit.{table}")
    desk.audit.rows("delete from audit.entries where log_id = 'carrier'")
    desk.audit.rows("delete from audit.logs where log_id = 'carrier'")
    await replay(desk.journal, desk.audit.keeper)
    again = office(desk.audit, desk.journal.path.parent)
    await again.work()
    (retold,) = again.told()
    assert (retold.event_id, retold.facts, retold.occurred_at) == (told.event_id, told.facts, told.occurred_at)
    assert retold.text("act_id") == act.act_id


async def test_a_backup_in_which_the_act_was_still_open_lets_it_be_confirmed_again(desk: Office) -> None:
    backup = desk.audit.rows(_SUBJECTS)
    act = await erased(desk)
    put_back(desk.audit, backup)
    desk.audit.rows("update audit.acts set state = 'PROPOSED', decided_by = null, decided_at = null")
    desk.audit.rows("delete from audit.retries")
    desk.audit.rows("delete from audit.entries where log_id = 'carrier'")
    desk.audit.rows("delete from audit.logs where log_id = 'carrier'")
    assert await replay(desk.journal, desk.audit.keeper) == 1
    again = office(desk.audit, desk.journal.path.parent)
    await again.work()
    desk.audit.advance(minutes=1)
    assert (await again.confirm(act.act_id)).state == pb.ACT_STATE_DONE
    assert again.told_types() == ["subject-erased", "act-confirmed"]
    put_back(desk.audit, backup)
    assert await replay(desk.journal, desk.audit.keeper) == 1
    await again.work()
    assert again.told_types() == ["subject-erased", "act-confirmed", "subject-erased"]


@pytest.mark.rule("CI-8")
async def test_nothing_is_erased_that_the_journal_does_not_know(desk: Office) -> None:
    proposed = await desk.erase()
    desk.journal.is_full = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    with pytest.raises(Unavailable):
        await desk.work()
    assert desk.subjects() == 40
    assert "subject-erased" not in desk.told_types()
    desk.journal.is_full = False
    await desk.work()
    assert desk.subjects() == 39
    assert await desk.states() == [pb.ACT_STATE_DONE]


async def test_a_process_that_died_between_journal_and_commit_is_finished_by_the_next(desk: Office) -> None:
    proposed = await desk.erase()
    desk.journal.dies_after = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    assert desk.subjects() == 40
    assert await replay(desk.journal, desk.audit.keeper) == 1
    again = office(desk.audit, desk.journal.path.parent)
    await again.work()
    assert await again.states() == [pb.ACT_STATE_DONE]
    assert again.told_types() == ["act-proposed", "act-confirmed", "subject-erased"]


async def test_a_hold_that_came_between_outlives_a_restart(desk: Office) -> None:
    proposed = await desk.erase()
    desk.journal.dies_after = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    await desk.hold()
    assert await replay(desk.journal, desk.audit.keeper) == 0
    assert desk.subjects() == 40
    await desk.work()
    assert await desk.states() == [pb.ACT_STATE_BLOCKED]
    assert await replay(desk.journal, desk.audit.keeper) == 0


async def test_what_was_blocked_stays_so_whatever_a_process_that_was_held_up_notes_afterwards(desk: Office) -> None:
    """It had taken the act up and noted nothing yet when its session was ended, and the hold came."""
    proposed = await desk.erase()
    desk.journal.is_full = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    hold = await desk.hold()
    desk.journal.is_full = False
    await desk.work()
    assert await desk.states() == [pb.ACT_STATE_BLOCKED]
    ((act_id, decided_at, subject_id),) = desk.audit.rows("select act_id, decided_at, subject_ids[1] from audit.acts")
    late = Erasure(act_id=act_id, subject_ids=(subject_id,), at=decided_at)  # type: ignore[arg-type]
    desk.journal.add(late)
    assert desk.journal.read() == []
    desk.audit.advance(minutes=1)
    await desk.confirm((await desk.release(hold.hold_id)).act_id)
    assert await replay(desk.journal, desk.audit.keeper) == 0
    desk.journal.add(replace(late, at=desk.audit.clock.now()))  # nor whatever else the journal says of it
    assert await replay(desk.journal, desk.audit.keeper) == 0
    assert desk.subjects() == 40


async def test_what_was_taken_back_and_is_carried_out_after_all_is_in_the_journal(desk: Office) -> None:
    """The hold was blocking it when the commit was lost, and was lifted before the next try."""
    backup = desk.audit.rows(_SUBJECTS)
    proposed = await desk.erase()
    desk.journal.dies_after = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    desk.journal.dies_after = False
    for _ in range(2):
        ((act_id, decided_at, subject_id),) = desk.audit.rows(
            "select act_id, decided_at, subject_ids[1] from audit.acts"
        )
        desk.journal.take_back(desk.journal.settled().next_of(act_id, (subject_id,), decided_at))  # type: ignore[arg-type]
        assert desk.journal.read() == []
    await desk.work()
    assert await desk.states() == [pb.ACT_STATE_DONE]
    (noted,) = desk.journal.read()
    assert noted.at == decided_at + timedelta(microseconds=2)  # type: ignore[operator]
    length = desk.journal.length()
    put_back(desk.audit, backup)
    assert await replay(desk.journal, desk.audit.keeper) == 1
    assert desk.journal.length() == length, "nothing was missing in it"


async def test_a_start_erases_nobody_who_is_taken_back_while_it_reads(desk: Office) -> None:
    """The hold is placed, the act blocked and the hold released between its first look at the journal and its second."""
    proposed = await desk.erase()
    desk.journal.dies_after = True
    with pytest.raises(Unavailable):
        await desk.confirm(proposed.act_id)
    desk.journal.dies_after = False
    reads = 0

    class Meanwhile(ErasureJournal):
        def settled(self) -> Settled:
            nonlocal reads
            reads += 1
            found = super().settled()
            if reads == 1:
                for erasure in found.erased.values():
                    desk.journal.take_back(erasure)
            return found

    assert await replay(Meanwhile(desk.journal.path.parent), desk.audit.keeper) == 0
    assert reads == 2
    assert desk.subjects() == 40


async def test_a_journal_that_another_process_keeps_locked_holds_up_no_start_for_ever(desk: Office) -> None:
    await erased(desk)
    with locked(desk.journal.path.parent), pytest.raises(Unavailable):
        await replay(desk.journal, desk.audit.keeper)
    assert await replay(desk.journal, desk.audit.keeper) == 0


async def test_a_hold_of_a_backup_does_not_bring_back_who_was_erased_after_it_was_lifted(desk: Office) -> None:
    hold = await desk.hold()
    backup = desk.audit.rows(_SUBJECTS)
    await desk.confirm((await desk.release(hold.hold_id)).act_id)
    await erased(desk)
    put_back(desk.audit, backup)
    desk.audit.rows("delete from audit.acts")
    desk.audit.rows("update audit.holds set released_at = null, released_by = null")
    assert await replay(desk.journal, desk.audit.keeper) == 1


async def test_a_lost_journal_is_filled_from_the_acts(desk: Office) -> None:
    backup = desk.audit.rows(_SUBJECTS)
    await erased(desk)
    whole = desk.journal.read()
    desk.journal.path.unlink()
    assert await replay(desk.journal, desk.audit.keeper) == 0
    assert desk.journal.read() == whole
    put_back(desk.audit, backup)
    assert await replay(desk.journal, desk.audit.keeper) == 1


async def test_the_journal_is_private_and_names_random_ids_alone(desk: Office) -> None:
    act = await erased(desk)
    path = desk.journal.path
    assert path.name == FILE
    assert path.stat().st_mode & 0o777 == 0o600
    (line,) = path.read_text().splitlines()
    assert json.loads(line).keys() == {"v", "what", "act", "subjects", "at"}
    assert json.loads(line)["subjects"] == [act.subject_id]
    assert NUMBER not in line
    assert desk.audit.customer(NUMBER) not in line


async def test_a_line_without_its_end_is_passed_over_and_a_broken_one_stops_the_start(desk: Office) -> None:
    path = desk.journal.path
    act = await erased(desk)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"act": "torn')
    assert [str(one.act_id) for one in desk.journal.read()] == [act.act_id]
    second = await desk.confirm((await desk.erase(number="13800000002")).act_id)
    assert [str(one.act_id) for one in desk.journal.read()] == [act.act_id, second.act_id]
    for broken in (b"{}\n", b"nonsense\n", whole.replace(b"erased", b"burned")):
        path.write_bytes(whole + broken)
        with pytest.raises(Misconfigured):
            await replay(desk.journal, desk.audit.keeper)
