"""Whoever floods or breaks the recording gains nothing by it: no allow without a record, no false record that stays (CI-1)."""

from __future__ import annotations

import asyncio

import pytest

from infosec.errors import Reason, Unavailable
from infosec.events.event import Event
from tests.faults.books import Entries
from tests.sim.audit import LocalLog
from tests.sim.check_nodes import PAY, READ, check_node, question
from tests.sim.login_nodes import login_node
from tests.sim.world import World

FLOOD = 200


class LosesAnswers:
    """Records, and cannot say so."""

    def __init__(self) -> None:
        self.log: LocalLog | None = None
        self.ids: set[str] = set()

    async def record(self, event: Event) -> None:
        assert self.log is not None
        assert list(await self.log.record([event])) == [None]
        self.ids.add(str(event.event_id))
        raise Unavailable(Reason.RECORD_UNAVAILABLE)


@pytest.mark.rule("CI-1")
async def test_every_record_of_a_read_that_was_denied_is_taken_back_however_many_there_are(world: World) -> None:
    recorder = LosesAnswers()
    login, node = await login_node(world), await check_node(world, recorder=recorder, staleness_s=600)
    recorder.log = LocalLog(node.appender)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    answers = await asyncio.gather(*(node.reason(token, READ) for _ in range(FLOOD)))
    assert set(answers) == {"RECORD_UNAVAILABLE"}
    await node.journal.drained()
    withdrawn = Entries.of(world).withdrawn()
    assert len(recorder.ids) == FLOOD
    assert withdrawn == recorder.ids, f"of {FLOOD} records of denied reads {len(withdrawn)} were taken back"


@pytest.mark.rule("CI-1")
async def test_a_flood_of_denials_hides_no_allow(world: World) -> None:
    login, node = await login_node(world), await check_node(world, staleness_s=600)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    for number in range(FLOOD):
        assert await node.reason("forged") == "TOKEN_INVALID"
        if number % 10 == 0:
            answer = await node.front.check(question(token, PAY, trace_id=f"t-{number}"))
            assert answer.decision.allowed
    await node.journal.drained()
    found = Entries.of(world)
    there = {trace: len(ids) for trace, ids in found.allowing().items() if trace}
    assert there == {f"t-{number}": 1 for number in range(0, FLOOD, 10)}
    denied = [entry["facts"] for entry in found.entries if entry["facts"].get("reason") == "TOKEN_INVALID"]
    told = sum(facts.get("count", 1) for facts in denied)
    assert told == FLOOD, f"{told} of {FLOOD} denials are told of, in {len(denied)} entries"
