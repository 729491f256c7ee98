"""What takes two auditors: a hold is lifted and a customer's data erased by nobody alone, and the log stays provable (CI-8)."""

from __future__ import annotations

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.audit_rows import entry_rows
from infosec.client.audit_admin import AuditAdminClient
from infosec.errors import Reason
from infosec.messages import Text
from services.demo import evidence
from services.demo.people import Person
from services.demo.places import COMMAND_LINE
from services.demo.scenes.at_work import VISITOR
from services.demo.scenes.auditor import FIRST, SECOND
from services.demo.scenes.first_login import CLERK
from services.demo.scenes.in_hand import DAY
from services.demo.stage import Stage

_ASKED = "客户书面要求删除身份信息"
_LOOKED = f"{CLERK} e10005"
"""The clerk, then the concierge."""


async def hold(stage: Stage) -> None:
    """What is on hold is not erased."""
    first, second = stage[FIRST], stage[SECOND]
    placed = await stage.done(
        Text("客户投诉未结，稽核员实施保全", "A complaint is open: the auditor places a hold"),
        _office(stage).place_hold(await stage.assertion(first), VISITOR, reason="投诉未结"),
        Text("立即生效", "in force at once"),
    )
    await stage.refused(
        Text("没有动态口令就提出删除", "To propose erasure without a second factor"),
        Reason.STEP_UP_REQUIRED,
        _office(stage).erase_subject(await stage.assertion(first), VISITOR, reason=_ASKED),
    )
    await _step_up(stage, first)
    await stage.refused(
        Text("该客户要求删除信息，稽核员提出", "The customer asks to be erased, and the auditor proposes it"),
        Reason.STATE_CONFLICT,
        _office(stage).erase_subject(await stage.assertion(first), VISITOR, reason=_ASKED),
    )
    act = await stage.done(
        Text("投诉已结，提出解除保全", "The complaint is settled: to lift the hold is proposed"),
        _office(stage).release_hold(await stage.assertion(first), placed.hold_id, reason="投诉已结"),
        _waits,
    )
    await _step_up(stage, second)
    await stage.done(
        Text(f"{second.name}确认", f"{second.staff_id} confirms"),
        _office(stage).confirm_act(await stage.assertion(second), act.act_id),
        _state,
    )


async def erase(stage: Stage) -> None:
    """Proposed by one, confirmed by another; nobody can be told apart afterwards, and nothing else has changed."""
    first, second = stage[FIRST], stage[SECOND]
    await _who(stage, Text("删除前：谁看过该客户", "Before: who looked at the customer"), _LOOKED)
    await _step_up(stage, first)
    act = await stage.done(
        Text("再次提出删除", "Erasure is proposed again"),
        _office(stage).erase_subject(await stage.assertion(first), VISITOR, reason=_ASKED),
        _waits,
    )
    await stage.refused(
        Text("提出的人自己确认", "Who proposed it confirms it"),
        Reason.SELF_DECISION,
        _office(stage).confirm_act(await stage.assertion(first), act.act_id),
    )
    await _step_up(stage, second)
    await stage.done(
        Text(f"{second.name}确认", f"{second.staff_id} confirms"),
        _office(stage).confirm_act(await stage.assertion(second), act.act_id),
        _state,
    )
    await _who(stage, Text("删除后：谁看过该客户", "Afterwards: who looked at the customer"), "")
    title = Text(f"上周导出的 {DAY}，再核验", f"The file of last week, {DAY}, is verified again")
    evidence.verified(stage, title, stage.directory / DAY)


async def _who(stage: Stage, title: Text, expected: str) -> None:
    found = await stage.suites[COMMAND_LINE].audit_read.who_accessed(await stage.assertion(stage[SECOND]), VISITOR)
    actual = " ".join(str(row["staff_id"]) for row in entry_rows(found.entries))
    nobody = Text("查不到任何记录", "nobody is on record")
    stage.noted(title, expected=expected, actual=actual, told=actual or nobody)


async def _step_up(stage: Stage, auditor: Person) -> None:
    token = auditor.tokens[COMMAND_LINE]
    await stage.suites[COMMAND_LINE].login.step_up(token, await stage.code(auditor))


def _office(stage: Stage) -> AuditAdminClient:
    return stage.suites[COMMAND_LINE].audit_admin


def _waits(_act: pb.Act) -> Text:
    return Text("待另一位稽核员确认", "waits for another auditor")


def _state(act: pb.Act) -> Text:
    is_done = act.state == pb.ACT_STATE_DONE
    return Text("已执行", "done") if is_done else Text(pb.ActState.Name(act.state), pb.ActState.Name(act.state))
