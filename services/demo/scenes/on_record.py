"""What store systems tell the log, and what happens where nothing can be recorded (CI-1, CI-7)."""

from __future__ import annotations

from datetime import timedelta

from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason
from infosec.errors import Reason
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import RegionId, new_id
from infosec.messages import Text
from services.demo.outage_store import logs_refuse_entries
from services.demo.scenes.at_work import CUSTOMER, VISITOR
from services.demo.scenes.first_login import CLERK
from services.demo.stage import Stage

_STRANGER = "13800007777"
_STORE, _TERMINAL, _QUEUE_MACHINE = "east-1", "east-1-t1", "east-1-t3"
_FAST = timedelta(seconds=4)


async def systems_record(stage: Stage) -> None:
    """A visit and an order. A system speaks for itself, and of its own matters alone."""
    queue, crm = stage.suites["queue"].audit, stage.suites["crm"].audit
    visit = _event(stage, EventType.CUSTOMER_VISITED, terminal_id=_QUEUE_MACHINE)
    receipt = await stage.done(
        Text("叫号系统记录一位客户到厅", "The queue machine records that a customer came"),
        queue.record(visit, customer=VISITOR),
        lambda receipt: Text(
            f"日志 {receipt.log_id}，序号 {receipt.index}", f"log {receipt.log_id}, index {receipt.index}"
        ),
    )
    again = await queue.record(visit, customer=VISITOR)
    stage.noted(
        Text("网络不稳，同一事件又送一次", "The network fails it, so it sends the same event again"),
        expected=receipt.index,
        actual=again.index,
        told=Text("还是同一条记录", "still one entry"),
    )
    await stage.checked(
        Text("营业员因投诉查看这位客户", "The clerk looks at this customer, for a complaint"),
        DenyReason.OK,
        stage[CLERK],
        "1500",
        customer=VISITOR,
        purpose=Purpose.COMPLAINT,
    )
    await stage.done(
        Text("客户系统记录订单完成", "The customer system records that an order was completed"),
        crm.record(_order(stage, EventType.ORDER_COMPLETED), customer=VISITOR),
        Text("已入日志，订单号以客户密钥加密", "on record; the order's number is sealed under the customer's key"),
    )
    login = _event(stage, EventType.LOGIN_SUCCEEDED, staff_id=CLERK, session_id="made-up", terminal_id=_TERMINAL)
    await stage.refused(
        Text("客户系统想记一条“登录成功”", "The customer system wants to record a login"),
        Reason.NOT_PERMITTED,
        crm.record(login),
    )
    await stage.refused(
        Text("收银系统冒充叫号系统", "The point of sale records in the name of the queue machine"),
        Reason.NOT_PERMITTED,
        stage.suites["pos"].audit.record(
            _event(stage, EventType.CUSTOMER_VISITED, system_id="queue"), customer=VISITOR
        ),
    )


async def odd_things(stage: Stage) -> None:
    """Taken down like everything; the auditor will find them in the evening."""
    pos, crm = stage.suites["pos"].audit, stage.suites["crm"].audit
    code: dict[str, Fact] = {"terminal_id": _TERMINAL, "staff_id": CLERK, "code_id": new_id()}
    await stage.done(
        Text("收银系统记录：验证码已发给客户", "The point of sale records that a customer was sent a code"),
        pos.record(_event(stage, EventType.CODE_SENT, **code), customer=_STRANGER),
        Text("已入日志；验证码本身不记", "on record; the code itself is not"),
    )
    await stage.pass_time(_FAST)
    await stage.done(
        Text("四秒后验证码就填好了", "Four seconds later the code has been typed in"),
        pos.record(_event(stage, EventType.CODE_CONFIRMED, **code), customer=_STRANGER),
        Text("照常入日志", "on record, like everything"),
    )
    await stage.done(
        Text("刚办完的订单又冲正", "The order is reversed, minutes after it was completed"),
        crm.record(_order(stage, EventType.ORDER_REVERSED), customer=VISITOR),
        Text("照常入日志", "on record, like everything"),
    )


async def no_record_no_look(stage: Stage) -> None:
    """CI-1: what cannot be recorded is not shown. What releases no data waits on the disk, and goes on."""
    clerk = stage[CLERK]
    async with logs_refuse_entries(stage.config):
        await stage.checked(
            Text("日志库拒绝写入时，查看客户信息", "The logs take no entry: she looks at a customer"),
            DenyReason.RECORD_UNAVAILABLE,
            clerk,
            "1500",
            customer=CUSTOMER,
            purpose=Purpose.COMPLAINT,
        )
        await stage.checked(
            Text("缴费不泄露信息，记录先存在本机", "A payment shows no data; its record waits on the disk"),
            DenyReason.OK,
            clerk,
            "1302",
            customer=CUSTOMER,
        )
        await stage.refused(
            Text("业务系统得知没有记下", "A store system is told that nothing was recorded"),
            Reason.RECORD_UNAVAILABLE,
            stage.suites["queue"].audit.record(_event(stage, EventType.CUSTOMER_VISITED), customer=CUSTOMER),
        )
    await stage.running.work_once()
    await stage.checked(
        Text("日志库恢复后再查看", "The logs are back: she looks again"),
        DenyReason.OK,
        clerk,
        "1500",
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )


def _order(stage: Stage, type: EventType) -> Event:
    return _event(stage, type, staff_id=CLERK, terminal_id=_TERMINAL, order_id="A-1000", operation="1302")


def _event(stage: Stage, type: EventType, **facts: Fact) -> Event:
    """An event of this moment in the clerk's store; its log is that of the store's region."""
    at = stage.clock.now()
    return Event(type=type, at=at, region_id=RegionId("east"), facts={"store_id": _STORE, **facts})
