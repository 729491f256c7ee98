"""Reports over lists that the services keep ready: findings on staff IDs, odd patterns, deviations (ID-4, ID-10, CI-7, H)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from infosec.messages import Text
from infosec.reports.report import READING_ONLY, Cell, Column, Report, Row
from infosec.reports.words import LISTED, PATTERNS, ROLE_NAMES

STALE = "stale-and-blacklisted"
PATTERN = "odd-patterns"
DEVIATIONS = "deviations"
BLACKLISTED = "BLACKLISTED"

_STALE_COLUMNS = (
    Column(key="region", heading=Text("片区", "Region"), is_whole=True),
    Column(key="store", heading=Text("营业厅", "Store"), is_whole=True),
    Column(key="staff_id", heading=Text("工号", "Staff ID"), is_whole=True),
    Column(key="role", heading=Text("岗位", "Role"), words=ROLE_NAMES, only_wide=True),
    Column(key="kind", heading=Text("情况", "What"), words=LISTED),
    Column(key="at", heading=Text("发现时间", "Found"), is_whole=True),
    Column(key="last_login", heading=Text("上次登录", "Last login"), is_whole=True, only_wide=True),
    Column(key="terminal", heading=Text("台席", "Terminal"), only_wide=True),
)
_PATTERN_COLUMNS = (
    Column(key="kind", heading=Text("异常", "Pattern"), words=PATTERNS),
    Column(key="staff_id", heading=Text("工号", "Staff ID"), is_whole=True),
    Column(key="store_id", heading=Text("营业厅", "Store"), is_whole=True),
    Column(key="terminal_id", heading=Text("台席", "Terminal"), only_wide=True),
    Column(key="first", heading=Text("起", "From"), is_whole=True),
    Column(key="last", heading=Text("止", "To"), is_whole=True, only_wide=True),
    Column(key="count", heading=Text("次数", "Count")),
    Column(key="threshold", heading=Text("阈值", "Allowed")),
    Column(key="log_id", heading=Text("日志", "Log"), only_wide=True),
    Column(key="indices", heading=Text("记录序号", "Entries"), only_wide=True),
)
_DEVIATION_COLUMNS = (
    Column(key="standard", heading=Text("标准", "Standard")),
    Column(key="clause", heading=Text("条款", "Clause")),
    Column(key="departure", heading=Text("差异", "Departure")),
    Column(key="why", heading=Text("原因", "Why")),
)


def stale(staff: Iterable[Mapping[str, Cell]], findings: Iterable[Mapping[str, Cell]], *, made_at: datetime) -> Report:
    """From StaffAdminService's lists: staff IDs (those of state BLACKLISTED count) and findings."""
    people = {str(one["staff_id"]): one for one in staff}
    rows: list[Row] = [
        {
            "region": one.get("region_id"),
            "store": one.get("store_id"),
            "staff_id": one["staff_id"],
            "role": one.get("role_id"),
            "kind": BLACKLISTED,
            "at": one.get("state_since"),
            "last_login": one.get("last_login_at"),
        }
        for one in people.values()
        if one.get("state") == BLACKLISTED
    ]
    for found in findings:
        known = people.get(str(found.get("staff_id") or ""), {})
        rows.append(
            {
                "region": known.get("region_id"),
                "store": found.get("store_id") or known.get("store_id"),
                "staff_id": found.get("staff_id"),
                "role": known.get("role_id"),
                "kind": found.get("kind"),
                "at": found.get("at"),
                "last_login": known.get("last_login_at"),
                "terminal": found.get("terminal_id"),
            }
        )
    rows.sort(key=lambda row: tuple(str(row.get(name) or "") for name in ("region", "store", "staff_id", "kind", "at")))
    return Report(
        name=STALE,
        title=Text("过期、闲置与异常工号", "Blacklisted and stale staff IDs"),
        columns=_STALE_COLUMNS,
        rows=tuple(rows),
        notes=(Text("按片区、营业厅排列；为生成时的现状。", "By region and store, as it stands now."),),
        made_at=made_at,
    )


def odd_patterns(
    patterns: Iterable[Mapping[str, Cell]], *, since: datetime, until: datetime, made_at: datetime
) -> Report:
    """From AuditReadService.ListPatterns."""
    return Report(
        name=PATTERN,
        title=Text("异常情况", "Odd patterns"),
        columns=_PATTERN_COLUMNS,
        rows=tuple(_numbered(one) for one in patterns),
        notes=(
            Text(
                "异常只提示应查看哪些记录，不等于违规。阈值：次数；“验证码瞬间填入”为秒，“办理后很快冲正”为分钟。",
                "A pattern says which entries to look at; it accuses nobody. What is allowed is a number of things; seconds "
                "for a code typed at once, minutes for what was soon reversed.",
            ),
            READING_ONLY,
        ),
        since=since,
        until=until,
        made_at=made_at,
    )


def deviations(found: Iterable[Mapping[str, Cell]], *, profile: str, made_at: datetime) -> Report:
    """From PolicyService.GetDeviationReport, which words it in the caller's language."""
    return Report(
        name=DEVIATIONS,
        title=Text("与标准、手册的差异", "Deviations from standards and the handbook"),
        columns=_DEVIATION_COLUMNS,
        rows=tuple(found),
        notes=(Text(f"当前策略：{profile}", f"The active profile: {profile}"),),
        made_at=made_at,
    )


def _numbered(row: Mapping[str, Cell]) -> Row:
    indices = row.get("indices")
    numbers = list(map(str, indices)) if isinstance(indices, list | tuple) else []
    return {**row, "indices": numbers}
