"""What a hostile reading of the audit service found: one caller in the way of the others, refusals that left no trace (CI-1)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from auditsvc.appending import AppendLimits, Outcome, Receipt, Submission
from auditsvc.permits import permitted
from infosec.certificates import CallerKind
from infosec.errors import InfosecError, InvalidInput, Reason, ResourceExhausted
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId
from tests.sim.audit import EAST, RECORDER, START, WEST, AuditStand
from tests.sim.audit_office import office
from tests.sim.servers import sync_connection

pytestmark = pytest.mark.rule("CI-1")

SYSTEM = "system/crm"


def ordered(audit: AuditStand, numbers: Sequence[int], region: RegionId) -> list[Event]:
    """Events of these numbers for one log; the same number is the same event ID in every log."""
    return [replace(audit.check(n, region=region, customer=None), event_id=uuid.UUID(int=n)) for n in numbers]


SLOWLY = """
create function audit.slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return new; end';
create trigger slowly before insert on audit.entries for each row execute function audit.slowly()"""


async def test_two_logs_that_are_sent_the_same_ids_in_opposite_order_do_not_lock_each_other_out(
    audit: AuditStand,
) -> None:
    await audit.append(audit.check(1), audit.check(2, region=WEST))
    for statement in SLOWLY.split(";\ncreate trigger"):
        audit.rows(statement if "function audit.slowly() returns" in statement else f"create trigger{statement}")
    appender = audit.appender()
    there, back = ordered(audit, (10, 11), EAST), ordered(audit, (11, 10), WEST)
    east, west = await asyncio.gather(
        *(appender.append([Submission(one, RECORDER) for one in ids], may_begin_log=True) for ids in (there, back))
    )
    assert [isinstance(one, Receipt) for one in (*east, *west)].count(True) == 2
    assert {one.reason for one in (*east, *west) if isinstance(one, InfosecError)} == {Reason.ALREADY_EXISTS}
    assert audit.rows("select count(*) from audit.entries") == [(4,)]


async def test_a_customer_whose_key_does_not_open_stops_nobody_else(audit: AuditStand) -> None:
    await audit.append(audit.check(1))
    audit.rows("update audit.subjects set data_key = 'not sealed by us'")
    appender = audit.appender()
    with audit.blocked(EAST):
        first = asyncio.create_task(appender.append([Submission(audit.check(9), RECORDER)], may_begin_log=True))
        await asyncio.sleep(0.1)
        waiting = [
            asyncio.create_task(appender.append([Submission(audit.check(n), RECORDER)], may_begin_log=True))
            for n in (2, 1, 3)
        ]
        await asyncio.sleep(0.1)
    assert isinstance((await first)[0], Receipt)
    (two,), (broken,), (three,) = await asyncio.gather(*waiting)
    assert isinstance(two, Receipt)
    assert isinstance(three, Receipt)
    assert isinstance(broken, InfosecError)
    assert broken.reason is Reason.RECORD_UNAVAILABLE


async def test_one_system_that_floods_leaves_room_for_the_others(audit: AuditStand) -> None:
    await audit.append(audit.check(0))
    appender = audit.appender(AppendLimits(max_waiting=100, max_of_systems=50))

    def send(number: int, by: str) -> asyncio.Task[list[Outcome]]:
        submission = Submission(audit.check(number), by)
        return asyncio.create_task(appender.append([submission], may_begin_log=by != SYSTEM))

    with audit.blocked(EAST):
        flood = [send(n, SYSTEM) for n in range(1, 200)]
        await asyncio.sleep(0.2)
        ours = [send(n, RECORDER) for n in range(200, 210)]
        await asyncio.sleep(0.1)
    assert all(isinstance(one, Receipt) for outcomes in await asyncio.gather(*ours) for one in outcomes)
    refused = [one for outcomes in await asyncio.gather(*flood) for one in outcomes if not isinstance(one, Receipt)]
    assert refused
    assert all(isinstance(one, ResourceExhausted) for one in refused)


async def test_a_system_that_names_regions_without_end_takes_no_connection_from_the_others(audit: AuditStand) -> None:
    await audit.append(audit.check(0))
    appender = audit.appender()
    made_up = [Submission(audit.check(n, region=RegionId(f"r{n}")), SYSTEM) for n in range(1000)]
    flood = [asyncio.create_task(appender.append(made_up, may_begin_log=False)) for _ in range(4)]
    await asyncio.sleep(0)
    for number in range(20):
        (outcome,) = await appender.append([Submission(audit.check(5000 + number), RECORDER)], may_begin_log=True)
        assert isinstance(outcome, Receipt), outcome
    refused = [one for outcomes in await asyncio.gather(*flood) for one in outcomes]
    assert not any(isinstance(one, Receipt) for one in refused)


async def test_an_announcement_that_the_log_refuses_holds_up_no_other(audit: AuditStand, tmp_path: Path) -> None:
    desk = office(audit, tmp_path)
    await audit.append(audit.check(1), audit.check(1, region=CARRIER))
    act = await desk.erase()
    squatted = uuid.uuid5(uuid.UUID(act.act_id), "confirmed")
    await audit.append(replace(audit.check(7, region=CARRIER), event_id=squatted), recorded_by=SYSTEM)
    with pytest.raises(InfosecError) as refused:
        await desk.confirm(act.act_id)
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    subjects = desk.subjects()
    hold = await desk.hold(number="13800000007")
    assert hold.hold_id
    assert "hold-placed" in [kind.replace("_", "-").replace(".", "-") for kind in desk.told_types()], desk.told_types()
    with pytest.raises(InfosecError):
        await desk.work()
    assert desk.subjects() == subjects, "what the log does not tell of is not carried out"


async def test_an_announcement_of_another_release_holds_up_no_other(audit: AuditStand, tmp_path: Path) -> None:
    desk = office(audit, tmp_path)
    await audit.append(audit.check(1))
    strange = Event(type=EventType.AUDIT_ACT_EXPIRED, at=audit.clock.now(), facts={"unheard_of": "x"})
    with sync_connection(audit.addresses.postgres) as connection:
        for body in (strange.body(), b"{}"):
            row = (uuid.uuid4(), body)
            connection.execute("insert into audit.announcements (event_id, body) values (%s, %s)", row)
    assert (await desk.hold()).hold_id
    assert "hold.placed" in [kind.replace("_", ".").replace("-", ".") for kind in desk.told_types()], desk.told_types()


def test_a_system_uses_no_id_that_the_suite_derives() -> None:
    facts = {"store_id": "e1", "system_id": "crm"}
    audit_event = Event(type=EventType.CUSTOMER_VISITED, at=START, region_id=EAST, facts=facts)
    derived = replace(audit_event, event_id=uuid.uuid5(uuid.uuid4(), "confirmed"))
    with pytest.raises(InvalidInput) as refused:
        permitted(derived, kind=CallerKind.SYSTEM, name="crm", customer_digest="a" * 64)
    assert refused.value.details["field"] == "event_id"
    assert permitted(audit_event, kind=CallerKind.SYSTEM, name="crm", customer_digest="a" * 64)
