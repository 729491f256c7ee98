"""Every name that a fact may have: one name for one thing, with one kind, in all events.

`staff_id` is always who acted; `subject_staff_id` whose staff ID it is about, where that is another matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infosec.events.kinds import FactKind
from infosec.messages import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a fact of this name is."""

    kind: FactKind
    words: Text


def _is(kind: FactKind, zh: str, en: str) -> Meaning:
    return Meaning(kind=kind, words=Text(zh, en))


FACTS: Mapping[str, Meaning] = {
    # who
    "staff_id": _is(FactKind.STAFF, "操作人工号", "who acted, or whose login it was"),
    "role_id": _is(FactKind.ROLE, "操作人当时的岗位", "the role in which they acted"),
    "session_id": _is(FactKind.SESSION, "登录会话", "the session"),
    "subject_staff_id": _is(FactKind.STAFF, "所涉工号", "whose staff ID it is about"),
    "subject_role_id": _is(FactKind.ROLE, "所涉工号的岗位", "the role of that staff ID"),
    "submitted_by": _is(FactKind.STAFF, "申请提交人", "who submitted it"),
    "people": _is(FactKind.TEXT, "应急密码保管人", "who kept the break-glass codes"),
    "caller": _is(FactKind.TEXT, "调用方", "the calling system, as its certificate says"),
    "peer": _is(FactKind.TEXT, "网络地址", "the network address of the caller"),
    # where
    "store_id": _is(FactKind.STORE, "营业厅", "the store"),
    "region_id": _is(FactKind.REGION, "片区日志", "the region whose log it is about"),
    "terminal_id": _is(FactKind.TERMINAL, "台席", "the terminal"),
    "system_id": _is(FactKind.SYSTEM, "业务系统", "the store system"),
    "installation_id": _is(FactKind.ENTITY, "系统安装编号", "the installation"),
    "entity_kind": _is(FactKind.CODE, "变更对象类别", "the kind of thing that was changed"),
    "entity_id": _is(FactKind.ENTITY, "变更对象", "what was changed"),
    # whom and for what
    "customer": _is(FactKind.CUSTOMER, "客户标识（加密摘要）", "the customer, as a keyed digest"),
    "subject_id": _is(FactKind.SUBJECT, "客户在日志中的随机编号", "the customer's random ID in the log"),
    "operation": _is(FactKind.OPERATION, "业务代码", "the operation code"),
    "operation_class": _is(
        FactKind.CODE,
        "业务类别（读取、开户、变更、SIM 卡、冲正、缴费）",
        "the operation's class: READ, OPEN, CHANGE, SIM, REVERSE or PAY; missing where the operation may not be known",
    ),
    "purpose": _is(FactKind.CODE, "查询目的", "the stated purpose (CI-4)"),
    "order_id": _is(FactKind.ORDER, "订单号", "the order, as the store system numbers it"),
    "work_order": _is(FactKind.WORK_ORDER, "工单号", "the work order"),
    "grounds": _is(FactKind.TEXT, "说明的理由", "the reason that somebody gave, in their words"),
    # how it ended
    "decision": _is(FactKind.CODE, "判定结果", "ALLOWED or DENIED"),
    "mode": _is(FactKind.CODE, "判定方式", "where it was decided: CENTRAL, or GUARD in the store system"),
    "reason": _is(FactKind.CODE, "原因代码", "why, from a list of ours"),
    "state": _is(FactKind.CODE, "状态", "the state that was reached"),
    "revision": _is(FactKind.COUNT, "权限数据版本", "the revision of the region that it was decided at"),
    "withdraws": _is(FactKind.EVENT, "所撤回的记录", "the record that this one takes back: nothing was released"),
    "trace_id": _is(FactKind.TEXT, "调用方跟踪号", "the caller's own trace"),
    "method": _is(FactKind.TEXT, "调用的接口", "what was called"),
    "attempt": _is(FactKind.CODE, "所做的核验", "what the password or code was for: login, resume and so on"),
    "failures": _is(FactKind.COUNT, "连续失败次数", "wrong answers in a row"),
    "failures_since": _is(FactKind.COUNT, "上次登录后的失败次数", "wrong answers since the last login"),
    "violations": _is(FactKind.CODES, "未满足的密码要求", "the requirements that the password did not meet"),
    "was_first": _is(FactKind.FLAG, "是否初始密码", "whether it took the place of a first password"),
    "with_old_password": _is(
        FactKind.FLAG, "是否沿用旧系统密码", "whether the password of an older system was taken over"
    ),
    "fields": _is(FactKind.CODES, "所涉字段", "the fields; never what is in them"),
    "message_id": _is(FactKind.EVENT, "短信编号", "the message"),
    "is_closed": _is(FactKind.FLAG, "是否停业", "whether the store is closed for good"),
    "is_retired": _is(FactKind.FLAG, "是否停用", "whether it was taken out of use"),
    "summary": _is(FactKind.TEXT, "变更摘要", "what changed, in short"),
    "named": _is(FactKind.COUNT, "本次涉及客户数", "how many customers were named"),
    # how many, and when
    "count": _is(FactKind.COUNT, "数量", "how many"),
    "first": _is(FactKind.MOMENT, "起始时间", "the first moment of several, or of a period"),
    "last": _is(FactKind.MOMENT, "截止时间", "the last moment of several, or of a period"),
    # requests and grants
    "request_id": _is(FactKind.REQUEST, "申请编号", "the request"),
    "request_kind": _is(FactKind.CODE, "申请类别", "what was asked for"),
    "level": _is(FactKind.CODE, "审批层级", "who decides at present"),
    "action": _is(FactKind.CODE, "所作决定", "what the decider tried to do"),
    "flags": _is(FactKind.CODES, "提示标记", "what a reviewer should look at"),
    "grant_id": _is(FactKind.GRANT, "授权编号", "the grant"),
    # the audit service
    "filter": _is(FactKind.TEXT, "查询条件", "what was asked for, in the words of the query"),
    "export_id": _is(FactKind.ENTITY, "导出编号", "the export"),
    "format": _is(FactKind.CODE, "文件格式", "the form of the file"),
    "from_index": _is(FactKind.COUNT, "起始序号", "the first entry"),
    "to_index": _is(FactKind.COUNT, "截止序号", "the entry after the last one"),
    "is_complete": _is(FactKind.FLAG, "是否完整区间", "whether every entry of the range is in it"),
    "digest": _is(FactKind.DIGEST, "文件摘要", "SHA-256 of the file"),
    "period": _is(FactKind.CODE, "周期", "the period, as 2026-W47"),
    "seed": _is(FactKind.DIGEST, "抽样种子", "what the draw can be repeated from"),
    "population": _is(FactKind.COUNT, "应抽人数", "how many could have been drawn"),
    "signed_size": _is(FactKind.COUNT, "曾签名的日志长度", "the size of the log that was signed before"),
    "tree_size": _is(FactKind.COUNT, "日志长度", "the size of the log that it rests on"),
    "act_id": _is(FactKind.REQUEST, "双人操作编号", "the act that takes two people"),
    "act": _is(FactKind.CODE, "双人操作类别", "which act: erase-subject, release-hold, apply-retention"),
    "hold_id": _is(FactKind.ENTITY, "保全编号", "the hold"),
    "until": _is(FactKind.MOMENT, "截止至", "up to which moment"),
    "finding_id": _is(FactKind.ENTITY, "异常编号", "the finding"),
    "finding_kind": _is(FactKind.CODE, "异常类别", "which odd pattern"),
    "index": _is(FactKind.COUNT, "记录序号", "the entry that it is about"),
    "verdict": _is(FactKind.CODE, "检查结论", "IN_ORDER, UNCLEAR or VIOLATION"),
    "threshold": _is(FactKind.COUNT, "阈值", "the number from which it is odd"),
    "key_kind": _is(FactKind.CODE, "密钥用途", "what the key is for"),
    "key_id": _is(FactKind.TEXT, "密钥编号", "which key is in use now"),
    # store systems
    "code_id": _is(FactKind.REQUEST, "验证码编号", "which code was sent; never the code"),
}
