"""Why a check was denied and what to do next, from closed lists, in zh-CN and en.

Knows no rule: `decide` picks, this module words.
"""

from __future__ import annotations

from enum import StrEnum

from infosec.messages import Locale, Text


class DenyReason(StrEnum):
    """The first thing that stands against an operation; OK where nothing does."""

    OK = "OK"
    # ask again
    SNAPSHOT_STALE = "SNAPSHOT_STALE"
    REVISION_BEHIND = "REVISION_BEHIND"
    RECORD_UNAVAILABLE = "RECORD_UNAVAILABLE"
    # the caller and the session
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    TOKEN_MISMATCH = "TOKEN_MISMATCH"  # noqa: S105
    SYSTEM_NOT_REGISTERED = "SYSTEM_NOT_REGISTERED"
    SESSION_UNKNOWN = "SESSION_UNKNOWN"
    SESSION_ENDED = "SESSION_ENDED"
    SHIFT_OVER = "SHIFT_OVER"
    STAFF_NOT_ACTIVE = "STAFF_NOT_ACTIVE"
    PASSWORD_ENDED = "PASSWORD_ENDED"  # noqa: S105
    SESSION_LOCKED = "SESSION_LOCKED"
    SESSION_RESTRICTED = "SESSION_RESTRICTED"
    SESSION_IDLE = "SESSION_IDLE"
    # the place
    TERMINAL_OUT_OF_PLACE = "TERMINAL_OUT_OF_PLACE"
    STORE_CLOSED = "STORE_CLOSED"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    OUT_OF_HOURS = "OUT_OF_HOURS"
    # the operation and the customer
    OPERATION_UNKNOWN = "OPERATION_UNKNOWN"
    OPERATION_NOT_PERMITTED = "OPERATION_NOT_PERMITTED"
    PURPOSE_NOT_ALLOWED = "PURPOSE_NOT_ALLOWED"
    CUSTOMER_NOT_ASSIGNED = "CUSTOMER_NOT_ASSIGNED"
    CUSTOMER_NOT_LISTED = "CUSTOMER_NOT_LISTED"
    GRANT_INVALID = "GRANT_INVALID"
    REQUIREMENTS_MISSING = "REQUIREMENTS_MISSING"


BEFORE_DECIDING = frozenset({DenyReason.TOKEN_INVALID, DenyReason.GRANT_INVALID, DenyReason.RECORD_UNAVAILABLE})
"""Given by a front, which verifies and records, never by `decide`."""


class RequiredKind(StrEnum):
    """What can still be missing."""

    CUSTOMER = "CUSTOMER"
    PURPOSE = "PURPOSE"
    WORK_ORDER = "WORK_ORDER"
    IDENTITY = "IDENTITY"
    CONSENT = "CONSENT"
    SECOND_PERSON = "SECOND_PERSON"


class GrantFault(StrEnum):
    """Why a grant that was brought does not do."""

    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    BOUND_TO_ANOTHER_ORDER = "BOUND_TO_ANOTHER_ORDER"
    OTHER_SCOPE = "OTHER_SCOPE"
    PROOF_NOT_ACCEPTED = "PROOF_NOT_ACCEPTED"


_DENIALS: dict[DenyReason, Text] = {
    DenyReason.OK: Text("可以办理。", "You may go on."),
    DenyReason.SNAPSHOT_STALE: Text(
        "权限数据未能及时更新，请稍后重试。",
        "The permission data is not up to date. Try again in a moment.",
    ),
    DenyReason.REVISION_BEHIND: Text(
        "权限数据正在同步，请稍后重试。",
        "The permission data is catching up. Try again in a moment.",
    ),
    DenyReason.TOKEN_EXPIRED: Text(
        "登录凭证已到期，请让系统重新取得凭证。",
        "The token has expired. Let the system ask for a new one.",
    ),
    DenyReason.RECORD_UNAVAILABLE: Text(
        "查询记录无法写入，本次查询未执行，请稍后重试。",
        "The access could not be recorded, so it was not done. Try again shortly.",
    ),
    DenyReason.TOKEN_INVALID: Text("登录凭证无效，请重新登录。", "The token is not valid. Log in again."),
    DenyReason.GRANT_INVALID: Text(
        "所附授权无效，请重新申请授权。",
        "A grant that was brought is not valid. Ask for a new one.",
    ),
    DenyReason.TOKEN_MISMATCH: Text(
        "该登录凭证不属于本系统或本台席，请在本台席重新登录。",
        "This token belongs to another system or terminal. Log in at this terminal.",
    ),
    DenyReason.SYSTEM_NOT_REGISTERED: Text(
        "本系统未登记在该营业厅或台席使用，请联系管理员登记。",
        "This system is not registered for the store or terminal. Ask an administrator to register it.",
    ),
    DenyReason.SESSION_UNKNOWN: Text("没有找到登录记录，请重新登录。", "No such session. Log in again."),
    DenyReason.SESSION_ENDED: Text("登录已结束，请重新登录。", "The session has ended. Log in again."),
    DenyReason.SHIFT_OVER: Text("已到当班时限，请重新登录。", "The shift limit is reached. Log in again."),
    DenyReason.STAFF_NOT_ACTIVE: Text(
        "该工号当前不能使用，请向片区经理提交申请。",
        "This staff ID cannot be used now. Submit a request to the regional manager.",
    ),
    DenyReason.PASSWORD_ENDED: Text(
        "密码已超过有效期，请向片区经理申请重新启用工号。",
        "The password has reached its end. Ask the regional manager to reinstate the staff ID.",
    ),
    DenyReason.SESSION_LOCKED: Text(
        "登录已锁定，请输入密码解锁后继续。",
        "The session is locked. Resume it with the password.",
    ),
    DenyReason.SESSION_RESTRICTED: Text(
        "请先修改初始密码，或先绑定动态口令。",
        "Change the first password or enrol the second factor before anything else.",
    ),
    DenyReason.SESSION_IDLE: Text(
        "长时间未操作，请输入密码后继续或重新登录。",
        "The session was idle too long. Resume it with the password or log in again.",
    ),
    DenyReason.TERMINAL_OUT_OF_PLACE: Text(
        "该台席不在本营业厅或已停用，请换用本厅登记的台席。",
        "This terminal is retired or stands in another store. Use a terminal registered for this store.",
    ),
    DenyReason.STORE_CLOSED: Text(
        "该营业厅已停业，请到其他营业厅办理。",
        "This store is closed for good. Serve the customer at another store.",
    ),
    DenyReason.OUT_OF_SCOPE: Text(
        "该工号不能在本营业厅办理，请回所属营业厅或由本厅人员办理。",
        "This staff ID may not act in this store. Act in your own, or let this store's staff do it.",
    ),
    DenyReason.OUT_OF_HOURS: Text(
        "当前不在营业时间，请在营业时间内办理。",
        "The store is not open now. Come back in its opening hours.",
    ),
    DenyReason.OPERATION_UNKNOWN: Text(
        "没有该业务代码，请核对后重试。",
        "There is no such operation code. Check it and try again.",
    ),
    DenyReason.OPERATION_NOT_PERMITTED: Text(
        "该岗位无权办理此业务，请由有权限的人员办理。",
        "This role may not perform the operation. Ask somebody whose role may.",
    ),
    DenyReason.PURPOSE_NOT_ALLOWED: Text(
        "该岗位不能以此用途办理此业务，请核对用途或由有权限的人员办理。",
        "This purpose is not allowed here. Check the purpose, or ask somebody whose role may.",
    ),
    DenyReason.CUSTOMER_NOT_ASSIGNED: Text(
        "该客户未分派给本工号，请先申请分派或凭工单办理。",
        "This customer is not assigned to you. Have them assigned, or work from a work order if your role may.",
    ),
    DenyReason.CUSTOMER_NOT_LISTED: Text(
        "该客户不在本代理商名单内，请引导客户到营业厅办理。",
        "This customer is not on your list. Send them to a store.",
    ),
    DenyReason.REQUIREMENTS_MISSING: Text(
        "还缺少以下条件，请补齐后再办理：",
        "Something is still missing. Bring all of this:",
    ),
}

_REQUIRED: dict[RequiredKind, Text] = {
    RequiredKind.CUSTOMER: Text("指明客户", "which customer this is for"),
    RequiredKind.PURPOSE: Text("说明查询用途", "the purpose of the look-up"),
    RequiredKind.WORK_ORDER: Text("提供工单编号", "the number of the work order"),
    RequiredKind.IDENTITY: Text("请客户出示有效证件原件", "the customer's original identity document"),
    RequiredKind.CONSENT: Text("请客户本人确认", "the customer's own confirmation"),
    RequiredKind.SECOND_PERSON: Text("请另一位有权限的人员审批", "approval by a second, entitled person"),
}

_FAULTS: dict[GrantFault, Text] = {
    GrantFault.EXPIRED: Text("已过期", "it has expired"),
    GrantFault.REVOKED: Text("已撤销", "it was revoked"),
    GrantFault.BOUND_TO_ANOTHER_ORDER: Text("已用于其他订单", "it was used for another order"),
    GrantFault.OTHER_SCOPE: Text("与本次业务不符", "it was given for something else"),
    GrantFault.PROOF_NOT_ACCEPTED: Text(
        "该方式或证件不适用于本次业务",
        "this document, channel or approver is not accepted here",
    ),
}

_ACCEPTED: dict[str, Text] = {
    "ID_CARD": Text("居民身份证", "ID card"),
    "HOUSEHOLD_REGISTER": Text("户口簿", "household register"),
    "MILITARY_OFFICER_CARD": Text("军官证", "military officer card"),
    "POLICE_OFFICER_CARD": Text("警官证", "police officer card"),
    "PASSPORT": Text("护照", "passport"),
    "RESIDENCE_PERMIT": Text("居留证", "residence permit"),
    "DRIVING_LICENCE": Text("驾驶证", "driving licence"),
    "SMS_REPLY": Text("客户短信回复", "the customer's SMS reply"),
    "ONE_TIME_CODE": Text("客户验证码", "one-time code"),
    "SIGNED_FORM": Text("客户签字单", "signed form"),
    "ORDER": Text("办理业务", "order"),
    "COMPLAINT": Text("投诉处理", "complaint"),
    "WORK_ORDER": Text("工单", "work order"),
    "WALK_IN": Text("到厅查询", "walk-in"),
}


def reason_text(reason: DenyReason, locale: Locale) -> str:
    """What the reason means and what to do next."""
    return _DENIALS[reason].in_(locale)


def required_text(kind: RequiredKind, locale: Locale) -> str:
    """What to bring, as a phrase."""
    return _REQUIRED[kind].in_(locale)


def fault_text(fault: GrantFault, locale: Locale) -> str:
    """Why what was brought does not do, as a phrase."""
    return _FAULTS[fault].in_(locale)


def accepted_text(value: str, locale: Locale) -> str:
    """The name of a document, channel or purpose. Role IDs have their names in the role; they come back as they are."""
    return _ACCEPTED.get(value, Text(value, value)).in_(locale)
