"""`infosec serve`: run the suite, or a part of it, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Annotated

import typer

from infosec import logging
from infosec.cli.failures import ExitCode, Told
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config, parse_address
from infosec.errors import Misconfigured, Reason
from infosec.messages import Text
from infosec.rpc.server import loop
from services.checking import SUITE, Part, check
from services.commands.options import ConfigFile, load
from services.serving import Serving, serving

DemoData = Annotated[
    bool,
    typer.Option(
        "--demo-data", help=t("首次启动时写入演示数据（仅限本机）", "seed demo data at first start (loopback only)")
    ),
]
CheckConfig = Annotated[
    bool,
    typer.Option("--check-config", help=t("只检查配置", "only check the configuration, and say which key is wrong")),
]
Parts = Annotated[
    list[Part] | None, typer.Option("--part", help=t("只运行这些部分", "serve only these parts; all by default"))
]
MetricsListen = Annotated[
    str | None,
    typer.Option(
        "--metrics-listen",
        metavar="HOST:PORT",
        help=t(
            "指标页地址，代替配置中的地址：供共用一份配置的多个进程使用",
            "where the page of metrics is, in place of what is configured: for processes that share a configuration",
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("启动服务", "Run the server"))
    def serve(
        config: ConfigFile = None,
        demo_data: DemoData = False,
        check_config: CheckConfig = False,
        part: Parts = None,
        metrics_listen: MetricsListen = None,
    ) -> None:
        settings = load(config)
        if metrics_listen is not None:
            settings = _with_page_at(settings, metrics_listen)
        run(settings, demo_data=demo_data, check_only=check_config, parts=frozenset(part or SUITE))


def run(config: Config, *, demo_data: bool = False, check_only: bool = False, parts: frozenset[Part] = SUITE) -> None:
    """Serve until SIGTERM or SIGINT. Raises Misconfigured before a socket opens."""
    check(config, parts)
    if demo_data and not (config.server.listen.is_loopback and parts == SUITE):
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="server.listen",
            detail="demo data is for the whole suite on loopback",
            hint="leave out --demo-data",
        )
    if check_only:
        typer.echo(t("配置正确。", "The configuration is right."))
        return
    logging.configure(config.log.level)
    logging.log_uncaught()
    loop.run(_serve(config, demo_data=demo_data, parts=parts))


def _with_page_at(config: Config, address: str) -> Config:
    try:
        server = config.server.model_copy(update={"metrics_listen": parse_address(address)})
    except ValueError:
        raise typer.BadParameter(t("应为 主机:端口", "should be host:port"), param_hint="--metrics-listen") from None
    return config.model_copy(update={"server": server})


async def _serve(config: Config, *, demo_data: bool, parts: frozenset[Part]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(config, clock=SystemClock(), parts=parts) as running:
        if demo_data:
            # Here, because no production server has any use for it.
            from services.demo.data import seed_demo_data

            await seed_demo_data(running, config, say=_say)
        _say(t("服务已启动：{}。Ctrl-C 停止。", "Serving at {}. Ctrl-C stops it.").format(running.address))
        _tell_supervisor("READY=1")
        await _until(stop, running)
        _tell_supervisor("STOPPING=1")


async def _until(stop: asyncio.Event, running: Serving) -> None:
    """Wait for the signal; what ends by itself stops us loudly."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, running.failed), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.failed.done():
        what = running.failed.result()
        raise Told(
            Reason.INTERNAL,
            Text(f"服务已停止：{what}", f"The server stopped: {what}"),
            exit_code=ExitCode.SERVER,
        )


def _tell_supervisor(state: str) -> None:
    """sd_notify(3), where systemd asked for it."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        try:
            notify.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
        except OSError as error:
            logging.get(__name__).warning("systemd was not told", state=state, errno=error.errno)


def _say(text: str) -> None:
    typer.echo(text, err=True)
