"""The evening: idle, out of hours, and logging off (ID-9, CI-2)."""

from __future__ import annotations

from datetime import timedelta

from infosec.decision.reasons import DenyReason
from infosec.messages import Text
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.first_login import CLERK
from services.demo.stage import Stage


async def close_the_store(stage: Stage) -> None:
    """Nobody works on after closing, and a session left alone ends by itself."""
    clerk = stage[CLERK]
    await stage.login(clerk, "east-1-t1")
    await stage.pass_time(timedelta(minutes=18))
    await stage.checked(
        Text("十八分钟没有操作", "Eighteen minutes without use"),
        DenyReason.SESSION_ENDED,
        clerk,
        "1302",
        customer=CUSTOMER,
    )
    await stage.login(clerk, "east-1-t1")
    await stage.checked(
        Text("下班后办业务", "Business after closing time"), DenyReason.OUT_OF_HOURS, clerk, "1302", customer=CUSTOMER
    )
    await stage.done(Text("退出登录", "She logs off"), stage.suites["crm"].login.logout(clerk.tokens["crm"]))
    await stage.running.auth.feeder.refresh()
    await stage.checked(
        Text("退出后再用原凭证", "The token after that"), DenyReason.SESSION_ENDED, clerk, "1302", customer=CUSTOMER
    )
