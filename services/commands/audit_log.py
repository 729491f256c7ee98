"""`infosec audit-log`: the keys of the audit logs, rows against their entries, and how a restored database is settled.

On the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from auditsvc.appending import Appender
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import Origins
from auditsvc.flows.comparing import wrong_rows
from auditsvc.flows.restores import Accepted, Restores
from auditsvc.last_signed import LastSigned
from auditsvc.store import checkpoints as store
from infosec import ids, logging
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.config import Config
from infosec.errors import Reason
from infosec.ids import RegionId
from infosec.keys import KeyRing, SealingKind, SigningKind
from infosec.messages import Text
from infosec.rpc.server import loop
from infosec.storage.postgres import Database
from services.commands.options import ConfigFile, load
from services.engines import running_or_own_engines
from services.schemas import installation_id

_KEYS = (
    Column("log_id", Text("日志", "Log"), is_whole=True),
    Column("state", Text("状态", "State")),
    Column("key", Text("验证公钥", "Verifier key"), is_whole=True),
)
_ACCEPTED = (
    Column("log_id", Text("日志", "Log")),
    Column("signed_size", Text("曾签名长度", "Signed size")),
    Column("size", Text("现长度", "Size now")),
    Column("replaced", Text("不再适用的检查点", "Checkpoints replaced")),
)

_WRONG = (
    Column("log_id", Text("日志", "Log"), is_whole=True),
    Column("index", Text("序号", "Index"), is_whole=True),
    Column("columns", Text("与记录原文不符的列", "Columns that are not what the entry says"), is_whole=True),
)
MAX_TOLD = 100

group = typer.Typer(no_args_is_help=True, help=t("审计日志的签名", "How the audit logs are signed."))


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="audit-log")


@group.command(
    help=t("列出各日志的验证公钥，交给审计人员与见证", "List the logs' verifier keys, for auditors and witnesses.")
)
def keys(ctx: typer.Context, config: ConfigFile = None) -> None:
    """The active key first, then those that older checkpoints were signed with."""
    rows = loop.run(_keys(load(config)))
    of(ctx).out.rows(rows, _KEYS, empty=Text("还没有日志。", "There are no logs yet."))


@group.command(
    help=t(
        "逐行核对数据库中用于检索的列与记录原文；不符时退出码为 7",
        "Compare the columns that are searched with what the entries say; exit code 7 where they differ.",
    )
)
def compare(ctx: typer.Context, config: ConfigFile = None) -> None:
    """What an export cannot see: an entry that a search does not find any more, or a row that no log reaches (CI-1)."""
    desk = of(ctx)
    wrong, count = loop.run(_compare(load(config)))
    desk.out.rows(wrong, _WRONG, empty=Text("各行均与记录原文相符。", "Every row is what its entry says."))
    if count:
        raise Told(
            Reason.STATE_CONFLICT,
            Text(
                f"{count} 行与记录原文不符：数据库被改动。请保全数据库并调查；以记录原文为准。",
                f"{count} rows are not what their entries say: somebody has changed the database. Keep it as it is and find "
                "out; the entries are what counts.",
            ),
            exit_code=ExitCode.NOT_VERIFIED,
        )


@group.command(
    "accept-restore",
    help=t(
        "确认数据库是有意恢复的，从现状继续签名", "Say that the database was restored on purpose: sign on from here."
    ),
)
def accept_restore(
    ctx: typer.Context,
    log: Annotated[str, typer.Argument(help=t("日志（区域）", "log (region)"))],
    reason: Annotated[str, typer.Option(help=t("原因，记入日志", "why; it is recorded in the log"))],
    config: ConfigFile = None,
) -> None:
    """Witnesses go on refusing until whoever runs them is convinced too. Other hosts with a data directory: there as well."""
    if not reason.strip():
        raise usage("请写明原因。", "Give a reason.")
    settings = load(config)
    logging.configure(settings.log.level)
    accepted = loop.run(_accept(settings, RegionId(ids.node_id(log, "log")), reason.strip()))
    of(ctx).out.record(_row(accepted), _ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    admin: Database
    ring: KeyRing
    keys: CheckpointKeys


@asynccontextmanager
async def _ground(config: Config) -> AsyncIterator[_Ground]:
    ring = KeyRing.load(config.server.keys_dir)
    async with running_or_own_engines(config) as engines, engines.administration() as admin:
        origins = Origins(carrier=config.server.carrier, installation=await installation_id(admin))
        yield _Ground(admin=admin, ring=ring, keys=CheckpointKeys(ring.signing[SigningKind.CHECKPOINT], origins))


async def _keys(config: Config) -> list[Row]:
    async with _ground(config) as ground:
        async with ground.admin.transaction() as conn:
            logs = [one.log_id for one in await store.standings(conn)]
        return [
            {"log_id": log_id, "state": "retired" if number else "active", "key": vkey}
            for log_id in logs
            for number, vkey in enumerate(ground.keys.vkeys(log_id))
        ]


async def _compare(config: Config) -> tuple[list[Row], int]:
    """The first rows that are wrong, and how many there are."""
    told: list[Row] = []
    count = 0
    async with _ground(config) as ground:
        async for one in wrong_rows(ground.admin):
            count += 1
            if count <= MAX_TOLD:
                told.append({"log_id": one.log_id, "index": one.position, "columns": list(one.columns)})
    return told, count


async def _accept(config: Config, log_id: RegionId, reason: str) -> Accepted:
    async with _ground(config) as ground:
        clock = SystemClock()
        appender = Appender(ground.admin, ground.ring.sealing[SealingKind.SUBJECTS], clock)
        try:
            restores = Restores(ground.admin, ground.keys, LastSigned(config.server.audit_dir), appender)
            return await restores.accept(log_id, reason=reason, now=clock.now())
        finally:
            await appender.close()


def _row(accepted: Accepted) -> Row:
    return {
        "log_id": accepted.log_id,
        "signed_size": accepted.signed_size,
        "size": accepted.size,
        "replaced": accepted.replaced,
    }
