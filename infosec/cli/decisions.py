"""Approving, rejecting and withdrawing: the same three commands for requests (section B) and for approvals (RQ-7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import typer

from infosec.cli.credentials import CodeStdin
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.secret import Secret

Item = TypeVar("Item")

Id = Annotated[str, typer.Argument(help=t("编号，或其开头几位", "the ID, or how it starts"))]
Why = Annotated[str, typer.Option("--reason", help=t("理由", "why"))]
Note = Annotated[str, typer.Option(help=t("批注", "a remark"))]
ToDecide = Annotated[bool, typer.Option("--to-decide", help=t("只列由我审批的", "only what I may decide now"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face(Generic[Item]):
    """Where the two differ: which service is asked, and how its answer is shown."""

    whole_id: Callable[[Connection, Secret, str], Awaitable[str]]
    approve: Callable[[Connection, Secret, str, str], Awaitable[Item]]
    reject: Callable[[Connection, Secret, str, str], Awaitable[Item]]
    cancel: Callable[[Connection, Secret, str], Awaitable[Item]]
    row: Callable[[Item], Row]
    shown: Sequence[Column]


def add_decisions(group: typer.Typer, face: Face[Any]) -> None:
    """Register `approve`, `reject` and `cancel`."""

    @group.command(help=t("批准，需要时要求动态口令", "Approve; asks for the second factor when it is needed."))
    def approve(ctx: typer.Context, id: Id, note: Note = "", code_stdin: CodeStdin = False) -> None:
        """RQ-3."""
        desk = of(ctx)

        async def work(suite: Connection, token: Secret) -> Any:
            return await face.approve(suite, token, await face.whole_id(suite, token, id), note)

        decided = desk.run_stepped_up(work, code_from_stdin=code_stdin)
        desk.out.note("已批准。", "Approved.")
        _show(desk, face, decided)

    @group.command(help=t("驳回，须说明理由", "Reject, saying why."))
    def reject(ctx: typer.Context, id: Id, reason: Why, code_stdin: CodeStdin = False) -> None:
        """RQ-5."""
        desk = of(ctx)

        async def work(suite: Connection, token: Secret) -> Any:
            return await face.reject(suite, token, await face.whole_id(suite, token, id), reason)

        decided = desk.run_stepped_up(work, code_from_stdin=code_stdin)
        desk.out.note("已驳回。", "Rejected.")
        _show(desk, face, decided)

    @group.command(help=t("撤回自己提交的", "Withdraw one's own."))
    def cancel(ctx: typer.Context, id: Id) -> None:
        """While it is undecided."""
        desk = of(ctx)

        async def work(suite: Connection, token: Secret) -> Any:
            return await face.cancel(suite, token, await face.whole_id(suite, token, id))

        cancelled = desk.run_in_session(work)
        desk.out.note("已撤回。", "Withdrawn.")
        _show(desk, face, cancelled)


def _show(desk: Invocation, face: Face[Any], item: Any) -> None:
    desk.out.record(face.row(item), face.shown)
