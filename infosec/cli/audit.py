"""`infosec audit`: the record, read and proved."""

from __future__ import annotations

import typer

from infosec.cli import (
    audit_acts,
    audit_checkpoint,
    audit_erase,
    audit_export,
    audit_finding,
    audit_hold,
    audit_logs,
    audit_query,
    audit_report,
    audit_review,
    audit_verify,
    audit_who,
)
from infosec.cli.words import t

group = typer.Typer(
    no_args_is_help=True,
    help=t(
        "审计日志：查询、答复客户、导出、核验、保全与删除",
        "The audit log: look it up, answer customers, export and verify it, hold and erase.",
    ),
)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="audit")


for _commands in (
    audit_query,
    audit_who,
    audit_export,
    audit_verify,
    audit_checkpoint,
    audit_logs,
    audit_finding,
    audit_erase,
    audit_hold,
    audit_acts,
    audit_review,
    audit_report,
):
    _commands.add_to(group)
