"""Ninety days later: reminders, the blacklist at midnight, and the way back (ID-4)."""

from __future__ import annotations

from infosec import sms
from infosec.api.auth.v1 import requests_pb2
from infosec.decision.reasons import DenyReason
from infosec.errors import Reason
from infosec.messages import Text
from services.demo.people import new_password
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.way_back import approve, come_back, prove
from services.demo.stage import Stage

SLEEPER = "e20002"
_TERMINAL = "east-2-t1"
_REMINDERS = (
    ("2026-05-17 10:00", "14"),
    ("2026-05-24 10:00", "7"),
    ("2026-05-28 10:00", "3"),
    ("2026-05-30 10:00", "1"),
)


async def reminders(stage: Stage) -> None:
    """ID-4: 14, 7, 3 and 1 days before the end."""
    sleeper = stage[SLEEPER]
    for moment, days in _REMINDERS:
        await stage.until(moment)
        await stage.told_by_sms(
            Text(f"到期前 {days} 天提醒{sleeper.name}", f"{sleeper.staff_id} is reminded {days} days before"),
            sleeper,
            sms.Template.PASSWORD_REMINDER,
            days=days,
        )
    manager = stage["rm-east"]
    await stage.login(manager, "east-1-t2")
    await stage.done(
        Text("片区经理当天就改了密码", "The regional manager changes the password that day"),
        stage.change(manager, new_password()),
        lambda answer: Text(f"{answer.password_days_left} 天内有效", f"good for {answer.password_days_left} days"),
    )


async def midnight(stage: Stage) -> None:
    """The session ends with the password, at 00:00 carrier time of the 91st day."""
    sleeper = stage[SLEEPER]
    await stage.until("2026-05-30 23:55")
    await stage.login(sleeper, _TERMINAL)
    await stage.checked(
        Text(f"23:55，{sleeper.name}在昼夜营业的厅里", f"23:55: {sleeper.staff_id}, in the store that never closes"),
        DenyReason.OK,
        sleeper,
        "1302",
        customer=CUSTOMER,
    )
    await stage.until("2026-05-31 00:00")
    await stage.checked(
        Text("00:00，密码到期，会话随之结束", "00:00: the password ends, and the session with it"),
        DenyReason.SESSION_ENDED,
        sleeper,
        "1302",
        customer=CUSTOMER,
    )
    await stage.told_by_sms(
        Text("列入黑名单，短信告知", "Blacklisted, and told by SMS"), sleeper, sms.Template.BLACKLISTED
    )
    await stage.refused(Text("再登录", "Logging in again"), Reason.LOGIN_REFUSED, stage.login(sleeper, _TERMINAL))


async def off_the_blacklist(stage: Stage) -> None:
    """A request, the regional manager's decision, a new password."""
    sleeper, manager = stage[SLEEPER], stage["rm-east"]
    await stage.login(manager, "east-1-t2")
    proof = await prove(stage, sleeper, _TERMINAL, state="BLACKLISTED")
    await stage.done(
        Text("申请移出黑名单", "A request to be taken off the blacklist"),
        stage.suites["crm"].requests.submit(
            requests_pb2.REQUEST_KIND_UNBLACKLIST, sleeper.staff_id, reason="出差未及时改密码", proof=proof
        ),
        Text("由片区经理审批", "for the regional manager"),
    )
    await approve(stage, manager, sleeper)
    await come_back(stage, sleeper, _TERMINAL)
    await stage.done(Text("退出登录", "Logging off"), stage.suites["crm"].login.logout(sleeper.tokens["crm"]))
