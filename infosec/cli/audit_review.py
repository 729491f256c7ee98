"""`infosec audit sample` and `audit patterns`: spot checks (CI-6) and odd patterns (CI-7).

A sample is drawn again here from an exported file with --from: it needs neither server nor configuration.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.audit_person import Asserting, run_asserted
from infosec.cli.audit_verify import key_text, verified
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.moments import moment_or_ago
from infosec.cli.output import Column
from infosec.cli.person import text_of
from infosec.cli.records import Row, rows
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.errors import FailedPrecondition, Reason
from infosec.evidence.keys import log_keys
from infosec.evidence.manifest import manifest_path, read_manifest
from infosec.evidence.witnessing import Trust
from infosec.messages import Text
from infosec.reports.words import PATTERNS
from infosec.review.offline import as_fields, check_answer, redraw
from infosec.review.sampling import Week
from infosec.transparency.checkpoints import Checkpoint, open_checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import NoteKey, parse_note

MAX_SAMPLE = 64 << 20
ATTEMPTS = 5
_DAY = timedelta(days=1)

_DRAWN = (
    Column("staff_id", Text("工号", "Staff ID"), is_whole=True),
    Column("indices", Text("待查记录序号", "Entries to look at")),
)
_PATTERN = (
    Column("kind", Text("异常", "Pattern"), words=PATTERNS),
    Column("staff_id", Text("工号", "Staff ID"), is_whole=True),
    Column("store_id", Text("营业厅", "Store"), is_whole=True),
    Column("terminal_id", Text("台席", "Terminal"), is_whole=True, only_wide=True),
    Column("first", Text("起", "From"), is_whole=True),
    Column("last", Text("止", "To"), is_whole=True, only_wide=True),
    Column("count", Text("次数", "Count")),
    Column("threshold", Text("阈值", "Allowed")),
    Column("log_id", Text("日志", "Log"), only_wide=True),
    Column("indices", Text("记录序号", "Entries"), only_wide=True),
)
Key = Annotated[
    list[str] | None,
    typer.Option(help=t("日志的公钥（C2SP）或含公钥的文件；可多次", "a log's verifier key (C2SP), or a file of them")),
]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command(
        "sample",
        help=t(
            "抽取某营业厅一周的检查人员；--from 用导出文件离线复算",
            "Draw the spot checks of a store and week; --from draws them again from an exported file, offline.",
        ),
    )(sample)
    group.command("patterns", help=t("某时段内的异常情况", "Odd patterns in a period."))(patterns)


def sample(
    ctx: typer.Context,
    store: Annotated[str, typer.Argument(help=t("营业厅", "store"))],
    log: Annotated[str, typer.Option(help=t("日志，即营业厅所属片区", "the log: the store's region"))],
    week: Annotated[
        str, typer.Option(help=t("该周的星期一，如 2026-11-16；默认上一周", "its Monday; the last week if not given"))
    ] = "",
    source: Annotated[
        Path | None,
        typer.Option("--from", help=t("未筛选的 JSONL 导出文件：离线复算", "an unfiltered JSONL export: draw offline")),
    ] = None,
    key: Key = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--with", help=t("与此前 --output json 的结果比对", "compare with what --output json printed before")
        ),
    ] = None,
) -> None:
    """CI-6."""
    desk = of(ctx)
    when = Week.parse(week) if week else Week.before(SystemClock().now())
    keys = log_keys(key_text(one) for one in key or ())
    if source is None:
        fields = _asked(desk, store, log, when, keys)
    else:
        if not keys:
            raise usage("离线复算需要 --key：日志的公钥。", "--from needs --key: the log's verifier key.")
        fields = _redrawn(desk, source, keys, store, log, when)
    if against is not None:
        _compare(desk, fields, against)
    _show(desk, fields)


def patterns(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(help=t("起，如 2026-11-16；默认昨天", "from; yesterday if not given"))] = "",
    until: Annotated[str, typer.Option(help=t("止，不含；默认现在", "up to; now if not given"))] = "",
    log: Annotated[list[str] | None, typer.Option(help=t("日志（片区）；可多次", "log (region); repeatable"))] = None,
) -> None:
    """CI-7."""
    desk = of(ctx)
    begin, end = period(since, until, default=timedelta(days=1))

    async def work(suite: Connection, assertion: Asserting) -> Sequence[pb.Pattern]:
        return await every_pattern(suite, assertion, begin, end, log or ())

    found = run_asserted(desk, work)
    desk.out.note(
        "异常只提示应查看哪些记录，不等于违规。", "A pattern says which entries to look at; it accuses nobody."
    )
    desk.out.rows(rows(found), _PATTERN, empty=Text("没有发现异常。", "Nothing odd."))


async def every_pattern(
    suite: Connection, assertion: Asserting, since: datetime, until: datetime, logs: Sequence[str]
) -> list[pb.Pattern]:
    """Of a period of any length, day by day; one that goes on from day to day is one, as it was seen last."""
    found: dict[tuple[str, ...], pb.Pattern] = {}
    begin = since
    while begin < until:
        end = min(begin + _DAY, until)
        for one in await suite.audit_read.patterns(await assertion(), since=begin, until=end, log_ids=logs):
            name = one.log_id, one.kind, one.staff_id, one.terminal_id, one.first.ToJsonString()
            found[name] = one
        begin = end
    return list(found.values())


def period(since: str, until: str, *, default: timedelta) -> tuple[datetime, datetime]:
    """From and up to, in UTC; up to now, and `default` long, where not given."""
    now = SystemClock().now()
    end = moment_or_ago(until, "--until", now=now) or now
    begin = moment_or_ago(since, "--since", now=now) or end - default
    if begin >= end:
        raise usage("--until 须晚于 --since。", "--until has to be after --since.")
    return begin.astimezone(UTC), end.astimezone(UTC)


def _asked(desk: Invocation, store: str, log: str, week: Week, keys: Sequence[NoteKey]) -> dict[str, Any]:
    async def once(suite: Connection, assertion: Asserting) -> pb.DrawSampleResponse:
        return await suite.audit_read.draw_sample(
            await assertion(), store_id=store, log_id=log, week=week.monday.isoformat()
        )

    async def work(suite: Connection, assertion: Asserting) -> pb.DrawSampleResponse:
        for _ in range(ATTEMPTS):
            try:
                return await once(suite, assertion)
            except FailedPrecondition as soon:
                # The question itself closed the week; the next checkpoint is signed within a second.
                if soon.retry_after is None:
                    raise
                await asyncio.sleep(soon.retry_after.total_seconds())
        return await once(suite, assertion)

    answer = run_asserted(desk, work)
    note = answer.checkpoint.encode()
    tree = _opened(note, keys)
    wrong = check_answer(
        tree, answer.seed, answer.population, [one.staff_id for one in answer.drawn], store=store, week=week
    )
    if wrong:
        raise _refused(wrong)
    return {
        "store_id": store,
        "week": week.monday.isoformat(),
        "origin": tree.origin,
        "tree_size": tree.size,
        "root": tree.root.hex(),
        "seed": answer.seed.hex(),
        "population": list(answer.population),
        "drawn": [{"staff_id": one.staff_id, "indices": list(one.indices)} for one in answer.drawn],
        "checkpoint": answer.checkpoint,
    }


def _opened(note: bytes, keys: Sequence[NoteKey]) -> Checkpoint:
    """The tree of a note; signed, where keys were given."""
    try:
        tree = Checkpoint.parse(parse_note(note).text)
        return open_checkpoint(note, origin=tree.origin, keys=keys).checkpoint if keys else tree
    except NotVerified:
        raise _refused(("checkpoint",)) from None


def _redrawn(
    desk: Invocation, source: Path, keys: Sequence[NoteKey], store: str, log: str, week: Week
) -> dict[str, Any]:
    verified(desk, source, Trust(keys=keys), None)
    drawn = redraw(source, read_manifest(manifest_path(source)), log_id=log, store=store, week=week)
    if drawn.without_payload:
        count = drawn.without_payload
        desk.out.note(
            f"该周有 {count} 条记录已超过保存期限，只剩哈希。", f"{count} entries of the week have their hash alone."
        )
    desk.out.note("文件已核验，样本由本机复算。", "The file is proved, and the sample was drawn here.")
    return as_fields(drawn.sample)


def _compare(desk: Invocation, fields: dict[str, Any], against: Path) -> None:
    try:
        given = json.loads(text_of(against, max_bytes=MAX_SAMPLE))
        wrong = tuple(name for name in ("seed", "tree_size", "population", "drawn") if given[name] != fields[name])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise usage(f"{against} 不是 --output json 的样本。", f"{against} is no sample of --output json.") from None
    if wrong:
        raise _refused(wrong)
    desk.out.note("与给出的样本一致。", "The same sample as was given.")


def _show(desk: Invocation, fields: dict[str, Any]) -> None:
    drawn: list[Row] = fields["drawn"]
    if desk.out.output.value in ("json", "ndjson"):
        desk.out.record(fields, ())
        return
    desk.out.note(
        f"{fields['store_id']}，{fields['week']} 起一周：{len(fields['population'])} 人中抽 {len(drawn)} 人",
        f"{fields['store_id']}, week of {fields['week']}: {len(drawn)} of {len(fields['population'])}",
    )
    desk.out.note(f"种子：{fields['seed']}", f"Seed: {fields['seed']}")
    desk.out.note(
        f"日志长度 {fields['tree_size']}，根 {fields['root']}", f"Tree of {fields['tree_size']}, root {fields['root']}"
    )
    desk.out.rows(drawn, _DRAWN, empty=Text("该周无人可抽。", "Nobody served there in that week."))


def _refused(wrong: Sequence[str]) -> Told:
    return Told(
        Reason.FILE_REJECTED,
        Text(f"样本与种子不符：{'、'.join(wrong)}。", f"NOT THE SAME SAMPLE: {', '.join(wrong)}."),
        exit_code=ExitCode.NOT_VERIFIED,
    )
