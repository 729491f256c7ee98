"""What an SMS to a member of staff says, and the sealed envelope it travels in from its maker to the sender (ID-1, ID-7).

Each text tells what happened and what to do next. Knows no gateway, no storage and no clock.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from infosec import canonical
from infosec.errors import Internal, InvalidInput, Reason
from infosec.messages import Locale, Text
from infosec.secret import Secret

MAX_TEXT = 400
"""Characters of one text."""

MAX_SEALED = 4096
"""Bytes of one sealed message, as stated at SubmitRequest.sealed."""


class Template(StrEnum):
    """What a message is about: for statistics, never secret."""

    FIRST_PASSWORD = "FIRST_PASSWORD"  # noqa: S105
    LOCKED = "LOCKED"
    BLACKLISTED = "BLACKLISTED"
    NEW_TERMINAL = "NEW_TERMINAL"
    PROOF_CODE = "PROOF_CODE"
    PASSWORD_REMINDER = "PASSWORD_REMINDER"  # noqa: S105
    PHONE_CHANGED = "PHONE_CHANGED"
    REQUEST_DECIDED = "REQUEST_DECIDED"
    SESSION_MOVED = "SESSION_MOVED"
    BREAK_GLASS = "BREAK_GLASS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An opened message. Both parts are secret: the text may hold a password, and the phone is personal data."""

    phone: Secret
    text: Secret


class Sealer(Protocol):
    """Seals for one place (infosec.keys.SealingKeys of kind MESSAGES): opening under another context raises Internal."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes: ...

    def open(self, sealed: bytes, context: bytes) -> bytes: ...


# {name}: a fact that must be given. [...{name}...]: left out, brackets and all, when its fact is not given.
# A password or a code stands on a line of its own: what belongs to it can then be seen.
TEXTS: Mapping[Template, Text] = {
    Template.FIRST_PASSWORD: Text(  # ID-1
        "工号{staff_id}的首次密码：\n{password}\n{hours}小时内有效，只能用一次，登录后须立即修改。请勿告诉任何人。"
        "过期请申请重发；非本人申请请联系店长[或拨打{hotline}]。",
        "First password of staff ID {staff_id}:\n{password}\nValid {hours} hours, for one login; change it there. Tell "
        "nobody. If it expired, request a new one; if you did not ask for it, tell your store manager[ or call {hotline}].",
    ),
    Template.LOCKED: Text(  # ID-5, ID-7
        "工号{staff_id}连续{failures}次密码错误，已加锁[（{place}）]。如是本人，请提交解锁申请，由片区经理审批；"
        "如非本人，请立即联系店长[或拨打{hotline}]。",
        "Staff ID {staff_id} is locked after {failures} wrong passwords[ ({place})]. If it was you, submit an unlock "
        "request; if not, tell your store manager at once[ or call {hotline}].",
    ),
    Template.BLACKLISTED: Text(  # ID-4, ID-7
        "工号{staff_id}的密码到期未改，已列入黑名单，不能登录。请提交解除黑名单申请，片区经理批准后，新密码将以短信发送。"
        "[咨询{hotline}。]",
        "The password of staff ID {staff_id} ended unchanged; the ID is blacklisted. Submit an un-blacklist request; once "
        "it is approved, a new password comes by SMS.[ Help: {hotline}.]",
    ),
    Template.NEW_TERMINAL: Text(  # ID-7
        "工号{staff_id}于{at}在新台席登录[（{place}）]。如非本人，请立即修改密码并联系店长[或拨打{hotline}]。",
        "Staff ID {staff_id} logged in at a new terminal at {at}[ ({place})]. If it was not you, change the password and "
        "tell your store manager at once[ or call {hotline}].",
    ),
    Template.PROOF_CODE: Text(  # RQ-1
        "工号{staff_id}的身份验证码：\n{code}\n{minutes}分钟内有效，用于证明本人身份。请勿告诉任何人。"
        "非本人操作请联系店长[或拨打{hotline}]。",
        "Code to prove that staff ID {staff_id} is yours:\n{code}\nValid {minutes} minutes. Tell nobody. If you did not "
        "ask for it, tell your store manager[ or call {hotline}].",
    ),
    Template.PASSWORD_REMINDER: Text(  # ID-4
        "工号{staff_id}的密码还有{days}天到期，到期未改将列入黑名单，不能登录。请尽快登录并修改密码。[咨询{hotline}。]",
        "The password of staff ID {staff_id} ends in {days} day(s); unchanged, the ID is then blacklisted. Log in and "
        "change it soon.[ Help: {hotline}.]",
    ),
    Template.PHONE_CHANGED: Text(  # ID-8: the old phone is told
        "工号{staff_id}已改绑其他手机，本号码不再接收其短信。如非本人申请，请立即联系店长[或拨打{hotline}]。",
        "Staff ID {staff_id} is now bound to another phone; this one gets no more of its messages. If you did not ask for "
        "it, tell your store manager at once[ or call {hotline}].",
    ),
    Template.REQUEST_DECIDED: Text(  # RQ-4, RQ-5; the outcome's own sentence follows
        "工号{staff_id}的{kind}申请{outcome}[咨询{hotline}。]",
        "The {kind} request for staff ID {staff_id} {outcome}[ Help: {hotline}.]",
    ),
    Template.SESSION_MOVED: Text(  # ID-9
        "工号{staff_id}于{at}在另一台席登录[（{place}）]，原会话已结束。如非本人，请立即修改密码并联系店长[或拨打{hotline}]。",
        "Staff ID {staff_id} logged in at another terminal at {at}[ ({place})]; the old session has ended. If it was not "
        "you, change the password and tell your store manager at once[ or call {hotline}].",
    ),
    Template.BREAK_GLASS: Text(  # ID-8: loud
        "紧急通道已于{at}启用，工号{staff_id}[，操作人{people}][，原因：{reason}]。请立即核实；如未经批准，"
        "请联系公司值班[或拨打{hotline}]。",
        "Break-glass was used at {at} for staff ID {staff_id}[ by {people}][, reason: {reason}]. Verify it now; if nobody "
        "approved it, call the carrier duty officer[ at {hotline}].",
    ),
}

# Facts that are given as a code of ours and shown as words. Keys of `kind` are those of RequestKind.
WORDS: Mapping[str, Mapping[str, Text]] = {
    "kind": {
        "UNLOCK": Text("解锁", "unlock"),
        "UNBLACKLIST": Text("解除黑名单", "un-blacklist"),
        "LIFT_SUSPENSION": Text("解除停用", "lift-suspension"),
        "REISSUE_PASSWORD": Text("重发首次密码", "new-first-password"),
        "REBIND_PHONE": Text("改绑手机", "phone re-binding"),
        "MOVE_STORE": Text("调店", "store move"),
        "CHANGE_ROLE": Text("变更岗位", "role change"),
        "CREATE_PRIVILEGED": Text("新建特权工号", "privileged-ID"),
        "CHANGE_POLICY": Text("变更策略", "policy change"),
    },
    "outcome": {
        "APPROVED": Text("已批准。如有新密码，将另行短信发送。", "was approved. A new password, if due, comes by SMS."),
        "REJECTED": Text(
            "被驳回[，原因：{reason}]。可补充说明后重新申请。",
            "was rejected[: {reason}]. You may submit a better founded one.",
        ),
        "EXPIRED": Text("逾期未审批，已失效。请重新申请。", "expired undecided. Submit it again."),
        "LAPSED": Text(
            "已批准，但未能在时限内执行，已失效。请重新申请。",
            "was approved but not carried out in time. Submit it again.",
        ),
    },
}

# Longest value shown, in characters; what is longer is clipped, but for secrets, which are whole or an error.
_LONGEST: Mapping[str, int] = {"staff_id": 32, "place": 24, "reason": 50, "people": 66, "at": 20, "hotline": 16}
_LONGEST_OTHER = 8
_LONGEST_SECRET = 32
_SECRETS = frozenset({"password", "code"})

_PART = re.compile(r"\[([^\[\]]*)\]|\{([a-z_]+)\}")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_PHONE = re.compile(r"\+?[0-9]{5,20}")


def required_facts(template: Template) -> frozenset[str]:
    """The facts without which `render` refuses."""
    return frozenset(_PLACE.findall(re.sub(r"\[[^\[\]]*\]", "", TEXTS[template].zh)))


def optional_facts(template: Template) -> frozenset[str]:
    """The facts that may be given besides: `hotline` for every template."""
    named = frozenset(_PLACE.findall(TEXTS[template].zh)) | (
        {"reason"} if "outcome" in required_facts(template) else set()
    )
    return named - required_facts(template)


def render(template: Template, locale: Locale, **facts: str | Secret) -> Secret:
    """The text of one message. `password` and `code` are given as Secret, everything else as text.

    Raises Internal for a fact that is missing, unknown to the template, or a secret too long to show whole: these are
    faults of the maker, never of a person.
    """
    missing = required_facts(template) - facts.keys()
    unknown = facts.keys() - required_facts(template) - optional_facts(template)
    if missing or unknown:
        raise Internal(Reason.INTERNAL, template=template.value, missing=_list(missing), unknown=_list(unknown))
    shown = {name: _shown(name, value) for name, value in facts.items()}
    for name in WORDS.keys() & shown.keys():
        shown[name] = _filled(_word(name, shown[name]).in_(locale), shown)
    return Secret(_filled(TEXTS[template].in_(locale), shown))


def masked_phone(phone: str) -> str:
    """The phone as it may be shown: first three and last four digits of a long number, the last two of a short one."""
    if len(phone) >= 11:
        return f"{phone[:-8]}****{phone[-4:]}" if phone.startswith("+") else f"{phone[:3]}****{phone[-4:]}"
    return f"****{phone[-2:]}"


def seal_message(keys: Sealer, *, message_id: uuid.UUID, template: Template, phone: Secret, text: Secret) -> bytes:
    """The message as it travels and rests: opens only under the same message ID and template.

    Seal once and keep the bytes: sealing again gives other bytes, and those under the same ID are another message.
    Raises InvalidInput for a phone that is none, or an empty or oversized text.
    """
    message = _checked(Message(phone=phone, text=text))
    plaintext = canonical.encode({"phone": message.phone.reveal(), "text": message.text.reveal()})
    return keys.seal(plaintext, _context(message_id, template))


def open_message(keys: Sealer, *, message_id: uuid.UUID, template: str, sealed: bytes) -> Message:
    """What `seal_message` sealed. Raises InvalidInput where it does not open, or is none of ours."""
    try:
        content = canonical.decode_strict(keys.open(sealed, _context(message_id, template)))
    except (Internal, InvalidInput):
        raise _refused("sealed", "does not open for this message") from None
    match content:
        case {"phone": str(phone), "text": str(text), **rest} if not rest:
            return _checked(Message(phone=Secret(phone), text=Secret(text)))
        case _:
            raise _refused("sealed", "not a message")


def _context(message_id: uuid.UUID, template: str) -> bytes:
    return canonical.encode(["infosec/sms/v1", str(message_id), str(template)])


def _checked(message: Message) -> Message:
    if not _PHONE.fullmatch(message.phone.reveal()):
        raise _refused("phone", "5 to 20 digits, a + may lead")
    text = message.text.reveal()
    if not 0 < len(text) <= MAX_TEXT or not all(c.isprintable() or c == "\n" for c in text):
        raise _refused("text", f"1 to {MAX_TEXT} printable characters")
    return message


def _shown(name: str, value: str | Secret) -> str:
    """One line without control characters, of bounded length: a name or a reason cannot push the advice out of sight."""
    if (name in _SECRETS) is not isinstance(value, Secret):
        raise Internal(Reason.INTERNAL, detail=f"{name}: a secret fact comes as Secret, and no other does")
    if isinstance(value, Secret):
        text = value.reveal()
        if not text.isprintable() or not 0 < len(text) <= _LONGEST_SECRET:
            raise Internal(Reason.INTERNAL, detail=f"{name} cannot be shown whole")
        return text
    if name in WORDS:
        return value
    plain = " ".join("".join(c if c.isprintable() else " " for c in value[:1000]).split())
    longest = _LONGEST.get(name, _LONGEST_OTHER)
    return plain if len(plain) <= longest else plain[: longest - 2] + ".."


def _word(name: str, code: str) -> Text:
    try:
        return WORDS[name][code]
    except KeyError:
        raise Internal(Reason.INTERNAL, detail=f"no words for this {name}") from None


def _filled(template: str, facts: Mapping[str, str]) -> str:
    """One pass: a fact is never read as a template. An empty fact counts as not given in an optional part."""

    def part(found: re.Match[str]) -> str:
        if found[2]:
            return facts[found[2]]
        given = all(facts.get(name) for name in _PLACE.findall(found[1]))
        return _PLACE.sub(lambda place: facts[place[1]], found[1]) if given else ""

    return _PART.sub(part, template)


def _list(names: frozenset[str] | set[str]) -> str:
    return ",".join(sorted(names))


def _refused(field: str, detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)
