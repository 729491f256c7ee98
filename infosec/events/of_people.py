"""Logins, sessions, staff IDs and what opens them (section A of the rule book)."""

from __future__ import annotations

from infosec.events.spec import SHORTEST_TERM, EventSpec, spec
from infosec.events.types import EventType

_AT = "terminal_id store_id system_id"

LOGINS: tuple[EventSpec, ...] = (
    spec(
        EventType.LOGIN_SUCCEEDED,
        "登录成功。",
        "Somebody logged in.",
        required=f"staff_id session_id failures_since {_AT}",
    ),
    spec(
        EventType.LOGIN_FAILED,
        "密码或动态口令错误，计入连续失败次数（ID-5）。",
        "A wrong password or code; it counts (ID-5).",
        required=f"staff_id attempt failures {_AT}",
    ),
    spec(
        EventType.LOGIN_REFUSED,
        "登录被拒，未核对密码；不存在的工号不记名。",
        "A login was refused without judging a password; an unknown staff ID is not named.",
        required=f"attempt reason {_AT}",
        optional="staff_id",
    ),
    spec(
        EventType.TERMINAL_REFUSED,
        "台席被拒绝登录（ID-11）。",
        "Logins at a terminal are refused (ID-11).",
        required=f"reason {_AT}",
    ),
    spec(
        EventType.STEP_UP_SUCCEEDED,
        "会话中再次核验动态口令。",
        "A second factor was proved again within a session.",
        required="staff_id session_id",
    ),
    spec(
        EventType.SESSION_ENDED,
        "登录会话结束。",
        "A session ended.",
        required="staff_id session_id terminal_id store_id reason",
    ),
    spec(EventType.SESSION_LOCKED, "登录会话锁屏。", "A session was locked.", required="staff_id session_id"),
    spec(
        EventType.SESSION_RESUMED, "输入密码解锁会话。", "A locked session was resumed.", required="staff_id session_id"
    ),
    spec(
        EventType.PROOF_SENT,
        "向绑定手机发送身份验证码；不存在的工号不记名。",
        "A proof was sent to the bound phone; an unknown staff ID is not named.",
        required="terminal_id system_id",
        optional="staff_id",
        term=SHORTEST_TERM,
    ),
    spec(
        EventType.PROOF_GIVEN,
        "通过绑定手机验证身份（RQ-1）。",
        "Somebody proved who they are by the bound phone (RQ-1).",
        required="staff_id terminal_id system_id",
    ),
    spec(
        EventType.PROOF_FAILED,
        "身份验证码错误。",
        "A proof was wrong.",
        required="terminal_id system_id",
        optional="staff_id",
    ),
)

STAFF: tuple[EventSpec, ...] = (
    spec(
        EventType.STAFF_LOCKED,
        "连续失败达到上限，工号锁定（ID-5）。",
        "Too many wrong answers: the staff ID is locked (ID-5).",
        required=f"subject_staff_id failures {_AT}",
    ),
    spec(
        EventType.STAFF_BLACKLISTED,
        "密码超过有效期，工号列入黑名单（ID-4）。",
        "The password reached its end: the staff ID is blacklisted (ID-4).",
        required="subject_staff_id",
    ),
    spec(
        EventType.STAFF_CREATED,
        "新建工号。",
        "A staff ID was made.",
        required="staff_id subject_staff_id subject_role_id store_id",
        optional="with_old_password",
    ),
    spec(
        EventType.STAFF_UPDATED,
        "更正人员资料；只记字段名。",
        "Personal facts were corrected; only the fields are named.",
        required="staff_id subject_staff_id fields",
    ),
    spec(
        EventType.STAFF_SUSPENDED,
        "停用工号。",
        "A staff ID was suspended.",
        required="staff_id subject_staff_id",
        optional="grounds",
    ),
    spec(
        EventType.STAFF_CLOSED,
        "注销工号，不再启用。",
        "A staff ID was closed for ever.",
        required="staff_id subject_staff_id",
        optional="grounds",
    ),
    spec(EventType.STAFF_IMPORTED, "批量导入工号。", "Staff IDs were imported from a file.", required="staff_id count"),
    spec(
        EventType.STAFF_REISSUED,
        "按审批重新下发初始密码（RQ-5）。",
        "An approved request gave a new first password (RQ-5).",
        required="subject_staff_id request_id",
    ),
    spec(
        EventType.STAFF_REBOUND,
        "按审批更换绑定手机（ID-8）。",
        "An approved request bound another phone (ID-8).",
        required="subject_staff_id request_id",
    ),
    spec(
        EventType.STAFF_MOVED,
        "按审批调动营业厅（ID-8）。",
        "An approved request moved a person to another store (ID-8).",
        required="subject_staff_id request_id",
    ),
    spec(
        EventType.STAFF_ROLE_CHANGED,
        "按审批变更岗位（ID-8）。",
        "An approved request changed a role (ID-8).",
        required="subject_staff_id request_id",
    ),
    spec(
        EventType.PROTECTED_FIELD_REFUSED,
        "绕过审批修改手机、营业厅或岗位被拒（ID-8）。",
        "A change of phone, store or role without a request was refused (ID-8).",
        required="staff_id subject_staff_id fields",
    ),
    spec(
        EventType.PASSWORD_CHANGED, "本人修改密码。", "Somebody changed their password.", required="staff_id was_first"
    ),
    spec(
        EventType.PASSWORD_REJECTED,
        "新密码不符合要求；不记密码。",
        "A new password did not do; it is not recorded.",
        required="staff_id violations",
        term=SHORTEST_TERM,
    ),
    spec(
        EventType.PASSWORD_DELIVERY,
        "初始密码短信的送达状态。",
        "How the SMS with a first password fared.",
        required="subject_staff_id message_id state",
    ),
    spec(EventType.TOTP_ENROLLED, "登记动态口令设备。", "A second factor was enrolled.", required="staff_id"),
    spec(EventType.TOTP_ACTIVATED, "启用动态口令。", "A second factor was put in force.", required="staff_id"),
    spec(
        EventType.BREAK_GLASS_USED,
        "使用应急密码恢复管理员登录。",
        "Break-glass codes let an administrator in.",
        required="subject_staff_id people grounds",
    ),
    spec(
        EventType.BREAK_GLASS_REFUSED,
        "应急密码核验失败。",
        "Break-glass codes were wrong.",
        required="subject_staff_id",
    ),
)
