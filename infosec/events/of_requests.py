"""Requests, grants and what the installation is made of (section B, CI-2)."""

from __future__ import annotations

from infosec.events.spec import EventSpec, spec
from infosec.events.types import EventType

_ABOUT = "request_id request_kind submitted_by level store_id"
_SUBJECT = "subject_staff_id entity_kind entity_id"
"""Whom it is about; or what, where a policy is to change."""

REQUESTS: tuple[EventSpec, ...] = (
    spec(
        EventType.REQUEST_SUBMITTED,
        "提交申请。",
        "A request was submitted.",
        required=f"staff_id {_ABOUT}",
        optional=f"operation {_SUBJECT}",
    ),
    spec(
        EventType.REQUEST_ESCALATED,
        "申请超时，上报上一级（RQ-4）。",
        "A request went up a level, undecided (RQ-4).",
        required=_ABOUT,
        optional=_SUBJECT,
    ),
    spec(
        EventType.REQUEST_APPROVED,
        "批准申请。",
        "A request was approved.",
        required=f"staff_id role_id {_ABOUT}",
        optional=f"flags {_SUBJECT}",
    ),
    spec(
        EventType.REQUEST_REJECTED,
        "驳回申请。",
        "A request was rejected.",
        required=f"staff_id role_id {_ABOUT}",
        optional=f"flags {_SUBJECT}",
    ),
    spec(
        EventType.REQUEST_CANCELLED,
        "撤回申请。",
        "A request was withdrawn.",
        required=f"staff_id {_ABOUT}",
        optional=_SUBJECT,
    ),
    spec(
        EventType.REQUEST_EXPIRED,
        "申请逾期未决，失效（RQ-4）。",
        "A request ended undecided (RQ-4).",
        required=_ABOUT,
        optional=_SUBJECT,
    ),
    spec(
        EventType.REQUEST_LAPSED,
        "已批准的申请逾期未执行，失效（RQ-4）。",
        "An approved request was not carried out in time (RQ-4).",
        required=_ABOUT,
        optional=_SUBJECT,
    ),
    spec(
        EventType.REQUEST_CARRIED_OUT, "申请已执行。", "A request was carried out.", required=_ABOUT, optional=_SUBJECT
    ),
    spec(
        EventType.DECISION_REFUSED,
        "无权审批而被拒（RQ-2）。",
        "Somebody tried to decide who may not (RQ-2).",
        required=f"staff_id action reason {_ABOUT}",
        optional=_SUBJECT,
    ),
    spec(
        EventType.GRANT_BOUND,
        "授权用于一笔订单（RQ-7）。",
        "A grant was bound to an order (RQ-7).",
        required="grant_id request_id order_id system_id",
        optional="customer",
    ),
    spec(
        EventType.GRANT_RELEASED,
        "订单未完成，授权释放（RQ-7）。",
        "A grant was freed from an order that was not completed (RQ-7).",
        required="grant_id request_id order_id system_id",
        optional="customer",
    ),
    spec(
        EventType.GRANT_REVOKED,
        "批准人被停用或注销，授权作废（RQ-7）。",
        "A grant was revoked: who gave it was put out (RQ-7).",
        required="grant_id request_id subject_staff_id",
    ),
)

INSTALLATION: tuple[EventSpec, ...] = (
    spec(
        EventType.INSTALLATION_INITIALISED,
        "系统初始化。",
        "The installation was set up.",
        required="installation_id",
    ),
    spec(
        EventType.DIRECTORY_CHANGED,
        "变更片区、营业厅、台席或业务系统。",
        "A region, store, terminal or system was changed.",
        required="staff_id entity_kind entity_id",
        optional="is_closed is_retired",
    ),
    spec(
        EventType.POLICY_CHANGED,
        "经第二名管理员批准，变更岗位权限或业务代码（CI-2）。",
        "Roles or operation codes were changed, with a second administrator's approval (CI-2).",
        required="staff_id submitted_by request_id entity_kind entity_id summary",
    ),
    spec(
        EventType.CUSTOMERS_ASSIGNED,
        "为人员分配客户；只记数量。",
        "Customers were assigned to a person; counted, not named.",
        required="staff_id subject_staff_id named count",
    ),
    spec(
        EventType.CUSTOMERS_UNASSIGNED,
        "取消客户分配；只记数量。",
        "Customers were taken from a person's list; counted, not named.",
        required="staff_id subject_staff_id named count",
    ),
)
