"""The audit logs: signed or not and why, who was erased, and records of checks that dead processes left behind.

Signs nothing and delivers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditsvc import app as audit
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import WHAT_TO_DO, Origins
from auditsvc.erasures import ErasureJournal
from auditsvc.last_signed import LastSigned
from auditsvc.signing import CheckpointSigner
from infosec.clock import Clock
from infosec.config import Config
from infosec.errors import InfosecError
from infosec.keys import KeyRing, SigningKind
from infosec.spool import SpoolDamaged, orphans, read_refused
from infosec.storage.postgres import Database, PoolLimits
from services import store
from services.checking import Part
from services.doctor.engines import late_jobs
from services.doctor.findings import Finding, failed, fine, warning, wrong
from services.engines import Engines
from services.schemas import installation_id


def files(config: Config, parts: frozenset[Part]) -> Iterator[Finding]:
    """What `parts` keep outside of the database."""
    if Part.AUDIT in parts:
        yield from _audit_dir(config)
    if parts & {Part.CORE, Part.CHECK}:
        yield from _spools(config.server.spool_dir)


def _audit_dir(config: Config) -> Iterator[Finding]:
    if not config.server.audit_dir.is_dir():
        yield warning(
            "audit.files",
            f"{config.server.audit_dir} 还不存在：本机没有运行过 audit 部分",
            f"{config.server.audit_dir} is not there: the part audit has never run on this data directory",
        )
    else:
        yield _erasures(config.server.audit_dir)


def _erasures(directory: Path) -> Finding:
    try:
        found = ErasureJournal(directory).read()
    except InfosecError as error:
        return failed("audit.erasures", error)
    except OSError as error:
        return wrong(
            "audit.erasures",
            f"删除记录读不出（{error.strerror}）：若另一进程停住不动，请重启它",
            f"the journal cannot be read ({error.strerror}): if another process is held up, restart it",
        )
    return fine("audit.erasures", f"删除记录完整，{len(found)} 项", f"the journal is whole, {len(found)} in it")


def _spools(directory: Path) -> Iterator[Finding]:
    left = orphans(directory)
    if left:
        size = sum(file.stat().st_size for spool in left for file in spool.glob("*.segment"))
        yield warning(
            "audit.spool",
            f"已结束的进程留下检查记录：{len(left)} 个目录，{size} 字节；core 或 check 部分下次启动时送出",
            f"processes that ended have left records of checks: {len(left)} folders, {size} bytes; "
            "the next start of the part core or check delivers them",
        )
    else:
        yield fine("audit.spool", "没有遗留的检查记录", "no records of checks were left behind")
    for spool in sorted(directory.iterdir()) if directory.is_dir() else ():
        yield from _set_aside(spool)


def _set_aside(spool: Path) -> Iterator[Finding]:
    try:
        refused = len(read_refused(spool))
    except (SpoolDamaged, OSError):
        yield wrong("audit.spool", f"{spool}/refused 损坏", f"{spool}/refused is damaged")
        return
    if refused:
        yield warning(
            "audit.spool",
            f"{refused} 条检查记录被审计服务拒收，保存在 {spool}/refused",
            f"{refused} records of checks were refused by the audit service; they are kept in {spool}/refused",
        )


async def look(engines: Engines, config: Config, clock: Clock) -> list[Finding]:
    """Every finding that takes the database. None where the keys or the schema are not there: others say so."""
    if not config.server.audit_dir.is_dir():
        return []
    try:
        keys = KeyRing.load(config.server.keys_dir)
        async with await engines.connect(audit.ROLE, PoolLimits(max_size=1)) as db:
            found = await _signing(db, keys, config, clock)
            jobs = await store.audit_jobs(db)
    except InfosecError as error:
        return [failed("audit.checkpoints", error)]
    return [*found, *late_jobs("audit.jobs", jobs, clock.now(), part="audit")]


async def _signing(db: Database, keys: KeyRing, config: Config, clock: Clock) -> list[Finding]:
    installation = await installation_id(db, audit.SCHEMA)
    origins = Origins(carrier=config.server.carrier, installation=installation)
    checkpoint_keys = CheckpointKeys(keys.signing[SigningKind.CHECKPOINT], origins)
    signer = CheckpointSigner(db, checkpoint_keys, clock, LastSigned(config.server.audit_dir))
    refused = await signer.check()
    if not refused:
        return [fine("audit.checkpoints", "每个日志都延续已签名的内容", "every log continues what was signed")]
    return [
        wrong(
            f"audit.checkpoints.{log_id}",
            f"不再签名（{refusal.fault}）：{WHAT_TO_DO[refusal.fault].zh}",
            f"is not signed any more ({refusal.fault}): {WHAT_TO_DO[refusal.fault].en}",
        )
        for log_id, refusal in refused.items()
    ]
