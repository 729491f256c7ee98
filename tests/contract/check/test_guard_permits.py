"""What a store system may tell of checks: its own Guard's decisions, and nothing that only the centre can decide (CI-1)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from infosec.certificates import CallerKind
from infosec.client.audit import AuditClient
from infosec.errors import InvalidInput, PermissionDenied, Reason
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from tests.sim.audit import LocalLog
from tests.sim.check_nodes import PAY, READ, CheckNode, check_node, served
from tests.sim.world import START, World

FACTS: dict[str, Any] = {
    "store_id": "e1",
    "terminal_id": "e1-t1",
    "operation": PAY,
    "operation_class": "PAY",
    "decision": "ALLOWED",
    "reason": "OK",
    "revision": 3,
    "mode": "GUARD",
    "staff_id": "li.na",
}


def told(**facts: Any) -> Event:
    """What a Guard at e1 would tell, but for `facts`."""
    return Event(type=EventType.CHECK_DECIDED, at=START, region_id=RegionId("east"), facts=FACTS | facts)


@pytest.fixture
async def node(world: World) -> CheckNode:
    made = await check_node(world)
    await LocalLog(made.appender).record([told(system_id="crm", mode="CENTRAL")])
    return made


@pytest.fixture
async def crm(node: CheckNode, tmp_path: Path) -> AsyncIterator[AuditClient]:
    async with served(node, tmp_path) as up, up.connection() as connection:
        yield connection.audit


NOT_ITS_OWN = {
    "the centre": ({"mode": "CENTRAL"}, Reason.NOT_PERMITTED),
    "of no mode": ({"mode": None}, Reason.NOT_PERMITTED),
    "a read": ({"operation": READ, "operation_class": "READ"}, Reason.NOT_PERMITTED),
    "an unmasking": ({"operation": "x004", "operation_class": "READ"}, Reason.NOT_PERMITTED),
    "a read of a code of its own": ({"operation": "z001", "operation_class": "READ"}, Reason.NOT_PERMITTED),
    "a read that is called something else": ({"operation": READ}, Reason.NOT_PERMITTED),
    "a payment that is called something else": ({"operation_class": "OPEN"}, Reason.NOT_PERMITTED),
    "allowed, of no class": ({"operation": "z001", "operation_class": None}, Reason.NOT_PERMITTED),
    "of a class that there is not": ({"operation": "z001", "operation_class": "pay"}, Reason.NOT_PERMITTED),
    "neither allowed nor denied": ({"decision": None}, Reason.NOT_PERMITTED),
    "of another decision": ({"decision": "MAYBE"}, Reason.NOT_PERMITTED),
    "what takes a record back": ({"withdraws": str(uuid.UUID(int=9))}, Reason.NOT_PERMITTED),
    "many allowed as one": ({"count": 500}, Reason.NOT_PERMITTED),
    "a digest of its own": ({"customer": "0" * 64}, Reason.NOT_PERMITTED),
    "another system": ({"system_id": "pos"}, Reason.NOT_PERMITTED),
}


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("what", NOT_ITS_OWN)
async def test_a_system_cannot_tell_what_is_not_its_guards(crm: AuditClient, world: World, what: str) -> None:
    facts, reason = NOT_ITS_OWN[what]
    before = len(world.entries())
    with pytest.raises((PermissionDenied, InvalidInput)) as caught:
        await crm.record(told(**facts))
    assert caught.value.reason is reason
    (outcome,) = await crm.record_batch([told(**facts)])
    assert (outcome.reason, outcome.HasField("receipt")) == (reason.value, False)
    assert len(world.entries()) == before


@pytest.mark.rule("CI-1")
async def test_a_system_tells_what_its_guard_allowed_and_every_denial_a_reads_too(
    crm: AuditClient, world: World
) -> None:
    denied = {"decision": "DENIED", "reason": "OPERATION_NOT_PERMITTED"}
    good = [
        told(),
        told(**denied, operation=READ, operation_class="READ"),
        told(**denied, operation="1507", operation_class=None),
        told(operation="z001", operation_class="CHANGE"),
        told(**denied, count=40, first=START.isoformat(), last=START.isoformat()),
    ]
    numbers = {good[0].event_id: "13911112222", good[1].event_id: "13911112222"}
    outcomes = await crm.record_batch([*good[:2], told(mode="CENTRAL"), *good[2:]], customers=numbers)
    assert [outcome.reason for outcome in outcomes] == ["", "", "NOT_PERMITTED", "", "", ""]
    entries = {one["id"]: one for one in world.entries("check.decided") if one["by"] == "system/crm"}
    assert entries.keys() == {str(event.event_id) for event in good}
    assert {one["facts"]["system_id"] for one in entries.values()} == {"crm"}
    named = [entries[str(event_id)].get("subject") for event_id in numbers]
    assert named[0] == named[1] is not None
    assert "13911112222" not in str(entries)


async def test_services_of_this_installation_tell_every_check(world: World) -> None:
    from auditsvc.permits import permitted

    event = told(mode="CENTRAL", operation=READ, system_id="pos")
    assert permitted(event, kind=CallerKind.SERVICE, name="suite", customer_digest=None) is event
