"""Access to customer data by store and role: how much, for what purposes, and what was refused (CI-1, CI-2, CI-4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from infosec.decision.operations import Purpose
from infosec.events.types import EventType
from infosec.messages import Text
from infosec.reports.record import Record
from infosec.reports.report import READING_ONLY, Column, Report, Row
from infosec.reports.words import REASONS, ROLE_NAMES
from infosec.review.seen import ALLOWED

NAME = "customer-access"
TITLE = Text("客户信息访问", "Access to customer data")
TYPES = (EventType.CHECK_DECIDED,)
COLUMNS = (
    Column(key="region", heading=Text("片区", "Region"), only_files=True),
    Column(key="store", heading=Text("营业厅", "Store"), is_whole=True),
    Column(key="role", heading=Text("岗位", "Role"), words=ROLE_NAMES),
    Column(key="people", heading=Text("人数", "People")),
    Column(key="reads", heading=Text("查询", "Reads")),
    Column(key="customers", heading=Text("客户数", "Customers")),
    Column(key="for_order", heading=Text("订单", "Order"), only_wide=True),
    Column(key="for_complaint", heading=Text("投诉", "Complaint"), only_wide=True),
    Column(key="for_work_order", heading=Text("工单", "Work order"), only_wide=True),
    Column(key="for_walk_in", heading=Text("到厅", "Walk-in"), only_wide=True),
    Column(key="withdrawn", heading=Text("未放行", "Withdrawn"), only_files=True),
    Column(key="denied", heading=Text("拒绝", "Denied")),
    Column(key="mostly", heading=Text("主要拒绝原因", "Mostly because"), words=REASONS, only_wide=True),
)
_PURPOSES = {f"for_{purpose.value.lower()}": purpose.value for purpose in Purpose}


@dataclass(slots=True)
class _Group:
    people: set[str] = field(default_factory=set)
    reads: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Event ID to purpose and subject."""
    denied: Counter[str] = field(default_factory=Counter)
    withdrawn: int = 0


def build(entries: Iterable[Record], *, since: datetime, until: datetime, made_at: datetime) -> Report:
    """From checks in any order. A read whose record was withdrawn released nothing and is counted apart."""
    groups: dict[tuple[str, str, str], _Group] = {}
    withdrawn: set[str] = set()
    for entry in entries:
        seen = entry.seen
        if not seen.shows_data:
            continue
        group = groups.setdefault((entry.log, seen.store, seen.role), _Group())
        if seen.staff:
            group.people.add(seen.staff)
        if seen.decision == ALLOWED:
            group.reads[seen.event_id] = seen.purpose, seen.subject
        else:
            group.denied[seen.reason] += seen.times
        if seen.withdraws:
            withdrawn.add(seen.withdraws)
    rows = tuple(_row(key, groups[key], withdrawn) for key in sorted(groups))
    notes = (
        Text(
            "“查询”是已留痕并放行的访问；“未放行”是留痕后又撤回、未给出数据的访问。",
            "Reads were recorded and released. What was withdrawn was recorded, and released nothing.",
        ),
        READING_ONLY,
    )
    return Report(
        name=NAME, title=TITLE, columns=COLUMNS, rows=rows, notes=notes, since=since, until=until, made_at=made_at
    )


def _row(key: tuple[str, str, str], group: _Group, withdrawn: set[str]) -> Row:
    region, store, role = key
    kept = [read for event, read in group.reads.items() if event not in withdrawn]
    purposes = Counter(purpose for purpose, _ in kept)
    return {
        "region": region,
        "store": store,
        "role": role,
        "people": len(group.people),
        "reads": len(kept),
        "customers": len({subject for _, subject in kept if subject}),
        **{name: purposes[purpose] for name, purpose in _PURPOSES.items()},
        "withdrawn": len(group.reads) - len(kept),
        "denied": sum(group.denied.values()),
        "mostly": [reason for reason, _ in group.denied.most_common(2)],
    }
