"""Who looked at a customer's data, as a page that can be handed to them (CI-8): plain words, no number, no staff names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from infosec.cli.audit_person import printable
from infosec.cli.audit_rows import OPERATIONS, PURPOSES
from infosec.cli.records import Row, Value
from infosec.cli.words import ROLE_WORDS, Words
from infosec.clock import CARRIER_ZONE
from infosec.messages import Locale, Text

_TITLE = Text("客户信息查看情况说明", "Who looked at your data")
_CUSTOMER = Text(
    "客户号码（手工填写）：____________________", "Customer's number (filled in by hand): ____________________"
)
_NOBODY = Text(
    "此期间没有查看过您的信息的记录。\n若您的身份信息已按要求删除，删除前的查看不再能与您关联。",
    "Nobody is on record as having looked at your data in this time. If your identifying data was erased on\n"
    "request, what was looked at before can no longer be told to be yours.",
)
_SOURCE = Text(
    "以上取自审计日志，其任何改动都会被发现；日志与序号可用于核对。\n对任何一次查看有疑问，可向我们提出。",
    "This is from a log that cannot be changed unseen; log and index say where each of them stands in it.\n"
    "You may ask us about any of them.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What was asked about, and when it was answered."""

    since: datetime | None
    until: datetime | None
    told_at: datetime


def statement(accesses: Sequence[Row], period: Period, locale: Locale) -> str:
    """The page. `accesses` have at, staff_id, role_id, store_id, terminal_id, operation, purpose, log and index."""
    lines = [*_head(accesses, period, locale), ""]
    for number, one in enumerate(accesses, 1):
        lines += [*_access(number, one, locale), ""]
    lines += (_SOURCE if accesses else _NOBODY).in_(locale).splitlines()
    return "".join(f"{printable(line)}\n" for line in lines)


def _head(accesses: Sequence[Row], period: Period, locale: Locale) -> Iterator[str]:
    since = _time(period.since) or Text("最早的记录", "the oldest record").in_(locale)
    until = _time(period.until) or _time(period.told_at)
    yield _TITLE.in_(locale)
    yield ""
    yield _CUSTOMER.in_(locale)
    yield Text(f"查询期间：{since} 至 {until}", f"Asked about: {since} to {until}").in_(locale)
    yield Text(f"说明时间：{_time(period.told_at)}", f"Answered: {_time(period.told_at)}").in_(locale)
    yield Text(f"查看次数：{len(accesses)}", f"Times looked at: {len(accesses)}").in_(locale)


def _access(number: int, one: Row, locale: Locale) -> Iterator[str]:
    role, staff = _word(one["role_id"], ROLE_WORDS, locale), one["staff_id"] or "—"
    store, terminal = one["store_id"] or "—", one["terminal_id"] or "—"
    code = one["operation"] or "—"
    operation = _word(one["operation"], OPERATIONS, locale)
    yield f"{number}. {_time(one['at'])}"
    yield Text(f"   查看人：{role}，工号 {staff}", f"   Who:    {role}, staff ID {staff}").in_(locale)
    yield Text(f"   地点：营业厅 {store}，台席 {terminal}", f"   Where:  store {store}, terminal {terminal}").in_(
        locale
    )
    yield Text(f"   内容：{operation}（{code}）", f"   What:   {operation} ({code})").in_(locale)
    yield Text(
        f"   目的：{_word(one['purpose'], PURPOSES, locale)}", f"   Why:    {_word(one['purpose'], PURPOSES, locale)}"
    ).in_(locale)
    yield Text(
        f"   记录：日志 {one['log']}，序号 {one['index']}", f"   Record: log {one['log']}, index {one['index']}"
    ).in_(locale)


def _word(value: Value, words: Words, locale: Locale) -> str:
    text = str(value or "—")
    return words[text].in_(locale) if text in words else text


def _time(at: Value) -> str:
    return at.astimezone(CARRIER_ZONE).strftime("%Y-%m-%d %H:%M:%S") if isinstance(at, datetime) else ""
