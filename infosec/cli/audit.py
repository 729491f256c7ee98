"""`infosec audit`: the record, read and proved."""

from __future__ import annotations

import typer

from infosec.cli import audit_export, audit_verify
from infosec.cli.words import t

group = typer.Typer(no_args_is_help=True, help=t("审计日志：导出与核验", "The audit log: export it, and verify it."))


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="audit")


for _commands in (audit_export, audit_verify):
    _commands.add_to(group)
