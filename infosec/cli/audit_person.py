"""Who reads or changes the record, as the audit service wants it shown; and what a person is asked before they do.

A customer's number comes in here, typed unseen or by a pipe or private file; it is never an argument, and never shown.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation
from infosec.cli.person import must_be_here, stdin_secret
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.errors import Misconfigured
from infosec.messages import Text
from infosec.private_files import read_secret
from infosec.secret import Secret

RENEW_AFTER_S = 120
"""An assertion lives five minutes; one this old may run out on the way."""

Result = TypeVar("Result")

CustomerStdin = Annotated[
    bool,
    typer.Option("--customer-stdin", help=t("从标准输入读客户号码", "read the customer's number, a line of stdin")),
]
CustomerFile = Annotated[
    Path | None,
    typer.Option(
        "--customer-file",
        help=t(
            "从文件读客户号码， 该文件须仅本人可读", "read the customer's number from a file that nobody else may read"
        ),
    ),
]
LOOSE = {"allow_extra_args": True}
"""Of a command without arguments: it is told of what was typed by mistake, where the parser would repeat it."""
Yes = Annotated[bool, typer.Option("--yes", "-y", help=t("不再确认", "do not ask"))]
Grounds = Annotated[
    str,
    typer.Option(
        "--reason", help=t("理由，入审计日志； 勿写客户信息", "why; it goes on record, so name no customer in it")
    ),
]


class Asserting:
    """Assertions of who acts, for one command: one at the start, and another before it grows old."""

    def __init__(self, suite: Connection, token: Secret, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._suite = suite
        self._token = token
        self._seconds = seconds
        self._held: tuple[Secret, float] | None = None

    async def __call__(self) -> Secret:
        """One that is good for a while. Raises what `issue_assertion` raises."""
        now = self._seconds()
        if self._held is None or now - self._held[1] >= RENEW_AFTER_S:
            self._held = (await self._suite.login.issue_assertion(self._token)).text, now
        return self._held[0]


Work = Callable[[Connection, Asserting], Awaitable[Result]]


def run_asserted(desk: Invocation, work: Work[Result]) -> Result:
    """`Invocation.run_in_session`, with assertions in place of the token."""
    return desk.run_in_session(lambda suite, token: work(suite, Asserting(suite, token)))


def run_stepped_up(desk: Invocation, work: Work[Result], *, code_from_stdin: bool) -> Result:
    """The same where the audit service wants a second factor: an assertion made after it shows that it was proved."""
    return desk.run_stepped_up(
        lambda suite, token: work(suite, Asserting(suite, token)), code_from_stdin=code_from_stdin
    )


def refuse_arguments(ctx: typer.Context) -> None:
    """Raises a usage error that does not repeat them: they are most likely a customer's number."""
    if ctx.args:
        raise usage(
            "此命令没有参数；客户号码请勿写在命令行（会留在历史记录中），运行后按提示输入，或用 --customer-stdin。",
            "This takes no arguments. Never write a customer's number on the command line, which keeps it in its history: "
            "it is asked for, or use --customer-stdin.",
        )


def ask_number(desk: Invocation, *, from_stdin: bool, file: Path | None, twice: bool = False) -> Secret:
    """A customer's number; `twice` where a slip of the finger would hit somebody else. Raises a usage error for none."""
    if from_stdin and file is not None:
        raise usage(
            "--customer-stdin 与 --customer-file 只能用一个。", "Give --customer-stdin or --customer-file, not both."
        )
    if from_stdin:
        number = _stripped(stdin_secret())
    elif file is not None:
        number = _from_file(file)
    else:
        must_be_here(
            desk.person,
            instead=Text("请使用 --customer-stdin 或 --customer-file。", "Use --customer-stdin or --customer-file."),
        )
        number = _typed(desk, twice=twice)
    if not number.reveal():
        raise usage("未输入客户号码。", "No customer's number was given.")
    return number


def agree(desk: Invocation, question: Text, *, yes: bool) -> None:
    """Go on only if the person agrees to what will happen. Raises a usage error if not, or if nobody can be asked."""
    if yes:
        return
    must_be_here(desk.person, instead=Text("请使用 --yes。", "Use --yes."))
    if not desk.person.agrees(question.in_(desk.settings.locale)):
        raise usage("未执行，什么都没有改变。", "Not done; nothing was changed.")


def _typed(desk: Invocation, *, twice: bool) -> Secret:
    while True:
        number = _stripped(desk.person.secret(desk.say("客户号码（不显示）", "Customer's number (not shown)")))
        if not twice or not number.reveal():
            return number
        if number == _stripped(desk.person.secret(desk.say("再输入一次", "Once more"))):
            return number
        desk.out.note("两次输入不一致，请重新输入。", "The two differ; type them again.")


def _from_file(file: Path) -> Secret:
    try:
        return _stripped(read_secret(file))
    except Misconfigured as refused:
        why = ", ".join(refused.details[name] for name in ("detail", "hint") if refused.details.get(name))
        raise usage(f"无法使用文件 {file}（{why}）。", f"Cannot use the file {file}: {why}.") from None


def _stripped(number: Secret) -> Secret:
    return Secret(number.reveal().strip())


def printable(text: str) -> str:
    """On one line and without control characters: what comes from afar must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
