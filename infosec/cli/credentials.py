"""`infosec password`, `totp`, `session` and `step-up`: one's own credentials in one's own session."""

from __future__ import annotations

from typing import Annotated

import typer

from infosec.cli import duties
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.person import stdin_line, stdin_secret
from infosec.cli.records import row
from infosec.cli.words import DUTIES, t
from infosec.messages import Text
from infosec.secret import Secret

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help=t("从标准输入读密码，不提问", "read passwords from stdin, one a line"))
]
CodeStdin = Annotated[
    bool, typer.Option("--code-stdin", help=t("从标准输入读动态口令", "read the TOTP code from stdin"))
]
_CHANGED = (
    Column("password_days_left", Text("密码剩余天数", "Password days left")),
    Column("duties", Text("还须办理", "Still to be done"), words=DUTIES),
)

password = typer.Typer(no_args_is_help=True, help=t("密码", "One's own password."))
totp = typer.Typer(no_args_is_help=True, help=t("动态口令", "The second factor."))
session = typer.Typer(no_args_is_help=True, help=t("会话", "Leave and come back to the seat."))


def add_to(app: typer.Typer) -> None:
    """Register the groups."""
    app.add_typer(password, name="password")
    app.add_typer(totp, name="totp")
    app.add_typer(session, name="session")
    app.command("step-up", help=t("二次认证，五分钟内有效", "Prove the second factor; good for five minutes."))(step_up)


@password.command("change", help=t("修改密码", "Replace the password; all unmet requirements are shown at once."))
def change(ctx: typer.Context, password_stdin: PasswordStdin = False) -> None:
    """In a pipe: the current password, then the new one, a line each."""
    desk = of(ctx)
    if not password_stdin:
        desk.session()
        current = desk.ask_password(Text("当前密码", "Current password"))
        left, new = duties.change_password(desk, current)
        duties.offer(desk, left, new)
        return
    current, new = stdin_secret(), stdin_secret()
    answer = desk.run_in_session(lambda suite, token: suite.login.change_password(token, current=current, new=new))
    desk.out.record(row(answer), _CHANGED)


@totp.command("enroll", help=t("绑定动态口令", "Make a new second factor; shown this once."))
def enroll(
    ctx: typer.Context,
    password_stdin: PasswordStdin = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help=t("已有动态口令时，用它的口令换新", "there is one already: prove it, then replace it")
        ),
    ] = False,
) -> None:
    """In a pipe: the password, with --replace the present code; the URI comes out, and `totp activate` ends it."""
    desk = of(ctx)
    if not password_stdin:
        desk.session()
        secret = desk.ask_password()
        duties.enroll(desk, secret, code=desk.ask_code() if replace else None)
        return
    secret, code = stdin_secret(), Secret(stdin_line()) if replace else None
    uri = desk.run_in_session(lambda suite, token: suite.login.enroll_totp(token, secret, totp_code=code))
    desk.out.record({"otpauth_uri": uri.reveal()}, (Column("otpauth_uri", Text("密钥地址", "Key URI")),))


@totp.command("activate", help=t("用首个口令启用", "Activate the new second factor with its first code."))
def activate(ctx: typer.Context, code_stdin: CodeStdin = False) -> None:
    """The last step of an enrolment that was begun in a pipe."""
    desk = of(ctx)
    duties.activate(desk, stdin_secret() if code_stdin else desk.ask_code())


@session.command("lock", help=t("离席锁定", "Lock the session when leaving the seat."))
def lock(ctx: typer.Context) -> None:
    """Checks are denied until it is resumed (ID-9)."""
    desk = of(ctx)
    desk.run_in_session(lambda suite, token: suite.login.lock_session(token))
    desk.out.note(
        "会话已锁定。恢复：infosec session resume", "The session is locked. To resume: infosec session resume"
    )


@session.command("resume", help=t("用密码恢复会话", "Resume a locked session with the password."))
def resume(ctx: typer.Context, password_stdin: PasswordStdin = False) -> None:
    """No new session; a failure counts as at login (ID-9)."""
    desk = of(ctx)
    secret = stdin_secret() if password_stdin else desk.ask_password()
    desk.run_in_session(lambda suite, token: suite.login.resume_session(token, secret))
    desk.out.note("会话已恢复。", "The session goes on.")


def step_up(ctx: typer.Context, code_stdin: CodeStdin = False) -> None:
    """Serves the decisions of this session (RQ-3)."""
    desk = of(ctx)
    desk.step_up(stdin_secret() if code_stdin else desk.ask_code())
    desk.out.note("二次认证通过，五分钟内有效。", "The second factor is proved; good for five minutes.")
