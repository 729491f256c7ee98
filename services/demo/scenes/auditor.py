"""The auditors in the evening: who looked at whom, what is odd, and what stays on record of the auditors (CI-7, CI-8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.audit_rows import OPERATIONS, PURPOSES, entry_rows
from infosec.cli.records import Value
from infosec.cli.words import Words
from infosec.client.audit_read import audit_filter
from infosec.clock import CARRIER_ZONE, carrier_date, carrier_midnight
from infosec.errors import Reason
from infosec.events.types import EventType
from infosec.messages import Text
from infosec.reports.words import PATTERNS
from services.demo.people import new_password
from services.demo.places import COMMAND_LINE, CONSOLE
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.first_login import CLERK
from services.demo.scenes.second_person import enrol
from services.demo.stage import Stage

FIRST, SECOND = "audit-1", "audit-2"
_READINGS = (EventType.AUDIT_QUERIED, EventType.AUDIT_WHO_ACCESSED)


async def auditors_begin(stage: Stage) -> None:
    """Their first day: a password and a second factor of their own."""
    for name in (FIRST, SECOND):
        auditor = stage[name]
        await stage.login(auditor, CONSOLE, system=COMMAND_LINE)
        await stage.change(auditor, new_password(), system=COMMAND_LINE)
        await enrol(stage, auditor, system=COMMAND_LINE)


async def read_the_log(stage: Stage) -> None:
    """Auditors read it, and nobody else."""
    clerk, auditor = stage[CLERK], stage[FIRST]
    looks = audit_filter(
        since=_today(stage), types=[EventType.CHECK_DECIDED], staff_ids=[CLERK], operations=["1500"], decision="ALLOWED"
    )
    await stage.login(clerk, "east-1-t1")
    await stage.refused(
        Text(f"营业员{clerk.name}想看日志", f"Clerk {clerk.staff_id} wants to read the log"),
        Reason.NOT_PERMITTED,
        stage.suites["crm"].audit_read.query(await stage.assertion(clerk, system="crm"), looks),
    )
    found = await stage.suites[COMMAND_LINE].audit_read.query(await stage.assertion(auditor), looks, oldest_first=True)
    stage.noted(
        Text(f"稽核员{auditor.name}查她今天看过谁", f"Auditor {auditor.staff_id} asks what she looked at today"),
        expected="09:10 09:12 09:14",
        actual=" ".join(_hour(row["occurred"]) for row in entry_rows(found.entries)),
        told=_accesses(stage, found.entries),
    )


async def who_looked(stage: Stage) -> None:
    """CI-8: a customer asks, and gets an answer."""
    auditor = stage[FIRST]
    found = await stage.suites[COMMAND_LINE].audit_read.who_accessed(
        await stage.assertion(auditor), CUSTOMER, since=_today(stage)
    )
    stage.noted(
        Text("客户来问：谁看过我的信息", "A customer asks who looked at their data"),
        expected=f"{CLERK} {CLERK} e10002",
        actual=_each(found.entries, "staff_id"),
        told=_accesses(stage, found.entries),
    )


async def what_is_odd(stage: Stage) -> None:
    """CI-7: a pattern accuses nobody; it says where to look."""
    found = await stage.suites[COMMAND_LINE].audit_read.patterns(
        await stage.assertion(stage[FIRST]), since=_today(stage), until=stage.clock.now()
    )
    stage.noted(
        Text("今天有什么异常", "What is odd about today"),
        expected="FAST_CODE SOON_REVERSED",
        actual=" ".join(sorted(one.kind for one in found)),
        told="\n".join(_pattern(stage, one) for one in found),
    )


async def on_record_too(stage: Stage) -> None:
    """Whoever reads the record is in the record."""
    wanted = audit_filter(since=_today(stage), types=_READINGS)
    found = await stage.suites[COMMAND_LINE].audit_read.query(
        await stage.assertion(stage[SECOND]), wanted, oldest_first=True
    )
    stage.noted(
        Text("另一位稽核员查谁查过日志", "The other auditor asks who read the log"),
        expected=f"{EventType.AUDIT_QUERIED} {EventType.AUDIT_WHO_ACCESSED} {EventType.AUDIT_QUERIED} {FIRST}",
        actual=f"{_each(found.entries, 'type')} {' '.join(sorted(_staff(found.entries)))}",
        told=Text(f"{FIRST} 的三次查询都在日志里", f"all three questions of {FIRST} are in it"),
    )


def _today(stage: Stage) -> datetime:
    return carrier_midnight(carrier_date(stage.clock.now()))


def _each(entries: Iterable[pb.Entry], name: str) -> str:
    return " ".join(str(row[name]) for row in entry_rows(entries))


def _staff(entries: Iterable[pb.Entry]) -> set[str]:
    return {str(row["staff_id"]) for row in entry_rows(entries)}


def _accesses(stage: Stage, entries: Iterable[pb.Entry]) -> str:
    """A line each: when, who, what and why."""
    lines = []
    for row in entry_rows(entries):
        what, why = _word(stage, row["operation"], OPERATIONS), _word(stage, row["purpose"], PURPOSES)
        lines.append(f"{_hour(row['occurred'])} {row['staff_id']} {what}{stage.say(Text('，', ', '))}{why}")
    return "\n".join(lines)


def _pattern(stage: Stage, one: pb.Pattern) -> str:
    entries = ", ".join(f"{one.log_id}/{index}" for index in one.indices)
    return f"{_word(stage, one.kind, PATTERNS)}{stage.say(Text('：', ': '))}{one.staff_id} {entries}"


def _word(stage: Stage, code: Value, words: Words) -> str:
    return stage.say(words[str(code)]) if str(code) in words else str(code)


def _hour(at: Value) -> str:
    return at.astimezone(CARRIER_ZONE).strftime("%H:%M") if isinstance(at, datetime) else ""
