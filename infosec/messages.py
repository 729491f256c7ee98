"""What a reason means to the person who reads it, in zh-CN and en: what happened and what to do next.

Words in square brackets appear only when the error has the details they name. Knows no wire and no terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from infosec.errors import InfosecError, Reason

MAX_DETAIL = 300


class Locale(StrEnum):
    """The languages that every text exists in."""

    ZH_CN = "zh-CN"
    EN = "en"


class Text(NamedTuple):
    """One message in each language."""

    zh: str
    en: str

    def in_(self, locale: Locale) -> str:
        return self.zh if locale is Locale.ZH_CN else self.en

    def filled(self, **values: object) -> Text:
        """The same text with its `{names}` filled in, for a text of our own; a fact of unknown length takes `fill`."""
        return Text(self.zh.format(**values), self.en.format(**values))


TEXTS: Mapping[Reason, Text] = {
    Reason.INVALID_ARGUMENT: Text(
        "[{field}：]输入无效[（{detail}）]。请改正后重新提交。",
        "[{field}: ]this value is not valid[ ({detail})]. Correct it and send it again.",
    ),
    Reason.UNKNOWN_FIELD: Text(
        "请求中有本服务不认识的字段[（{field}）]。请去掉该字段，或升级服务端后重试。",
        "The request has a field that this server does not know[ ({field})]. Leave it out, or upgrade the server.",
    ),
    Reason.REQUEST_ID_REUSED: Text(
        "该 request_id 已用于另一个内容不同的请求。请换一个新的 request_id 重新提交。",
        "This request_id was used for a call with other content. Send the call again under a new request_id.",
    ),
    Reason.PASSWORD_REJECTED: Text(
        "新密码不符合要求[：{violations}]。请换一个密码。",
        "The new password does not meet the rules[: {violations}]. Choose another one.",
    ),
    Reason.FILE_REJECTED: Text(
        "文件未被接受[：{violations}]。没有导入任何内容；请改正后重新提交整个文件。",
        "The file was not accepted[: {violations}]. Nothing of it was imported; correct it and send it whole.",
    ),
    Reason.CALLER_UNKNOWN: Text(
        "无法识别调用系统的证书。请使用本系统签发的客户端证书，或联系管理员。",
        "The calling system's certificate is not known here. Use a client certificate issued for this installation, "
        "or ask the administrator.",
    ),
    Reason.CALLER_NOT_ALLOWED: Text(
        "该调用系统未获准使用此服务[（{detail}）]。请联系管理员登记。",
        "The calling system is not allowed to use this service[ ({detail})]. Ask the administrator to register it.",
    ),
    Reason.CALLER_OUT_OF_PLACE: Text(
        "该调用系统没有为这个营业厅或台席登记。请联系管理员登记。",
        "The calling system is not registered for this store or terminal. Ask the administrator to register it.",
    ),
    # ID-7: one answer for every refused login, and not a word more.
    Reason.LOGIN_REFUSED: Text(
        "工号或密码错误，或不允许登录；连续五次失败后请申请解锁",
        "wrong, or not allowed to log in; after five failures ask for an unlock",
    ),
    Reason.TOKEN_INVALID: Text(
        "会话令牌无效。请重新登录。",
        "The session token is not valid. Log in again.",
    ),
    Reason.SESSION_ENDED: Text(
        "会话已结束。请重新登录。",
        "The session has ended. Log in again.",
    ),
    Reason.SESSION_LOCKED: Text(
        "会话已锁定。请输入密码恢复会话。",
        "The session is locked. Resume it with the password.",
    ),
    Reason.SESSION_RESTRICTED: Text(
        "在完成规定步骤之前不能进行此操作[：{detail}]。请先完成该步骤（如修改初始密码）。",
        "Something must be done first[: {detail}]. Do it (such as changing the first password), then try again.",
    ),
    Reason.NOT_PERMITTED: Text(
        "您无权进行此操作[（{detail}）]。如工作需要，请联系店长或片区经理。",
        "You may not do this[ ({detail})]. If your work needs it, ask the store manager or the regional manager.",
    ),
    Reason.STEP_UP_REQUIRED: Text(
        "此操作需要二次认证。请输入动态口令后重试。",
        "This needs a second factor. Enter the code of your authenticator, then try again.",
    ),
    Reason.SELF_DECISION: Text(
        "不能审批与本人有关或由本人提交的申请。请由另一位有权审批的人处理。",
        "Nobody decides a request that is about them or that they submitted. Somebody else who may decide has to.",
    ),
    Reason.PROTECTED_FIELD: Text(
        "[{field}：]此项只能通过申请变更，由片区经理审批。请提交申请。",
        "[{field}: ]this changes only by a request that the regional manager decides. Submit a request.",
    ),
    Reason.PROOF_REFUSED: Text(
        "验证码错误、已过期，或不允许验证。请重新获取验证码；手机丢失的，请店长提交换绑申请。",
        "The code is wrong, has expired, or is not accepted. Ask for a new one; with a lost phone the store manager "
        "submits the re-binding.",
    ),
    Reason.NOT_FOUND: Text(
        "未找到[{field}]，或您无权查看。请核对编号。",
        "Not found[: {field}], or not yours to see. Check the identifier.",
    ),
    Reason.ALREADY_EXISTS: Text(
        "[{field}：]已存在。请换一个编号，或修改已有的记录。",
        "[{field}: ]this already exists. Choose another identifier, or change the one that is there.",
    ),
    Reason.STATE_CONFLICT: Text(
        "当前状态不允许此操作[（{detail}）]。请刷新后再决定。",
        "This is not possible in the present state[ ({detail})]. Read it again, then decide.",
    ),
    Reason.REQUEST_CLOSED: Text(
        "该申请已处理、撤回或过期。如仍需要，请重新提交申请。",
        "The request was decided, cancelled or has expired. If it is still needed, submit a new one.",
    ),
    Reason.GRANT_INVALID: Text(
        "授权凭证无效、已过期或不适用于此操作。请重新取得授权。",
        "The grant is not valid, has expired, or is for something else. Obtain a new one.",
    ),
    Reason.GRANT_BOUND: Text(
        "该授权凭证已用于另一个订单。请为本订单重新取得授权。",
        "The grant was used for another order. Obtain a new one for this order.",
    ),
    Reason.NO_APPROVER: Text(
        "目前没有可以审批此申请的人。请联系公司值班。",
        "Nobody can decide this request at present. Call the carrier duty officer.",
    ),
    Reason.RATE_LIMITED: Text(
        "请求过于频繁。请稍候[（{retry_after} 秒）]再试。",
        "Too many attempts. Wait[ {retry_after} s], then try again.",
    ),
    Reason.OVERLOADED: Text(
        "系统繁忙，操作没有执行。请稍候[（{retry_after} 秒）]重试。",
        "The server is busy and has done nothing. Try again[ in {retry_after} s].",
    ),
    Reason.ATTEMPT_DISCARDED: Text(
        "本次尝试被中断，未作判断，也不计入失败次数。请重试。",
        "This attempt was interrupted; it was not judged and does not count. Try again.",
    ),
    Reason.STORAGE_UNAVAILABLE: Text(
        "数据库暂时不可用，操作没有执行，也不计入失败次数。请稍后重试；持续出现请联系管理员。",
        "The database is not available; nothing was done and nothing was counted. Try again later; "
        "if it goes on, tell the administrator.",
    ),
    Reason.PEER_UNAVAILABLE: Text(
        "所需的服务暂时不可用[（{detail}）]，操作没有执行。请稍后重试。",
        "A service that this needs is not available[ ({detail})]; nothing was done. Try again later.",
    ),
    Reason.RECORD_UNAVAILABLE: Text(
        "无法留下记录，因此操作没有执行。请稍后重试；持续出现请联系管理员。",
        "This could not be recorded, so it was not done. Try again later; if it goes on, tell the administrator.",
    ),
    Reason.SNAPSHOT_STALE: Text(
        "权限数据未及时更新，暂不能判断。请稍后重试；持续出现请检查到中心的线路。",
        "The permission data is too old to decide on. Try again shortly; if it goes on, check the line to the centre.",
    ),
    Reason.REVISION_AHEAD: Text(
        "本节点尚未收到所要求的版本。请稍后重试。",
        "This node has not yet seen the revision that was asked for. Try again shortly.",
    ),
    Reason.DEADLINE_EXCEEDED: Text(
        "操作超时，结果未知。请先查询结果，再决定是否重试。",
        "The time for the call ran out; its outcome is not known. Look it up before you try again.",
    ),
    Reason.UNIMPLEMENTED: Text(
        "本服务端没有此功能。请核对接口名称，或升级服务端。",
        "This server does not have that method. Check its name, or upgrade the server.",
    ),
    Reason.INTERNAL: Text(
        "系统内部错误，已记入日志。请联系管理员[，并提供编号 {incident}]。",
        "A fault of ours; it is in the log. Tell the administrator[ and give the number {incident}].",
    ),
    Reason.CONFIGURATION: Text(
        "无法按现有配置启动[：{key}][：{path}][：{detail}]。[处理办法：{hint}。][{violations}]",
        "The server cannot start as configured[: {key}][: {path}][: {detail}].[ What to do: {hint}.][ {violations}]",
    ),
    Reason.ALREADY_RUNNING: Text(
        "该数据目录已有一个服务在运行[（{detail}）]。请先停止它，或换一个数据目录。",
        "A server is already running on this data directory[ ({detail})]. Stop it first, or use another directory.",
    ),
    Reason.ALREADY_INITIALISED: Text(
        "系统已经初始化过，没有做任何更改。如需重做，请另选空的数据目录。",
        "This installation was set up before; nothing was changed. To start anew, choose an empty data directory.",
    ),
}

REQUIREMENTS: Mapping[str, Text] = {
    "LENGTH_MIN": Text("至少 {limit} 个字符", "at least {limit} characters"),
    "LENGTH_MAX": Text("最多 {limit} 个字符", "at most {limit} characters"),
    "CHARACTERS": Text("不能含有控制字符或不可见字符", "no control or invisible characters"),
    "CLASSES": Text(
        "字母、数字、符号中至少混用 {limit} 类（空格算符号）",
        "mixed from at least {limit} of letters, digits and symbols (a space is a symbol)",
    ),
    "CLASS_LETTERS": Text("至少含一个字母", "at least one letter"),
    "CLASS_DIGITS": Text("至少含一个数字", "at least one digit"),
    "CLASS_SYMBOLS": Text("至少含一个符号", "at least one symbol"),
    "PERSONAL_NAME": Text("不能含有本人姓名，包括拼音和首字母", "not your name, its pinyin or its initials"),
    "PERSONAL_STAFF_ID": Text("不能含有工号、登录名或其倒写", "not your staff ID or login name, nor its reverse"),
    "PERSONAL_BIRTHDAY": Text("不能含有本人生日", "not your birthday, in any spelling"),
    "PERSONAL_PHONE": Text("不能含有电话号码或其中一段", "not a phone number of yours or a part"),
    "PERSONAL_ID_NUMBER": Text("不能含有身份证号码或其中一段", "not your ID-card number or a part of it"),
    "ROOM": Text(
        "不能含有营业厅里看得到的字样：店名、地址、热线、品牌",
        "nothing that can be read in the room: store name, address, hotline, brands",
    ),
    "COMMON": Text("不能是常见密码或其变形", "not a common password, nor a disguise of one"),
    "PATTERN": Text(
        "不能主要由重复、连续或键盘相邻的字符组成", "not made mainly of repetitions, sequences or rows of keys"
    ),
    "REUSED": Text("不能与最近 {limit} 个密码相同", "none of the last {limit} passwords"),
}
"""What a password does not meet (ID-2, ID-3, ID-6): the violations of PASSWORD_REJECTED. Limits are in the details."""

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_PLACE = re.compile(r"\{([a-z_]+)\}")


def localized(error: InfosecError, locale: Locale = Locale.ZH_CN) -> str:
    """The sentence to show for `error`."""
    return fill(TEXTS[error.reason].in_(locale), _facts(error, locale))


def violations(error: InfosecError, locale: Locale = Locale.ZH_CN) -> tuple[str, ...]:
    """Everything that is wrong, each in words: codes of requirements with their limits, other texts as they are."""
    return tuple(_worded(violation, error, locale) for violation in error.violations)


def fill(template: str, facts: Mapping[str, str]) -> str:
    """Put facts into a template. A bracketed part whose fact is missing is left out; facts are never templates."""

    def part(found: re.Match[str]) -> str:
        names = _PLACE.findall(found[1])
        return _PLACE.sub(lambda place: facts[place[1]], found[1]) if all(n in facts for n in names) else ""

    return _OPTIONAL.sub(part, template)


def negotiate(accept_language: str | None) -> Locale:
    """The language for an `accept-language` value (RFC 9110, 12.5.4): zh* is zh-CN, others en; none is zh-CN."""
    wanted = [choice for item in (accept_language or "")[:1000].split(",") if (choice := _choice(item))]
    if not wanted:
        return Locale.ZH_CN
    known = [choice for choice in wanted if _spoken(choice[1]) is not None]
    best = max(known, key=lambda choice: choice[0], default=None)
    return Locale.EN if best is None else _spoken(best[1]) or Locale.EN


def from_posix(environment: Mapping[str, str]) -> Locale:
    """The language of a terminal: LC_ALL, LC_MESSAGES, LANG, the first that is set; none is zh-CN."""
    named = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "zh")
    return Locale.ZH_CN if named.lower().startswith("zh") else Locale.EN


def _worded(violation: str, error: InfosecError, locale: Locale) -> str:
    known = REQUIREMENTS.get(violation)
    if known is None:
        return violation
    return _PLACE.sub(lambda _place: _plain(error.details.get(violation, "…")), known.in_(locale))


def _facts(error: InfosecError, locale: Locale) -> dict[str, str]:
    facts = {name: _plain(value) for name, value in error.details.items() if value}
    if error.violations:
        facts["violations"] = "; ".join(_plain(violation) for violation in violations(error, locale))
    if error.retry_after is not None:
        facts["retry_after"] = str(max(1, round(error.retry_after.total_seconds())))
    return facts


def _plain(value: str) -> str:
    """One line of bounded length without control characters: it may be shown in a terminal."""
    return "".join(c if c.isprintable() else " " for c in value[:MAX_DETAIL])


def _choice(item: str) -> tuple[float, str] | None:
    tag, _, weight = item.strip().partition(";")
    found = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight) if weight else None
    quality = float(found[1]) if found else 1.0
    language = tag.strip().lower()
    return (quality, language) if re.fullmatch(r"\*|[a-z]{1,8}([-_][a-z0-9]{1,8})*", language) and quality > 0 else None


def _spoken(tag: str) -> Locale | None:
    language = tag.split("-")[0].split("_")[0]
    return {"zh": Locale.ZH_CN, "*": Locale.ZH_CN, "en": Locale.EN}.get(language)
