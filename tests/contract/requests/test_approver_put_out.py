"""What an approval is worth when the one who gave it is put out before the grant is used (RQ-7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from infosec.api.auth.v1 import check_pb2
from infosec.decision.operations import Purpose
from tests.sim.suite import Suite

EXPORT = "x005"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """An auditor's bulk export that the regional manager zhao.lei approved."""

    suite: Suite
    auditor: str
    approval_id: str
    grant: str
    administrator: str

    async def check(self, order: str = "") -> check_pb2.CheckResponse:
        """May the auditor export now?"""
        facts: dict[str, Any] = {"customer": None, "purpose": Purpose.COMPLAINT, "order_id": order}
        await self.suite.fresh()
        answer = await self.suite.check(self.auditor, EXPORT, at="hq-t1", grants=[self.grant], **facts)
        assert isinstance(answer, check_pb2.CheckResponse)
        return answer

    async def redeem(self, order: str) -> str:
        return await self.suite.reason(self.suite.as_system().approvals.redeem(self.grant, order_id=order))

    async def release(self, order: str) -> str:
        return await self.suite.reason(self.suite.as_system().approvals.release(self.grant, order_id=order))

    def state(self, approval_id: str) -> str:
        return str(self.suite.world.one("select state from auth.requests where id = %s", approval_id))

    async def put_out(self, how: str, who: str = "zhao.lei") -> None:
        """Suspend or close, as an administrator does."""
        call = getattr(self.suite.as_system("cli").staff, how)
        await call(self.administrator, who, reason="调查")


@pytest.fixture
async def granted(suite: Suite) -> Granted:
    crm = suite.as_system()
    administrator = await suite.session("xu.qiang", at="hq-t1", system="cli")
    auditor = await suite.session("hu.bin", at="hq-t1")
    asked = await crm.approvals.submit(auditor, EXPORT, reason="年度稽核")
    manager = await suite.session("zhao.lei", at="e1-t1", step_up=True)
    await crm.approvals.approve(manager, asked.id)
    grant = (await crm.approvals.get(auditor, asked.id)).grant
    made = Granted(suite=suite, auditor=auditor, approval_id=asked.id, grant=grant, administrator=administrator)
    assert (await made.check()).reason == "OK"
    return made


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize("how", ["suspend", "close"])
async def test_the_grant_of_an_approver_who_was_put_out_serves_nobody(granted: Granted, how: str) -> None:
    await granted.put_out(how)
    denied = await granted.check()
    assert denied.reason == "REQUIREMENTS_MISSING"
    assert [need.kind for need in denied.required] == ["SECOND_PERSON"]
    assert "it was revoked" in denied.text
    assert await granted.redeem("order-1") == "GRANT_INVALID"
    shown = await granted.suite.as_system().approvals.get(granted.auditor, granted.approval_id)
    assert shown.grant == ""
    [event] = granted.suite.world.events("grant.revoked")
    assert (event["facts"]["subject_staff_id"], event["facts"]["request_id"]) == ("zhao.lei", granted.approval_id)


@pytest.mark.rule("RQ-7")
async def test_an_order_that_has_the_grant_keeps_it_and_once_freed_no_other_gets_it(granted: Granted) -> None:
    assert await granted.redeem("order-1") == "OK"
    await granted.put_out("suspend")
    assert await granted.redeem("order-1") == "OK"  # a retry, whose first answer was lost
    assert (await granted.check("order-1")).reason == "OK"
    assert (await granted.check("order-2")).reason == "REQUIREMENTS_MISSING"
    assert await granted.release("order-1") == "OK"
    assert await granted.redeem("order-2") == await granted.redeem("order-1") == "GRANT_INVALID"
    denied = await granted.check("order-1")
    assert "it was revoked" in denied.text


@pytest.mark.rule("RQ-7", "ID-11")
@pytest.mark.parametrize("standing", ["lock", "end password"])
async def test_wrong_passwords_or_a_date_take_no_decision_back(granted: Granted, standing: str) -> None:
    world = granted.suite.world
    if standing == "lock":
        for _ in range(5):
            await granted.suite.reason(granted.suite.login("zhao.lei", "wrong", at="e1-t1", code="000000"))
        assert world.state("zhao.lei") == "LOCKED"
    else:
        world.rows("update auth.credentials set ends_at = %s where staff_id = 'zhao.lei'", world.clock.now())
        await granted.suite.tell_of("zhao.lei")
    assert (await granted.check()).reason == "OK"
    assert await granted.redeem("order-1") == "OK"


@pytest.mark.rule("RQ-7")
async def test_putting_out_somebody_else_revokes_nothing_and_nothing_undecided_is_touched(granted: Granted) -> None:
    asked = await granted.suite.as_system().approvals.submit(granted.auditor, EXPORT, reason="又一次")
    await granted.put_out("close", "sun.yan")
    assert (await granted.check()).reason == "OK"
    await granted.put_out("suspend")
    assert [granted.state(one) for one in (asked.id, granted.approval_id)] == ["pending", "approved"]
    granted.suite.world.advance(minutes=10)
    await granted.suite.app.work_once()
    assert granted.state(granted.approval_id) == "lapsed"
