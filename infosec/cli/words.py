"""Words of the command line in zh-CN and en: help texts, and what values are called in tables.

Help texts are put together at import, when no option has been read yet; so the language is looked up here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from infosec.decision.roles import ROLES
from infosec.messages import Locale, Text, from_posix

Words = Mapping[str, Text]
"""What the values of one field are called."""


def given(arguments: Sequence[str], option: str) -> str | None:
    """The value of an option as it stands on the command line, before anything is parsed; the last one counts."""
    found = None
    for index, word in enumerate(arguments):
        if word == "--":
            break
        if word == option and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def spoken(arguments: Sequence[str], environment: Mapping[str, str]) -> Locale:
    """The language asked for, or the terminal's."""
    asked = given(arguments, "--locale")
    return Locale(asked) if asked in tuple(Locale) else from_posix(environment)


SPOKEN = spoken(sys.argv[1:], os.environ)


def t(zh: str, en: str) -> str:
    """A help text in the language of this process."""
    return Text(zh, en).in_(SPOKEN)


ROLE_WORDS: Words = {role_id: Text(role.name_zh, role.name_en) for role_id, role in ROLES.items()}
STAFF_STATES: Words = {
    "ISSUED": Text("待首次登录", "issued"),
    "ACTIVE": Text("正常", "active"),
    "LOCKED": Text("加锁", "locked"),
    "BLACKLISTED": Text("黑名单", "blacklisted"),
    "SUSPENDED": Text("停用", "suspended"),
    "CLOSED": Text("注销", "closed"),
}
REQUEST_KINDS: Words = {
    "UNLOCK": Text("解锁", "unlock"),
    "UNBLACKLIST": Text("移出黑名单", "un-blacklist"),
    "LIFT_SUSPENSION": Text("解除停用", "lift suspension"),
    "REISSUE_PASSWORD": Text("重发初始密码", "re-issue password"),
    "REBIND_PHONE": Text("换绑手机", "re-bind phone"),
    "MOVE_STORE": Text("调动营业厅", "move store"),
    "CHANGE_ROLE": Text("变更岗位", "change role"),
    "CREATE_PRIVILEGED": Text("新建特权工号", "create privileged"),
    "CHANGE_POLICY": Text("变更策略", "change policy"),
}
REQUEST_STATES: Words = {
    "PENDING": Text("待审批", "pending"),
    "APPROVED": Text("已批准", "approved"),
    "CARRIED_OUT": Text("已执行", "carried out"),
    "REJECTED": Text("已驳回", "rejected"),
    "CANCELLED": Text("已撤回", "cancelled"),
    "EXPIRED": Text("已过期", "expired"),
    "LAPSED": Text("批准失效", "lapsed"),
}
REQUEST_LEVELS: Words = {
    "REGIONAL_MANAGER": Text("片区经理", "regional manager"),
    "CARRIER_DUTY_OFFICER": Text("公司值班", "carrier duty officer"),
    "ADMINISTRATOR": Text("管理员", "administrator"),
}
DUTIES: Words = {
    "CHANGE_PASSWORD": Text("修改密码", "change the password"),
    "ENROLL_TOTP": Text("绑定动态口令", "enrol the second factor"),
}
CLASSES: Words = {
    "READ": Text("查询", "read"),
    "OPEN": Text("开户", "open"),
    "CHANGE": Text("变更", "change"),
    "SIM": Text("换卡写卡", "sim"),
    "REVERSE": Text("冲正", "reverse"),
    "PAY": Text("缴费", "pay"),
}
DELIVERY_STATES: Words = {
    "QUEUED": Text("待发送", "queued"),
    "ACCEPTED": Text("网关已接收", "accepted"),
    "DELIVERED": Text("已送达", "delivered"),
    "FAILED": Text("失败", "failed"),
    "EXPIRED": Text("已过期", "expired"),
}
FINDINGS: Words = {
    "TWO_PLACES": Text("两地同时使用", "two places at once"),
    "IMPOSSIBLE_TRAVEL": Text("异地短时登录", "impossible travel"),
    "DORMANT": Text("长期未用", "dormant"),
    "TERMINAL_REFUSED": Text("台席被拒", "terminal refused"),
    "OUT_OF_REGION": Text("跨片区尝试", "out of region"),
}
