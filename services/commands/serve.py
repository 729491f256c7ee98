"""`infosec serve`: run the suite, or a part of it, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from infosec import logging
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config
from infosec.errors import Misconfigured, Reason
from infosec.rpc.server import loop
from services.commands.options import ConfigFile, load
from services.demo.data import seed_demo_data
from services.serving import SUITE, Part, Serving, serving

DemoData = Annotated[
    bool, typer.Option("--demo-data", help=t("首次启动时写入演示数据（仅限本机）", "seed demo data at first start (loopback only)"))
]
CheckConfig = Annotated[
    bool, typer.Option("--check-config", help=t("只检查配置", "only check the configuration, and say which key is wrong"))
]
Parts = Annotated[
    list[Part] | None, typer.Option("--part", help=t("只运行这些部分", "serve only these parts; all by default"))
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("启动服务", "Run the server"))
    def serve(
        config: ConfigFile = None, demo_data: DemoData = False, check_config: CheckConfig = False, part: Parts = None
    ) -> None:
        run(load(config), demo_data=demo_data, check_only=check_config, parts=frozenset(part or SUITE))


def run(config: Config, *, demo_data: bool = False, check_only: bool = False, parts: frozenset[Part] = SUITE) -> None:
    """Serve until SIGTERM or SIGINT. Raises Misconfigured before a socket opens."""
    config.check()
    if check_only:
        typer.echo(t("配置正确", "The configuration is right."))
        return
    if demo_data and not config.server.listen.is_loopback:
        raise Misconfigured(
            Reason.CONFIGURATION, key="server.listen", detail="demo data is for loopback only", hint="leave out --demo-data"
        )
    logging.configure(config.log.level)
    logging.log_uncaught()
    loop.run(_serve(config, demo_data=demo_data, parts=parts))


async def _serve(config: Config, *, demo_data: bool, parts: frozenset[Part]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(config, clock=SystemClock(), parts=parts) as running:
        if demo_data:
            await seed_demo_data(running, config, say=_say)
        _say(t("服务已启动：{}", "Serving at {}. Ctrl-C stops it.").format(running.address))
        await _until(stop, running)


async def _until(stop: asyncio.Event, running: Serving) -> None:
    """Wait for the signal; an engine that ends by itself stops us loudly."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, running.failed), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.failed.done():
        raise Misconfigured(Reason.CONFIGURATION, key="postgres", detail=running.failed.result(), hint="start again")


def _say(text: str) -> None:
    typer.echo(text, err=True)
