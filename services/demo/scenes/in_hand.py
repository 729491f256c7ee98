"""Evidence in hand: an export proves itself without a server, and whoever watches from outside notices (CI-5, CI-6, CI-1)."""

from __future__ import annotations

from infosec.cli.audit_watch import refused
from infosec.client.audit_read import audit_filter
from infosec.errors import Reason
from infosec.events.types import EventType
from infosec.evidence.faults import Flaw
from infosec.messages import Text
from infosec.transparency.checkpoints import Checkpoint, extends
from infosec.transparency.errors import Fault, NotVerified
from services.demo import evidence
from services.demo.places import COMMAND_LINE
from services.demo.scenes.auditor import FIRST, SECOND
from services.demo.scenes.first_login import CLERK
from services.demo.stage import Stage

DAY, LOOKS = "day.jsonl", "looks.xlsx"
LOG = "east"
_SEEN = "east.checkpoint"


async def watch_begins(stage: Stage) -> None:
    """Anybody with a certificate: no login, no assertion."""
    await stage.running.work_once()
    read = stage.suites["crm"].audit_read
    logs = await read.logs()
    evidence.keep_keys(stage, logs)
    stage.noted(
        Text("有哪些日志？抄下它们的公钥", "Which logs are there? Their keys are written down"),
        expected="carrier east west",
        actual=" ".join(sorted(log.log_id for log in logs)),
        told=Text(
            "每个片区一个，全网一个；公钥须另经他途核对",
            "one a region, and the carrier's own; compare keys over another way",
        ),
    )
    await stage.done(
        Text("外部观察者保存东城日志的检查点", "An outside watcher keeps the checkpoint of the east"),
        _keep_checkpoint(stage),
        lambda seen: Text(f"{seen.size} 条，签名有效", f"{seen.size} entries, and its signature holds"),
    )


async def take_away(stage: Stage) -> None:
    """The day as a file, and the looks at customers as a table."""
    auditor = stage[FIRST]
    await stage.done(
        Text(f"稽核员导出全天 {DAY}", f"The auditor exports the day: {DAY}"),
        evidence.export(stage, auditor, DAY, audit_filter()),
        lambda made: Text(f"{made.rows} 条", f"{made.rows} entries"),
    )
    evidence.verified(stage, Text("离线核验", "Proved offline"), stage.directory / DAY)
    looks = audit_filter(types=[EventType.CHECK_DECIDED], operations=["1500", "x004"])
    await stage.done(
        Text(f"导出查看记录为表格 {LOOKS}", f"And the looks at customers as a table: {LOOKS}"),
        evidence.export(stage, auditor, LOOKS, looks),
        lambda made: Text(f"{made.rows} 条", f"{made.rows} entries"),
    )
    evidence.verified(stage, Text("离线核验", "Proved offline"), stage.directory / LOOKS)


async def tamper(stage: Stage) -> None:
    """Whoever has the files can change them; verification names the entry."""
    book = evidence.copied(stage, LOOKS, "cell-edited")
    edited = evidence.edit_cell(book, LOG, "staff_id", "e10004")
    title = Text("有人在表格里改了一个工号", "Somebody edits one staff ID in a copy of the table")
    evidence.verified(stage, title, book, flaw=Flaw.CELL_CHANGED, at=edited)
    lines = evidence.copied(stage, DAY, "entry-changed")
    evidence.change_line(lines, edited, CLERK, "e10004")
    title = Text("连记录原文也一起改", "The entry itself is changed along with the cells")
    evidence.verified(stage, title, lines, flaw=Flaw.ENTRY_CHANGED, at=edited)
    lines = evidence.copied(stage, DAY, "entry-dropped")
    evidence.drop_line(lines, edited)
    title = Text("干脆把那一行删掉", "The line is simply taken out")
    evidence.verified(stage, title, lines, flaw=Flaw.ENTRIES_MISSING, at=edited)


async def keep_watching(stage: Stage) -> None:
    """Later on the log has grown, and still begins with what was seen."""
    await stage.running.work_once()
    seen = _seen(stage)
    await stage.done(
        Text("外部观察者再取检查点，要求证明延续", "The watcher comes again, and asks for proof"),
        _compared(stage, seen),
        lambda newer: Text(
            f"已证实：延续自先前 {seen.size} 条，新增 {newer.size - seen.size} 条",
            f"proved: it continues the {seen.size} entries seen before, with {newer.size - seen.size} more",
        ),
    )


async def set_back(stage: Stage) -> None:
    """What the watcher would say of a log that was set back to an older state."""
    newest = evidence.opened(stage, LOG, await stage.suites["crm"].audit_read.checkpoint(LOG))
    actual, words = "OK", ""
    try:
        extends(newest, _seen(stage), ())
    except NotVerified as fault:
        actual, words = fault.what.value, stage.say(refused(fault).text)
    stage.noted(
        Text("假如日志被退回到先前的样子", "Were the log set back to what it was before"),
        expected=Fault.TREE_SHRANK.value,
        actual=actual,
        told=words,
    )


async def too_soon(stage: Stage) -> None:
    """CI-6: nobody knows before the week is over who will be looked at."""
    await stage.refused(
        Text("本周未完就想抽查", "The spot checks of a week that is not over"),
        Reason.STATE_CONFLICT,
        stage.suites[COMMAND_LINE].audit_read.draw_sample(
            await stage.assertion(stage[SECOND]), store_id="east-1", log_id=LOG, week="2026-03-02"
        ),
    )


async def _keep_checkpoint(stage: Stage) -> Checkpoint:
    note = await stage.suites["crm"].audit_read.checkpoint(LOG)
    checkpoint = evidence.opened(stage, LOG, note)
    (stage.directory / _SEEN).write_bytes(note)
    return checkpoint


async def _compared(stage: Stage, seen: Checkpoint) -> Checkpoint:
    """The newest checkpoint, proved to continue `seen`. Raises NotVerified."""
    read = stage.suites["crm"].audit_read
    newer = evidence.opened(stage, LOG, await read.checkpoint(LOG))
    proof = await read.consistency_proof(LOG, old_size=seen.size, new_size=newer.size)
    extends(seen, newer, proof)
    return newer


def _seen(stage: Stage) -> Checkpoint:
    return evidence.opened(stage, LOG, (stage.directory / _SEEN).read_bytes())
