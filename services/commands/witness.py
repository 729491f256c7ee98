"""`infosec witness`: a witness of audit logs, to be run by somebody else than who runs the logs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from infosec import logging
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.messages import Text
from infosec.rpc.server import loop
from infosec.transparency.cosignatures import WitnessKey
from services.witness import app as witness
from services.witness.config import WitnessConfig

_SHOWN = (
    Column("name", Text("名称", "Name")),
    Column("key", Text("验证公钥", "Verifier key"), is_whole=True),
)
ConfigFile = Annotated[
    Path, typer.Option("--config", help=t("见证配置文件（TOML）", "the witness's configuration (TOML)"))
]
CheckConfig = Annotated[
    bool,
    typer.Option("--check-config", help=t("只检查配置", "only check the configuration, and say which key is wrong")),
]

group = typer.Typer(no_args_is_help=True, help=t("审计日志的见证", "A witness of audit logs."))


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="witness")


@group.command(help=t("新建见证：生成密钥与空的记录", "Set up a witness: a key, and an empty memory. Once."))
def init(ctx: typer.Context, config: ConfigFile) -> None:
    """A second one is refused: a witness that forgets would cosign anything once more."""
    _show(ctx, witness.create(WitnessConfig.load(config), clock=SystemClock()))


@group.command(help=t("显示见证的验证公钥", "Show the key that its cosignatures are verified with."))
def key(ctx: typer.Context, config: ConfigFile) -> None:
    """Goes into the configuration of the audit service, and to whoever verifies exports."""
    _show(ctx, witness.key_of(WitnessConfig.load(config)))


@group.command(help=t("运行见证", "Run the witness."))
def run(config: ConfigFile, check_config: CheckConfig = False) -> None:
    """Until SIGTERM or SIGINT."""
    settings = WitnessConfig.load(config)
    settings.check()
    if check_config:
        typer.echo(t("配置正确。", "The configuration is right."))
        return
    logging.configure(settings.log.level)
    logging.log_uncaught()
    loop.run(_serve(settings))


async def _serve(config: WitnessConfig) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with witness.serving(config, clock=SystemClock()) as running:
        started = t("见证已启动：{}。Ctrl-C 停止。", "The witness answers at {}. Ctrl-C stops it.")
        typer.echo(started.format(running.address), err=True)
        await stop.wait()


def _show(ctx: typer.Context, found: WitnessKey) -> None:
    of(ctx).out.record({"name": found.name, "key": found.vkey()}, _SHOWN)
