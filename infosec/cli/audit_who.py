"""`infosec audit who`: a customer asks who looked at their data, when and why, and gets an answer to read or print (CI-8)."""

from __future__ import annotations

from datetime import datetime
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
from infosec.cli.audit_query import Since, Until
from infosec.cli.audit_rows import OPERATIONS, PURPOSES, code_of, entry_row
from infosec.cli.audit_statement import Period, statement
from infosec.cli.failures import usage
from infosec.cli.invocation import of
from infosec.cli.moments import moment_or_ago
from infosec.cli.output import Column, Output
from infosec.cli.records import Row
from infosec.cli.words import ROLE_WORDS, t
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.messages import Text

PAGE = 1000

_COLUMNS = (
    Column("at", Text("时间", "When"), is_whole=True, has_seconds=True),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS),
    Column("store_id", Text("营业厅", "Store")),
    Column("terminal_id", Text("台席", "Terminal"), only_wide=True),
    Column("operation", Text("查看内容", "What"), words=OPERATIONS),
    Column("purpose", Text("目的", "Why"), words=PURPOSES),
    Column("log", Text("日志", "Log"), only_wide=True),
    Column("index", Text("序号", "Index"), is_whole=True, only_wide=True),
)
_EMPTY = Text(
    "没有查看记录：此期间无人查看过，或其身份信息已按要求删除。",
    "Nobody is on record: nobody looked in this time, or the identifying data was erased on request.",
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "who",
        context_settings=LOOSE,
        help=t(
            "答复客户：谁、何时、在哪里、为何看过其信息（此查询也会入日志）",
            "Answer a customer: who looked at their data, when, where and why. The question goes on record too.",
        ),
    )(who)


def who(
    ctx: typer.Context,
    customer_stdin: CustomerStdin = False,
    customer_file: CustomerFile = None,
    since: Since = "",
    until: Until = "",
    letter: Annotated[
        bool,
        typer.Option("--letter", help=t("书面说明， 可打印交给客户", "a statement to print and hand to the customer")),
    ] = False,
) -> None:
    """Oldest first; what released no data is left out."""
    refuse_arguments(ctx)
    desk = of(ctx)
    if letter and (desk.settings.output is not Output.TABLE or desk.settings.fields):
        raise usage("--letter 不能与 --output、--fields 同用。", "--letter goes with neither --output nor --fields.")
    now = SystemClock().now()
    period = Period(
        since=moment_or_ago(since, "--since", now=now), until=moment_or_ago(until, "--until", now=now), told_at=now
    )
    number = ask_number(desk, from_stdin=customer_stdin, file=customer_file)

    async def work(suite: Connection, assertion: Asserting) -> list[pb.Entry]:
        found: list[pb.Entry] = []
        token = ""
        while True:
            page = await suite.audit_read.who_accessed(
                await assertion(), number, since=period.since, until=period.until, page_size=PAGE, page_token=token
            )
            found += page.entries
            token = page.next_page_token
            if not token:
                return found

    accesses = [_access(entry) for entry in run_asserted(desk, work)]
    if letter:
        typer.echo(statement(accesses, period, desk.settings.locale), nl=False)
        return
    desk.out.rows(accesses, _COLUMNS, empty=_EMPTY)
    if accesses:
        desk.out.note(
            f"共 {len(accesses)} 次。可打印的说明：--letter",
            f"{len(accesses)} in all. To print it for the customer: --letter",
        )


def _access(entry: pb.Entry) -> Row:
    found = entry_row(entry)
    at = found["occurred"] if isinstance(found["occurred"], datetime) else found["recorded"]
    names = ("staff_id", "role_id", "store_id", "terminal_id", "operation")
    return {
        "at": at,
        **{name: found[name] for name in names},
        "purpose": code_of(found["purpose"]) or None,
        "log": found["log"],
        "index": found["index"],
    }
