"""`infosec audit report`: ready reports for compliance, built here from what the person may read."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.api.auth.v1 import staff_pb2
from infosec.cli import output
from infosec.cli.audit_person import Asserting
from infosec.cli.audit_review import every_pattern, period
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.pages import every
from infosec.cli.records import Row, rows
from infosec.cli.words import t
from infosec.client.audit_read import audit_filter
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.events.types import EventType
from infosec.messages import Locale, Text
from infosec.private_files import write_private
from infosec.reports import access, exceptions, listed, locks
from infosec.reports.html import html
from infosec.reports.record import Record, record
from infosec.reports.report import Cell, Report
from infosec.reports.xlsx import write_xlsx
from infosec.secret import Secret

ENTRIES_A_PAGE = 1000


class Name(StrEnum):
    """The reports there are."""

    LOCKS = locks.NAME
    STALE = listed.STALE
    ACCESS = access.NAME
    EXCEPTIONS = exceptions.NAME
    PATTERNS = listed.PATTERN
    DEVIATIONS = listed.DEVIATIONS


class Form(StrEnum):
    """Where a report goes: to the screen, or to a file."""

    TABLE = "table"
    XLSX = "xlsx"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a report is made for."""

    since: datetime
    until: datetime
    now: datetime
    logs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a report is made from, for one person."""

    suite: Connection
    token: Secret
    assertion: Asserting

    async def entries(self, order: _Order, types: Sequence[EventType]) -> list[Record]:
        """All that match, oldest first; those whose payload is gone are left out."""
        wanted = audit_filter(
            since=order.since, until=order.until, log_ids=order.logs, types=[one.value for one in types]
        )
        found: list[Record] = []
        page = pb.QueryResponse(next_page_token="")
        while True:
            page = await self.suite.audit_read.query(
                await self.assertion(),
                wanted,
                oldest_first=True,
                page_size=ENTRIES_A_PAGE,
                page_token=page.next_page_token,
            )
            read = (record(one.log_id, one.index, one.body) for one in page.entries)
            found += [one for one in read if one is not None]
            if not page.next_page_token:
                return found

    async def blacklisted(self) -> list[Mapping[str, Cell]]:
        """Staff IDs whose password has ended; and all others too, because findings name them."""
        staff = await every(
            lambda size, page: self.suite.staff.list(self.token, page_size=size, page_token=page),
            lambda answer: list(answer.staff),
        )
        return _plain(rows(staff))

    async def findings(self) -> list[Mapping[str, Cell]]:
        found: list[staff_pb2.Finding] = await every(
            lambda size, page: self.suite.staff.findings(self.token, page_size=size, page_token=page),
            lambda answer: list(answer.findings),
        )
        return _plain(rows(found))


async def _locks(source: _Source, order: _Order) -> Report:
    found = await source.entries(order, locks.TYPES)
    return locks.build(found, since=order.since, until=order.until, made_at=order.now)


async def _access(source: _Source, order: _Order) -> Report:
    found = await source.entries(order, access.TYPES)
    return access.build(found, since=order.since, until=order.until, made_at=order.now)


async def _exceptions(source: _Source, order: _Order) -> Report:
    found = await source.entries(order, exceptions.TYPES)
    return exceptions.build(found, since=order.since, until=order.until, made_at=order.now)


async def _stale(source: _Source, order: _Order) -> Report:
    return listed.stale(await source.blacklisted(), await source.findings(), made_at=order.now)


async def _patterns(source: _Source, order: _Order) -> Report:
    found = await every_pattern(source.suite, source.assertion, order.since, order.until, order.logs)
    return listed.odd_patterns(_plain(rows(found)), since=order.since, until=order.until, made_at=order.now)


async def _deviations(source: _Source, order: _Order) -> Report:
    found = await source.suite.policy.deviations(source.token)
    return listed.deviations(_plain(rows(found.deviations)), profile=found.profile, made_at=order.now)


_BUILDERS: Mapping[Name, Callable[[_Source, _Order], Awaitable[Report]]] = {
    Name.LOCKS: _locks,
    Name.STALE: _stale,
    Name.ACCESS: _access,
    Name.EXCEPTIONS: _exceptions,
    Name.PATTERNS: _patterns,
    Name.DEVIATIONS: _deviations,
}


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "report",
        help=t(
            "合规报表：加锁与解锁、黑名单与闲置工号、客户信息访问、例外事项、异常情况、差异",
            "Reports for compliance: locks, blacklisted and stale IDs, access, exceptions, odd patterns, deviations.",
        ),
    )(report)


def report(
    ctx: typer.Context,
    name: Annotated[Name, typer.Argument(help=t("报表", "which report"))],
    since: Annotated[
        str, typer.Option(help=t("起：2026-11-16 或 7d；默认七天前", "from; 7 days ago if not given"))
    ] = "",
    until: Annotated[str, typer.Option(help=t("止，不含；默认现在", "up to; now if not given"))] = "",
    log: Annotated[list[str] | None, typer.Option(help=t("日志（片区）；可多次", "log (region); repeatable"))] = None,
    form: Annotated[Form, typer.Option("--format", help=t("形式", "form"))] = Form.TABLE,
    out: Annotated[
        Path | None, typer.Option(help=t("写入文件（xlsx、html）", "the file to write, for xlsx and html"))
    ] = None,
) -> None:
    """What was looked at is on record, as with every query."""
    desk = of(ctx)
    begin, end = period(since, until, default=timedelta(days=7))
    if (form is Form.TABLE) != (out is None):
        raise usage("xlsx 和 html 须给出 --out；表格直接显示。", "xlsx and html need --out FILE; a table is shown.")
    order = _Order(since=begin, until=end, now=SystemClock().now(), logs=tuple(log or ()))

    async def work(suite: Connection, token: Secret) -> Report:
        return await _BUILDERS[name](_Source(suite=suite, token=token, assertion=Asserting(suite, token)), order)

    made = desk.run_in_session(work)
    if out is None:
        show(desk, made)
        return
    write(made, out, form, desk.settings.locale)
    desk.out.note(f"已写入 {out}（{len(made.rows)} 行）。", f"Wrote {out} ({len(made.rows)} rows).")


def show(desk: Invocation, made: Report) -> None:
    """On the screen, or down the pipe."""
    locale = desk.settings.locale
    between = made.period(locale)
    desk.out.note(" ".join(filter(None, (made.title.zh, between))), " ".join(filter(None, (made.title.en, between))))
    shown = [
        output.Column(one.key, one.heading, words=one.words, is_whole=one.is_whole, only_wide=one.only_wide)
        for one in made.columns
        if not one.only_files
    ]
    values: list[Row] = [{one.key: row.get(one.key) for one in made.columns} for row in made.rows]
    desk.out.rows(values, shown, empty=Text("没有内容。", "Nothing."))
    for note in made.notes:
        desk.out.note(*note)


def write(made: Report, path: Path, form: Form, locale: Locale) -> None:
    """A file of this account alone: a report names people. Raises a usage error where it cannot be written."""
    try:
        if form is Form.HTML:
            write_private(path, html(made, locale).encode("utf-8"))
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".report-") as folder:
            draft = Path(folder) / "report.xlsx"
            write_xlsx(made, draft, locale)
            write_private(path, draft.read_bytes())
    except OSError:
        raise usage(f"无法写入 {path}。", f"Cannot write {path}.") from None


def _plain(given: Sequence[Mapping[str, object]]) -> list[Mapping[str, Cell]]:
    return [dict(one) for one in given]  # type: ignore[arg-type]  # the lists of the contract hold plain values
