"""Retention: what is past its term goes and nothing else; what is left is proved as before (CI-8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from auditsvc.flows.retaining import RetentionLimits
from auditsvc.store import checkpoints as store
from auditsvc.tiles import WIDTH, hashes_of
from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.errors import Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.transparency.merkle import NodeId
from infosec.transparency.proofs import (
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from infosec.transparency.range_proofs import range_nodes, range_proof, verify_range
from infosec.transparency.ranges import EMPTY
from tests.sim.audit import EAST, SERVICE, WEST, AuditStand
from tests.sim.audit_office import Office, office

TERM = 200
DAYS = {"check.decided": TERM}
SMALL = RetentionLimits(rows_deleted=100, rows_read=70, tiles=1)


@pytest.fixture
async def desk(audit: AuditStand, tmp_path: Path) -> Office:
    return office(audit, tmp_path, days=DAYS, limits=SMALL)


def kept_long(audit: AuditStand, region: RegionId = EAST) -> Event:
    """Something of another type, which is kept for years."""
    facts = {"key_kind": "checkpoint", "key_id": "k"}
    return Event(type=EventType.AUDIT_KEY_ROTATED, at=audit.clock.now(), region_id=region, facts=facts)


def sign(audit: AuditStand) -> None:
    """A checkpoint of every log as it is now."""
    audit.rows(
        "insert into audit.checkpoints (log_id, size, root, note, signed_at)"
        " select log_id, size, '', '', now() from audit.logs on conflict do nothing"
    )


def standing(audit: AuditStand, log_id: RegionId = EAST) -> tuple[int, int]:
    """Where the log begins, and how many rows it has."""
    ((first, rows),) = audit.rows(
        "select first_index, (select count(*) from audit.entries e where e.log_id = l.log_id) from audit.logs l"
        " where log_id = %s",
        log_id,
    )
    return int(str(first)), int(str(rows))


async def applied(desk: Office) -> pb.Act:
    act = await desk.confirm((await desk.retain()).act.act_id)
    while act.state == pb.ACT_STATE_CONFIRMED:
        await desk.work()
        (act, *_) = (await desk.call("ListActs", pb.ListActsRequest(assertion=desk.assertion("ann")))).acts
    return act


def counts(of: pb.RetentionCounts) -> tuple[int, int, int]:
    return of.payloads, of.entries, of.held


@pytest.mark.rule("CI-8")
async def test_a_prefix_goes_whole_and_what_is_past_its_term_behind_it_keeps_its_hash(desk: Office) -> None:
    audit = desk.audit
    await audit.append(*(audit.check(n) for n in range(600)))
    await audit.append(kept_long(audit))
    await audit.append(*(audit.check(n) for n in range(100)))
    audit.advance(days=TERM / 2)
    await audit.append(*(audit.check(n) for n in range(300)))
    sign(audit)
    audit.advance(days=TERM / 2)
    assert counts((await desk.retain(dry_run=True)).counts) == (0, 0, 0)
    audit.advance(seconds=1)
    answer = await desk.retain(dry_run=True)
    assert not answer.HasField("act")
    assert counts(answer.counts) == (600 - 512 + 100, 512, 0)
    act = await applied(desk)
    assert counts(act.retention) == counts(answer.counts)
    assert standing(audit) == (512, 301)
    assert audit.rows("select count(*) from audit.tiles where level = 0 and index < 2") == [(0,)]
    (told,) = [one for one in desk.told() if one.type is EventType.AUDIT_RETENTION_APPLIED]
    assert told.facts["count"] == 700
    assert (told.text("region_id"), told.facts["from_index"], told.facts["to_index"]) == (EAST, 0, 512)
    assert counts((await desk.retain(dry_run=True)).counts) == (0, 0, 0)


@pytest.mark.rule("CI-8")
async def test_what_a_hold_keeps_stays_and_goes_when_it_is_lifted(desk: Office) -> None:
    audit = desk.audit
    await audit.append(*(audit.check(n) for n in range(600)))  # forty customers in turn
    hold = await desk.hold(number="13800000039")
    sign(audit)
    audit.advance(days=TERM + 1)
    assert counts((await desk.retain(dry_run=True)).counts) == (585, 0, 15)
    assert counts((await applied(desk)).retention) == (585, 0, 15)
    assert standing(audit) == (0, 15)
    await desk.confirm((await desk.release(hold.hold_id)).act_id)
    assert counts((await applied(desk)).retention) == (3, 512, 0)
    assert standing(audit) == (512, 0)


@pytest.mark.rule("CI-8")
async def test_retention_waits_for_a_hold_that_is_being_placed(desk: Office) -> None:
    audit = desk.audit
    await audit.append(*(audit.check(n) for n in range(300)))
    sign(audit)
    ((subject_id,),) = audit.rows("select subject_id from audit.entries where index = 3")
    audit.advance(days=TERM + 1)
    proposed = (await desk.retain()).act
    with audit.connected(SERVICE) as other:
        other.autocommit = False
        other.execute("select 1 from audit.gates where name = 'holds' for share")
        other.execute(
            "insert into audit.holds (hold_id, subject_ids, reason, placed_by, placed_at)"
            " values (gen_random_uuid(), array[%s::uuid], '', 'cora', now())",
            (subject_id,),
        )
        retaining = asyncio.create_task(desk.confirm(proposed.act_id))
        await desk.until_it_waits(retaining)
        other.commit()
    assert (await retaining).retention.held == 8
    assert audit.rows("select count(*) from audit.entries where subject_id = %s", subject_id) == [(8,)]


async def test_nothing_goes_that_no_checkpoint_vouches_for(desk: Office) -> None:
    audit = desk.audit
    await audit.append(*(audit.check(n) for n in range(300)))
    sign(audit)
    await audit.append(*(audit.check(n) for n in range(300)))
    audit.advance(days=TERM + 1)
    assert counts((await applied(desk)).retention) == (44, 256, 0)
    assert standing(audit) == (256, 300)


async def test_each_log_is_judged_for_itself(desk: Office) -> None:
    audit = desk.audit
    await audit.append(*(audit.check(n) for n in range(300)), *(audit.check(n, region=WEST) for n in range(20)))
    sign(audit)
    audit.advance(days=TERM + 1)
    await audit.append(audit.check(0, region=WEST))
    assert counts((await applied(desk)).retention) == (44 + 20, 256, 0)
    assert (standing(audit), standing(audit, WEST)) == ((256, 0), (0, 1))
    told = [one for one in desk.told() if one.type is EventType.AUDIT_RETENTION_APPLIED]
    assert [one.text("region_id") for one in told] == [EAST, WEST]


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13])
async def test_a_retention_that_is_killed_goes_on_from_there(audit: AuditStand, tmp_path: Path, steps: int) -> None:
    await audit.append(*(audit.check(n) for n in range(900)))
    sign(audit)
    audit.advance(days=TERM + 1)
    limits = RetentionLimits(rows_deleted=100, rows_read=70, tiles=1, steps_in_call=steps)
    first = office(audit, tmp_path, days=DAYS, limits=limits)
    act = await first.confirm((await first.retain()).act.act_id)
    for _ in range(30):
        if act.state == pb.ACT_STATE_DONE:
            break
        again = office(audit, tmp_path, days=DAYS, limits=limits)
        await again.retaining.carry_out(UUID(act.act_id), in_call=True)
        (act, *_) = (await again.call("ListActs", pb.ListActsRequest(assertion=again.assertion("ann")))).acts
    assert act.state == pb.ACT_STATE_DONE
    assert counts(act.retention) == (900 - 768, 768, 0)
    await first.work()
    told = [one for one in first.told() if one.type is EventType.AUDIT_RETENTION_APPLIED]
    assert [one.facts["count"] for one in told] == [900]
    assert standing(audit) == (768, 0)


async def test_two_processes_that_carry_out_one_retention_count_each_entry_once(
    audit: AuditStand, tmp_path: Path
) -> None:
    await audit.append(*(audit.check(n) for n in range(900)))
    sign(audit)
    audit.advance(days=TERM + 1)
    one, two = (office(audit, tmp_path, days=DAYS, limits=SMALL) for _ in range(2))
    one.log.is_away = True
    with pytest.raises(Unavailable):
        await one.retain()
    one.log.is_away = False
    (act, *_) = (await one.call("ListActs", pb.ListActsRequest(assertion=one.assertion("ann")))).acts
    one.log.loses_answers = True
    with pytest.raises(Unavailable):
        await one.confirm(act.act_id)
    one.log.loses_answers = False
    await asyncio.gather(one.work(), two.work())
    (act, *_) = (await one.call("ListActs", pb.ListActsRequest(assertion=one.assertion("ann")))).acts
    assert act.state == pb.ACT_STATE_DONE
    assert counts(act.retention) == (900 - 768, 768, 0)


async def test_a_log_of_which_all_is_gone_goes_on(desk: Office) -> None:
    audit = desk.audit
    first = await audit.append(*(audit.check(n) for n in range(512)))
    sign(audit)
    audit.advance(days=TERM + 1)
    await applied(desk)
    assert standing(audit) == (512, 0)
    more = await audit.append(*(audit.check(n) for n in range(300)))
    assert more[0].index == 512
    await check_proofs(audit, [one.leaf_hash for one in (*first, *more)])


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("size", [257, 511, 512, 700, 1030])
async def test_every_proof_about_what_is_left_verifies(desk: Office, size: int) -> None:
    audit = desk.audit
    receipts = await audit.append(*(audit.check(n) for n in range(size)))
    sign(audit)
    audit.advance(days=TERM + 1)
    receipts += await audit.append(*(audit.check(n) for n in range(70)))
    await applied(desk)
    assert standing(audit) == (size - size % WIDTH, 70)
    await check_proofs(audit, [one.leaf_hash for one in receipts])


async def check_proofs(audit: AuditStand, leaves: Sequence[bytes]) -> None:
    """Of inclusion, range and consistency, between many sizes of the tree."""
    begins_at, _ = standing(audit)
    size = len(leaves)
    roots = {0: EMPTY.root()}
    tree = EMPTY
    for number, leaf in enumerate(leaves, 1):
        tree, _ = tree.append(leaf)
        roots[number] = tree.root()
    sizes = sorted({size, begins_at + 1, *range(begins_at + 1, size, 23)})
    async with audit.db.transaction() as conn:
        stored = await store.tree(conn, EAST)
        assert stored is not None
        assert stored.root() == roots[size]

        async def hashes(nodes: Sequence[NodeId]) -> dict[NodeId, bytes]:
            assert stored is not None
            return hashes_of(nodes, await store.tiles_of(conn, EAST, stored, nodes))

        for at in sizes:
            for index in {begins_at, (begins_at + at) // 2, at - 1}:
                proof = inclusion_proof(index, at, await hashes(inclusion_nodes(index, at)))
                verify_inclusion(index=index, size=at, leaf_hash=leaves[index], proof=proof, root=roots[at])
            start = (begins_at + at) // 2
            part = range_proof(start, at, size, await hashes(range_nodes(start, at, size)))
            verify_range(part, leaves[start:at], size=size, root=roots[size])
            for old in (*range(WIDTH, begins_at + 1, WIDTH), begins_at + 1, (begins_at + at + 1) // 2):
                if 0 < old <= at:
                    between = consistency_proof(old, at, await hashes(consistency_nodes(old, at)))
                    verify_consistency(size1=old, size2=at, root1=roots[old], root2=roots[at], proof=between)
