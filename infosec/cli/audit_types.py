"""Events by short names, for tables and for `--type`: 登录失败 is login.failed. What they mean in full is in the catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from infosec.cli.failures import usage
from infosec.cli.words import Words
from infosec.events.types import EventType
from infosec.messages import Text

_ZH: Mapping[EventType, str] = {
    EventType.LOGIN_SUCCEEDED: "登录成功",
    EventType.LOGIN_FAILED: "登录失败",
    EventType.LOGIN_REFUSED: "登录被拒",
    EventType.TERMINAL_REFUSED: "台席被拒",
    EventType.STEP_UP_SUCCEEDED: "二次认证",
    EventType.SESSION_ENDED: "会话结束",
    EventType.SESSION_LOCKED: "会话锁定",
    EventType.SESSION_RESUMED: "会话恢复",
    EventType.PROOF_SENT: "发送验证码",
    EventType.PROOF_GIVEN: "手机验证通过",
    EventType.PROOF_FAILED: "手机验证失败",
    EventType.STAFF_LOCKED: "工号加锁",
    EventType.STAFF_BLACKLISTED: "列入黑名单",
    EventType.STAFF_CREATED: "新建工号",
    EventType.STAFF_UPDATED: "变更工号",
    EventType.STAFF_SUSPENDED: "停用工号",
    EventType.STAFF_CLOSED: "注销工号",
    EventType.STAFF_IMPORTED: "导入人员",
    EventType.STAFF_REISSUED: "重发密码",
    EventType.STAFF_REBOUND: "换绑手机",
    EventType.STAFF_MOVED: "调动营业厅",
    EventType.STAFF_ROLE_CHANGED: "变更岗位",
    EventType.PROTECTED_FIELD_REFUSED: "受保护字段被拒",
    EventType.PASSWORD_CHANGED: "修改密码",
    EventType.PASSWORD_REJECTED: "密码不合规",
    EventType.PASSWORD_DELIVERY: "密码下发",
    EventType.TOTP_ENROLLED: "绑定动态口令",
    EventType.TOTP_ACTIVATED: "启用动态口令",
    EventType.BREAK_GLASS_USED: "使用应急密码",
    EventType.BREAK_GLASS_REFUSED: "应急密码被拒",
    EventType.REQUEST_SUBMITTED: "提交申请",
    EventType.REQUEST_ESCALATED: "申请上报",
    EventType.REQUEST_APPROVED: "批准申请",
    EventType.REQUEST_REJECTED: "驳回申请",
    EventType.REQUEST_CANCELLED: "撤回申请",
    EventType.REQUEST_EXPIRED: "申请过期",
    EventType.REQUEST_LAPSED: "批准失效",
    EventType.REQUEST_CARRIED_OUT: "执行申请",
    EventType.DECISION_REFUSED: "审批被拒",
    EventType.GRANT_BOUND: "授权绑定",
    EventType.GRANT_RELEASED: "授权解绑",
    EventType.GRANT_REVOKED: "授权作废",
    EventType.INSTALLATION_INITIALISED: "系统初始化",
    EventType.DIRECTORY_CHANGED: "变更目录",
    EventType.POLICY_CHANGED: "变更策略",
    EventType.CUSTOMERS_ASSIGNED: "分配客户",
    EventType.CUSTOMERS_UNASSIGNED: "取消分配",
    EventType.CHECK_DECIDED: "业务判定",
    EventType.CALL_REFUSED: "调用被拒",
    EventType.AUDIT_QUERIED: "查询日志",
    EventType.AUDIT_EXPORTED: "导出日志",
    EventType.AUDIT_SAMPLED: "抽查取样",
    EventType.AUDIT_WHO_ACCESSED: "查询谁看过",
    EventType.AUDIT_ACT_PROPOSED: "提出双人操作",
    EventType.AUDIT_ACT_CONFIRMED: "确认双人操作",
    EventType.AUDIT_ACT_WITHDRAWN: "撤回双人操作",
    EventType.AUDIT_ACT_EXPIRED: "双人操作过期",
    EventType.AUDIT_ACT_BLOCKED: "双人操作受阻",
    EventType.AUDIT_HOLD_PLACED: "实施保全",
    EventType.AUDIT_HOLD_RELEASED: "解除保全",
    EventType.AUDIT_SUBJECT_ERASED: "删除客户身份",
    EventType.AUDIT_RETENTION_APPLIED: "到期清理",
    EventType.AUDIT_FINDING_RECORDED: "抽查结论",
    EventType.AUDIT_KEY_ROTATED: "更换密钥",
    EventType.AUDIT_RESTORE_ACCEPTED: "确认恢复",
    EventType.AUDIT_CALL_REFUSED: "审计调用被拒",
    EventType.CUSTOMER_VISITED: "客户到厅",
    EventType.CODE_SENT: "客户验证码",
    EventType.CODE_CONFIRMED: "客户已验证",
    EventType.ORDER_COMPLETED: "订单完成",
    EventType.ORDER_REVERSED: "订单冲正",
}


def _spoken(type: EventType) -> str:
    """In English the type itself, with spaces, so that a table breaks it between words."""
    return type.value.replace(".", " ").replace("-", " ")


TYPES: Words = {type.value: Text(_ZH.get(type, type.value), _spoken(type)) for type in EventType}
_BY_WORD = {word: type for type, words in TYPES.items() for word in words}


def known(given: str) -> str:
    """The type of that name, short or not. Raises a usage error that says which are near to it."""
    if given in TYPES:
        return given
    if given in _BY_WORD:
        return _BY_WORD[given]
    near = [type for type, words in TYPES.items() if type.startswith(given) or given in words.zh]
    near = near or difflib.get_close_matches(given, TYPES, n=3, cutoff=0.4)
    told = ", ".join(near[:8]) or "check.decided, login.failed"
    raise usage(f"没有事件类型 {given}。例如：{told}", f"There is no event {given}. There are, for example: {told}")


def completed(begin: str) -> list[str]:
    """The types that start so, for the shell."""
    return [type for type in TYPES if type.startswith(begin)]
