"""Spot checks: the week after, a draw that nobody could choose and everybody can repeat (CI-6)."""

from __future__ import annotations

from infosec.api.audit.v1 import admin_pb2, read_pb2
from infosec.client.audit_read import audit_filter
from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason
from infosec.evidence.manifest import manifest_path, read_manifest
from infosec.messages import Text
from infosec.review.offline import redraw
from infosec.review.sampling import Week
from services.demo import evidence
from services.demo.places import COMMAND_LINE, CONSOLE
from services.demo.scenes.at_work import CUSTOMER
from services.demo.scenes.auditor import FIRST, SECOND
from services.demo.scenes.first_login import CLERK
from services.demo.scenes.in_hand import LOG
from services.demo.stage import Stage

_STORE, _WEEK, _FILE = "east-1", "2026-03-02", "week.jsonl"


async def draw(stage: Stage) -> None:
    """The first check of the new week fixes the seed; the auditor has it drawn, then draws it again without the server."""
    clerk, auditor = stage[CLERK], stage[FIRST]
    await stage.login(clerk, "east-1-t1")
    await stage.checked(
        Text("新的一周，营业员的第一次查看", "The clerk's first look of the new week"),
        DenyReason.OK,
        clerk,
        "1500",
        customer=CUSTOMER,
        purpose=Purpose.COMPLAINT,
    )
    for name in (FIRST, SECOND):
        await stage.login(stage[name], CONSOLE, system=COMMAND_LINE)
    await stage.running.work_once()
    drawn = await stage.done(
        Text("稽核员抽取上周的检查对象", "The auditor draws the spot checks of last week"),
        stage.suites[COMMAND_LINE].audit_read.draw_sample(
            await stage.assertion(auditor), store_id=_STORE, log_id=LOG, week=_WEEK
        ),
        lambda answer: Text(
            f"种子 {answer.seed.hex()[:12]}… 由新一周的首条记录定下",
            f"seed {answer.seed.hex()[:12]}…, fixed by the first entry of the new week",
        ),
    )
    stage.noted(
        Text("被抽中的人和要看的记录", "Who was drawn, and what to look at"),
        expected=f"{CLERK} e10005",
        actual=" ".join(sorted(one.staff_id for one in drawn.drawn)),
        told=Text(
            f"{len(drawn.population)} 人中抽 {len(drawn.drawn)} 人（5 人以内全查）： "
            + "；".join(_indices(one) for one in drawn.drawn),
            f"{len(drawn.drawn)} of {len(drawn.population)} (up to five, all of them): "
            + "; ".join(_indices(one) for one in drawn.drawn),
        ),
    )
    await _again(stage, drawn)
    looked_at = drawn.drawn[0].indices[0]
    await stage.done(
        Text(f"看过 {LOG}/{looked_at}，记下结论：无异常", f"{LOG}/{looked_at} was looked at, and is in order"),
        stage.suites[COMMAND_LINE].audit_admin.record_finding(
            await stage.assertion(auditor),
            log_id=LOG,
            index=looked_at,
            verdict=admin_pb2.VERDICT_IN_ORDER,
            note="已与当日工单核对",
        ),
        Text("结论入日志", "the finding is on record"),
    )


async def _again(stage: Stage, drawn: read_pb2.DrawSampleResponse) -> None:
    """Without the server: from a file that was proved."""
    await stage.done(
        Text(f"另一位稽核员导出该周 {_FILE}", f"The other auditor exports the week: {_FILE}"),
        evidence.export(stage, stage[SECOND], _FILE, audit_filter(log_ids=[LOG])),
        lambda made: Text(f"{made.rows} 条", f"{made.rows} entries"),
    )
    file = stage.directory / _FILE
    evidence.verified(stage, Text("离线核验", "Proved offline"), file)
    again = redraw(file, read_manifest(manifest_path(file)), log_id=LOG, store=_STORE, week=Week.parse(_WEEK)).sample
    stage.noted(
        Text("不经服务器，从文件重抽一次", "She draws again from the file, without the server"),
        expected=(drawn.seed.hex(), *(_indices(one) for one in drawn.drawn)),
        actual=(again.seed.hex(), *(f"{one.staff} {_numbers(one.indices)}" for one in again.drawn)),
        told=Text("种子、人员、记录完全相同", "the same seed, people and entries"),
    )


def _indices(one: read_pb2.SampledPerson) -> str:
    return f"{one.staff_id} {_numbers(tuple(one.indices))}"


def _numbers(indices: tuple[int, ...]) -> str:
    return ",".join(map(str, indices))
