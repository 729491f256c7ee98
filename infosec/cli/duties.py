"""What must be done before anything else in a session, offered step by step: a new password, a second factor."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from infosec.api.auth.v1 import login_pb2 as pb
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation
from infosec.errors import InvalidInput, Reason
from infosec.messages import Locale, Text, violations
from infosec.secret import Secret

GROUP = 4
_COMMANDS = (
    (pb.DUTY_CHANGE_PASSWORD, "infosec password change"),
    (pb.DUTY_ENROLL_TOTP, "infosec totp enroll"),
)


def offer(desk: Invocation, duties: Sequence[pb.Duty.ValueType], password: Secret) -> None:
    """Do the duties with the person at the keyboard; elsewhere say which commands do them."""
    if not duties:
        return
    if not desk.person.is_here():
        commands = ", ".join(command for duty, command in _COMMANDS if duty in duties)
        desk.out.note(f"须先完成：{commands}", f"First to be done: {commands}")
        return
    left = list(duties)
    if pb.DUTY_CHANGE_PASSWORD in left:
        desk.out.note("请先修改密码。", "Change the password first.")
        left, password = change_password(desk, password)
    if pb.DUTY_ENROLL_TOTP in left:
        desk.out.note("请先绑定动态口令。", "Enrol the second factor first.")
        enroll(desk, password)


def change_password(desk: Invocation, current: Secret) -> tuple[list[pb.Duty.ValueType], Secret]:
    """Ask for a new password until it is accepted; every unmet requirement is shown at once (ID-2)."""
    while True:
        new = _typed_twice(desk)
        try:
            answer = desk.run_in_session(
                lambda suite, token, new=new: suite.login.change_password(token, current=current, new=new)  # type: ignore[misc]
            )
        except InvalidInput as refused:
            if refused.reason is not Reason.PASSWORD_REJECTED:
                raise
            desk.out.note("新密码不符合要求：", "The new password does not meet the rules:")
            for chinese, english in zip(violations(refused, Locale.ZH_CN), violations(refused, Locale.EN), strict=True):
                desk.out.note(f"  - {chinese}", f"  - {english}")
            continue
        desk.out.note(
            f"密码已修改，{answer.password_days_left} 天后到期。",
            f"The password is changed; it ends in {answer.password_days_left} days.",
        )
        return list(answer.duties), new


def enroll(desk: Invocation, password: Secret, *, code: Secret | None = None) -> None:
    """Make a second factor, show it this once, and activate it with its first code."""
    show(desk, desk.run_in_session(lambda suite, token: suite.login.enroll_totp(token, password, totp_code=code)))
    first = desk.person.secret(desk.say("认证器显示的动态口令", "Code that the authenticator shows"))
    activate(desk, first)


def activate(desk: Invocation, code: Secret) -> None:
    """Activate the enrolled factor."""
    desk.run_in_session(lambda suite, token: suite.login.activate_totp(token, code))
    desk.out.note("动态口令已启用，今后每次登录都会要求。", "The second factor is active; every login asks for it now.")


def show(desk: Invocation, uri: Secret) -> None:
    """The secret in groups that can be typed, and the URI for authenticators that take one."""
    typed = parse_qs(urlsplit(uri.reveal()).query).get("secret", [""])[0]
    groups = " ".join(typed[i : i + GROUP] for i in range(0, len(typed), GROUP))
    desk.out.note(
        f"请在认证器中输入以下密钥（只显示这一次）：\n  {groups}\n  {uri.reveal()}",
        f"Type this key into the authenticator (it is shown this once):\n  {groups}\n  {uri.reveal()}",
    )


def _typed_twice(desk: Invocation) -> Secret:
    while True:
        new = desk.ask_password(Text("新密码", "New password"))
        if not new.reveal():
            raise usage("未输入新密码，密码没有修改。", "No new password was typed; nothing was changed.")
        if new == desk.ask_password(Text("再输入一次", "Once more")):
            return new
        desk.out.note("两次输入不一致，请重新输入。", "The two differ; type them again.")
