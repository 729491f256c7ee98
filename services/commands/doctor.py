"""`infosec doctor`: what is wrong with this installation, in words. Exit code 2 when something is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infosec import logging
from infosec.certificates import CallerKind, CallerName, CertificateFiles
from infosec.cli.failures import ExitCode
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config
from infosec.errors import InfosecError, Misconfigured
from infosec.messages import Text
from infosec.rpc.server import loop
from services.checking import SUITE, Part
from services.commands.options import ConfigFile, load
from services.doctor import audit, engines, files, serving
from services.doctor.findings import Finding, Verdict, failed, warning
from services.engines import running_or_own_engines

_COLUMNS = (
    Column(
        "verdict",
        Text("结论", "Verdict"),
        words={"OK": Text("正常", "ok"), "WARNING": Text("注意", "mind"), "WRONG": Text("有误", "WRONG")},
        is_whole=True,
    ),
    Column("about", Text("项目", "About"), is_whole=True),
    Column("text", Text("说明", "What was found")),
)

Parts = Annotated[
    list[Part] | None,
    typer.Option("--part", help=t("只看这些部分所需", "only what these parts need; the whole suite by default")),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("检查本安装有什么问题", "Say what is wrong with this installation"))
    def doctor(ctx: typer.Context, config: ConfigFile = None, part: Parts = None) -> None:
        desk = of(ctx)
        logging.configure("critical")  # what is found is told below
        found = _look(config, frozenset(part or SUITE), fallback=desk.settings.address)
        locale = desk.settings.locale
        rows: list[Row] = [
            {"verdict": one.verdict.value, "about": one.about, "text": one.text.in_(locale)} for one in found
        ]
        desk.out.rows(rows, _COLUMNS, empty=Text("没有发现。", "Nothing was found."))
        if any(one.verdict is Verdict.WRONG for one in found):
            raise typer.Exit(ExitCode.SERVER)


def _look(path: Path | None, parts: frozenset[Part], *, fallback: str) -> list[Finding]:
    try:
        config = load(path)
    except Misconfigured as error:
        return [failed("config", error)]
    return loop.run(_everything(config, parts, fallback))


async def _everything(config: Config, parts: frozenset[Part], fallback: str) -> list[Finding]:
    clock = SystemClock()
    found = [*files.look(config, clock.now(), parts), *audit.files(config, parts)]
    listen = config.server.listen
    # Asked first: engines that we have to start ourselves are nobody's yet.
    found.append(await serving.look(str(listen) if listen.port else fallback, _client_files(config)))
    if config.postgres is None and not (config.server.data_dir / "engines" / "postgres").exists():
        return [*found, warning("postgres", "尚未启动过", "nothing was started yet")]
    try:
        async with running_or_own_engines(config) as running:
            found += [finding async for finding in engines.look(running, clock, parts)]
            if Part.AUDIT in parts:
                found += await audit.look(running, config, clock)
    except InfosecError as error:
        found.append(failed("postgres", error))
    return found


def _client_files(config: Config) -> CertificateFiles:
    if config.tls is not None:
        return config.tls.files
    cli = CallerName(kind=CallerKind.SYSTEM, name="cli")
    stem = config.server.tls_dir / f"{cli.kind}-{cli.name}"
    return CertificateFiles(
        certificate=stem.with_suffix(".pem"), key=stem.with_suffix(".key"), ca=config.server.tls_dir / "ca.pem"
    )
