"""The `infosec` command: the global options, the client's command groups, and the server's where they are installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from infosec.cli import approval, audit, check, credentials, directory, login, notify, policy, request, staff
from infosec.cli.invocation import Invocation, Ports, Settings
from infosec.cli.output import Output
from infosec.cli.root import Root
from infosec.cli.words import SPOKEN, t
from infosec.client.installation import COMMAND_LINE
from infosec.collecting import collect_rarely
from infosec.messages import Locale

DEFAULT_TERMINAL = "console-1"

app = typer.Typer(
    cls=Root,
    name="infosec",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=t(
        "门店信息安全：工号、登录、申请、审批、业务授权检查。",
        "Security for a carrier's stores: staff IDs, login, requests, approvals, the authorization check.",
    ),
    epilog=t(
        "退出码：0 成功，1 用法，2 服务或网络，3 未找到，4 被拒，5 待审批，6 冲突，7 未证实。",
        "Exit codes: 0 ok, 1 usage, 2 server or network, 3 not found, 4 denied, 5 pending approval, 6 conflict, 7 not verified.",
    ),
)


@app.callback()
def settle(
    ctx: typer.Context,
    output: Annotated[
        Output,
        typer.Option(
            help=t("结果的格式；管道中的 table 为制表符分隔", "form of the result; table in a pipe is tab-separated")
        ),
    ] = Output.TABLE,
    fields: Annotated[str, typer.Option(help=t("只输出这些字段：a,b", "only these fields: a,b"))] = "",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help=t("只输出结果", "the result and nothing beside it"))
    ] = False,
    locale: Annotated[Locale, typer.Option(help=t("语言", "language"))] = SPOKEN,
    address: Annotated[
        str | None, typer.Option(help=t("服务地址；也可设 INFOSEC_ADDRESS", "server, host:port; or INFOSEC_ADDRESS"))
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            help=t("安装目录，含证书；也可设 INFOSEC_HOME", "installation with the certificates; or INFOSEC_HOME")
        ),
    ] = None,
    system: Annotated[
        str, typer.Option(help=t("证书名（业务系统）", "name in the certificate (calling system)"))
    ] = COMMAND_LINE,
    terminal: Annotated[
        str | None, typer.Option(help=t("台席；也可设 INFOSEC_TERMINAL", "terminal; or INFOSEC_TERMINAL"))
    ] = None,
) -> None:
    """Options that hold for every command, and may stand before or after it."""
    ports = ctx.obj if isinstance(ctx.obj, Ports) else Ports()
    settings = Settings(
        output=output,
        fields=tuple(name.strip() for name in fields.split(",") if name.strip()),
        is_quiet=quiet,
        locale=locale,
        address=address or ports.default_address(),
        home=home,
        system=system,
        terminal=terminal or ports.environment.get("INFOSEC_TERMINAL") or DEFAULT_TERMINAL,
    )
    ctx.obj = Invocation(settings, ports)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Chinese shows marks in place of characters, not a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    collect_rarely()
    app(prog_name="infosec")


for _group in (login, credentials, request, approval, check, staff, directory, policy, notify, audit):
    _group.add_to(app)
