"""Second-person approval of one operation on one customer, and the grant that serves one order (RQ-7, RQ-3)."""

from __future__ import annotations

from infosec.api.auth.v1 import approvals_pb2
from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason
from infosec.errors import Reason
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.people import Authenticator, Person
from services.demo.scenes.at_work import CUSTOMER
from services.demo.stage import Stage

_ORDER, _OTHER_ORDER = "A-1001", "A-1002"


async def ask_and_approve(stage: Stage) -> None:
    """The duty manager wants to see one customer unmasked; the store manager decides from her own session."""
    asker, decider = stage["e10002"], stage["e10001"]
    await stage.arrive(asker, "east-1-t2")
    await stage.checked(
        Text(f"值班经理{asker.name}想看未脱敏信息", f"Duty manager {asker.staff_id} wants to see a customer unmasked"),
        DenyReason.REQUIREMENTS_MISSING,
        asker,
        "x004",
        missing=("SECOND_PERSON",),
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )
    approvals = stage.suites["crm"].approvals
    pending = await stage.done(
        Text("提交审批申请并说明理由", "He asks for approval, with the reason"),
        approvals.submit(asker.tokens["crm"], "x004", reason="客户投诉，需核对证件号码", customer=CUSTOMER),
        Text("待店长审批", "waits for the store manager"),
    )
    await stage.refused(
        Text("他自己批准", "He approves it himself"),
        Reason.SELF_DECISION,
        approvals.approve(asker.tokens["crm"], pending.id),
    )
    await stage.refused(
        Text("店长没有动态口令就批准", "The store manager approves without a second factor"),
        Reason.STEP_UP_REQUIRED,
        approvals.approve(decider.tokens["crm"], pending.id),
    )
    await enrol(stage, decider)
    await stage.done(
        Text("店长输入动态口令", "She gives a code"),
        stage.suites["crm"].login.step_up(decider.tokens["crm"], await stage.code(decider)),
        Text("五分钟内可审批", "good for five minutes of decisions"),
    )
    await stage.done(
        Text("店长批准", "She approves"),
        approvals.approve(decider.tokens["crm"], pending.id, note="已核实投诉单"),
        Text("只用于这位客户、这一次", "for this customer, once"),
    )
    granted = await approvals.get(asker.tokens["crm"], pending.id)
    await _use(stage, asker, granted)


async def enrol(stage: Stage, person: Person, *, system: str = "crm") -> None:
    """Put an authenticator on the phone (RQ-3)."""
    login, token = stage.suites[system].login, person.tokens[system]
    uri = await login.enroll_totp(token, person.password)
    person.authenticator = Authenticator(uri)
    await stage.done(
        Text(f"{person.name}绑定动态口令", f"{person.staff_id} enrols an authenticator"),
        login.activate_totp(token, await stage.code(person)),
    )
    await stage.running.auth.feeder.refresh()


async def _use(stage: Stage, asker: Person, approval: approvals_pb2.Approval) -> None:
    """The grant serves one order."""
    approvals, grant = stage.suites["crm"].approvals, Secret(approval.grant)
    await stage.done(
        Text(f"授权绑定到订单 {_ORDER}", f"The grant is bound to order {_ORDER}"),
        approvals.redeem(grant, order_id=_ORDER),
    )
    await stage.running.auth.feeder.refresh()
    await _look(stage, Text("凭授权查看", "He looks, with the grant"), asker, grant, order=_ORDER)
    await stage.refused(
        Text(f"同一授权再用于订单 {_OTHER_ORDER}", f"The same grant for order {_OTHER_ORDER}"),
        Reason.GRANT_BOUND,
        approvals.redeem(grant, order_id=_OTHER_ORDER),
    )
    other = Text("凭同一授权为另一订单查看", "He looks for the other order with the same grant")
    await _look(stage, other, asker, grant, order=_OTHER_ORDER, missing=("SECOND_PERSON",))
    other = Text("凭同一授权查看另一位客户", "He looks at another customer with the same grant")
    await _look(stage, other, asker, grant, order=_ORDER, customer="13800009999", missing=("SECOND_PERSON",))


async def _look(
    stage: Stage,
    title: Text,
    asker: Person,
    grant: Secret,
    *,
    order: str,
    customer: str = CUSTOMER,
    missing: tuple[str, ...] = (),
) -> None:
    await stage.checked(
        title,
        DenyReason.REQUIREMENTS_MISSING if missing else DenyReason.OK,
        asker,
        "x004",
        missing=missing,
        customer=customer,
        purpose=Purpose.COMPLAINT,
        order_id=order,
        grants=[grant],
    )
