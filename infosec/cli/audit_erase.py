"""`infosec audit erase` and `infosec audit retention`: proposals to let data go, which another person confirms (CI-8)."""

from __future__ import annotations

from typing import Annotated

import typer

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.audit_acts import counted, tell_proposed
from infosec.cli.audit_person import (
    LOOSE,
    Asserting,
    CustomerFile,
    CustomerStdin,
    Grounds,
    Yes,
    agree,
    ask_number,
    refuse_arguments,
    run_asserted,
    run_stepped_up,
)
from infosec.cli.credentials import CodeStdin
from infosec.cli.failures import usage
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.records import row
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.messages import Text

_DRY_RUN = "dry run"
_COUNTS = (
    Column("payloads", Text("去除内容的记录", "Entries losing their content")),
    Column("entries", Text("整条清除的记录", "Entries dropped")),
    Column("held", Text("因保全保留的记录", "Kept by a hold")),
)
_ERASES = Text(
    "提出永久删除该客户的身份信息。第二人确认后立即执行，不可恢复，日志本身仍可核验。提出？",
    "To propose that this customer's identifying data be erased. Once a second person confirms, it is done at once and "
    "cannot be undone; the log stays provable. Propose it?",
)


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command(
        "erase",
        context_settings=LOOSE,
        help=t(
            "提出删除客户的身份信息；第二人确认后执行，不可恢复。提出后退出码为 5",
            "Propose to erase a customer's identifying data; done for ever once another confirms. Exit code 5.",
        ),
    )(erase)
    group.command(
        "retention",
        help=t(
            "提出清理超过保存期限的记录；--dry-run 只计数。提出后退出码为 5",
            "Propose to let go of what is past its term; --dry-run only counts. Exit code 5 once it is proposed.",
        ),
    )(retention)


def erase(
    ctx: typer.Context,
    reason: Grounds,
    customer_stdin: CustomerStdin = False,
    customer_file: CustomerFile = None,
    yes: Yes = False,
    code_stdin: CodeStdin = False,
) -> None:
    """The number is typed twice. In a pipe: the number, then the code, a line each."""
    refuse_arguments(ctx)
    desk = of(ctx)
    number = ask_number(desk, from_stdin=customer_stdin, file=customer_file, twice=True)
    agree(desk, _ERASES, yes=yes)

    async def work(suite: Connection, assertion: Asserting) -> pb.Act:
        return await suite.audit_admin.erase_subject(await assertion(), number, reason=reason)

    tell_proposed(desk, run_stepped_up(desk, work, code_from_stdin=code_stdin))


def retention(
    ctx: typer.Context,
    reason: Annotated[
        str,
        typer.Option(help=t("理由，入审计日志； --dry-run 时可不写", "why; it goes on record. Not with --dry-run")),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("只计数，不提出", "only count, and propose nothing"))
    ] = False,
    code_stdin: CodeStdin = False,
) -> None:
    """Terms are in the catalogue of events; what a hold keeps stays."""
    desk = of(ctx)
    if not dry_run and not reason.strip():
        raise usage(
            "请用 --reason 说明理由，或用 --dry-run 只计数。", "Say why with --reason, or only count with --dry-run."
        )

    async def work(suite: Connection, assertion: Asserting) -> pb.ApplyRetentionResponse:
        return await suite.audit_admin.apply_retention(await assertion(), reason=reason or _DRY_RUN, dry_run=dry_run)

    if dry_run:
        desk.out.record(row(run_asserted(desk, work).counts), _COUNTS)
        return
    answer = run_stepped_up(desk, work, code_from_stdin=code_stdin)
    desk.out.note(*counted(answer.counts))
    tell_proposed(desk, answer.act)
