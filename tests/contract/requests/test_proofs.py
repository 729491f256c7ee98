"""Codes to the bound phone (RQ-1): sent, limited, tried, used; and nothing told to who guesses (ID-7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from authsvc.flows.proof import Proved
from infosec.ids import SystemId, TerminalId
from infosec.secret import Secret
from infosec.storage.postgres import Ends
from tests.sim.login_nodes import CRM, outcome
from tests.sim.request_desk import Desk

UNKNOWN, CLOSED = "no.such.one", "ouyang.xue"


async def send(desk: Desk, staff: str, at: str = "e1-t1") -> str:
    return str(await desk.proofs.send(staff, TerminalId(at), CRM))


async def prove(desk: Desk, staff: str, challenge: str, code: str, at: str = "e1-t1") -> Proved:
    return await desk.proofs.prove(staff, TerminalId(at), CRM, challenge_id=challenge, code=Secret(code))


def last_code(desk: Desk) -> str:
    return desk.world.messages("PROOF_CODE")[-1].text.split("\n")[1]


@pytest.mark.rule("RQ-1", "ID-7")
async def test_who_proves_the_phone_is_told_why_the_login_is_refused(desk: Desk) -> None:
    desk.lock("li.na")
    challenge = await send(desk, " LI.NA ")
    assert desk.world.messages("PROOF_CODE")[-1].phone == "13800000001"
    proved = await prove(desk, "li.na", challenge, last_code(desk))
    assert (proved.staff_id, proved.state) == ("li.na", "LOCKED")


@pytest.mark.rule("RQ-1", "ID-7")
@pytest.mark.parametrize("staff", [UNKNOWN, CLOSED, "不是工号"])
async def test_an_unknown_or_closed_id_gets_the_same_answers_and_no_sms(desk: Desk, staff: str) -> None:
    desk.world.rows("update auth.staff set state = 'CLOSED' where staff_id = %s", CLOSED)
    challenge = await send(desk, staff)
    assert len(challenge) == len(await send(desk, "li.na"))
    assert len(desk.world.messages("PROOF_CODE")) == 1
    assert await outcome(prove(desk, staff, challenge, "123456")) == "PROOF_REFUSED"


@dataclass
class Counting:
    """A connection that counts its statements."""

    inner: Any
    count: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def execute(self, query: str, *values: Any, **more: Any) -> Any:
        self.count.append(query)
        return await self.inner.execute(query, *values, **more)


async def statements_for(desk: Desk, staff: str) -> list[str]:
    """What the database is asked when a code is sent for this ID and a wrong one comes back."""
    database, count = desk.node.works.db, list[str]()
    transaction = database.transaction

    @asynccontextmanager
    async def counted(*args: Any, ends: Ends | None = None) -> AsyncIterator[Any]:
        async with transaction(*args, ends=ends) as conn:
            yield Counting(conn, count)
            if ends is not None:  # what goes out with the COMMIT
                count.extend(query for query, _ in ends.last())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "transaction", counted)
        await outcome(prove(desk, staff, await send(desk, staff), "000000"))
    return count


@pytest.mark.rule("RQ-1", "ID-7")
async def test_known_and_unknown_ids_cost_the_same_statements(desk: Desk) -> None:
    assert await statements_for(desk, "li.na") == await statements_for(desk, UNKNOWN)


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize("staff", ["li.na", UNKNOWN])
async def test_three_codes_a_day_for_known_and_unknown_ids(desk: Desk, staff: str) -> None:
    for number in range(3):
        await send(desk, staff, f"e1-t{number + 1}")
    assert await outcome(send(desk, staff.upper(), "e1-t4")) == "RATE_LIMITED"
    desk.world.advance(hours=24)
    assert await outcome(send(desk, staff)) == "OK"


@pytest.mark.rule("RQ-1")
async def test_ten_codes_an_hour_at_one_terminal(desk: Desk) -> None:
    for number in range(10):
        await send(desk, f"guess-{number}")
    assert await outcome(send(desk, "li.na")) == "RATE_LIMITED"
    assert await outcome(send(desk, "li.na", "e1-t2")) == "OK"
    desk.world.advance(hours=1)
    assert await outcome(send(desk, "li.na")) == "OK"


@pytest.mark.rule("RQ-1")
async def test_a_code_is_good_once_for_ten_minutes_here(desk: Desk) -> None:
    challenge = await send(desk, "li.na")
    code = last_code(desk)
    assert await outcome(prove(desk, "li.na", challenge, code, "e1-t2")) == "PROOF_REFUSED"
    assert await outcome(prove(desk, "wang.wei", challenge, code)) == "PROOF_REFUSED"
    assert await outcome(prove(desk, "li.na", challenge, code)) == "OK"
    assert await outcome(prove(desk, "li.na", challenge, code)) == "PROOF_REFUSED"
    late = await send(desk, "li.na")
    desk.world.advance(minutes=10)
    assert await outcome(prove(desk, "li.na", late, last_code(desk))) == "PROOF_REFUSED"


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize("challenge", ["nothing", "00000000-0000-4000-8000-000000000000"])
async def test_a_challenge_that_never_was_is_refused_alike(desk: Desk, challenge: str) -> None:
    assert await outcome(prove(desk, "li.na", challenge, "123456")) == "PROOF_REFUSED"


async def test_only_systems_of_the_terminal_may_ask(desk: Desk) -> None:
    call = desk.proofs.send("li.na", TerminalId("w1-t1"), SystemId("queue"))
    assert await outcome(call) == "CALLER_OUT_OF_PLACE"


@pytest.mark.rule("ID-7")
async def test_no_code_and_no_proof_is_in_any_event_or_table(desk: Desk) -> None:
    challenge = await send(desk, "li.na")
    code = last_code(desk)
    proved = await prove(desk, "li.na", challenge, code)
    await outcome(prove(desk, "li.na", challenge, "987654"))
    text = json.dumps(desk.world.events()) + str(desk.world.rows("select c::text from auth.proof_challenges c"))
    assert proved.proof not in text
    assert f'"{code}"' not in text and "987654" not in text
    assert [each["type"] for each in desk.world.events() if each["type"].startswith("proof")] == [
        "proof.sent",
        "proof.given",
        "proof.failed",
    ]


async def test_what_no_limit_counts_any_more_is_forgotten(desk: Desk) -> None:
    await send(desk, "li.na")
    desk.world.advance(hours=47)
    await send(desk, "wang.wei")
    await desk.proofs.forget_old(desk.world.clock.now() + timedelta(hours=2))
    assert desk.world.rows("select staff_id from auth.proof_challenges") == [("wang.wei",)]
