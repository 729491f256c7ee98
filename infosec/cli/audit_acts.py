"""`infosec audit acts`: what takes two people. One proposed it; another confirms, and is told first what will happen (CI-8)."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.audit_person import Asserting, Grounds, Yes, agree, printable, run_asserted, run_stepped_up
from infosec.cli.credentials import CodeStdin
from infosec.cli.decisions import Id
from infosec.cli.failures import ExitCode
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.pages import every, the_one
from infosec.cli.records import row, rows
from infosec.cli.words import Words, t
from infosec.client.connection import Connection
from infosec.messages import Text

KINDS: Words = {
    "ERASE_SUBJECT": Text("删除客户身份信息", "erase a customer"),
    "RELEASE_HOLD": Text("解除保全", "release a hold"),
    "APPLY_RETENTION": Text("清理到期记录", "apply retention"),
}
STATES: Words = {
    "PROPOSED": Text("待第二人确认", "waits for another"),
    "CONFIRMED": Text("已确认，执行中", "being carried out"),
    "DONE": Text("已执行", "done"),
    "WITHDRAWN": Text("已撤回", "withdrawn"),
    "EXPIRED": Text("已过期", "expired"),
    "BLOCKED": Text("因保全未执行", "blocked by a hold"),
}
_LISTED = (
    Column("act_id", Text("编号", "Act"), is_id=True),
    Column("kind", Text("事项", "What"), words=KINDS),
    Column("state", Text("状态", "State"), words=STATES),
    Column("proposed_by", Text("提出人", "By")),
    Column("proposed_at", Text("提出时间", "Proposed"), is_whole=True),
    Column("expires_at", Text("过期时间", "Expires"), is_whole=True, only_wide=True),
    Column("decided_by", Text("决定人", "Decided by"), only_wide=True),
    Column("reason", Text("理由", "Reason")),
)
SHOWN = (
    Column("act_id", Text("编号", "Act")),
    Column("kind", Text("事项", "What"), words=KINDS),
    Column("state", Text("状态", "State"), words=STATES),
    Column("reason", Text("理由", "Reason")),
    Column("subject_id", Text("客户在日志中的编号", "Customer's ID in the log")),
    Column("hold_id", Text("保全编号", "Hold")),
    Column("retention.payloads", Text("去除内容的记录", "Entries losing their content")),
    Column("retention.entries", Text("整条清除的记录", "Entries dropped")),
    Column("retention.held", Text("因保全保留的记录", "Kept by a hold")),
    Column("proposed_by", Text("提出人", "Proposed by")),
    Column("proposed_at", Text("提出时间", "Proposed at")),
    Column("expires_at", Text("过期时间", "Expires at")),
    Column("decided_by", Text("决定人", "Decided by")),
    Column("decided_at", Text("决定时间", "Decided at")),
)
_EMPTY = Text("没有双人操作。", "No acts.")

_WILL: dict[pb.ActKind.ValueType, Text] = {
    pb.ACT_KIND_ERASE_SUBJECT: Text(
        "确认后，该客户的身份信息将永久无法读取，日志中的记录不再能与其关联。不可恢复，任何备份也不能。",
        "This makes the customer's identifying data unreadable for ever: no entry can be told to be theirs any more. "
        "It cannot be undone, not from a backup either.",
    ),
    pb.ACT_KIND_RELEASE_HOLD: Text(
        "确认后，该客户的记录不再受保全，可以被删除或到期清理。",
        "This lifts the hold: the customer's records may then be erased, and go when their term is over.",
    ),
    pb.ACT_KIND_APPLY_RETENTION: Text(
        "确认后，超过保存期限的记录内容将被清除，只留哈希。不可恢复。",
        "This drops the content of entries past their term; only hashes stay. It cannot be undone.",
    ),
}

group = typer.Typer(
    no_args_is_help=True,
    help=t("须两人完成的操作：列出、确认、撤回", "What takes two people: list, confirm, withdraw."),
)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(group, name="acts")


@group.command("list", help=t("列出双人操作，最新在前", "List acts, newest first."))
def list_(
    ctx: typer.Context,
    open_only: Annotated[
        bool, typer.Option("--open", help=t("只列待确认的", "only those that wait for a second person"))
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=t("最多列出几条", "list at most so many"))] = None,
) -> None:
    """For auditors and carrier duty officers."""
    desk = of(ctx)

    async def fetch(suite: Connection, assertion: Asserting) -> list[pb.Act]:
        return await _acts(suite, assertion, open_only=open_only, limit=limit)

    desk.out.rows(rows(run_asserted(desk, fetch)), _LISTED, empty=_EMPTY)


@group.command(
    help=t("确认他人提出的操作，随即执行；要求动态口令", "Do what another person proposed; asks for the second factor.")
)
def confirm(ctx: typer.Context, act: Id, yes: Yes = False, code_stdin: CodeStdin = False) -> None:
    """Never one's own."""
    desk = of(ctx)

    async def find(suite: Connection, assertion: Asserting) -> pb.Act:
        return await _found(suite, assertion, act)

    found = run_asserted(desk, find)
    # Read before the question: who answers knows what they confirm, and it is this act that is confirmed.
    agree(desk, _question(found), yes=yes)

    async def work(suite: Connection, assertion: Asserting) -> pb.Act:
        return await suite.audit_admin.confirm_act(await assertion(), found.act_id)

    done = run_stepped_up(desk, work, code_from_stdin=code_stdin)
    _say_state(desk, done)
    desk.out.record(row(done), SHOWN)
    if done.state == pb.ACT_STATE_BLOCKED:
        raise typer.Exit(ExitCode.CONFLICT)


@group.command(help=t("撤回自己提出的，或否决他人提出的", "Take back what one proposed, or refuse what another did."))
def withdraw(ctx: typer.Context, act: Id, reason: Grounds) -> None:
    """While it waits; nothing is carried out."""
    desk = of(ctx)

    async def work(suite: Connection, assertion: Asserting) -> pb.Act:
        found = await _found(suite, assertion, act)
        return await suite.audit_admin.withdraw_act(await assertion(), found.act_id, reason=reason)

    withdrawn = run_asserted(desk, work)
    desk.out.note("已撤回，什么都没有改变。", "Withdrawn; nothing was changed.")
    desk.out.record(row(withdrawn), SHOWN)


def tell_proposed(desk: Invocation, act: pb.Act) -> NoReturn:
    """Show an act that was proposed, say what the second person does, and end with the exit code that says so."""
    desk.out.note(
        "已提出，尚未执行：须另一名稽核或公司值班在 24 小时内确认。请其在自己的会话中运行：\n"
        f"  infosec audit acts confirm {act.act_id}",
        "Proposed; nothing is done yet. Another auditor or a carrier duty officer has 24 hours to confirm it, in a session "
        f"of their own:\n  infosec audit acts confirm {act.act_id}",
    )
    desk.out.record(row(act), SHOWN)
    raise typer.Exit(ExitCode.PENDING)


def _question(act: pb.Act) -> Text:
    """What will happen, and who wanted it why."""
    kind = str(row(act)["kind"])
    words, will = KINDS.get(kind, Text(kind, kind)), _WILL.get(act.kind, Text("", ""))
    reason = printable(act.reason)
    lines_zh = [f"{words.zh}。提出人 {act.proposed_by}，理由：{reason}"]
    lines_en = [f"To {words.en}; {act.proposed_by} proposed it: {reason}"]
    if act.kind == pb.ACT_KIND_APPLY_RETENTION:
        counts = counted(act.retention)
        lines_zh.append(counts.zh)
        lines_en.append(counts.en)
    return Text("\n".join([*lines_zh, will.zh, "确认执行？"]), "\n".join([*lines_en, will.en, "Confirm it?"]))


def counted(counts: pb.RetentionCounts) -> Text:
    """What retention does, in a sentence."""
    return Text(
        f"涉及：去除内容 {counts.payloads} 条，整条清除 {counts.entries} 条，因保全保留 {counts.held} 条。",
        f"Entries that lose their content: {counts.payloads}; that are dropped: {counts.entries}; "
        f"that a hold keeps: {counts.held}.",
    )


def _say_state(desk: Invocation, act: pb.Act) -> None:
    if act.state == pb.ACT_STATE_DONE:
        desk.out.note("已执行。", "Done.")
    elif act.state == pb.ACT_STATE_CONFIRMED:
        desk.out.note(
            "已确认，正在执行；完成情况见 infosec audit acts list。",
            "Confirmed, and being carried out; infosec audit acts list shows when it is done.",
        )
    elif act.state == pb.ACT_STATE_BLOCKED:
        desk.out.note(
            "未执行：其间有保全。查看：infosec audit hold list --active",
            "Not done: a hold came between. See: infosec audit hold list --active",
        )


async def _found(suite: Connection, assertion: Asserting, begin: str) -> pb.Act:
    acts = {act.act_id: act for act in await _acts(suite, assertion, open_only=False, limit=None)}
    return acts[the_one(begin, list(acts))]


async def _acts(suite: Connection, assertion: Asserting, *, open_only: bool, limit: int | None) -> list[pb.Act]:
    async def page(size: int, token: str) -> pb.ListActsResponse:
        return await suite.audit_admin.acts(await assertion(), open_only=open_only, page_size=size, page_token=token)

    return await every(page, lambda page: page.acts, limit=limit)
