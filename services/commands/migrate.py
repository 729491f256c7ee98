"""`infosec migrate`: bring the schemas of all services up to date."""

from __future__ import annotations

import typer

from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config
from infosec.rpc.server import loop
from services.commands.options import ConfigFile, load
from services.engines import running_or_own_engines
from services.schemas import migrate_all


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("升级数据库结构", "Bring the database up to date"))
    def migrate(config: ConfigFile = None) -> None:
        for schema, applied in loop.run(_migrate(load(config))).items():
            done = ", ".join(f"{number:04d}" for number in applied) or t("已是最新", "up to date")
            typer.echo(f"{schema}: {done}")


async def _migrate(config: Config) -> dict[str, tuple[int, ...]]:
    async with running_or_own_engines(config) as engines:
        return await migrate_all(engines, SystemClock().now())
