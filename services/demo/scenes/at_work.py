"""A morning at the counter: two systems at one terminal, what is allowed and what is not, and why (CI-2 to CI-5, ID-9)."""

from __future__ import annotations

from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason
from infosec.errors import Reason
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.scenes.first_login import CLERK
from services.demo.stage import Stage

CUSTOMER, VISITOR = "13800001234", "13800005678"
_OK, _MISSING = DenyReason.OK, DenyReason.REQUIREMENTS_MISSING


async def two_systems(stage: Stage) -> None:
    """One session at one terminal; each system has a token of its own (ID-9)."""
    clerk, login = stage[CLERK], stage.suites["crm"].login
    token = await stage.done(
        Text("收银系统取得同一会话的凭证", "The point of sale gets its own token in the same session"),
        login.issue_token(clerk.tokens["crm"], system_id="pos"),
    )
    clerk.tokens["pos"] = Secret(token)
    await stage.refused(
        Text("未登记在本台席的叫号系统也想要凭证", "The queue machine, not registered here, asks for one too"),
        Reason.CALLER_OUT_OF_PLACE,
        login.issue_token(clerk.tokens["crm"], system_id="queue"),
    )
    await stage.checked(
        Text("收银：缴费", "Point of sale: pay a bill"), _OK, clerk, "1302", system="pos", customer=CUSTOMER
    )
    await stage.checked(
        Text("收银系统拿客户系统的凭证办业务", "The point of sale shows the other system's token"),
        DenyReason.TOKEN_MISMATCH,
        clerk,
        "1302",
        caller="pos",
        customer=CUSTOMER,
    )


async def serve_customers(stage: Stage) -> None:
    """What the clerk may do, and what is missing where she may not."""
    clerk = stage[CLERK]
    await stage.checked(
        Text("因投诉查看客户综合信息", "Full customer view, for a complaint"),
        _OK,
        clerk,
        "1500",
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )
    await stage.checked(
        Text("不说明用途就查看", "The same, without a purpose"),
        _MISSING,
        clerk,
        "1500",
        missing=("PURPOSE",),
        customer=CUSTOMER,
    )
    await stage.checked(
        Text("没有证件、没有客户确认就开户", "Open an account without identity and consent"),
        _MISSING,
        clerk,
        "1104",
        missing=("IDENTITY", "CONSENT"),
        customer=CUSTOMER,
    )
    await stage.checked(
        Text("手册中没有名称的代码 1507", "1507, which has no name in the handbook"),
        DenyReason.OPERATION_UNKNOWN,
        clerk,
        "1507",
        customer=CUSTOMER,
    )
    await stage.checked(
        Text("营业员想看未脱敏信息", "The clerk asks for unmasked data"),
        DenyReason.OPERATION_NOT_PERMITTED,
        clerk,
        "x004",
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )


async def other_roles(stage: Stage) -> None:
    """Concierge and community manager: their own few operations, purposes and customers (CI-2)."""
    concierge, community, manager = stage["e10005"], stage["e10006"], stage["e10001"]
    for person, terminal in ((concierge, "east-1-t3"), (community, "east-1-t3"), (manager, "east-1-t3")):
        await stage.arrive(person, terminal)
    await stage.checked(
        Text("流动咨询收费", "The concierge takes a payment"),
        DenyReason.OPERATION_NOT_PERMITTED,
        concierge,
        "1302",
        customer=CUSTOMER,
    )
    await stage.checked(
        Text("流动咨询因办单查看客户信息", "The concierge looks at a customer for an order"),
        DenyReason.PURPOSE_NOT_ALLOWED,
        concierge,
        "1500",
        customer=CUSTOMER,
        purpose=Purpose.ORDER,
    )
    await stage.checked(
        Text("流动咨询因投诉查看客户信息", "The concierge looks at one for a complaint"),
        _OK,
        concierge,
        "1500",
        customer=VISITOR,
        purpose=Purpose.COMPLAINT,
    )
    await stage.checked(
        Text("社区经理查看未分派的客户", "The community manager looks at somebody else's customer"),
        DenyReason.CUSTOMER_NOT_ASSIGNED,
        community,
        "1500",
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )


async def leave_the_seat(stage: Stage) -> None:
    """ID-9: lock the session when leaving, resume it with the password."""
    clerk, login = stage[CLERK], stage.suites["crm"].login
    token = clerk.tokens["crm"]
    await stage.done(Text("离开台席，锁定会话", "She leaves the seat and locks the session"), login.lock_session(token))
    await stage.running.auth.feeder.refresh()
    await stage.checked(
        Text("别人在她的台席上收费", "Somebody else takes a payment there"),
        DenyReason.SESSION_LOCKED,
        clerk,
        "1302",
        customer=CUSTOMER,
    )
    await stage.done(
        Text("回来输入密码继续", "Back again, she resumes with the password"),
        login.resume_session(token, clerk.password),
    )
    await stage.running.auth.feeder.refresh()
    await stage.checked(
        Text("继续办理，仍是同一会话", "Work goes on in the same session"), _OK, clerk, "1302", customer=CUSTOMER
    )
