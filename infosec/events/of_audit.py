"""What the audit service says of itself: who reads the log is in the log (CI-6, CI-7, CI-8)."""

from __future__ import annotations

from infosec.events.of_access import REFUSED_CALL
from infosec.events.spec import SHORTEST_TERM, EventSpec, spec
from infosec.events.types import EventType

_READER = "staff_id role_id session_id"
_FROM = "system_id store_id terminal_id trace_id"
_ACT = "act_id act submitted_by"
_ON = "subject_id hold_id grounds"
"""By the random ID alone, here and below: these events outlive the erasure, and may be told after it."""

AUDIT: tuple[EventSpec, ...] = (
    spec(
        EventType.AUDIT_QUERIED,
        "查询审计日志。",
        "Somebody read the log.",
        required=f"{_READER} count",
        optional=f"{_FROM} region_id filter customer subject_staff_id first last grounds",
    ),
    spec(
        EventType.AUDIT_EXPORTED,
        "导出审计日志。",
        "A part of the log was exported.",
        # Before the first row leaves: one for each log, by the range that may leave.
        required=f"{_READER} export_id region_id is_complete from_index to_index tree_size",
        optional=f"{_FROM} filter customer subject_staff_id first last format count digest grounds",
    ),
    spec(
        EventType.AUDIT_SAMPLED,
        "抽取检查人员；凭种子可复算（CI-6）。",
        "The people of a spot check were drawn; the seed repeats the draw (CI-6).",
        required="store_id period seed population count",
        optional="staff_id region_id tree_size",
    ),
    spec(
        EventType.AUDIT_WHO_ACCESSED,
        "查询谁看过某客户的信息（CI-8）。",
        "Somebody asked who looked at a customer's data (CI-8).",
        # Nobody is made a subject by being asked for: who is not known to the log is not named (CI-8).
        required=f"{_READER} count",
        optional=f"{_FROM} customer first last grounds",
    ),
    spec(
        EventType.AUDIT_ACT_PROPOSED,
        "提出双人操作。",
        "An act that takes two people was proposed.",
        required=f"staff_id {_ACT}",
        optional=f"role_id session_id {_FROM} {_ON}",
    ),
    spec(
        EventType.AUDIT_ACT_CONFIRMED,
        "第二人确认双人操作。",
        "A second person confirmed an act.",
        required=f"staff_id {_ACT}",
        optional=f"role_id session_id {_FROM} {_ON}",
    ),
    spec(
        EventType.AUDIT_ACT_WITHDRAWN,
        "撤回双人操作。",
        "A proposed act was withdrawn.",
        required=f"staff_id {_ACT}",
        optional=f"role_id session_id {_FROM} {_ON}",
    ),
    spec(
        EventType.AUDIT_ACT_EXPIRED,
        "双人操作逾期未确认，失效。",
        "A proposed act ended unconfirmed.",
        required=_ACT,
        optional=_ON,
    ),
    spec(
        EventType.AUDIT_ACT_BLOCKED,
        "已确认的双人操作因保全而未执行（CI-8）。",
        "A confirmed act was not carried out: a hold came between (CI-8).",
        required=_ACT,
        optional=_ON,
    ),
    spec(
        EventType.AUDIT_HOLD_PLACED,
        "对客户记录实施保全，暂不得删除（CI-8）。",
        "A hold was placed on a customer's records: they are not erased (CI-8).",
        required="staff_id hold_id subject_id grounds",
        optional=f"role_id session_id {_FROM}",
    ),
    spec(
        EventType.AUDIT_HOLD_RELEASED,
        "解除保全（CI-8）。",
        "A hold was released (CI-8).",
        required="staff_id hold_id subject_id act_id",
        optional="grounds",
    ),
    spec(
        EventType.AUDIT_SUBJECT_ERASED,
        "按客户要求删除其身份信息，日志仍可核验（CI-8）。",
        "A customer's identifying data was erased; the log stays provable (CI-8).",
        required="subject_id act_id",
    ),
    spec(
        EventType.AUDIT_RETENTION_APPLIED,
        "清理超过保存期限的记录。",
        "Records past their term were dropped.",
        required="act_id region_id until count from_index to_index",
        optional="tree_size",
    ),
    spec(
        EventType.AUDIT_FINDING_RECORDED,
        "检查结论或发现的异常（CI-6、CI-7）。",
        "A spot check was judged, or an odd pattern was found (CI-6, CI-7).",
        required="finding_id finding_kind",
        optional=f"{_READER} region_id index verdict grounds subject_staff_id store_id terminal_id system_id customer"
        " order_id count threshold first last",
    ),
    spec(
        EventType.AUDIT_KEY_ROTATED,
        "更换密钥。",
        "A key was replaced.",
        required="key_kind key_id",
        optional="staff_id region_id tree_size",
    ),
    spec(
        EventType.AUDIT_RESTORE_ACCEPTED,
        "确认数据库是有意恢复的：日志从现状继续签名。",
        "Somebody said that the database was restored on purpose: the log is signed on from what it is.",
        required="region_id signed_size tree_size grounds",
    ),
    spec(
        EventType.AUDIT_CALL_REFUSED,
        "对审计服务的调用被拒（CI-1）。",
        "A call to the audit service was refused (CI-1).",
        required=REFUSED_CALL,
        optional="caller",
        term=SHORTEST_TERM,
    ),
)
