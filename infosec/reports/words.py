"""What codes are called in reports, in zh-CN and en."""

from __future__ import annotations

from infosec.decision.reasons import DenyReason
from infosec.decision.roles import ROLES
from infosec.events.catalogue import CATALOGUE
from infosec.messages import Text
from infosec.reports.report import Words

ROLE_NAMES: Words = {role_id: Text(role.name_zh, role.name_en) for role_id, role in ROLES.items()}
EVENTS: Words = {
    spec.type.value: Text(spec.summary.zh.rstrip("。"), spec.summary.en.rstrip(".")) for spec in CATALOGUE.values()
}
PATTERNS: Words = {
    "MANY_LOOKUPS": Text("短时大量查询", "many look-ups"),
    "OUT_OF_HOURS": Text("非营业时间操作", "out of hours"),
    "OUT_OF_STORE": Text("异地操作", "out of store"),
    "NO_VISIT": Text("客户未到厅即查询", "no visit"),
    "MANY_CODES": Text("同一台席大量验证码", "many codes"),
    "FAST_CODE": Text("验证码瞬间填入", "code typed at once"),
    "SOON_REVERSED": Text("办理后很快冲正", "soon reversed"),
}
OUTCOMES: Words = {
    "PENDING": Text("待审批", "pending"),
    "APPROVED": Text("已批准", "approved"),
    "CARRIED_OUT": Text("已解锁", "unlocked"),
    "REJECTED": Text("已驳回", "rejected"),
    "CANCELLED": Text("已撤回", "cancelled"),
    "EXPIRED": Text("逾期未批", "expired"),
    "LAPSED": Text("批准后未执行", "lapsed"),
    "NOT_REQUESTED": Text("未申请", "no request"),
}
LISTED: Words = {
    "BLACKLISTED": Text("密码过期，黑名单", "blacklisted"),
    "DORMANT": Text("长期未用", "dormant"),
    "TWO_PLACES": Text("两地同时使用", "two places at once"),
    "IMPOSSIBLE_TRAVEL": Text("异地短时登录", "impossible travel"),
    "TERMINAL_REFUSED": Text("台席被拒", "terminal refused"),
    "OUT_OF_REGION": Text("跨片区尝试", "out of region"),
}
REASONS: Words = {
    DenyReason.OUT_OF_SCOPE.value: Text("不属本厅", "not their store"),
    DenyReason.OUT_OF_HOURS.value: Text("非营业时间", "out of hours"),
    DenyReason.OPERATION_NOT_PERMITTED.value: Text("岗位无权", "not in their role"),
    DenyReason.PURPOSE_NOT_ALLOWED.value: Text("目的不符", "purpose not allowed"),
    DenyReason.CUSTOMER_NOT_ASSIGNED.value: Text("客户未分配", "customer not assigned"),
    DenyReason.CUSTOMER_NOT_LISTED.value: Text("客户不在名单", "customer not listed"),
    DenyReason.REQUIREMENTS_MISSING.value: Text("缺少核验或授权", "identity, consent or approval missing"),
    DenyReason.TERMINAL_OUT_OF_PLACE.value: Text("台席不符", "terminal out of place"),
    DenyReason.RECORD_UNAVAILABLE.value: Text("无法留痕", "could not be recorded"),
}
"""The usual ones; others stand for themselves."""
