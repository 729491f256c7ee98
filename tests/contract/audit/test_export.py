"""Exports, put together by the receiver's own arithmetic: every row proved, every gap bridged, broken ones gone on with."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditsvc.flows import exporting as exporting_flow
from auditsvc.flows.exporting import Begun, Ended, Part
from auditsvc.selection import Selection
from auditsvc.stretches import MAX_BYTES, MAX_ROWS, Gap, Resumed, Row, in_messages
from auditsvc.tiles import Tree
from infosec.errors import FailedPrecondition, InvalidInput, Reason, Unavailable
from infosec.ids import CARRIER, OperationCode, RegionId, StaffId
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.range_proofs import RangeProof, verify_range
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.audit_reading import EXPORT_ID, ReadStand, Received, Stored, read_stand, received
from tests.sim.signing import grow

ALL = Selection()
IN_EAST = Selection(log_ids=(EAST,))
OF_CLERK = Selection(log_ids=(EAST,), staff_ids=(StaffId("clerk.3"),))


@pytest.fixture
async def stand(audit: AuditStand, tmp_path: Path) -> ReadStand:
    return await read_stand(audit, tmp_path)


def verified(stand: ReadStand, one: Received) -> None:
    """The hashes add up to the root that the log signed, and each row is what its hash says."""
    stretch = one.begun.stretch
    checkpoint = stand.checkpoint(stretch.note, stretch.log_id)
    assert checkpoint.size == stretch.size
    assert one.root == checkpoint.root
    assert all(leaf_hash(row.body) == row.leaf_hash for row in one.rows.values() if row.body)


def in_log(stored: Sequence[Stored], log_id: RegionId) -> dict[int, bytes]:
    return {one.index: one.body for one in stored if one.log_id == log_id}


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 513, 1024, 1025, 1500])
async def test_a_whole_log_is_proved_complete(stand: ReadStand, size: int) -> None:
    await grow(stand.audit, size)
    await stand.sign()
    stored = in_log(stand.stored(), EAST)
    parts = await stand.exported(IN_EAST)
    (one,) = received(parts).values()
    verified(stand, one)
    assert {at: row.body for at, row in one.rows.items()} == stored
    assert one.gaps == []
    assert one.begun.expected == size
    ended = parts[-1]
    assert isinstance(ended, Ended)
    proof = RangeProof(start=0, end=size, size=size, left=tuple(one.begun.left), right=tuple(ended.right))
    root = stand.checkpoint(one.begun.stretch.note, EAST).root
    verify_range(proof, (leaf_hash(body) for body in stored.values()), size=size, root=root)


@pytest.mark.rule("CI-1")
async def test_an_entry_that_was_edited_in_the_database_is_found_at_its_place(stand: ReadStand) -> None:
    await grow(stand.audit, 600)
    await stand.sign()
    stand.audit.rows("update audit.entries set body = set_byte(body, 40, 7) where index in (3, 411)")
    for chosen, places in ((IN_EAST, [3, 411]), (OF_CLERK, [3])):
        (one,) = received(await stand.exported(chosen)).values()
        assert one.root == stand.checkpoint(one.begun.stretch.note, EAST).root
        assert [at for at, row in one.rows.items() if leaf_hash(row.body) != row.leaf_hash] == places


@pytest.mark.parametrize("seed", range(3))
async def test_what_does_not_match_is_bridged_by_hashes(
    stand: ReadStand, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(exporting_flow, "_LEAST", draw.choice((3, 50, 500)))
    monkeypatch.setattr(exporting_flow, "_MATCHES_AT_ONCE", draw.choice((1, 7, 100)))
    size = draw.randrange(600, 1500)
    common = draw.choice((0.01, 0.3, 0.9))
    some = {at for at in range(size) if draw.random() < common}
    for first in range(0, size, 100):
        await stand.audit.append(
            *(
                stand.audit.check(at, operation="1104" if at in some else "1500")
                for at in range(first, min(first + 100, size))
            )
        )
        stand.audit.advance(seconds=draw.randrange(3))
    await stand.sign()
    stored = stand.stored()
    for _ in range(6):
        since, until = sorted(draw.choice(stored).recorded_at for _ in "ab")
        chosen = Selection(
            operations=(OperationCode("1104"),),
            since=since if draw.random() < 0.7 else None,
            until=until if draw.random() < 0.7 else None,
        )
        (one,) = received(await stand.exported(replace(chosen, log_ids=(EAST,)))).values()
        verified(stand, one)
        assert set(one.rows) == {
            each.index
            for each in stored
            if each.index in some
            and (chosen.since is None or each.recorded_at >= chosen.since)
            and (chosen.until is None or each.recorded_at < chosen.until)
        }
        assert all(len(gap.hashes) <= 2 * size.bit_length() for gap in one.gaps)


@pytest.mark.parametrize("chosen", [IN_EAST, OF_CLERK], ids=["whole", "filtered"])
async def test_an_export_that_broke_goes_on_at_every_row(stand: ReadStand, chosen: Selection) -> None:
    await grow(stand.audit, 300)
    await stand.sign()
    whole = await stand.exported(chosen)
    begun = whole[0]
    assert isinstance(begun, Begun)
    (one,) = received(whole).values()
    items = [item for part in whole if isinstance(part, list) for item in part]
    await grow(stand.audit, 40, first=300)  # the log grows on, and is signed on
    await stand.sign()
    stretch = begun.stretch
    for count in range(0, len(items) + 1, 1 if chosen is OF_CLERK else 13):
        broken: list[Part] = [begun, *in_messages(items[:count])]
        next_index = stretch.start if not count else end_of(items[count - 1])
        resumed = Resumed(log_id=EAST, start=stretch.start, end=stretch.end, size=stretch.size, next_index=next_index)
        rest = await stand.exported(chosen, resumed)
        before = received([*broken, Ended(log_id=EAST, right=[])]) if next_index == stretch.end else partly(broken)
        (again,) = received(rest, before).values()
        verified(stand, again)
        assert again.rows == one.rows


def end_of(item: Row | Gap) -> int:
    return item.end if isinstance(item, Gap) else item.position + 1


def partly(parts: Sequence[Part]) -> dict[RegionId, Received]:
    """A log that broke in the middle."""
    begun, *pieces = parts
    assert isinstance(begun, Begun)
    (one,) = received(
        [replace(begun, stretch=replace(begun.stretch, end=0, size=0)), Ended(log_id=EAST, right=[])]
    ).values()
    one.begun = begun
    for piece in pieces:
        assert isinstance(piece, list)
        for item in piece:
            one.add(item)
    return {EAST: one}


async def test_all_logs_are_exported_and_each_is_proved(stand: ReadStand) -> None:
    await grow(stand.audit, 30)
    await grow(stand.audit, 300, region=WEST)
    await stand.sign()
    await grow(stand.audit, 1, region=CARRIER)  # no checkpoint yet: it will be in the next export
    logs = received(await stand.exported(ALL))
    assert {log_id: len(one.rows) for log_id, one in logs.items()} == {EAST: 30, WEST: 300}
    for one in logs.values():
        verified(stand, one)
    with pytest.raises(FailedPrecondition):
        await stand.exported(Selection(log_ids=(CARRIER,)))


async def test_what_is_newer_than_the_checkpoint_is_not_in_it(stand: ReadStand) -> None:
    await grow(stand.audit, 300)
    await stand.sign()
    await grow(stand.audit, 300, first=300)
    (one,) = received(await stand.exported(IN_EAST)).values()
    verified(stand, one)
    assert list(one.rows) == list(range(300))


async def test_a_period_is_a_range_whose_surroundings_are_hashes(stand: ReadStand) -> None:
    for day in range(10):
        await grow(stand.audit, 77, first=77 * day)
        stand.audit.advance(days=1)
    await stand.sign()
    moments = sorted({one.recorded_at for one in stand.stored()})
    (one,) = received(await stand.exported(replace(IN_EAST, since=moments[3], until=moments[6]))).values()
    verified(stand, one)
    assert list(one.rows) == list(range(3 * 77, 6 * 77))
    assert one.gaps == []
    late = replace(IN_EAST, since=moments[-1] + timedelta(seconds=1))
    (nothing,) = received(await stand.exported(late)).values()
    verified(stand, nothing)
    assert nothing.rows == {}


async def test_entries_that_retention_has_taken_keep_their_place_by_their_hash(stand: ReadStand) -> None:
    await grow(stand.audit, 600)
    await stand.sign()
    stored = in_log(stand.stored(), EAST)
    gone = [at for at in range(600) if at % 3 == 0 or 200 < at < 290]
    stand.audit.rows("delete from audit.entries where log_id = 'east' and index = any(%s)", gone)
    (one,) = received(await stand.exported(IN_EAST)).values()
    verified(stand, one)
    assert one.gaps == []
    assert {at: row.body for at, row in one.rows.items()} == stored | dict.fromkeys(gone, b"")
    (some,) = received(await stand.exported(OF_CLERK)).values()
    verified(stand, some)
    assert set(some.rows) == {at for at in range(600) if at % 7 == 3 and at not in gone}


async def test_a_beginning_that_retention_has_taken_is_hashes_of_the_tree(stand: ReadStand) -> None:
    await grow(stand.audit, 800)
    await stand.sign()
    before = Resumed(log_id=EAST, start=0, end=800, size=800, next_index=511)
    stand.audit.rows("update audit.logs set first_index = 512 where log_id = 'east'")
    stand.audit.rows("delete from audit.entries where log_id = 'east' and index < 512")
    stand.audit.rows("delete from audit.tiles where log_id = 'east' and level = 0 and index < 2")
    for chosen in (IN_EAST, OF_CLERK):
        (one,) = received(await stand.exported(chosen)).values()
        verified(stand, one)
        assert one.begun.stretch.start == 512
        with pytest.raises(FailedPrecondition) as refused:
            await stand.exported(chosen, before)
        assert refused.value.reason is Reason.STATE_CONFLICT
        rest = await stand.exported(chosen, replace(before, next_index=512))
        assert [part.stretch.next_index for part in rest if isinstance(part, Begun)] == [512]


async def test_retention_in_the_middle_of_an_export_ends_it(stand: ReadStand) -> None:
    await grow(stand.audit, 3000)
    await stand.sign()
    export = await stand.exporting.begin(IN_EAST, (), EXPORT_ID, stand.person())
    parts = stand.exporting.parts(export)
    assert isinstance(await anext(parts), Begun)
    await anext(parts)
    stand.audit.rows("update audit.logs set first_index = 2560 where log_id = 'east'")
    stand.audit.rows("delete from audit.entries where log_id = 'east' and index < 2560")
    stand.audit.rows("delete from audit.tiles where log_id = 'east' and level = 0 and index < 10")
    with pytest.raises(FailedPrecondition) as refused:
        async for _ in parts:
            pass
    assert refused.value.reason is Reason.STATE_CONFLICT


@pytest.mark.rule("CI-8")
async def test_of_a_customer_who_was_erased_nothing_is_exported_and_the_log_stays_provable(stand: ReadStand) -> None:
    await grow(stand.audit, 300)
    chosen = replace(IN_EAST, customer=stand.customer("13800000005"))
    await stand.sign()
    (one,) = received(await stand.exported(chosen)).values()
    verified(stand, one)
    assert sorted(one.rows) == [at for at in range(300) if at % 40 == 5]
    digest = bytes.fromhex(stand.audit.customer("13800000005"))
    stand.audit.rows("delete from audit.subjects where digest = %s", digest)
    (none,) = received(await stand.exported(chosen)).values()
    verified(stand, none)
    assert none.rows == {}
    (whole,) = received(await stand.exported(IN_EAST)).values()
    verified(stand, whole)
    assert len(whole.rows) == 300
    assert stand.audit.rows("select 1 from audit.subjects where digest = %s", digest) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 299}, {"size": 301}, {"size": 2**63, "end": 300}, {"next_index": 301}, {"start": 5, "next_index": 4},
        {"end": 301}, {"log_id": "north"}, {"log_id": "west"},
    ],
)  # fmt: skip
async def test_only_what_was_begun_can_go_on(stand: ReadStand, wrong: dict[str, object]) -> None:
    await grow(stand.audit, 300)
    await grow(stand.audit, 300, region=WEST)
    await stand.sign()
    await grow(stand.audit, 1, first=300)
    values = {"log_id": EAST, "start": 0, "end": 300, "size": 300, "next_index": 100, **wrong}
    with pytest.raises(InvalidInput):
        await stand.exported(IN_EAST, Resumed(**values))  # type: ignore[arg-type]
    assert stand.own("audit.exported") == []


@pytest.mark.rule("CI-1")
async def test_an_export_is_on_record_before_its_first_row(stand: ReadStand, audit: AuditStand) -> None:
    await grow(audit, 5)
    await grow(audit, 5, region=WEST)
    await stand.sign()
    number = "13800000003"
    chosen = Selection(customer=stand.customer(number), until=audit.clock.now() + timedelta(days=1))
    export = await stand.exporting.begin(chosen, (), EXPORT_ID, stand.person())
    told = stand.own("audit.exported")
    assert [one.facts["region_id"] for one in told] == [one.log_id for one in export.stretches] == [EAST, WEST]
    assert told[0].facts == {
        "staff_id": "sun.qi", "role_id": "auditor", "session_id": str(stand.person().session_id), "system_id": "cli",
        "terminal_id": "hq-t1", "export_id": EXPORT_ID, "region_id": "east", "from_index": 0, "to_index": 5,
        "tree_size": 5, "is_complete": False, "filter": "until=2026-03-03T01:00:00.000000Z customer=named",
    }  # fmt: skip
    assert told[0].subject_id is not None
    await audit.append(audit.check(1, region=CARRIER))
    audit.rows("revoke insert on audit.entries from audit_service")
    with pytest.raises(Unavailable) as refused:
        await stand.exporting.begin(ALL, (), EXPORT_ID, stand.person())
    audit.rows("grant insert on audit.entries to audit_service")
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE


def test_messages_are_of_bounded_size() -> None:
    draw = random.Random(1)
    items = [Row(at, b"h" * 32, b"x" * draw.choice((10, 700, 20_000))) for at in range(3000)]
    messages = list(in_messages(items))
    assert [item for message in messages for item in message] == items
    assert max(map(len, messages)) <= MAX_ROWS
    assert all(sum(len(item.body) for item in message if isinstance(item, Row)) <= MAX_BYTES for message in messages)
    assert len(list(in_messages([Row(0, b"h" * 32, b"x" * (2 * MAX_BYTES)), items[0]]))) == 2


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_memory_does_not_grow_with_what_is_exported(stand: ReadStand) -> None:
    async def consumed(chosen: Selection) -> tuple[int, int]:
        """Rows, and the most memory on the way."""
        export = await stand.exporting.begin(chosen, (), EXPORT_ID, stand.person())
        rows = most = 0
        async for part in stand.exporting.parts(export):
            rows += sum(isinstance(item, Row) for item in part) if isinstance(part, list) else 0
            most = max(most, resident())
        return rows, most

    await grow(stand.audit, 2000)
    multiply(stand.audit, 50)
    await stand.sign()
    first, before = await consumed(replace(IN_EAST, until=stand.audit.clock.now()))
    assert first == 0
    for chosen, count in ((IN_EAST, 100_000), (OF_CLERK, 50 * 286)):
        rows, most = await consumed(chosen)
        assert rows == count
        assert most - before < 48 << 20  # the rows themselves are 60 MiB


def multiply(audit: AuditStand, times: int) -> None:
    """Make of a log one that is so many times as long, with every entry again and again, faster than by appending."""
    bodies = [bytes(row[0]) for row in audit.rows("select body from audit.entries order by index")]  # type: ignore[call-overload]
    audit.rows(
        "insert into audit.entries select log_id, index + %s * n, gen_random_uuid(), recorded_at, type, store_id, staff_id,"
        " operation, decision, subject_id, body from audit.entries, generate_series(1, %s) as n",
        len(bodies),
        times - 1,
    )
    tree, full = Tree().grown([leaf_hash(body) for body in bodies] * times)
    audit.rows("delete from audit.tiles")
    audit.rows(
        "insert into audit.tiles select 'east', * from unnest(%s::smallint[], %s::bigint[], %s::bytea[])",
        [tile.level for tile, _ in full],
        [tile.position for tile, _ in full],
        [hashes for _, hashes in full],
    )
    audit.rows(
        "update audit.logs set size = %s, frontier = %s, edges = %s where log_id = 'east'",
        tree.size,
        b"".join(tree.frontier.hashes),
        list(tree.edges),
    )
