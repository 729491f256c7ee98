"""`infosec demo`: a day in the stores through the real API, step by step. Exits with 1 if a step was not as expected."""

from __future__ import annotations

import typer
from rich.console import Console

from infosec import logging
from infosec.cli.invocation import of
from infosec.cli.words import t
from infosec.rpc.server import loop
from services.demo.day import play
from services.demo.show import Programme


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(
        help=t("演示：营业厅的一天，逐步执行真实接口", "A day in the stores through the real API, step by step")
    )
    def demo(ctx: typer.Context) -> None:
        logging.configure("critical")  # refusals are what is shown; their log lines would stand between
        programme = Programme(Console(highlight=False), of(ctx).settings.locale)
        if not loop.run(play(programme)):
            raise typer.Exit(1)
