"""Appending on a real database: receipts that are final, indices without gaps, each event judged for itself."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace

import psycopg
import pytest

from auditsvc import entry, opened_subjects
from auditsvc.appending import AppendLimits
from auditsvc.batch import Receipt, Submission
from auditsvc.tiles import Tree
from infosec.errors import AlreadyExists, InfosecError, InvalidInput, Reason, ResourceExhausted
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.ranges import EMPTY
from tests.sim.audit import EAST, KEEPER, RECORDER, SERVICE, WEST, AuditStand


def stored_tree(audit: AuditStand, log_id: str) -> Tree:
    ((size, frontier, edges),) = audit.rows("select size, frontier, edges from audit.logs where log_id = %s", log_id)
    return Tree.stored(size, bytes(frontier), edges)  # type: ignore[arg-type]


def bodies(audit: AuditStand, log_id: str) -> list[bytes]:
    return [
        bytes(row[0]) for row in audit.rows("select body from audit.entries where log_id = %s order by index", log_id)
    ]  # type: ignore[arg-type]


@pytest.mark.rule("CI-1")
async def test_a_receipt_says_where_the_entry_stands_and_the_tree_has_it(audit: AuditStand) -> None:
    receipts = await audit.append(*(audit.check(n) for n in range(600)))
    assert [receipt.index for receipt in receipts] == list(range(600))
    found = bodies(audit, EAST)
    assert [leaf_hash(body) for body in found] == [receipt.leaf_hash for receipt in receipts]
    whole, _ = EMPTY.extend(receipt.leaf_hash for receipt in receipts)
    assert stored_tree(audit, EAST).root() == whole.root()
    assert audit.rows("select count(*) from audit.tiles where level = 0") == [(2,)]


async def test_the_tree_is_the_same_however_the_events_came(audit: AuditStand) -> None:
    draw, receipts = random.Random(7), []
    for number in range(40):
        receipts += await audit.append(*(audit.check(number) for _ in range(draw.choice((1, 2, 3, 60)))))
    whole, _ = EMPTY.extend(receipt.leaf_hash for receipt in receipts)
    assert stored_tree(audit, EAST).frontier == whole


@pytest.mark.parametrize("writers", [1, 4])
async def test_indices_have_no_gaps_whoever_writes(audit: AuditStand, writers: int) -> None:
    appenders = [audit.appender() for _ in range(writers)]

    async def record(number: int) -> Receipt:
        submission = Submission(audit.check(number, region=(EAST, WEST)[number % 2]), RECORDER)
        (outcome,) = await appenders[number % writers].append([submission], may_begin_log=True)
        assert isinstance(outcome, Receipt)
        return outcome

    receipts = await asyncio.gather(*(record(number) for number in range(400)))
    for log_id in (EAST, WEST):
        mine = sorted((receipt for receipt in receipts if receipt.log_id == log_id), key=lambda receipt: receipt.index)
        assert [receipt.index for receipt in mine] == list(range(200))
        whole, _ = EMPTY.extend(receipt.leaf_hash for receipt in mine)
        assert stored_tree(audit, log_id).root() == whole.root()


async def test_a_retry_gets_the_first_receipt_and_other_content_is_a_conflict(audit: AuditStand) -> None:
    first = audit.check(1)
    (receipt,) = await audit.append(first)
    audit.advance(minutes=5)
    assert await audit.append(first) == [receipt]
    changed = replace(first, facts={**first.facts, "reason": "CHANGED"})
    other_customer = replace(first, facts={**first.facts, "customer": audit.customer("13999999999")})
    nobody = replace(first, facts={name: value for name, value in first.facts.items() if name != "customer"})
    fresh = audit.check(2)
    outcomes = await audit.try_append(changed, fresh, other_customer, nobody, first)
    assert [outcomes[1], outcomes[4]] == [Receipt(EAST, 1, outcomes[1].leaf_hash), receipt]  # type: ignore[union-attr]
    for refused in (outcomes[0], outcomes[3]):
        assert isinstance(refused, AlreadyExists)
        assert refused.reason is Reason.ALREADY_EXISTS
    (by_another,) = await audit.try_append(first, recorded_by="system/crm")
    assert isinstance(by_another, AlreadyExists)
    assert len(bodies(audit, EAST)) == 2


async def test_an_event_twice_in_one_batch_is_one_entry(audit: AuditStand) -> None:
    event = audit.check(1)
    one, two = await audit.append(event, event)
    assert one == two
    assert len(bodies(audit, EAST)) == 1


async def test_the_same_event_gives_the_same_bytes(audit: AuditStand) -> None:
    event = audit.check(3)
    (receipt,) = await audit.append(event)
    (body,) = bodies(audit, EAST)
    read = entry.parse(body)
    assert "order_id" not in read.facts
    assert "order-3" not in body.decode()
    assert audit.customer("13800000003") not in body.decode()
    audit.rows("delete from audit.entries")
    again = (await audit.append(event))[0]
    assert again.leaf_hash == receipt.leaf_hash


async def test_time_does_not_go_back_within_a_log(audit: AuditStand) -> None:
    await audit.append(audit.check(1))
    audit.rows("update audit.logs set recorded_at = recorded_at + interval '1 hour'")
    await audit.append(audit.check(2))
    first, second = (entry.parse(body).recorded_at for body in bodies(audit, EAST))
    assert (second - first).total_seconds() == 3600


async def test_a_log_begins_only_for_whom_it_may(audit: AuditStand) -> None:
    (outcome,) = await audit.appender().append([Submission(audit.check(1), "system/crm")], may_begin_log=False)
    assert isinstance(outcome, InvalidInput)
    await audit.append(audit.check(1))
    (outcome,) = await audit.appender().append([Submission(audit.check(2), "system/crm")], may_begin_log=False)
    assert isinstance(outcome, Receipt)


async def test_a_full_queue_refuses_and_a_stopped_appender_tells_who_waits(audit: AuditStand) -> None:
    await audit.append(audit.check(0))
    appender = audit.appender(AppendLimits(max_waiting=10))
    with audit.blocked(EAST):
        waiting = [
            asyncio.create_task(appender.append([Submission(audit.check(n), RECORDER)], may_begin_log=True))
            for n in range(1, 30)
        ]
        await asyncio.sleep(0.2)
        refused = [task.result()[0] for task in waiting if task.done()]
        assert refused
        assert all(isinstance(one, ResourceExhausted) for one in refused)
        await appender.close()
    ended = [one for task in waiting for one in await task]
    assert all(isinstance(one, InfosecError) for one in ended)
    assert len(bodies(audit, EAST)) == 1


@pytest.mark.parametrize("role", [SERVICE, KEEPER])
@pytest.mark.parametrize(
    "statement",
    [
        "update audit.entries set body = ''",
        "update audit.entries set index = index + 1",
        "update audit.tiles set hashes = ''",
        "update audit.subjects set data_key = ''",
        "update audit.logs set log_id = 'x'",
        "delete from audit.logs",
        "truncate audit.entries",
        "drop table audit.entries",
        "alter table audit.entries disable trigger all",
    ],
)
async def test_no_role_can_change_what_was_recorded(audit: AuditStand, role: str, statement: str) -> None:
    await audit.append(audit.check(1))
    before = audit.rows("select * from audit.entries")
    with audit.connected(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]
    assert audit.rows("select * from audit.entries") == before


@pytest.mark.parametrize(
    "statement",
    [
        "delete from audit.entries",
        "delete from audit.tiles",
        "delete from audit.subjects",
        "delete from audit.checkpoints",
    ],
)
async def test_the_service_cannot_delete(audit: AuditStand, statement: str) -> None:
    with audit.connected(SERVICE) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "statement", ["insert into audit.entries values ('east', 0, %s, now(), 'x', null, null, null, null, null, '')"]
)
async def test_the_keeper_cannot_append(audit: AuditStand, statement: str) -> None:
    with audit.connected(KEEPER) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement, (uuid.uuid4(),))  # type: ignore[call-overload]


async def test_of_all_customers_ever_named_some_are_kept_in_memory(
    audit: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_subjects, "_KEPT", 10)
    appender = audit.appender()
    for _ in range(2):
        for number in range(0, 40, 4):
            events = [audit.check(number + more) for more in range(4)]  # of four customers
            outcomes = await appender.append([Submission(event, RECORDER) for event in events], may_begin_log=True)
            assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert len(appender._subjects._kept) == 10
    assert audit.rows("select count(distinct subject_id), count(*) from audit.entries") == [(40, 80)]
