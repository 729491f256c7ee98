"""`infosec request`: requests about a staff ID, from those who need them and those who decide them (section B)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.cli.decisions import Face, Id, ToDecide, Why, add_decisions
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.pages import every, whole_id
from infosec.cli.person import must_be_here, stdin_line, stdin_secret
from infosec.cli.records import row, rows
from infosec.cli.words import REQUEST_KINDS, REQUEST_LEVELS, REQUEST_STATES, ROLE_WORDS, STAFF_STATES, t
from infosec.client.connection import Connection
from infosec.client.requests import Change
from infosec.errors import InfosecError, Reason, Unauthenticated
from infosec.messages import Text
from infosec.secret import Secret

Limit = Annotated[int | None, typer.Option(min=1, help=t("最多列出几条", "list at most so many"))]


class Kind(StrEnum):
    """What a person can ask for (RQ-1)."""

    UNLOCK = "unlock"
    UNBLACKLIST = "unblacklist"
    LIFT_SUSPENSION = "lift-suspension"
    REISSUE_PASSWORD = "reissue-password"  # noqa: S105
    REBIND_PHONE = "rebind-phone"
    MOVE_STORE = "move-store"
    CHANGE_ROLE = "change-role"


class State(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    CARRIED_OUT = "carried-out"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LAPSED = "lapsed"

    @property
    def on_the_wire(self) -> pb.RequestState.ValueType:
        return pb.RequestState.Value(f"REQUEST_STATE_{self.name}")


def state_on_the_wire(state: State | None) -> pb.RequestState.ValueType:
    """The filter of a list; unspecified for all."""
    return pb.REQUEST_STATE_UNSPECIFIED if state is None else state.on_the_wire


_LISTED = (
    Column("id", Text("编号", "ID"), is_id=True),
    Column("kind", Text("事项", "Kind"), words=REQUEST_KINDS),
    Column("state", Text("状态", "State"), words=REQUEST_STATES),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("staff_name", Text("姓名", "Name"), only_wide=True),
    Column("store_id", Text("营业厅", "Store")),
    Column("submitted_by", Text("提交人", "By"), only_wide=True),
    Column("submitted_at", Text("提交时间", "Submitted"), is_whole=True),
    Column("level", Text("审批人", "Decided by"), words=REQUEST_LEVELS, only_wide=True),
)
SHOWN = (
    Column("id", Text("编号", "ID")),
    Column("kind", Text("事项", "Kind"), words=REQUEST_KINDS),
    Column("state", Text("状态", "State"), words=REQUEST_STATES),
    Column("level", Text("审批人", "To be decided by"), words=REQUEST_LEVELS),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("staff_name", Text("姓名", "Name")),
    Column("store_id", Text("营业厅", "Store")),
    Column("region_id", Text("片区", "Region")),
    Column("change", Text("变更内容", "Change")),
    Column("reason", Text("理由", "Reason")),
    Column("submitted_by", Text("提交人", "Submitted by")),
    Column("evidence.submitter_role_id", Text("提交人岗位", "Role of the submitter"), words=ROLE_WORDS),
    Column("submitted_at", Text("提交时间", "Submitted at")),
    Column("evidence.proved_by_phone", Text("已凭手机验证", "Proved by phone")),
    Column("evidence.staff_state", Text("工号状态", "State of the staff ID"), words=STAFF_STATES),
    Column("evidence.locked_at", Text("加锁时间", "Locked at")),
    Column("evidence.locked_store_id", Text("加锁营业厅", "Locked in store")),
    Column("evidence.locked_terminal_id", Text("加锁台席", "Locked at terminal")),
    Column("evidence.locks_in_90_days", Text("90 天内加锁次数", "Locks in 90 days")),
    Column("escalates_at", Text("上报时间", "Escalates at")),
    Column("expires_at", Text("过期时间", "Expires at")),
    Column("decided_by", Text("审批人工号", "Decided by")),
    Column("decided_at", Text("审批时间", "Decided at")),
    Column("decision_reason", Text("审批意见", "Decision, why")),
    Column("execute_by", Text("须执行于", "To be carried out by")),
    Column("carried_out_at", Text("执行时间", "Carried out at")),
    Column("flags", Text("标记", "Flags"), words={"RECIPROCAL": Text("互相审批", "each decided for the other")}),
)
_EMPTY = Text("没有申请。", "No requests.")

group = typer.Typer(
    no_args_is_help=True, help=t("工号申请：解锁、换绑、调动等", "Requests about a staff ID, and decisions on them.")
)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="request")


@group.command(
    help=t("提交申请；不能登录时先凭手机验证", "Submit a request; who cannot log in proves it by phone first.")
)
def submit(
    ctx: typer.Context,
    kind: Annotated[Kind, typer.Argument(help=t("事项", "what for"))],
    staff_id: Annotated[str, typer.Argument(help=t("工号", "staff ID that it is about"))],
    reason: Why,
    store: Annotated[str, typer.Option(help=t("move-store：新营业厅", "move-store: the new store"))] = "",
    role: Annotated[str, typer.Option(help=t("change-role：新岗位", "change-role: the new role"))] = "",
    phone_stdin: Annotated[
        bool,
        typer.Option(
            "--phone-stdin", help=t("rebind-phone：从标准输入读新手机号", "rebind-phone: read the new phone from stdin")
        ),
    ] = False,
    reset_totp: Annotated[
        bool,
        typer.Option("--reset-totp", help=t("rebind-phone：同时重置动态口令", "rebind-phone: the second factor too")),
    ] = False,
) -> None:
    """With a proof for that staff ID if there is one, else in the session, else by proving it now."""
    desk = of(ctx)
    wire_kind = pb.RequestKind.Value(f"REQUEST_KIND_{kind.name}")
    change = _change(desk, kind, store=store, role=role, phone_stdin=phone_stdin, reset_totp=reset_totp)

    async def with_token(suite: Connection, token: Secret) -> pb.StaffRequest:
        return await suite.requests.submit(wire_kind, staff_id, reason=reason, token=token, change=change)

    def with_proof(proof: Secret) -> pb.StaffRequest:
        try:
            made = desk.run(
                lambda suite: suite.requests.submit(wire_kind, staff_id, reason=reason, proof=proof, change=change)
            )
        except InfosecError as refused:
            if refused.reason is Reason.PROOF_REFUSED:
                desk.files.drop_proof(staff_id)
            raise
        desk.files.drop_proof(staff_id)
        return made

    proof = desk.files.proof(staff_id)
    if proof is None and desk.files.session() is not None:
        try:
            submitted = desk.run_in_session(with_token)
        except Unauthenticated:  # who is locked out has lost the session too
            submitted = with_proof(_prove_here(desk, staff_id))
    else:
        submitted = with_proof(proof or _prove_here(desk, staff_id))
    desk.out.note("申请已提交，等待审批。", "Submitted; it waits for a decision.")
    desk.out.record(row(submitted), SHOWN)


@group.command(
    help=t(
        "凭绑定手机证明身份，并查看为何不能登录", "Prove who you are by the bound phone, and see why login is refused."
    )
)
def prove(
    ctx: typer.Context,
    staff_id: Annotated[str, typer.Argument(help=t("工号", "staff ID"))],
    challenge: Annotated[
        str, typer.Option(help=t("上一步得到的编号；管道中使用", "what the first step answered; for pipes"))
    ] = "",
    code_stdin: Annotated[
        bool, typer.Option("--code-stdin", help=t("从标准输入读短信验证码", "read the SMS code from stdin"))
    ] = False,
) -> None:
    """At a terminal both steps; in a pipe the first answers with a challenge, for the second."""
    desk = of(ctx)
    if challenge:
        _show_code(desk, staff_id, challenge, stdin_secret() if code_stdin else _ask_sms_code(desk))
    elif desk.person.is_here():
        _prove_here(desk, staff_id)
    else:
        sent = desk.run(lambda suite: suite.requests.send_code(staff_id, terminal_id=desk.settings.terminal))
        desk.out.record({"challenge_id": sent}, (Column("challenge_id", Text("验证编号", "Challenge")),))


@group.command(help=t("查看申请", "Show one request with its evidence."))
def show(ctx: typer.Context, id: Id) -> None:
    """To who submitted it, whom it is about, and who may decide it."""
    desk = of(ctx)

    async def get(suite: Connection, token: Secret) -> pb.StaffRequest:
        return await suite.requests.get(token, await _whole(suite, token, id))

    desk.out.record(row(desk.run_in_session(get)), SHOWN)


@group.command("list", help=t("列出申请，最新在前", "List requests, newest first."))
def list_(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help=t("只列此状态", "only in this state"))] = None,
    to_decide: ToDecide = False,
    staff: Annotated[str, typer.Option(help=t("只列此工号", "only about this staff ID"))] = "",
    limit: Limit = None,
) -> None:
    """What the caller may see."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.StaffRequest]:
        return await every(
            lambda size, page: suite.requests.list(
                token,
                state=state_on_the_wire(state),
                decidable_by_me=to_decide,
                staff_id=staff,
                page_size=size,
                page_token=page,
            ),
            lambda page: page.requests,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _LISTED, empty=_EMPTY)


async def _whole(suite: Connection, token: Secret, begin: str) -> str:
    return await whole_id(
        begin,
        lambda size, page: suite.requests.list(token, page_size=size, page_token=page),
        lambda page: page.requests,
    )


async def _approve(suite: Connection, token: Secret, id: str, note: str) -> pb.StaffRequest:
    return (await suite.requests.approve(token, id, note=note)).request


add_decisions(
    group,
    Face(
        whole_id=_whole,
        approve=_approve,
        reject=lambda suite, token, id, reason: suite.requests.reject(token, id, reason=reason),
        cancel=lambda suite, token, id: suite.requests.cancel(token, id),
        row=row,
        shown=SHOWN,
    ),
)


def _change(
    desk: Invocation, kind: Kind, *, store: str, role: str, phone_stdin: bool, reset_totp: bool
) -> Change | None:
    if bool(store) != (kind is Kind.MOVE_STORE):
        raise usage("--store 用于且仅用于 move-store。", "--store belongs to move-store, which needs it.")
    if bool(role) != (kind is Kind.CHANGE_ROLE):
        raise usage("--role 用于且仅用于 change-role。", "--role belongs to change-role, which needs it.")
    if kind is not Kind.REBIND_PHONE:
        if phone_stdin or reset_totp:
            raise usage(
                "--phone-stdin 与 --reset-totp 仅用于 rebind-phone。",
                "--phone-stdin and --reset-totp belong to rebind-phone.",
            )
        return pb.MoveStore(store_id=store) if store else pb.ChangeRole(role_id=role) if role else None
    if phone_stdin:
        return pb.RebindPhone(phone=stdin_line().strip(), reset_totp=reset_totp)
    must_be_here(desk.person, instead=Text("请使用 --phone-stdin。", "Use --phone-stdin."))
    return pb.RebindPhone(phone=desk.person.answer(desk.say("新手机号", "New phone number")), reset_totp=reset_totp)


def _prove_here(desk: Invocation, staff_id: str) -> Secret:
    must_be_here(
        desk.person, instead=Text("请先运行 infosec request prove。", "Run infosec request prove first, or log in.")
    )
    challenge = desk.run(lambda suite: suite.requests.send_code(staff_id, terminal_id=desk.settings.terminal))
    desk.out.note(
        "如该工号存在，验证码已发到绑定手机。", "If there is such a staff ID, a code was sent to its bound phone."
    )
    return _show_code(desk, staff_id, challenge, _ask_sms_code(desk))


def _ask_sms_code(desk: Invocation) -> Secret:
    must_be_here(desk.person, instead=Text("请使用 --code-stdin。", "Use --code-stdin."))
    return desk.person.secret(desk.say("短信验证码", "Code from the SMS"))


def _show_code(desk: Invocation, staff_id: str, challenge: str, code: Secret) -> Secret:
    answer = desk.run(
        lambda suite: suite.requests.prove_identity(
            staff_id, terminal_id=desk.settings.terminal, challenge_id=challenge, code=code
        )
    )
    proof = Secret(answer.proof)
    desk.files.keep_proof(staff_id, proof)
    desk.out.note(
        f"身份已验证，十分钟内可提交一次申请。{answer.text}",
        f"Proved; good for one request within ten minutes. {answer.text}",
    )
    desk.out.record(
        {"staff_id": staff_id, "staff_state": answer.staff_state or None, "text": answer.text or None},
        (
            Column("staff_id", Text("工号", "Staff ID")),
            Column("staff_state", Text("状态", "State"), words=STAFF_STATES),
            Column("text", Text("说明", "What it means")),
        ),
    )
    return proof
