"""`infosec approval`: the second person for one operation on one customer (RQ-7), and the grant that comes of it.

Grants are fetched with the session that they were given to, so that none stands on a command line.
"""

from __future__ import annotations

from typing import Annotated

import typer

from infosec.api.auth.v1 import approvals_pb2 as pb
from infosec.api.auth.v1 import requests_pb2
from infosec.api.common.v1 import revision_pb2
from infosec.cli.decisions import Face, Id, ToDecide, Why, add_decisions
from infosec.cli.failures import ExitCode, Told
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.pages import every, whole_id
from infosec.cli.person import stdin_secret
from infosec.cli.records import Row, row
from infosec.cli.request import Limit, State, state_on_the_wire
from infosec.cli.words import REQUEST_STATES, ROLE_WORDS, t
from infosec.client.connection import Connection
from infosec.errors import Reason
from infosec.messages import Text
from infosec.secret import Secret

CustomerAsked = Annotated[
    bool,
    typer.Option(
        "--customer",
        help=t("询问客户号码（管道中从标准输入读一行）", "ask for the customer's number (a line of stdin in a pipe)"),
    ),
]
OrderId = Annotated[str, typer.Option("--order", help=t("订单号", "order ID"))]

_LISTED = (
    Column("id", Text("编号", "ID"), is_id=True),
    Column("operation", Text("业务", "Operation")),
    Column("state", Text("状态", "State"), words=REQUEST_STATES),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("staff_name", Text("姓名", "Name"), only_wide=True),
    Column("store_id", Text("营业厅", "Store")),
    Column("order_id", Text("订单", "Order"), only_wide=True),
    Column("submitted_at", Text("提交时间", "Submitted"), is_whole=True),
    Column("expires_at", Text("过期时间", "Expires"), is_whole=True, only_wide=True),
)
_SHOWN = (
    Column("id", Text("编号", "ID")),
    Column("operation", Text("业务", "Operation")),
    Column("state", Text("状态", "State"), words=REQUEST_STATES),
    Column("decider_roles", Text("可审批岗位", "May be decided by"), words=ROLE_WORDS),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("staff_name", Text("姓名", "Name")),
    Column("store_id", Text("营业厅", "Store")),
    Column("region_id", Text("片区", "Region")),
    Column("product", Text("产品", "Product")),
    Column("order_id", Text("订单", "Order")),
    Column("reason", Text("理由", "Reason")),
    Column("submitted_at", Text("提交时间", "Submitted at")),
    Column("expires_at", Text("过期时间", "Expires at")),
    Column("decided_by", Text("审批人工号", "Decided by")),
    Column("decided_at", Text("审批时间", "Decided at")),
    Column("decision_reason", Text("审批意见", "Decision, why")),
    Column("execute_by", Text("须执行于", "To be used by")),
    Column("flags", Text("标记", "Flags"), words={"RECIPROCAL": Text("互相审批", "each decided for the other")}),
)
_EMPTY = Text("没有审批。", "No approvals.")

group = typer.Typer(
    no_args_is_help=True, help=t("金库模式：某项业务的第二人审批", "Second-person approval of one operation.")
)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="approval")


@group.command(help=t("请第二人审批", "Ask for a second person."))
def ask(
    ctx: typer.Context,
    operation: Annotated[str, typer.Argument(help=t("业务代码", "operation code"))],
    reason: Why,
    customer: CustomerAsked = False,
    product: Annotated[str, typer.Option(help=t("产品", "product"))] = "",
    order: OrderId = "",
) -> None:
    """Bound to this operation, this customer and this person."""
    desk = of(ctx)
    number = ask_customer(desk) if customer else None
    asked = desk.run_in_session(
        lambda suite, token: suite.approvals.submit(
            token, operation, reason=reason, customer=number, product=product, order_id=order
        )
    )
    desk.out.note("已提交，等待第二人审批。", "Asked; it waits for the second person.")
    desk.out.record(_public(asked), _SHOWN)


@group.command(help=t("查看审批", "Show one approval."))
def show(ctx: typer.Context, id: Id) -> None:
    """To who asked, and who may decide."""
    desk = of(ctx)

    async def get(suite: Connection, token: Secret) -> pb.Approval:
        return await suite.approvals.get(token, await _whole(suite, token, id))

    desk.out.record(_public(desk.run_in_session(get)), _SHOWN)


@group.command("list", help=t("列出审批，最新在前", "List approvals, newest first."))
def list_(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help=t("只列此状态", "only in this state"))] = None,
    to_decide: ToDecide = False,
    limit: Limit = None,
) -> None:
    """What the caller asked for or may decide."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Approval]:
        return await every(
            lambda size, page: suite.approvals.list(
                token, state=state_on_the_wire(state), decidable_by_me=to_decide, page_size=size, page_token=page
            ),
            lambda page: page.approvals,
            limit=limit,
        )

    desk.out.rows([_public(found) for found in desk.run_in_session(fetch)], _LISTED, empty=_EMPTY)


@group.command(help=t("把授权绑定到订单", "Bind the grant of an approval to an order."))
def redeem(ctx: typer.Context, id: Id, order: Annotated[str, typer.Option(help=t("订单号", "order ID"))]) -> None:
    """The same order may do so again; another is refused."""
    desk = of(ctx)

    async def work(suite: Connection, token: Secret) -> revision_pb2.Revision:
        return await suite.approvals.redeem(await grant_of(suite, token, id), order_id=order)

    revision = desk.run_in_session(work)
    desk.out.note("授权已绑定到该订单。", "The grant is bound to the order.")
    desk.out.record(row(revision), ())


@group.command(help=t("订单未完成时，解除绑定", "Free the grant of an order that was not completed."))
def release(ctx: typer.Context, id: Id, order: Annotated[str, typer.Option(help=t("订单号", "order ID"))]) -> None:
    """Before completion."""
    desk = of(ctx)

    async def work(suite: Connection, token: Secret) -> revision_pb2.Revision:
        return await suite.approvals.release(await grant_of(suite, token, id), order_id=order)

    revision = desk.run_in_session(work)
    desk.out.note("授权已解除绑定。", "The grant is free again.")
    desk.out.record(row(revision), ())


async def grant_of(suite: Connection, token: Secret, begin: str) -> Secret:
    """The grant of an approval that this session asked for. Raises Told where there is none (yet)."""
    approval = await suite.approvals.get(token, await _whole(suite, token, begin))
    if approval.grant:
        return Secret(approval.grant)
    if approval.state == requests_pb2.REQUEST_STATE_PENDING:
        raise Told(
            Reason.GRANT_INVALID,
            Text("尚未批准，请等待第二人审批。", "Not approved yet; it waits for the second person."),
            exit_code=ExitCode.PENDING,
        )
    raise Told(
        Reason.GRANT_INVALID,
        Text(
            "该审批没有可用的授权。请重新申请：infosec approval ask",
            "This approval has no grant to use. Ask anew: infosec approval ask",
        ),
        exit_code=ExitCode.CONFLICT,
    )


def ask_customer(desk: Invocation) -> Secret:
    """The caller's number for the customer: customer data, so never an argument."""
    if not desk.person.is_here():
        return stdin_secret()
    return Secret(desk.person.answer(desk.say("客户号码", "Customer's number")))


def _public(approval: pb.Approval) -> Row:
    shown = row(approval)
    del shown["grant"]
    return shown


async def _whole(suite: Connection, token: Secret, begin: str) -> str:
    return await whole_id(
        begin,
        lambda size, page: suite.approvals.list(token, page_size=size, page_token=page),
        lambda page: page.approvals,
    )


add_decisions(
    group,
    Face(
        whole_id=_whole,
        approve=lambda suite, token, id, note: suite.approvals.approve(token, id, note=note),
        reject=lambda suite, token, id, reason: suite.approvals.reject(token, id, reason=reason),
        cancel=lambda suite, token, id: suite.approvals.cancel(token, id),
        row=_public,
        shown=_SHOWN,
    ),
)
