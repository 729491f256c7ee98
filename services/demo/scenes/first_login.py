"""The first login with the password that came by SMS, and everything that a new password must not be (ID-1 to ID-3, ID-6)."""

from __future__ import annotations

from authsvc.passwords import Requirement
from infosec.decision.reasons import DenyReason
from infosec.errors import InfosecError, Reason
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.people import Person, new_password
from services.demo.stage import Stage

CLERK = "e10003"


async def first_login(stage: Stage) -> None:
    """The clerk comes in, and can do nothing before the password is changed."""
    clerk = stage[CLERK]
    await stage.done(
        Text(
            f"营业员{clerk.name}用短信中的初始密码登录", f"Clerk {clerk.staff_id} logs in with the password of the SMS"
        ),
        stage.login(clerk, "east-1-t1"),
        Text("须先改密码", "the password must be changed first"),
    )
    await stage.checked(
        Text("不改密码就办业务", "She serves a customer without changing it"),
        DenyReason.SESSION_RESTRICTED,
        clerk,
        "1302",
        customer="13800000001",
    )


async def refuse_bad_passwords(stage: Stage) -> None:
    """One of each kind that ID-2, ID-3 and ID-6 forbid."""
    clerk = stage[CLERK]
    for words, password, requirement in _bad_passwords(clerk):
        await _refused(stage, clerk, words, Secret(password), requirement)
    await _refused(stage, clerk, Text("沿用初始密码", "The first password again"), clerk.password, Requirement.REUSED)
    every, told = await _rejection(stage, clerk, Secret("chenxy"))
    stage.noted(
        Text("一次告知所有问题：“chenxy”", "All that is wrong is said at once: “chenxy”"),
        expected="CLASSES LENGTH_MIN PERSONAL_NAME",
        actual=" ".join(sorted(every)),
        told=told,
    )


async def accept_password(stage: Stage) -> None:
    """A good one; the first password has had its one use."""
    clerk = stage[CLERK]
    first = clerk.password
    await stage.done(
        Text("换成一个好密码", "She chooses a good one"),
        stage.change(clerk, new_password()),
        lambda answer: Text(f"{answer.password_days_left} 天内有效", f"good for {answer.password_days_left} days"),
    )
    await stage.refused(
        Text("有人再用那条短信里的密码登录", "Somebody uses the password of the SMS again"),
        Reason.LOGIN_REFUSED,
        stage.suites["crm"].login.login(clerk.staff_id, first, terminal_id="east-1-t2"),
    )


def _bad_passwords(clerk: Person) -> list[tuple[Text, str, Requirement]]:
    month_day = clerk.birthday[5:].replace("-", "")
    return [
        (Text("太短", "Too short"), "kx7-vq", Requirement.LENGTH_MIN),
        (Text("只有字母", "Letters alone"), "kxvqzhtrwbnd", Requirement.CLASSES),
        (Text("姓名拼音", "Her name in pinyin"), "chenxiaoyan-7q", Requirement.PERSONAL_NAME),
        (Text("名在前、大写", "First name first, in capitals"), "XiaoYanChen#4v", Requirement.PERSONAL_NAME),
        (Text("生日", "Her birthday"), f"kv-{clerk.birthday[:4]}{month_day}-qx", Requirement.PERSONAL_BIRTHDAY),
        (Text("工号倒写", "The staff ID reversed"), f"kvq-{clerk.staff_id[::-1]}", Requirement.PERSONAL_STAFF_ID),
        (
            Text("手机号的一段", "Part of the phone number"),
            f"kvq#{clerk.phone.reveal()[-8:]}",
            Requirement.PERSONAL_PHONE,
        ),
        (Text("店名拼音", "The name of the store"), "renminlu-58kv", Requirement.ROOM),
        (Text("墙上的热线", "The hotline on the wall"), "kvqx-02155550101", Requirement.ROOM),
        (Text("常见密码", "A common password"), "P@ssw0rd123", Requirement.COMMON),
    ]


async def _refused(stage: Stage, clerk: Person, words: Text, password: Secret, requirement: Requirement) -> None:
    found, told = await _rejection(stage, clerk, password)
    actual = requirement.value if requirement.value in found else " ".join(found)
    stage.noted(
        Text(f"新密码：{words.zh}", f"New password: {words.en}"),
        expected=requirement.value,
        actual=actual,
        told=told,
    )


async def _rejection(stage: Stage, clerk: Person, password: Secret) -> tuple[tuple[str, ...], str]:
    """What is wrong with it, as codes and in words; OK where nothing is."""
    try:
        await stage.change(clerk, password)
    except InfosecError as error:
        return error.violations or (error.reason.value,), stage.words(error)
    return ("OK",), ""
