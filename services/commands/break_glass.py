"""`infosec break-glass`: with the codes of two people, one administrator gets back in (ID-8). Offline, on the server, loud."""

from __future__ import annotations

from typing import Annotated

import typer

from authsvc.facts import FactSeal
from authsvc.flows.break_glass import BreakGlass, Broken
from authsvc.notices import Notices
from authsvc.profile import by_name
from authsvc.work import Works
from infosec import ids, logging
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column, Output
from infosec.cli.person import must_be_here, stdin_secret
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config
from infosec.errors import InfosecError
from infosec.ids import StaffId
from infosec.keys import KeyRing, SealingKind
from infosec.messages import Text
from infosec.rpc.server import loop
from infosec.secret import Secret
from services.commands.options import ConfigFile, announce_to_nobody, hasher_of, load
from services.engines import running_or_own_engines

_LOG = logging.get(__name__)
_SHOWN = (Column("staff_id", Text("工号", "Staff ID")),)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(
        "break-glass", help=t("应急：两人各凭应急码，恢复一名管理员", "Two people's codes let one administrator in")
    )
    def break_glass(
        ctx: typer.Context,
        staff_id: Annotated[str, typer.Argument(help=t("管理员工号", "administrator's staff ID"))],
        reason: Annotated[str, typer.Option(help=t("原因，将通知所有管理员", "why; every administrator is told"))],
        reset_totp: Annotated[
            bool, typer.Option("--reset-totp", help=t("动态口令也已丢失", "the second factor is lost as well"))
        ] = False,
        codes_stdin: Annotated[
            bool,
            typer.Option("--codes-stdin", help=t("从标准输入读两行应急码", "read the codes from stdin, one a line")),
        ] = False,
        config: ConfigFile = None,
    ) -> None:
        desk, settings = of(ctx), load(config)
        logging.configure(settings.log.level)
        name = ids.staff_id(staff_id)
        codes = (stdin_secret(), stdin_secret()) if codes_stdin else _asked(desk)
        try:
            broken = loop.run(_use(settings, name, codes, reason=reason, reset_totp=reset_totp))
        except InfosecError as refused:
            _LOG.critical("break-glass refused", staff=name, reason=refused.reason.value)
            raise
        _LOG.critical("break-glass used", staff=name)
        if desk.out.output is Output.TABLE:
            _show(broken)
        else:
            desk.out.record(_row(broken), _SHOWN)


def _asked(desk: Invocation) -> tuple[Secret, Secret]:
    must_be_here(desk.person, instead=Text("请使用 --codes-stdin。", "Use --codes-stdin."))
    first = desk.person.secret(desk.say("第一位保管人的应急码", "Code of the first holder"))
    return first, desk.person.secret(desk.say("第二位保管人的应急码", "Code of the second holder"))


async def _use(
    config: Config, staff_id: StaffId, codes: tuple[Secret, Secret], *, reason: str, reset_totp: bool
) -> Broken:
    keys = KeyRing.load(config.server.keys_dir)
    seal = FactSeal(keys.sealing[SealingKind.FACTS])
    with hasher_of(config) as hasher:
        async with running_or_own_engines(config) as engines, engines.administration() as admin:
            glass = BreakGlass(
                Works(admin, SystemClock(), announce=announce_to_nobody),
                hasher=hasher,
                notices=Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal),
                seal=seal,
                profile=by_name(config.profile.name),
            )
            return await glass.use(staff_id, codes, reason=reason, reset_totp=reset_totp)


def _show(broken: Broken) -> None:
    typer.echo(
        t("以下内容只显示这一次。所有管理员都会收到通知。", "This is shown this once. Every administrator is told.")
    )
    typer.echo("")
    typer.echo(t(f"管理员 {broken.staff_id}", f"Administrator {broken.staff_id}"))
    typer.echo(t("  一次性密码  ", "  one-time password  ") + broken.password.reveal())
    typer.echo("")
    typer.echo(t("新的应急码：分别密封，由两人分开保管", "New break-glass codes: seal each, keep them apart"))
    for code in broken.break_glass:
        typer.echo(f"  {code.holder}  {code.code.reveal()}")


def _row(broken: Broken) -> Row:
    return {
        "staff_id": broken.staff_id,
        "password": broken.password.reveal(),
        "break_glass": [{"holder": one.holder, "code": one.code.reveal()} for one in broken.break_glass],
    }
