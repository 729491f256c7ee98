"""What every command is given: settings, the person, the stored session, the connection and the writer."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer

from infosec.cli.failures import ExitCode, Told
from infosec.cli.output import Output, Writer
from infosec.cli.person import AtTheTerminal, Person, must_be_here, stdin_secret
from infosec.cli.session_files import SessionFiles, StoredSession, state_directory
from infosec.client.connection import Connection
from infosec.client.installation import address_of
from infosec.errors import Misconfigured, PermissionDenied, Reason, Unauthenticated
from infosec.messages import Locale, Text
from infosec.secret import Secret

Result = TypeVar("Result")

_ENDED = frozenset({Reason.TOKEN_INVALID, Reason.SESSION_ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options that stand before every command."""

    output: Output
    fields: tuple[str, ...]
    is_quiet: bool
    locale: Locale
    address: str
    home: Path | None
    system: str
    terminal: str


def connect_here(settings: Settings) -> Connection:
    """To the address, with the certificates of the installation on this machine. Raises Told where there are none."""
    try:
        return Connection.of_installation(
            home=settings.home, system=settings.system, address=settings.address, locale=settings.locale.value
        )
    except Misconfigured as missing:
        where = " ".join(missing.details.get(name, "") for name in ("path", "detail"))
        raise Told(
            Reason.CONFIGURATION,
            Text(
                f"本机没有可用的证书（{where}）。请先在本机启动一次服务，或用 --home 指定安装目录，"
                "或设置 INFOSEC_CA、INFOSEC_CERT、INFOSEC_KEY。",
                f"No usable certificate here ({where}). Start the server once on this machine, or name the "
                "installation with --home, or set INFOSEC_CA, INFOSEC_CERT and INFOSEC_KEY.",
            ),
            exit_code=ExitCode.SERVER,
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a command reaches outside of itself; tests bring their own."""

    connect: Callable[[Settings], Connection] = connect_here
    person: Person = field(default_factory=AtTheTerminal)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def default_address(self) -> str:
        return address_of(self.environment)


class Invocation:
    """One run of one command."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self.settings = settings
        self.person = ports.person
        self._connect = ports.connect
        self.files = SessionFiles(
            state_directory(ports.environment),
            address=settings.address,
            system=settings.system,
            terminal=settings.terminal,
        )
        self.out = Writer(
            settings.output,
            locale=settings.locale,
            fields=settings.fields,
            is_quiet=settings.is_quiet,
            stdout=sys.stdout,
            stderr=sys.stderr,
        )

    def say(self, zh: str, en: str) -> str:
        """The text in the language of this run."""
        return Text(zh, en).in_(self.settings.locale)

    def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do `work` on a connection of its own."""

        async def connected() -> Result:
            async with self._connect(self.settings) as suite:
                return await work(suite)

        return asyncio.run(connected())

    def session(self) -> StoredSession:
        """The stored session. Raises Told when nobody is logged in here."""
        found = self.files.session()
        if found is None:
            at = f"{self.settings.address}, {self.settings.terminal}"
            raise Told(
                Reason.TOKEN_INVALID,
                Text(
                    f"尚未登录（{at}）。请先运行：infosec login 工号",
                    f"Not logged in ({at}). Run: infosec login STAFF_ID",
                ),
                exit_code=ExitCode.DENIED,
            )
        return found

    def run_in_session(self, work: Callable[[Connection, Secret], Awaitable[Result]]) -> Result:
        """As `run`, with the stored token, which is forgotten once the server says that it is over (ID-9)."""
        token = self.session().token
        try:
            return self.run(lambda suite: work(suite, token))
        except Unauthenticated as refused:
            if refused.reason in _ENDED:
                self.files.drop_session()
            raise

    def run_stepped_up(
        self, work: Callable[[Connection, Secret], Awaitable[Result]], *, code_from_stdin: bool = False
    ) -> Result:
        """As `run_in_session`; asks for the second factor when the server does (RQ-3)."""
        if code_from_stdin:
            self.step_up(stdin_secret())
            return self.run_in_session(work)
        try:
            return self.run_in_session(work)
        except PermissionDenied as refused:
            if refused.reason is not Reason.STEP_UP_REQUIRED or not self.person.is_here():
                raise
        self.step_up(self.ask_code())
        return self.run_in_session(work)

    def step_up(self, code: Secret) -> None:
        """Prove the second factor for this session."""
        self.run_in_session(lambda suite, token: suite.login.step_up(token, code))

    def ask_code(self) -> Secret:
        """A code of the authenticator."""
        must_be_here(self.person, instead=Text("请使用 --code-stdin。", "Use --code-stdin."))
        return self.person.secret(self.say("动态口令", "Code of your authenticator"))

    def ask_password(self, question: Text | None = None) -> Secret:
        """A password, typed unseen."""
        must_be_here(self.person, instead=Text("请使用 --password-stdin。", "Use --password-stdin."))
        return self.person.secret((question or Text("密码", "Password")).in_(self.settings.locale))


def of(ctx: typer.Context) -> Invocation:
    """The invocation that the root put into the context."""
    found = ctx.obj
    if not isinstance(found, Invocation):
        raise TypeError("the root callback has not run")
    return found
