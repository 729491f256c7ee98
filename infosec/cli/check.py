"""`infosec check`: ask the one question, for one operation or for a stream of them. A denial is an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.cli.approval import CustomerAsked, ask_customer, grant_of
from infosec.cli.failures import ExitCode, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.records import Row, Value, row
from infosec.cli.words import CLASSES, t
from infosec.client.check import question
from infosec.client.connection import Connection
from infosec.decision.operations import Purpose
from infosec.decision.reasons import RequiredKind, required_text
from infosec.messages import Locale, Text
from infosec.secret import Secret

BATCH = 50
MAX_LINE = 16_384

_WORDS = {kind.value: Text(required_text(kind, Locale.ZH_CN), required_text(kind, Locale.EN)) for kind in RequiredKind}
_ANSWER = (
    Column("allowed", Text("允许", "Allowed")),
    Column("reason", Text("原因", "Reason")),
    Column("text", Text("说明", "What it means")),
    Column("operation_class", Text("类别", "Class"), words=CLASSES),
    Column("missing", Text("还缺", "Missing"), words=_WORDS),
    Column("masking", Text("须遮盖", "To be masked")),
    Column("holds_until", Text("有效至", "Holds until")),
    Column("record_id", Text("记录编号", "Record")),
    Column("revisions", Text("版本", "Revisions")),
)
_LINES = (
    Column("line", Text("行", "Line")),
    Column("operation", Text("业务", "Operation")),
    Column("allowed", Text("允许", "Allowed")),
    Column("reason", Text("原因", "Reason")),
    Column("missing", Text("还缺", "Missing"), words=_WORDS),
    Column("text", Text("说明", "What it means"), only_wide=True),
)
_ASKED = frozenset({"operation", "store_id", "terminal_id", "customer", "purpose", "work_order", "product", "order_id"})

group = typer.Typer(no_args_is_help=True, help=t("业务授权检查", "May this person do this, here, to this customer?"))


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="check")


@group.command(help=t("检查一项业务；被拒时退出码为 4", "Check one operation; exit code 4 when it is denied."))
def one(
    ctx: typer.Context,
    operation: Annotated[str, typer.Argument(help=t("业务代码", "operation code"))],
    store: Annotated[str | None, typer.Option(help=t("营业厅，默认为本人的", "store; one's own by default"))] = None,
    customer: CustomerAsked = False,
    purpose: Annotated[
        Purpose | None, typer.Option(case_sensitive=False, help=t("查询用途", "why the data is looked at"))
    ] = None,
    work_order: Annotated[str, typer.Option(help=t("工单编号", "work order"))] = "",
    product: Annotated[str, typer.Option(help=t("产品", "product"))] = "",
    order: Annotated[str, typer.Option(help=t("订单号", "order ID"))] = "",
    approval: Annotated[
        list[str] | None, typer.Option(help=t("所用审批的编号", "approval whose grant to bring"))
    ] = None,
) -> None:
    """In the stored session, at this terminal."""
    desk = of(ctx)
    number = ask_customer(desk) if customer else None
    place = store or desk.session().store_id

    async def ask(suite: Connection, token: Secret) -> pb.CheckResponse:
        grants = [await grant_of(suite, token, id) for id in approval or ()]
        return await suite.check.check(
            token,
            operation,
            store_id=place,
            terminal_id=desk.settings.terminal,
            customer=number,
            purpose=purpose,
            work_order=work_order,
            product=product,
            order_id=order,
            grants=grants,
        )

    answer = desk.run_in_session(ask)
    desk.out.record(_answer(answer), _ANSWER)
    if not answer.allowed:
        raise typer.Exit(ExitCode.DENIED)


@group.command(
    help=t("从标准输入读 ndjson，逐行检查", "Check each line of ndjson on stdin; a denial is an answer, exit code 0.")
)
def batch(ctx: typer.Context) -> None:
    """Lines are objects with operation, and customer, purpose, work_order, product, order_id, store_id, terminal_id as needed."""
    desk = of(ctx)
    token = desk.session().token
    asked = list(_questions(desk, token))

    async def ask(suite: Connection, _token: Secret) -> list[pb.CheckResponse]:
        answers: list[pb.CheckResponse] = []
        for start in range(0, len(asked), BATCH):
            answers += await suite.check.batch([request for _, request in asked[start : start + BATCH]])
        return answers

    answers = desk.run_in_session(ask) if asked else []
    results = [
        _answer(answer, line=line, operation=request.operation)
        for (line, request), answer in zip(asked, answers, strict=True)
    ]
    desk.out.rows(results, _LINES, empty=Text("标准输入中没有要检查的内容。", "Nothing to check on stdin."))


def _answer(answer: pb.CheckResponse, **first: Value) -> Row:
    return first | row(answer) | {"missing": [requirement.kind for requirement in answer.required]}


def _questions(desk: Invocation, token: Secret) -> Iterator[tuple[int, pb.CheckRequest]]:
    own_store = desk.session().store_id
    number = 0
    while text := sys.stdin.readline(MAX_LINE + 1):
        number += 1
        if not text.strip():
            continue
        asked = _asked(number, text)
        yield (
            number,
            question(
                token,
                asked["operation"],
                store_id=asked.get("store_id", own_store),
                terminal_id=asked.get("terminal_id", desk.settings.terminal),
                customer=asked.get("customer"),
                purpose=_purpose(number, asked.get("purpose")),
                work_order=asked.get("work_order", ""),
                product=asked.get("product", ""),
                order_id=asked.get("order_id", ""),
            ),
        )


def _asked(number: int, text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text) if len(text) <= MAX_LINE else None
    except ValueError:
        found = None
    if (
        not isinstance(found, dict)
        or "operation" not in found
        or found.keys() - _ASKED
        or not all(isinstance(value, str) for value in found.values())
    ):
        names = ", ".join(sorted(_ASKED))
        raise usage(
            f"第 {number} 行不是所需的 JSON 对象。须有 operation，字段为文本：{names}",
            f"Line {number} is not the JSON object that is wanted: operation, and text fields of {names}",
        )
    return found


def _purpose(number: int, given: str | None) -> Purpose | None:
    if given is None:
        return None
    try:
        return Purpose(given.upper().replace("-", "_"))
    except ValueError:
        raise usage(
            f"第 {number} 行的 purpose 无效：{', '.join(Purpose)}",
            f"Line {number}: purpose is one of {', '.join(Purpose)}",
        ) from None
