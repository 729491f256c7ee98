"""`infosec login`, `logout`, `whoami`: a session at this terminal, and what must be done first."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from infosec.api.auth.v1 import login_pb2 as pb
from infosec.cli import duties
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.person import must_be_here, stdin_line, stdin_secret
from infosec.cli.records import Row, row
from infosec.cli.session_files import StoredSession
from infosec.cli.words import DUTIES, ROLE_WORDS, t
from infosec.errors import PermissionDenied, Reason, Unauthenticated
from infosec.messages import Text
from infosec.secret import Secret

_ANSWER = (
    Column("staff_id", Text("工号", "Staff ID")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS),
    Column("store_id", Text("营业厅", "Store")),
    Column("last_login.at", Text("上次登录", "Last login")),
    Column("last_login.store_id", Text("上次登录营业厅", "Last login, store")),
    Column("last_login.terminal_id", Text("上次登录台席", "Last login, terminal")),
    Column("failures_since", Text("此后失败次数", "Failures since")),
    Column("password_days_left", Text("密码剩余天数", "Password days left")),
    Column("duties", Text("必须先办", "To be done first"), words=DUTIES),
    Column("ends_at", Text("会话最晚结束", "Session ends at")),
)
_WHO = (
    Column("staff_id", Text("工号", "Staff ID")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS),
    Column("store_id", Text("营业厅", "Store")),
    Column("terminal_id", Text("台席", "Terminal")),
    Column("address", Text("服务", "Server")),
    Column("ends_at", Text("会话最晚结束", "Session ends at")),
    Column(
        "session",
        Text("会话", "Session"),
        words={
            "OPEN": Text("正常", "open"),
            "LOCKED": Text("已锁定", "locked"),
            "RESTRICTED": Text("须先完成规定步骤", "restricted until a duty is done"),
        },
    ),
)
_STATES = {Reason.SESSION_LOCKED: "LOCKED", Reason.SESSION_RESTRICTED: "RESTRICTED"}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(help=t("登录", "Log in at this terminal."))(login)
    app.command(help=t("退出登录", "End the session."))(logout)
    app.command(help=t("显示当前会话", "Show the session of this terminal."))(whoami)


def login(
    ctx: typer.Context,
    staff_id: Annotated[str | None, typer.Argument(help=t("工号", "staff ID"))] = None,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help=t(
                "从标准输入读：第一行密码，第二行动态口令（若有）",
                "read stdin: the password, and with --totp a second line, the code",
            ),
        ),
    ] = False,
    totp: Annotated[
        bool | None, typer.Option(help=t("要求（或不问）动态口令", "ask for a TOTP code, or never ask"))
    ] = None,
) -> None:
    """Start a session; then offer what must be done first."""
    desk = of(ctx)
    name = staff_id or _ask_staff_id(desk)
    password = stdin_secret() if password_stdin else desk.ask_password()
    code = _code(desk, wanted=totp, from_stdin=password_stdin)
    answer = desk.run(
        lambda suite: suite.login.login(name, password, terminal_id=desk.settings.terminal, totp_code=code)
    )
    desk.files.keep_session(_kept(answer))
    shown = row(answer)
    # The token stays in its file: a terminal and its history are no place for it (ID-7).
    del shown["token"]
    if desk.out.is_for_people:
        _tell_first(desk, answer)
    desk.out.record(shown, _ANSWER)
    duties.offer(desk, list(answer.duties), password)


def logout(ctx: typer.Context) -> None:
    """End the session, here and on the server."""
    desk = of(ctx)
    try:
        desk.run_in_session(lambda suite, token: suite.login.logout(token))
    except Unauthenticated as ended:
        if ended.reason not in (Reason.TOKEN_INVALID, Reason.SESSION_ENDED):
            raise
    desk.files.drop_session()
    desk.out.note("已退出登录。", "Logged out.")


def whoami(ctx: typer.Context) -> None:
    """Show who is logged in here, after asking the server whether the session still stands."""
    desk = of(ctx)
    stored = desk.session()
    session = "OPEN"
    try:
        desk.run_in_session(lambda suite, token: suite.policy.get(token))
    except PermissionDenied as refused:
        if refused.reason not in _STATES:
            raise
        session = _STATES[refused.reason]
    facts: Row = {
        "staff_id": stored.staff_id,
        "role_id": stored.role_id,
        "store_id": stored.store_id,
        "terminal_id": desk.settings.terminal,
        "address": desk.settings.address,
        "ends_at": stored.ends_at,
        "session": session,
    }
    desk.out.record(facts, _WHO)


def _ask_staff_id(desk: Invocation) -> str:
    must_be_here(desk.person, instead=Text("请写出工号。", "Give the staff ID."))
    name = desk.person.answer(desk.say("工号", "Staff ID"))
    if not name:
        raise usage("没有输入工号。", "No staff ID was given.")
    return name


def _code(desk: Invocation, *, wanted: bool | None, from_stdin: bool) -> Secret | None:
    if wanted is False:
        return None
    if from_stdin:
        return Secret(stdin_line()) if wanted else None
    # Asked of everybody: the server does not say before a complete login whether it wants one (ID-7).
    typed = desk.person.secret(
        desk.say("动态口令", "TOTP code")
        if wanted
        else desk.say("动态口令（没有则直接回车）", "TOTP code (Enter if none)")
    )
    return typed if typed.reveal() else None


def _kept(answer: pb.LoginResponse) -> StoredSession:
    return StoredSession(
        token=Secret(answer.token),
        staff_id=answer.staff_id,
        role_id=answer.role_id,
        store_id=answer.store_id,
        ends_at=answer.ends_at.ToDatetime(tzinfo=UTC),
    )


def _tell_first(desk: Invocation, answer: pb.LoginResponse) -> None:
    if not answer.HasField("last_login"):
        desk.out.note("首次登录。", "This is the first login.")
    if answer.failures_since:
        desk.out.note(
            f"注意：上次登录后有 {answer.failures_since} 次失败的登录。如非本人，请立即报告店长。",
            f"Mind: {answer.failures_since} failed logins since the last one. If that was not you, tell the store manager.",
        )
