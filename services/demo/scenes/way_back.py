"""The way back: proof by SMS, a request, and the regional manager's decision with a second factor (RQ-1 to RQ-5)."""

from __future__ import annotations

from infosec import sms
from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.decision.reasons import DenyReason
from infosec.errors import Reason
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.people import Person, new_password
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.first_login import CLERK
from services.demo.scenes.second_person import enrol
from services.demo.stage import Stage


async def ask_to_unlock(stage: Stage) -> None:
    """A person who cannot log in proves who they are with a code on the bound phone."""
    clerk = stage[CLERK]
    proof = await prove(stage, clerk, "east-1-t1", state="LOCKED")
    requests = stage.suites["crm"].requests
    await stage.done(
        Text("不存在的工号索要验证码，回答一样", "An unknown ID asks for a code: the same answer"),
        requests.send_code("e99999", terminal_id="east-1-t1"),
        Text("已受理", "accepted"),
    )
    await stage.done(
        Text("提交解锁申请", "She submits a request to unlock"),
        requests.submit(pb.REQUEST_KIND_UNLOCK, clerk.staff_id, reason="有人在别的台席输错我的密码", proof=proof),
        Text("由片区经理审批", "for the regional manager"),
    )


async def prove(stage: Stage, person: Person, terminal: str, *, state: str) -> Secret:
    """RQ-1: a one-time code to the bound phone, for a proof that is good for one request."""
    requests = stage.suites["crm"].requests
    challenge = await stage.done(
        Text(f"{person.name}索要身份验证码", f"{person.staff_id} asks for a code"),
        requests.send_code(person.staff_id, terminal_id=terminal),
        Text("已受理", "accepted"),
    )
    title = Text("手机收到验证码", "The code comes by SMS")
    code = await stage.secret_by_sms(title, person, sms.Template.PROOF_CODE)
    await stage.refused(
        Text("输入错误的验证码", "A wrong code"),
        Reason.PROOF_REFUSED,
        requests.prove_identity(person.staff_id, terminal_id=terminal, challenge_id=challenge, code=_another(code)),
    )
    answer = await requests.prove_identity(person.staff_id, terminal_id=terminal, challenge_id=challenge, code=code)
    stage.noted(
        Text("输入正确的验证码，才得知原因", "The right code; only now it is said why"),
        expected=state,
        actual=answer.staff_state,
        told=answer.text,
    )
    return Secret(answer.proof)


async def managers_begin(stage: Stage) -> None:
    """Regional managers need a second factor before anything else."""
    for name, terminal in (("rm-east", "east-1-t2"), ("rm-west", "west-1-t1")):
        manager = stage[name]
        await stage.login(manager, terminal)
        await stage.change(manager, new_password())
        await enrol(stage, manager)


async def forbidden_decisions(stage: Stage) -> None:
    """RQ-2: never one's own, never what one submitted, never another region's."""
    requests, manager = stage.suites["crm"].requests, stage["rm-east"]
    own = await requests.submit(
        pb.REQUEST_KIND_MOVE_STORE,
        manager.staff_id,
        reason="调到火车站营业厅办公",
        token=manager.tokens["crm"],
        change=pb.MoveStore(store_id="east-2"),
    )
    await stage.refused(
        Text("片区经理批准自己的调动", "The regional manager approves their own move"),
        Reason.SELF_DECISION,
        requests.approve(manager.tokens["crm"], own.id),
    )
    keeper = stage["e10001"]
    await stage.login(keeper, "east-1-t3")
    submitted = await requests.submit(
        pb.REQUEST_KIND_REISSUE_PASSWORD, "e10004", reason="没有收到短信", token=keeper.tokens["crm"]
    )
    await stage.refused(
        Text("店长批准自己替营业员提交的申请", "The store manager approves what she submitted for a clerk"),
        Reason.SELF_DECISION,
        requests.approve(keeper.tokens["crm"], submitted.id),
    )
    pending = await _pending(stage, manager, CLERK)
    await stage.refused(
        Text("西城的片区经理来批东城的申请", "The other region's manager wants to decide it"),
        Reason.NOT_FOUND,
        requests.approve(stage["rm-west"].tokens["crm"], pending.id),
    )
    await stage.refused(
        Text("片区经理没有输入动态口令就批准", "The right one approves without a second factor"),
        Reason.STEP_UP_REQUIRED,
        requests.approve(manager.tokens["crm"], pending.id),
    )


async def approve_unlock(stage: Stage) -> None:
    """RQ-3, RQ-5: evidence, step-up, and a new random password on the bound phone."""
    manager, clerk = stage["rm-east"], stage[CLERK]
    pending = await _pending(stage, manager, clerk.staff_id)
    seen = pending.evidence
    stage.noted(
        Text("片区经理查看依据", "The regional manager looks at the evidence"),
        expected="east-1-t2 1 True",
        actual=f"{seen.locked_terminal_id} {seen.locks_in_90_days} {seen.proved_by_phone}",
        told=Text(
            f"在 {seen.locked_terminal_id} 加锁，90 天内第 {seen.locks_in_90_days} 次，本人手机已验证",
            f"locked at {seen.locked_terminal_id}, lock {seen.locks_in_90_days} in 90 days, proved by phone",
        ),
    )
    await approve(stage, manager, clerk)
    await come_back(stage, clerk, "east-1-t1")


async def approve(stage: Stage, manager: Person, person: Person) -> None:
    """Step up and approve the open request about a person."""
    suite, token = stage.suites["crm"], manager.tokens["crm"]
    pending = await _pending(stage, manager, person.staff_id)
    await stage.done(
        Text("片区经理输入动态口令", "The regional manager gives a code"),
        suite.login.step_up(token, await stage.code(manager)),
        Text("五分钟内可审批", "good for five minutes of decisions"),
    )
    await stage.done(
        Text("片区经理批准", "The regional manager approves"),
        suite.requests.approve(token, pending.id, note="已电话核实"),
        Text("新密码只发往绑定手机", "a new password goes to the bound phone alone"),
    )


async def come_back(stage: Stage, person: Person, terminal: str) -> None:
    """RQ-5: the new password by SMS, changed at once."""
    title = Text("新的初始密码到了手机", "The new first password is on the phone")
    old, person.password = person.password, await stage.secret_by_sms(title, person, sms.Template.FIRST_PASSWORD)
    await stage.done(
        Text(f"{person.name}用它登录", f"{person.staff_id} logs in with it"),
        stage.login(person, terminal),
        Text("须先改密码", "the password must be changed first"),
    )
    await stage.refused(
        Text("改回原来的密码", "Back to the old password"),
        Reason.PASSWORD_REJECTED,
        stage.change(person, old),
    )
    await stage.done(Text("换成新密码", "A new one"), stage.change(person, new_password()))
    await stage.running.auth.feeder.refresh()
    await stage.checked(Text("照常办业务", "Work goes on"), DenyReason.OK, person, "1302", customer=CUSTOMER)


async def _pending(stage: Stage, manager: Person, staff_id: str) -> pb.StaffRequest:
    page = await stage.suites["crm"].requests.list(
        manager.tokens["crm"], state=pb.REQUEST_STATE_PENDING, decidable_by_me=True, staff_id=staff_id
    )
    return page.requests[0]


def _another(code: Secret) -> Secret:
    """A code of the same length that is certainly another one."""
    digits = code.reveal()
    return Secret(digits[:-1] + str((int(digits[-1]) + 1) % 10))
