"""`infosec init`: the first two administrators, and the break-glass codes of two holders (ID-8). Once."""

from __future__ import annotations

from typing import Annotated

import typer

from authsvc.facts import FactSeal
from authsvc.flows.setup import FirstAdministrator, Initialised, Setup
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PasswordHasher
from authsvc.profile import by_name
from authsvc.work import Works
from infosec.cli.words import t
from infosec.clock import Clock, SystemClock
from infosec.config import Config
from infosec.errors import InvalidInput, Reason
from infosec.ids import new_id
from infosec.keys import KeyRing, SealingKind
from infosec.rpc.server import loop
from services.commands.options import ConfigFile, load
from services.engines import Engines, running_or_own_engines
from services.schemas import migrate_all

Administrators = Annotated[
    list[str] | None,
    typer.Option("--administrator", help=t("工号,姓名,手机（两次）", "ID,name,phone (twice)")),
]
Holders = Annotated[
    list[str] | None,
    typer.Option("--holder", help=t("应急码保管人姓名（两次）", "name of a keeper of a break-glass code (twice)")),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=t("初始化：两名管理员与两份应急码", "Set up: two administrators and two break-glass codes"))
    def init(config: ConfigFile = None, administrator: Administrators = None, holder: Holders = None) -> None:
        people = [_person(text) for text in administrator or (_asked_person(1), _asked_person(2))]
        holders = holder or [typer.prompt(t(f"应急码保管人 {n}", f"Holder of break-glass code {n}")) for n in (1, 2)]
        if len(people) != 2 or len(holders) != 2:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="administrator", detail="two administrators, two holders")
        show(loop.run(_init(load(config), (people[0], people[1]), (holders[0], holders[1]))))


async def _init(
    config: Config, people: tuple[FirstAdministrator, FirstAdministrator], holders: tuple[str, str]
) -> Initialised:
    async with running_or_own_engines(config) as engines:
        await migrate_all(engines, SystemClock().now())
        return await initialise(engines, config, SystemClock(), people, holders)


async def initialise(
    engines: Engines,
    config: Config,
    clock: Clock,
    people: tuple[FirstAdministrator, FirstAdministrator],
    holders: tuple[str, str],
) -> Initialised:
    """Set up on these engines. Raises FailedPrecondition(ALREADY_INITIALISED), InvalidInput."""
    keys = KeyRing.create_missing(config.server.keys_dir)
    hashing = config.hashing
    hasher = PasswordHasher(
        HashParameters(memory_kib=hashing.memory_kib, time_cost=hashing.time_cost, parallelism=hashing.parallelism)
    )
    try:
        async with engines.administration() as admin:
            setup = Setup(
                Works(admin, clock, announce=_nobody),
                hasher=hasher,
                seal=FactSeal(keys.sealing[SealingKind.FACTS]),
                totp_keys=keys.sealing[SealingKind.TOTP],
                profile=by_name(config.profile.name),
            )
            return await setup.initialise(new_id(), people, holders)
    finally:
        hasher.close()


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


def _person(text: str) -> FirstAdministrator:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="administrator", detail="ID,name,phone")
    return FirstAdministrator(staff_id=parts[0], name=parts[1], phone=parts[2])


def _asked_person(number: int) -> str:
    typer.echo(t(f"管理员 {number}", f"Administrator {number}"))
    words = (t("  工号", "  staff ID"), t("  姓名", "  name"), t("  手机", "  phone"))
    return ",".join(typer.prompt(word) for word in words)


async def _nobody(_revisions: object) -> None:
    """Running nodes find the change in the table."""
