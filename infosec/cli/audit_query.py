"""`infosec audit query`: entries that match, newest first. What is looked at goes on record before it is shown."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.audit_person import (
    LOOSE,
    Asserting,
    CustomerFile,
    CustomerStdin,
    ask_number,
    refuse_arguments,
    run_asserted,
)
from infosec.cli.audit_rows import DECISIONS, PURPOSES, entry_rows
from infosec.cli.audit_types import TYPES, completed, known
from infosec.cli.invocation import of
from infosec.cli.moments import moment_or_ago
from infosec.cli.output import Column
from infosec.cli.words import ROLE_WORDS, t
from infosec.client.audit_read import audit_filter
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.messages import Text

DEFAULT_LIMIT = 100
PAGE = 1000

Since = Annotated[
    str,
    typer.Option(help=t("此时及以后入日志： 日期、时间、 2h 或 7d", "recorded at or after: a date, a time, or 2h, 7d")),
]
Until = Annotated[
    str,
    typer.Option(help=t("此时以前入日志； 日期指当天零点", "recorded before; a date is its first moment")),
]


class Decision(StrEnum):
    """How a check ended."""

    ALLOWED = "ALLOWED"
    DENIED = "DENIED"


_COLUMNS = (
    Column("log", Text("日志", "Log"), only_wide=True),
    Column("index", Text("序号", "Index"), is_whole=True),
    Column("recorded", Text("入日志时间", "Recorded"), is_whole=True, has_seconds=True),
    Column("type", Text("事件", "Event"), words=TYPES),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS, only_wide=True),
    Column("store_id", Text("营业厅", "Store")),
    Column("operation", Text("业务", "Op."), is_whole=True),
    Column("purpose", Text("目的", "Purpose"), words=PURPOSES, only_wide=True),
    Column("decision", Text("结果", "Result"), words=DECISIONS, is_whole=True),
    Column("reason", Text("原因", "Reason"), only_wide=True),
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "query",
        context_settings=LOOSE,
        help=t(
            "查询审计记录，最新在前；查询本身也会入日志。证据请用 export",
            "Look up entries, newest first; the look-up goes on record too. For evidence, use export.",
        ),
    )(query)


def query(
    ctx: typer.Context,
    since: Since = "",
    until: Until = "",
    log: Annotated[list[str] | None, typer.Option(help=t("日志（片区）", "log, which is a region's"))] = None,
    store: Annotated[list[str] | None, typer.Option(help=t("营业厅", "store"))] = None,
    staff: Annotated[list[str] | None, typer.Option(help=t("工号", "staff ID"))] = None,
    operation: Annotated[list[str] | None, typer.Option(help=t("业务代码", "operation code"))] = None,
    type: Annotated[
        list[str] | None,
        typer.Option(
            help=t("事件，如 业务判定 或 check.decided", "event, such as check.decided"), autocompletion=completed
        ),
    ] = None,
    decision: Annotated[
        Decision | None,
        typer.Option(case_sensitive=False, metavar="ALLOWED|DENIED", help=t("判定结果", "how it was decided")),
    ] = None,
    customer: Annotated[
        bool, typer.Option("--customer", help=t("只列某客户的， 号码另行输入", "of one customer; asks, unseen"))
    ] = False,
    customer_stdin: CustomerStdin = False,
    customer_file: CustomerFile = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=t(
                "最多列出几条； 终端上默认 100，否则全部", "at most so many; 100 on a terminal, else all, if not said"
            ),
        ),
    ] = None,
    oldest: Annotated[
        bool, typer.Option("--oldest/--newest", help=t("最旧或最新在前", "oldest or newest first"))
    ] = False,
) -> None:
    """Several values of one option are alternatives."""
    refuse_arguments(ctx)
    desk = of(ctx)
    most = limit or (DEFAULT_LIMIT if desk.out.is_for_people else None)
    now = SystemClock().now()
    wanted = audit_filter(
        since=moment_or_ago(since, "--since", now=now),
        until=moment_or_ago(until, "--until", now=now),
        log_ids=log or (),
        types=[known(one) for one in type or ()],
        store_ids=store or (),
        staff_ids=staff or (),
        operations=operation or (),
        decision=decision.value if decision else "",
        customer=ask_number(desk, from_stdin=customer_stdin, file=customer_file)
        if customer or customer_stdin or customer_file is not None
        else None,
    )

    async def work(suite: Connection, assertion: Asserting) -> tuple[list[pb.Entry], bool]:
        return await _fetched(suite, assertion, wanted, oldest_first=oldest, limit=most)

    found, has_more = run_asserted(desk, work)
    desk.out.rows(entry_rows(found), _COLUMNS, empty=Text("没有符合条件的记录。", "No entries match."))
    if has_more:
        desk.out.note(
            f"只列出 {most} 条，还有更多：用 --limit 或缩小条件；全部取出用 infosec audit export。",
            f"Only {most} are listed; there are more: raise --limit, or ask for less. For all: infosec audit export.",
        )


async def _fetched(
    suite: Connection, assertion: Asserting, wanted: pb.Filter, *, oldest_first: bool, limit: int | None
) -> tuple[list[pb.Entry], bool]:
    """Up to `limit` entries, all where it is None; and whether there may be more."""
    found: list[pb.Entry] = []
    token = ""
    while True:
        page = await suite.audit_read.query(
            await assertion(),
            wanted,
            oldest_first=oldest_first,
            page_size=PAGE if limit is None else min(PAGE, limit - len(found)),
            page_token=token,
        )
        found += page.entries
        token = page.next_page_token
        if not token or (limit is not None and len(found) >= limit):
            return found[:limit], bool(token)
