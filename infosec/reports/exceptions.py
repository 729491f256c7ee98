"""What is not everyday: break-glass, refused decisions, freed grants, erasures, holds, changed policy and keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from infosec.events.types import EventType
from infosec.messages import Text
from infosec.reports.record import Record
from infosec.reports.report import READING_ONLY, Column, Report, Row
from infosec.reports.words import EVENTS

NAME = "exceptions"
TITLE = Text("例外事项", "Exceptions")
FLAGGED = EventType.REQUEST_APPROVED
"""An everyday event that is listed where it carries a flag for reviewers (RQ-2)."""
TYPES = (
    EventType.BREAK_GLASS_USED,
    EventType.BREAK_GLASS_REFUSED,
    EventType.DECISION_REFUSED,
    EventType.PROTECTED_FIELD_REFUSED,
    FLAGGED,
    EventType.GRANT_RELEASED,
    EventType.GRANT_REVOKED,
    EventType.POLICY_CHANGED,
    EventType.AUDIT_ACT_PROPOSED,
    EventType.AUDIT_ACT_CONFIRMED,
    EventType.AUDIT_ACT_WITHDRAWN,
    EventType.AUDIT_ACT_EXPIRED,
    EventType.AUDIT_ACT_BLOCKED,
    EventType.AUDIT_HOLD_PLACED,
    EventType.AUDIT_HOLD_RELEASED,
    EventType.AUDIT_SUBJECT_ERASED,
    EventType.AUDIT_RETENTION_APPLIED,
    EventType.AUDIT_RESTORE_ACCEPTED,
    EventType.AUDIT_KEY_ROTATED,
)
COLUMNS = (
    Column(key="at", heading=Text("时间", "When"), is_whole=True),
    Column(key="type", heading=Text("事项", "What"), words=EVENTS),
    Column(key="who", heading=Text("操作人", "Who"), is_whole=True),
    Column(key="whom", heading=Text("所涉", "About")),
    Column(key="why", heading=Text("理由与详情", "Why, and details")),
    Column(key="log", heading=Text("日志", "Log"), only_wide=True),
    Column(key="index", heading=Text("序号", "Index"), is_whole=True),
)
_WHOM = ("subject_staff_id", "entity_id", "subject_id", "hold_id", "grant_id", "region_id", "key_kind")
_TOLD = frozenset(
    {"staff_id", "role_id", "session_id", "system_id", "terminal_id", "store_id", "grounds", "trace_id"}
    | {"level", "request_id", "submitted_by"}
)


def build(entries: Iterable[Record], *, since: datetime, until: datetime, made_at: datetime) -> Report:
    """From the entries of TYPES in the order of their recording."""
    rows = tuple(_row(entry) for entry in entries if entry.type != FLAGGED.value or entry.text("flags"))
    notes = (Text("每一行对应日志中的一条记录。", "Every line is one entry of the log."), READING_ONLY)
    return Report(
        name=NAME, title=TITLE, columns=COLUMNS, rows=rows, notes=notes, since=since, until=until, made_at=made_at
    )


def _row(entry: Record) -> Row:
    whom = next((name for name in _WHOM if name in entry.facts), "")
    rest = [f"{name}={value}" for name, value in sorted(entry.facts.items()) if name not in _TOLD | {whom}]
    grounds = entry.text("grounds")
    return {
        "at": entry.at,
        "type": entry.type,
        "who": entry.text("staff_id", "people", "submitted_by"),
        "whom": entry.text(whom) if whom else "",
        "why": "; ".join([grounds, *rest] if grounds else rest),
        "log": entry.log,
        "index": entry.index,
    }
