"""Access to customer data, and what store systems tell so that odd patterns show (CI-1, CI-7)."""

from __future__ import annotations

from infosec.events.spec import SHORTEST_TERM, EventSpec, spec
from infosec.events.types import EventType

REFUSED_CALL = "method reason peer count first"

ACCESS: tuple[EventSpec, ...] = (
    spec(
        EventType.CHECK_DECIDED,
        "业务操作或客户信息查询的判定，先记录后放行（CI-1）。",
        "May this person do this to this customer? Recorded before data is released (CI-1).",
        # A denied token names nobody: who and in which session are known only once it is verified.
        required="system_id store_id terminal_id operation reason revision",
        optional="staff_id role_id session_id customer purpose work_order order_id decision mode trace_id withdraws"
        " count first last operation_class",
        # What their Guards decided, and no more: auditsvc.permits.
        recordable_by_systems=True,
    ),
    spec(
        EventType.CALL_REFUSED,
        "接口调用被拒；同一调用方每秒过多时合并计数（CI-1）。",
        "A call was refused; a flood from one caller is counted together (CI-1).",
        required=REFUSED_CALL,
        optional="caller",
        term=SHORTEST_TERM,
    ),
)

_AT = "customer store_id system_id"

STORES: tuple[EventSpec, ...] = (
    spec(
        EventType.CUSTOMER_VISITED,
        "客户到厅。",
        "A customer came to the store.",
        required=_AT,
        optional="terminal_id staff_id",
        recordable_by_systems=True,
    ),
    spec(
        EventType.CODE_SENT,
        "向客户发送验证码；不记验证码。",
        "A one-time code was sent to a customer; the code is not recorded.",
        required=f"{_AT} terminal_id code_id",
        optional="staff_id session_id order_id operation",
        recordable_by_systems=True,
    ),
    spec(
        EventType.CODE_CONFIRMED,
        "客户验证码核验通过。",
        "A customer's one-time code was confirmed.",
        required=f"{_AT} terminal_id code_id",
        optional="staff_id session_id order_id operation",
        recordable_by_systems=True,
    ),
    spec(
        EventType.ORDER_COMPLETED,
        "订单完成。",
        "An order was completed.",
        required=f"{_AT} staff_id order_id operation",
        optional="terminal_id session_id",
        recordable_by_systems=True,
    ),
    spec(
        EventType.ORDER_REVERSED,
        "订单冲正或撤销。",
        "An order was reversed.",
        required=f"{_AT} staff_id order_id operation",
        optional="terminal_id session_id",
        recordable_by_systems=True,
    ),
)
