"""Who looked at a customer's data (CI-8): reads that were allowed and not withdrawn, and nothing of whom nobody may name."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from auditsvc import entry
from auditsvc.flows.who import Inquiry
from auditsvc.selection import Selection
from infosec.decision.operations import CATALOGUE, OperationClass
from infosec.errors import InvalidInput, Reason, Unavailable
from infosec.events.event import Event
from infosec.ids import CARRIER, OperationCode
from infosec.keys import MacKey, MacKind
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.audit_reading import ReadStand, read_stand, received
from tests.sim.signing import grow

pytestmark = pytest.mark.rule("CI-8")
NUMBER, OTHER = "13800000003", "13800000004"


@pytest.fixture
async def stand(audit: AuditStand, tmp_path: Path) -> ReadStand:
    return await read_stand(audit, tmp_path)


async def told(
    stand: ReadStand,
    number: str = NUMBER,
    *,
    size: int = 100,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[entry.Entry]:
    """All pages."""
    found, token = list[entry.Entry](), ""
    while True:
        inquiry = Inquiry(customer=stand.customer(number), since=since, until=until, size=size, token=token)
        page = await stand.who_accessed.page(inquiry, stand.person())
        found += [entry.parse(hit.row.body) for hit in page.hits]
        token = page.next_token
        if not token:
            return found


def withdrawal(stand: ReadStand, of: Event) -> Event:
    facts = {**of.facts, "decision": "DENIED", "reason": "RECORD_UNAVAILABLE", "withdraws": str(of.event_id)}
    return Event(type=of.type, at=stand.audit.clock.now(), region_id=of.region_id, facts=facts)


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_it_says_when_who_where_and_why_oldest_first(stand: ReadStand, size: int) -> None:
    draw, wanted, later = random.Random(size), list[Event](), list[Event]()
    for number in range(60):
        operation = draw.choice(sorted(CATALOGUE))
        decision = draw.choice(("ALLOWED", "DENIED"))
        event = stand.audit.check(
            number,
            region=draw.choice((EAST, WEST)),
            customer=stand.audit.customer(draw.choice((NUMBER, OTHER))),
            operation=operation,
            decision=decision,
            purpose=draw.choice(("ORDER", "COMPLAINT")),
        )
        await stand.audit.append(event)
        if draw.random() < 0.3:
            later.append(withdrawal(stand, event))
        elif (
            event.facts["customer"] == stand.audit.customer(NUMBER)
            and decision == "ALLOWED"
            and CATALOGUE[OperationCode(operation)].cls is OperationClass.READ
        ):
            wanted.append(event)
        stand.audit.advance(seconds=draw.randrange(1, 3))
    await stand.audit.append(*later)
    found = await told(stand, size=size)
    assert [one.event_id for one in found] == [event.event_id for event in wanted]
    for one, event in zip(found, wanted, strict=True):
        assert one.occurred_at == event.at
        for fact in ("staff_id", "role_id", "store_id", "operation", "purpose"):
            assert one.text(fact) == event.facts[fact]


async def test_a_withdrawal_counts_wherever_it_stands(stand: ReadStand) -> None:
    first, second, third = (stand.audit.check(number, customer=stand.audit.customer(NUMBER)) for number in range(3))
    await stand.audit.append(withdrawal(stand, first))  # its record came later than that it was withdrawn
    await stand.audit.append(first, second, third)
    stand.audit.advance(days=9)
    await stand.audit.append(withdrawal(stand, third))
    until = stand.audit.clock.now()
    assert [one.event_id for one in await told(stand, until=until)] == [second.event_id]


async def test_a_read_by_a_code_that_only_the_installation_knows_is_told(stand: ReadStand) -> None:
    events = [
        stand.audit.check(1, customer=stand.audit.customer(NUMBER), operation=code) for code in ("9999", "1302", "1500")
    ]
    await stand.audit.append(*events)
    assert [one.text("operation") for one in await told(stand)] == ["9999", "1500"]


async def test_the_class_that_an_entry_tells_decides_whether_it_was_a_read(stand: ReadStand) -> None:
    told_classes = {"8001": "READ", "8002": "PAY", "8003": None, "1302": None, "1500": "READ"}
    events = [stand.audit.check(1, customer=stand.audit.customer(NUMBER), operation=code) for code in told_classes]
    for event, cls in zip(events, told_classes.values(), strict=True):
        # What a caller says of its order is not taken for the class.
        more = {"operation_class": cls, "trace_id": '"operation_class":"READ"', "order_id": '"operation_class":"PAY"'}
        await stand.audit.append(replace(event, facts={**event.facts, **more}))
    assert [one.text("operation") for one in await told(stand)] == ["8001", "8003", "1500"]


async def test_a_customer_is_found_under_every_key_that_there_was(stand: ReadStand) -> None:
    await stand.audit.append(stand.audit.check(1, customer=stand.audit.customer(NUMBER)))
    kept = stand.audit.keys.mac[MacKind.CUSTOMERS]
    keys = MacKey(kept.kind, kept.records).rotate(now=stand.audit.clock.now())
    digests = keys.digests(NUMBER.encode())
    await stand.audit.append(stand.audit.check(2, customer=digests[0].hex()))
    before = stand.audit.rows("select count(*) from audit.subjects")
    page = await stand.who_accessed.page(Inquiry(customer=digests, size=10), stand.person())
    assert [entry.parse(hit.row.body).facts["revision"] for hit in page.hits] == [1, 2]
    assert stand.audit.rows("select count(*) from audit.subjects") == before


async def test_after_erasure_there_is_nothing_and_the_log_stays_provable(stand: ReadStand) -> None:
    await grow(stand.audit, 300)
    assert len(await told(stand)) == 8
    digest = bytes.fromhex(stand.audit.customer(NUMBER))
    stand.audit.rows("delete from audit.subjects where digest = %s", digest)
    before = stand.audit.rows("select * from audit.subjects order by digest")
    assert await told(stand) == []
    assert stand.audit.rows("select * from audit.subjects order by digest") == before
    assert [one.subject_id is None for one in stand.own("audit.who-accessed")] == [False, True]
    await stand.sign()
    for log_id, one in received(await stand.exported(Selection())).items():
        assert one.root == stand.checkpoint(one.begun.stretch.note, log_id).root
        assert one.gaps == []
    assert len(await told(stand, OTHER)) == 8


@pytest.mark.rule("CI-1")
async def test_who_asked_is_on_record_or_gets_no_answer(stand: ReadStand, audit: AuditStand) -> None:
    await audit.append(audit.check(1, customer=audit.customer(NUMBER)), audit.check(1, region=CARRIER))
    await told(stand, since=audit.clock.now())
    (one,) = stand.own("audit.who-accessed")
    assert one.facts == {
        "staff_id": "sun.qi", "role_id": "auditor", "session_id": str(stand.person().session_id), "system_id": "cli",
        "terminal_id": "hq-t1", "count": 1, "first": "2026-03-02T01:00:00.000000Z",
    }  # fmt: skip
    assert NUMBER not in str(stand.audit.rows("select convert_from(body, 'UTF8') from audit.entries"))
    audit.rows("revoke insert on audit.entries from audit_service")
    with pytest.raises(Unavailable) as refused:
        await told(stand)
    audit.rows("grant insert on audit.entries to audit_service")
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE


async def test_somebody_has_to_be_asked_for(stand: ReadStand) -> None:
    with pytest.raises(InvalidInput):
        await stand.who_accessed.page(Inquiry(customer=(), size=10), stand.person())
