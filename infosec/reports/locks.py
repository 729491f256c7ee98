"""Who was locked, where and when, who asked for the unlock, who decided, and how long it took (ID-5, RQ-1 to RQ-5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infosec.events.types import EventType
from infosec.messages import Text
from infosec.reports.record import Record
from infosec.reports.report import READING_ONLY, Cell, Column, Report, Row
from infosec.reports.words import OUTCOMES, ROLE_NAMES

NAME = "locks-and-unlocks"
TITLE = Text("加锁与解锁", "Locks and unlocks")
UNLOCK = "unlock"
TYPES = (
    EventType.STAFF_LOCKED,
    EventType.REQUEST_SUBMITTED,
    EventType.REQUEST_APPROVED,
    EventType.REQUEST_REJECTED,
    EventType.REQUEST_CANCELLED,
    EventType.REQUEST_EXPIRED,
    EventType.REQUEST_LAPSED,
    EventType.REQUEST_CARRIED_OUT,
)
COLUMNS = (
    Column(key="staff_id", heading=Text("工号", "Staff ID"), is_whole=True),
    Column(key="region", heading=Text("片区", "Region"), only_files=True),
    Column(key="store", heading=Text("营业厅", "Store"), is_whole=True, only_wide=True),
    Column(key="terminal", heading=Text("台席", "Terminal"), only_files=True),
    Column(key="locked_at", heading=Text("加锁时间", "Locked"), is_whole=True),
    Column(key="asked_by", heading=Text("申请人", "Asked by")),
    Column(key="asked_at", heading=Text("申请时间", "Asked"), is_whole=True, only_files=True),
    Column(key="decided_by", heading=Text("审批人", "Decided by")),
    Column(key="decider_role", heading=Text("审批岗位", "Role"), words=ROLE_NAMES, only_files=True),
    Column(key="decided_at", heading=Text("审批时间", "Decided"), is_whole=True, only_files=True),
    Column(key="outcome", heading=Text("结果", "Outcome"), words=OUTCOMES),
    Column(key="ended_at", heading=Text("解锁时间", "Unlocked"), is_whole=True, only_wide=True),
    Column(key="locked_for", heading=Text("锁定时长", "Locked for"), is_whole=True),
    Column(key="flags", heading=Text("提示", "Flags"), only_files=True),
)
_ENDS = {
    EventType.REQUEST_REJECTED.value: "REJECTED",
    EventType.REQUEST_CANCELLED.value: "CANCELLED",
    EventType.REQUEST_EXPIRED.value: "EXPIRED",
    EventType.REQUEST_LAPSED.value: "LAPSED",
}


@dataclass(slots=True, kw_only=True)
class _Lock:
    staff: str
    region: str
    store: str
    terminal: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class _Case:
    """One request for an unlock, or a lock for which there is none; what lies before the period is empty."""

    staff: str
    lock: _Lock | None
    region: str
    store: str
    facts: dict[str, Cell] = field(default_factory=dict)
    outcome: str = "NOT_REQUESTED"
    ended_at: datetime | None = None


def build(entries: Iterable[Record], *, since: datetime, until: datetime, made_at: datetime) -> Report:
    """From the entries of TYPES in the order of their recording."""
    cases, locked, asked = list[_Case](), dict[str, _Case](), dict[str, _Case]()
    for entry in entries:
        if entry.type == EventType.STAFF_LOCKED.value:
            case = _locked(entry)
            locked[case.staff] = case
            cases.append(case)
        elif entry.text("request_kind") == UNLOCK:
            request = entry.text("request_id")
            if request not in asked:
                asked[request] = _asked(entry, locked, cases)
            _tell(asked[request], entry)
            if asked[request].ended_at is not None:
                locked.pop(asked[request].staff, None)
    notes = (
        Text(
            "时间为承运商所在地时间；期初以前的加锁和申请不在内，相应栏为空。",
            "Carrier time. What happened before the period is not in it, and the cells are empty.",
        ),
        READING_ONLY,
    )
    return Report(
        name=NAME,
        title=TITLE,
        columns=COLUMNS,
        rows=tuple(_row(case, made_at) for case in cases),
        notes=notes,
        since=since,
        until=until,
        made_at=made_at,
    )


def _locked(entry: Record) -> _Case:
    staff, store = entry.text("staff", "staff_id"), entry.text("store", "store_id")
    lock = _Lock(
        staff=staff, region=entry.log, store=store, terminal=entry.text("terminal", "terminal_id"), at=entry.at
    )
    return _Case(staff=staff, lock=lock, region=entry.log, store=store)


def _asked(entry: Record, locked: dict[str, _Case], cases: list[_Case]) -> _Case:
    """The lock that the request is about, if nobody had asked for it yet; a further request is a case of its own."""
    staff = entry.text("subject_staff_id")
    known = locked.get(staff)
    if known is not None and known.outcome == "NOT_REQUESTED":
        return known
    case = _Case(staff=staff, lock=known.lock if known else None, region=entry.log, store=entry.text("store_id"))
    cases.append(case)
    if known is not None:
        locked[staff] = case
    return case


def _tell(case: _Case, entry: Record) -> None:
    case.facts.setdefault("asked_by", entry.text("submitted_by"))
    if entry.type == EventType.REQUEST_SUBMITTED.value:
        case.facts["asked_at"] = entry.at
        case.outcome = "PENDING"
    elif entry.type == EventType.REQUEST_CARRIED_OUT.value:
        case.outcome, case.ended_at = "CARRIED_OUT", entry.at
    else:
        case.outcome = _ENDS.get(entry.type, "APPROVED")
    if entry.type in (EventType.REQUEST_APPROVED.value, EventType.REQUEST_REJECTED.value):
        case.facts |= {
            "decided_by": entry.text("staff_id"),
            "decider_role": entry.text("role_id"),
            "decided_at": entry.at,
            "flags": entry.text("flags"),
        }


def _row(case: _Case, now: datetime) -> Row:
    lock = case.lock
    still = lock is not None and case.ended_at is None
    end = now if still else case.ended_at
    return {
        "staff_id": case.staff,
        "region": case.region,
        "store": case.store,
        "terminal": lock.terminal if lock else None,
        "locked_at": lock.at if lock else None,
        "outcome": case.outcome,
        "ended_at": case.ended_at,
        "locked_for": _length(end - lock.at, is_over=not still) if lock and end else None,
        **case.facts,
    }


def _length(span: timedelta, *, is_over: bool) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    return f"{'' if is_over else '≥ '}{minutes // 60} h {minutes % 60:02} min"
