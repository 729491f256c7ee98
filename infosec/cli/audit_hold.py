"""`infosec audit hold`: a customer's records are kept from erasure and retention; lifting it takes two people (CI-8)."""

from __future__ import annotations

from typing import Annotated

import typer

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.audit_acts import tell_proposed
from infosec.cli.audit_person import (
    LOOSE,
    Asserting,
    CustomerFile,
    CustomerStdin,
    Grounds,
    ask_number,
    refuse_arguments,
    run_asserted,
    run_stepped_up,
)
from infosec.cli.credentials import CodeStdin
from infosec.cli.decisions import Id
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.pages import WHOLE_ID, every, the_one
from infosec.cli.records import row, rows
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.messages import Text

_LISTED = (
    Column("hold_id", Text("编号", "Hold"), is_id=True),
    Column("placed_by", Text("实施人", "By")),
    Column("placed_at", Text("实施时间", "Placed"), is_whole=True),
    Column("released_at", Text("解除时间", "Released"), is_whole=True),
    Column("released_by", Text("解除人", "Released by"), only_wide=True),
    Column("reason", Text("理由", "Reason")),
)
_SHOWN = (
    Column("hold_id", Text("编号", "Hold")),
    Column("subject_id", Text("客户在日志中的编号", "Customer's ID in the log")),
    Column("reason", Text("理由", "Reason")),
    Column("placed_by", Text("实施人", "Placed by")),
    Column("placed_at", Text("实施时间", "Placed at")),
)
_EMPTY = Text("没有保全。", "No holds.")

group = typer.Typer(
    no_args_is_help=True,
    help=t("保全：客户的记录暂不得删除或清理", "Keep a customer's records from erasure and retention."),
)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(group, name="hold")


@group.command(
    context_settings=LOOSE, help=t("对某客户的记录实施保全，立即生效", "Hold a customer's records, at once.")
)
def place(
    ctx: typer.Context,
    reason: Grounds,
    customer_stdin: CustomerStdin = False,
    customer_file: CustomerFile = None,
) -> None:
    """One person is enough: nothing is taken away."""
    refuse_arguments(ctx)
    desk = of(ctx)
    number = ask_number(desk, from_stdin=customer_stdin, file=customer_file)

    async def work(suite: Connection, assertion: Asserting) -> pb.Hold:
        return await suite.audit_admin.place_hold(await assertion(), number, reason=reason)

    placed = run_asserted(desk, work)
    desk.out.note("已保全。", "Held from now on.")
    desk.out.record(row(placed), _SHOWN)


@group.command(
    help=t(
        "提出解除保全；第二人确认后生效，提出后退出码为 5",
        "Propose to lift a hold; another person confirms it. Exit code 5.",
    )
)
def release(ctx: typer.Context, hold: Id, reason: Grounds, code_stdin: CodeStdin = False) -> None:
    """Takes a second factor."""
    desk = of(ctx)

    async def work(suite: Connection, assertion: Asserting) -> pb.Act:
        hold_id = await _whole(suite, assertion, hold)
        return await suite.audit_admin.release_hold(await assertion(), hold_id, reason=reason)

    tell_proposed(desk, run_stepped_up(desk, work, code_from_stdin=code_stdin))


@group.command("list", help=t("列出保全，最新在前", "List holds, newest first."))
def list_(
    ctx: typer.Context,
    active: Annotated[bool, typer.Option("--active", help=t("只列仍有效的", "only those that hold now"))] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=t("最多列出几条", "list at most so many"))] = None,
) -> None:
    """For auditors and carrier duty officers."""
    desk = of(ctx)

    async def fetch(suite: Connection, assertion: Asserting) -> list[pb.Hold]:
        return await _holds(suite, assertion, active_only=active, limit=limit)

    desk.out.rows(rows(run_asserted(desk, fetch)), _LISTED, empty=_EMPTY)


async def _whole(suite: Connection, assertion: Asserting, begin: str) -> str:
    if len(begin) >= WHOLE_ID:
        return begin
    return the_one(begin, [hold.hold_id for hold in await _holds(suite, assertion, active_only=False, limit=None)])


async def _holds(suite: Connection, assertion: Asserting, *, active_only: bool, limit: int | None) -> list[pb.Hold]:
    async def page(size: int, token: str) -> pb.ListHoldsResponse:
        return await suite.audit_admin.holds(
            await assertion(), active_only=active_only, page_size=size, page_token=token
        )

    return await every(page, lambda page: page.holds, limit=limit)
