"""`infosec audit finding`: what a spot check found goes on record (CI-6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.audit_person import Asserting, run_asserted
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.messages import Text


class Verdict(StrEnum):
    """What a spot check can find."""

    IN_ORDER = "in-order"
    UNCLEAR = "unclear"
    VIOLATION = "violation"

    @property
    def on_the_wire(self) -> pb.Verdict.ValueType:
        return pb.Verdict.Value(f"VERDICT_{self.name}")


_WORDS = {
    "in-order": Text("正常", "in order"),
    "unclear": Text("存疑", "unclear"),
    "violation": Text("违规", "violation"),
}
_SHOWN = (
    Column("event_id", Text("记录编号", "Record")),
    Column("log", Text("日志", "Log")),
    Column("index", Text("序号", "Index")),
    Column("verdict", Text("结论", "Verdict"), words=_WORDS),
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "finding", help=t("记录一条抽查结论，结论入审计日志", "Record what a spot check found; it goes on record.")
    )(finding)


def finding(
    ctx: typer.Context,
    log: Annotated[str, typer.Argument(help=t("日志（片区）", "log, which is a region's"))],
    index: Annotated[int, typer.Argument(min=0, help=t("所查记录的序号", "index of the entry that was looked at"))],
    verdict: Annotated[Verdict, typer.Argument(help=t("结论", "what was found"))],
    note: Annotated[str, typer.Option(help=t("说明；请勿写客户信息", "in words; name no customer"))] = "",
) -> None:
    """For auditors."""
    desk = of(ctx)

    async def work(suite: Connection, assertion: Asserting) -> str:
        return await suite.audit_admin.record_finding(
            await assertion(), log_id=log, index=index, verdict=verdict.on_the_wire, note=note
        )

    event_id = run_asserted(desk, work)
    desk.out.note("已入日志。", "On record.")
    desk.out.record({"event_id": event_id, "log": log, "index": index, "verdict": verdict.value}, _SHOWN)
