"""`infosec init`: the first two administrators, and the break-glass codes of two holders (ID-8). Once."""

from __future__ import annotations

from typing import Annotated, TypeVar

import typer

from authsvc import hiring
from authsvc.facts import FactSeal
from authsvc.flows.setup import FirstAdministrator, Initialised, Setup
from authsvc.profile import by_name
from authsvc.store import installation
from authsvc.work import Works
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column, Output
from infosec.cli.person import must_be_here
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.clock import Clock, SystemClock
from infosec.config import Config
from infosec.errors import FailedPrecondition, Reason
from infosec.ids import new_id, staff_id
from infosec.keys import KeyRing, SealingKind
from infosec.messages import Text
from infosec.rpc.server import loop
from services.commands.options import ConfigFile, announce_to_nobody, hasher_of, load
from services.engines import Engines, running_or_own_engines
from services.schemas import migrate_all

T = TypeVar("T")
Administrators = Annotated[
    list[str] | None,
    typer.Option("--administrator", help=t("工号,姓名,手机（两次）", "ID,name,phone (twice)")),
]
Holders = Annotated[
    list[str] | None,
    typer.Option("--holder", help=t("应急码保管人姓名（两次）", "name of a keeper of a break-glass code (twice)")),
]
_SHOWN = (Column("installation", Text("安装", "Installation")),)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("初始化：两名管理员与两份应急码", "Set up: two administrators and two break-glass codes"))
    def init(
        ctx: typer.Context, config: ConfigFile = None, administrator: Administrators = None, holder: Holders = None
    ) -> None:
        desk, settings = of(ctx), load(config)
        loop.run(_require_new(settings))
        people = _two([_person(text) for text in administrator or _asked_people(desk)])
        holders = _two(holder or _asked_holders(desk))
        made = loop.run(_init(settings, people, holders))
        if desk.out.output is Output.TABLE:
            show(made)
        else:
            desk.out.record(_row(made), _SHOWN)


async def _require_new(config: Config) -> None:
    """Before anybody is asked anything. Raises FailedPrecondition(ALREADY_INITIALISED)."""
    async with running_or_own_engines(config) as engines:
        await migrate_all(engines, SystemClock().now())
        async with engines.administration() as admin, admin.transaction() as conn:
            if await installation.has_administrator(conn):
                raise FailedPrecondition(Reason.ALREADY_INITIALISED)


async def _init(
    config: Config, people: tuple[FirstAdministrator, FirstAdministrator], holders: tuple[str, str]
) -> Initialised:
    async with running_or_own_engines(config) as engines:
        return await initialise(engines, config, SystemClock(), people, holders)


async def initialise(
    engines: Engines,
    config: Config,
    clock: Clock,
    people: tuple[FirstAdministrator, FirstAdministrator],
    holders: tuple[str, str],
) -> Initialised:
    """Set up on these engines. Raises FailedPrecondition(ALREADY_INITIALISED), InvalidInput."""
    keys = KeyRing.create_missing(config.server.keys_dir, now=clock.now())
    with hasher_of(config) as hasher:
        async with engines.administration() as admin:
            setup = Setup(
                Works(admin, clock, announce=announce_to_nobody),
                hasher=hasher,
                seal=FactSeal(keys.sealing[SealingKind.FACTS]),
                totp_keys=keys.sealing[SealingKind.TOTP],
                profile=by_name(config.profile.name),
            )
            return await setup.initialise(new_id(), people, holders)


def show(made: Initialised) -> None:
    """Show what is shown once: to the two administrators, and for two envelopes."""
    typer.echo(t("以下内容只显示这一次。", "This is shown this once."))
    for one in made.administrators:
        typer.echo("")
        typer.echo(t(f"管理员 {one.staff_id}", f"Administrator {one.staff_id}"))
        typer.echo(t("  一次性密码  ", "  one-time password  ") + one.password.reveal())
        typer.echo(t("  动态口令    ", "  second factor      ") + one.totp_uri.reveal())
    typer.echo("")
    typer.echo(t("应急码：分别密封，由两人分开保管", "Break-glass codes: seal each, keep them apart"))
    for code in made.break_glass:
        typer.echo(f"  {code.holder}  {code.code.reveal()}")


def _row(made: Initialised) -> Row:
    """For a program that hands each of them on."""
    return {
        "installation": made.installation,
        "administrators": [
            {"staff_id": one.staff_id, "password": one.password.reveal(), "totp_uri": one.totp_uri.reveal()}
            for one in made.administrators
        ],
        "break_glass": [{"holder": one.holder, "code": one.code.reveal()} for one in made.break_glass],
    }


def _person(text: str) -> FirstAdministrator:
    """Raises a usage error, or InvalidInput for what is no staff ID, name or mobile number."""
    parts = [part.strip() for part in text.replace("，", ",").split(",")]
    if len(parts) != 3:
        raise usage("管理员写作：工号,姓名,手机", "An administrator is written: ID,name,phone")
    return FirstAdministrator(staff_id=staff_id(parts[0]), name=hiring.name(parts[1]), phone=hiring.mobile(parts[2]))


def _asked_people(desk: Invocation) -> list[str]:
    must_be_here(desk.person, instead=Text("请使用 --administrator。", "Use --administrator."))
    words = (t("  工号", "  staff ID"), t("  姓名", "  name"), t("  手机", "  phone"))
    asked = []
    for number in (1, 2):
        desk.out.note(f"管理员 {number}", f"Administrator {number}")
        asked.append(",".join(desk.person.answer(word) for word in words))
    return asked


def _asked_holders(desk: Invocation) -> list[str]:
    must_be_here(desk.person, instead=Text("请使用 --holder。", "Use --holder."))
    return [desk.person.answer(t(f"应急码保管人 {n}", f"Holder of break-glass code {n}")) for n in (1, 2)]


def _two(given: list[T]) -> tuple[T, T]:
    if len(given) != 2:
        raise usage("需要两名管理员和两名应急码保管人。", "Two administrators and two holders are needed.")
    return given[0], given[1]
