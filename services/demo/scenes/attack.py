"""Attackers: a terminal that tries many IDs, a terminal outside the region, and five wrong passwords (ID-5, ID-7, ID-11)."""

from __future__ import annotations

from datetime import timedelta

from infosec import sms
from infosec.decision.reasons import DenyReason
from infosec.errors import InfosecError, Reason
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.people import Person, new_password
from services.demo.places import COMMAND_LINE, CONSOLE
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.first_login import CLERK
from services.demo.stage import Stage

_TERMINAL = "east-2-t3"
_WRONG = 5


async def attack_from_a_terminal(stage: Stage) -> None:
    """ID-11: after three IDs it is the terminal that is refused; the fourth person is not counted."""
    for staff_id in ("e20001", "e20002", "e10004"):
        await _guess(stage, staff_id, _TERMINAL)
    victim = stage["e20003"]
    await stage.refused(
        Text(
            f"第四个工号 {victim.staff_id}，密码是对的",
            f"The fourth ID, {victim.staff_id}, even with the right password",
        ),
        Reason.LOGIN_REFUSED,
        stage.suites["crm"].login.login(victim.staff_id, victim.password, terminal_id=_TERMINAL),
    )
    await _failures(stage, victim, 0)
    await _failures(stage, stage["e20002"], 1)
    await stage.refused(
        Text("在东城的台席上试西城的工号", "An ID of the west is tried at a terminal of the east"),
        Reason.LOGIN_REFUSED,
        stage.suites["crm"].login.login("w10002", stage["w10002"].password, terminal_id="east-2-t2"),
    )
    await _found(stage, "TERMINAL_REFUSED", "OUT_OF_REGION")


async def _failures(stage: Stage, person: Person, expected: int) -> None:
    """At their own terminal they are let in, and told what happened meanwhile."""
    answer = await stage.login(person, "east-2-t1")
    stage.noted(
        Text(f"{person.name}在自己的台席登录", f"{person.staff_id} logs in at their own terminal"),
        expected=expected,
        actual=answer.failures_since,
        told=Text(f"其间失败 {answer.failures_since} 次", f"failures meanwhile: {answer.failures_since}"),
    )
    await stage.change(person, new_password())


async def _found(stage: Stage, *kinds: str) -> None:
    """Administrators find it in the list of findings."""
    admin = stage["admin-1"]
    await stage.login(admin, CONSOLE, system=COMMAND_LINE)
    answer = await stage.suites[COMMAND_LINE].staff.findings(admin.tokens[COMMAND_LINE])
    found = {one.kind: one.text for one in answer.findings}
    stage.noted(
        Text("管理员查看异常清单", "An administrator looks at the findings"),
        expected=" ".join(sorted(kinds)),
        actual=" ".join(sorted(set(kinds) & found.keys())),
        told=" ".join(found.get(kind, "") for kind in kinds),
    )


async def five_wrong_passwords(stage: Stage) -> None:
    """ID-5: the lock is seen by the running session, and told to the phone alone."""
    clerk = stage[CLERK]
    answers = [await _outcome(stage, CLERK, "east-1-t2", new_password()) for _ in range(_WRONG)]
    stage.noted(
        Text(
            f"有人在另一台席输错{clerk.name}的密码五次",
            f"Five wrong passwords for {clerk.staff_id} at another terminal",
        ),
        expected="LOGIN_REFUSED",
        actual=" ".join(sorted(set(answers))),
        told=Text("五次回答完全一样", "five answers, all alike"),
    )
    await stage.running.auth.feeder.refresh()
    await stage.checked(
        Text("她正在使用的会话立即失效", "Her running session is denied at once"),
        DenyReason.SESSION_ENDED,
        clerk,
        "1302",
        customer=CUSTOMER,
    )
    await stage.told_by_sms(
        Text("原因只告诉绑定的手机", "Why, is told to the bound phone alone"), clerk, sms.Template.LOCKED
    )
    await stage.refused(
        Text("她用正确的密码登录", "She logs in with the right password"),
        Reason.LOGIN_REFUSED,
        stage.login(clerk, "east-1-t1"),
    )
    await stage.refused(
        Text("不存在的工号，回答也一样", "An unknown ID gets the same answer"),
        Reason.LOGIN_REFUSED,
        stage.suites["crm"].login.login("e99999", new_password(), terminal_id="east-1-t3"),
    )


async def two_places(stage: Stage) -> None:
    """ID-7, ID-9, ID-10: a login elsewhere ends the old session; both are told."""
    clerk = stage[CLERK]
    clerk.tokens["pos"] = Secret(await stage.suites["crm"].login.issue_token(clerk.tokens["crm"], system_id="pos"))
    await stage.pass_time(timedelta(minutes=1))
    old, old_terminal = dict(clerk.tokens), clerk.terminal
    await stage.done(
        Text(f"{clerk.name}又在火车站营业厅登录", f"{clerk.staff_id} also logs in at another store"),
        stage.login(clerk, "east-2-t1"),
    )
    for template, title in (
        (sms.Template.SESSION_MOVED, Text("短信：原会话已结束", "SMS: the old session has ended")),
        (sms.Template.NEW_TERMINAL, Text("短信：在新台席登录", "SMS: login at a new terminal")),
    ):
        await stage.told_by_sms(title, clerk, template)
    await stage.checked(
        Text("在别的营业厅办业务", "She serves a customer in that store"),
        DenyReason.OUT_OF_SCOPE,
        clerk,
        "1302",
        customer=CUSTOMER,
    )
    new, clerk.tokens, clerk.terminal = clerk.tokens, old, old_terminal
    await stage.checked(
        Text("原台席的会话", "The session at the old terminal"),
        DenyReason.SESSION_ENDED,
        clerk,
        "1302",
        customer=CUSTOMER,
    )
    clerk.tokens, clerk.terminal = new, "east-2-t1"
    await _found(stage, "TWO_PLACES", "IMPOSSIBLE_TRAVEL")


async def _guess(stage: Stage, staff_id: str, terminal: str) -> None:
    await stage.refused(
        Text(f"在 {terminal} 猜 {staff_id} 的密码", f"At {terminal} somebody guesses the password of {staff_id}"),
        Reason.LOGIN_REFUSED,
        stage.suites["crm"].login.login(staff_id, new_password(), terminal_id=terminal),
    )


async def _outcome(stage: Stage, staff_id: str, terminal: str, password: Secret) -> str:
    try:
        await stage.suites["crm"].login.login(staff_id, password, terminal_id=terminal)
    except InfosecError as error:
        return error.reason.value
    return "OK"
