"""The engines and what is in them: reachable, migrated, with no more rights than needed, and keeping up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

from authsvc import app as auth
from authsvc.work import AUDIT, NOTIFY
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.messages import Text
from infosec.storage import redis
from infosec.storage.addresses import RedisAddress
from infosec.storage.postgres import Database, PoolLimits
from services import store
from services.checking import ROLES, Part
from services.doctor.findings import Finding, failed, fine, warning, wrong
from services.engines import Engines
from services.schemas import SCHEMAS, verify_schema

_SKEW = timedelta(seconds=5)
_LATE = timedelta(minutes=5)
_ONE = PoolLimits(max_size=1)
_WITHIN_S = 3.0
"""For one answer of Redis: a look has more patience than a check, and the machine may be busy."""
_TOPICS = {
    NOTIFY: Text("短信没有送出", "messages do not get out"),
    AUDIT: Text("事件没有进入审计日志", "events do not get into the audit log"),
}
"""What it means when they wait for long."""


async def look(engines: Engines, clock: Clock, parts: frozenset[Part]) -> AsyncIterator[Finding]:
    """Every finding about PostgreSQL and Redis that `parts` need."""
    roles = sorted({role for part in parts for role in ROLES[part]})
    can_ask = True
    for schema, role in ((schema, role) for schema, owned, _ in SCHEMAS for role in owned if role in roles):
        finding = await _schema(engines, schema, role)
        can_ask = can_ask and finding.verdict.value == "OK"
        yield finding
    if can_ask:
        async with await engines.connect(roles[0], _ONE) as db:
            async for finding in _database(db, clock, roles):
                yield finding
    if auth.ROLE in roles:
        if can_ask:
            async for finding in _state(engines, clock):
                yield finding
        yield await _redis(engines.redis)


async def _schema(engines: Engines, schema: str, role: str) -> Finding:
    """As the service itself would start."""
    try:
        async with await engines.connect(role, _ONE) as db:
            await db.health()
            await verify_schema(db, schema)
    except InfosecError as error:
        return failed(f"postgres.{role}", error)
    return fine(f"postgres.{role}", "可用，结构为最新", "reachable, and up to date")


async def _database(db: Database, clock: Clock, roles: list[str]) -> AsyncIterator[Finding]:
    before = clock.now()
    yield _skew(before, await store.database_time(db), clock.now())
    # What a role may do, everybody may ask.
    for finding in _rights(await store.excess_rights(db, roles)):
        yield finding


async def _state(engines: Engines, clock: Clock) -> AsyncIterator[Finding]:
    async with await engines.connect(auth.ROLE, _ONE) as db:
        for finding in _queues(await store.queues(db), clock.now()):
            yield finding
        for finding in late_jobs("jobs", await store.jobs(db), clock.now(), part="core"):
            yield finding
        yield _administrators(await store.administrators(db))
    if engines.admin is not None:
        try:
            async with engines.administration() as admin:
                yield await _codes(admin)
        except InfosecError as error:
            yield failed("postgres.admin", error)


def _skew(before: datetime, there: datetime | None, after: datetime) -> Finding:
    if there is not None and before - _SKEW <= there <= after + _SKEW:
        return fine("clock", "与数据库一致", "agrees with the database's")
    return wrong(
        "clock",
        "本机与数据库的时钟相差 5 秒以上：请校时",
        "this machine's clock and the database's differ by more than 5 s: synchronise them",
    )


def _queues(found: list[store.Queue], now: datetime) -> Iterator[Finding]:
    for queue in found:
        age = now - queue.oldest if queue.oldest is not None else timedelta(0)
        zh = f"{queue.waiting} 条待送，最早 {int(age.total_seconds())} 秒前"
        en = f"{queue.waiting} waiting, the oldest for {int(age.total_seconds())} s"
        what = _TOPICS.get(queue.topic)
        if what is not None and age > _LATE:
            yield wrong(f"outbox.{queue.topic}", f"{zh}：{what.zh}", f"{en}: {what.en}")
        else:
            yield fine(f"outbox.{queue.topic}", zh, en)


def late_jobs(about: str, found: list[store.JobRun], now: datetime, *, part: str) -> Iterator[Finding]:
    """What `part` should have done by now."""
    late = [job for job in found if now - job.next_due > _LATE]
    for job in late:
        last = job.last_success.isoformat(timespec="seconds") if job.last_success else "-"
        yield warning(
            f"{about}.{job.name}",
            f"已逾期；上次成功 {last}。{part} 部分在运行吗？",
            f"overdue; last success {last}. Does the part {part} run?",
        )
    if not late:
        yield fine(about, f"{len(found)} 项，无逾期", f"{len(found)}, none overdue")


def _administrators(count: int) -> Finding:
    if count == 0:
        return wrong("administrators", "没有管理员：infosec init", "there is none: infosec init")
    if count == 1:
        return warning(
            "administrators",
            "只有一名可登录：特权工号需要第二名管理员批准",
            "only one can log in: a privileged staff ID takes a second one (ID-8)",
        )
    return fine("administrators", f"{count} 名", str(count))


async def _codes(admin: Database) -> Finding:
    held = await store.held_codes(admin)
    if held == 2:
        return fine("break-glass", "两份应急码有效", "two codes are in force")
    return warning("break-glass", f"{held} 份应急码有效，应为两份", f"{held} codes in force, not two")


def _rights(excess: list[str]) -> Iterator[Finding]:
    for one in excess:
        yield wrong("rights", f"服务账号权限过大：{one}", f"a service's role has a right too many: {one}")
    if not excess:
        yield fine("rights", "最小权限", "no more than needed")


async def _redis(address: RedisAddress | None) -> Finding:
    if address is None:
        return warning(
            "redis",
            "没有 Redis：撤销靠轮询生效，较慢",
            "there is none: revocations reach the nodes by polling, which is slower",
        )
    try:
        client = redis.connect(address, timeout_s=_WITHIN_S)
    except InfosecError as error:
        return failed("redis", error)
    try:
        await redis.health(client)
    except InfosecError:
        return warning("redis", "不可达：撤销靠轮询生效", "not reachable: revocations reach the nodes by polling")
    finally:
        await client.aclose()
    return fine("redis", "可用", "reachable")
