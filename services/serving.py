"""One serving process: engines, keys, certificates, the services that it is to serve, and a clean end.

Everything is made here from top to bottom. The clock comes in, so that the demo is the same code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from auditsvc import app as audit
from auditsvc.witness_link import HttpLink
from auditsvc.witnesses import Witness
from authsvc import app as auth
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PoolLimits as HashLimits
from authsvc.profile import by_name
from infosec import logging
from infosec.certificates import Authority, CertificateFiles
from infosec.clock import Clock
from infosec.config import Address, AuditWitness, Config
from infosec.errors import Misconfigured, Reason
from infosec.ids import RegionId, RoleId, StaffId
from infosec.keys import KeyRing, SealingKind
from infosec.rpc.server.builder import Server
from infosec.rpc.server.identity import ANY, AllowList, Caller
from infosec.rpc.server.metrics import MetricsPage
from infosec.storage.postgres import Database, PoolLimits
from infosec.storage.redis import Hints
from services.apps import Apps
from services.auditing import AuditOverRpc
from services.checking import SINK, SUITE, Part, check
from services.engines import Engines, engines
from services.notify import app as notify
from services.notify.sink import Sink
from services.peers import Peers
from services.schemas import installation_id, migrate_all, verify_schema
from services.watchman import Watchman

COMMAND_LINE = "system/cli"
_LOG = logging.get(__name__)
_GRACE_S = 10.0
_END_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A process that serves. `failed` ends when something has ended that must not."""

    address: Address
    files: CertificateFiles
    installation: str
    apps: Apps
    failed: asyncio.Task[str]

    @property
    def auth(self) -> auth.AuthApp:
        """For a process that serves it."""
        if self.apps.auth is None:
            raise ValueError("authsvc is not served here")
        return self.apps.auth

    @property
    def sink(self) -> Sink | None:
        """Of the loopback demo."""
        return self.apps.sink

    async def work_once(self) -> None:
        """Everything periodic of every service, now: for a demo or test that moves the clock itself."""
        if self.apps.auth is not None:
            await self.apps.auth.work_once()
        if self.apps.audit is not None:
            await self.apps.audit.work_once()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every part stands on."""

    config: Config
    clock: Clock
    engines: Engines
    keys: KeyRing
    files: CertificateFiles
    registry: CollectorRegistry
    stack: AsyncExitStack


@asynccontextmanager
async def serving(config: Config, *, clock: Clock, parts: frozenset[Part] = SUITE) -> AsyncIterator[Serving]:
    """Serve `parts` while the block runs. Raises Misconfigured, naming the key, before a socket opens."""
    check(config, parts)
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(engines(config))
        if found.is_embedded:
            await migrate_all(found, clock.now())
        authority = _authority(config)
        ground = _Ground(
            config=config,
            clock=clock,
            engines=found,
            keys=_keys(config, is_own=found.is_embedded),
            files=_certificates(config, authority),
            registry=CollectorRegistry(),
            stack=stack,
        )
        peers = Peers(config.audit.address, ground.files, stack)
        apps = await _apps(ground, peers, parts)
        stack.push_async_callback(apps.close)
        server = _server(ground, apps, parts)
        if apps.auth is not None:
            await apps.auth.feeder.refresh()
        watchman = Watchman(
            apps.auth,
            registry=ground.registry,
            authority=authority,
            db=await _counted(ground) if apps.notify is not None else None,
        )
        _metrics_page(ground)
        # Last: from here on callers come, and where the port is shared they come to nobody else.
        await server.start()
        address = Address(host=config.server.listen.host, port=server.port)
        peers.reach(address)
        failed = asyncio.create_task(_run(found, apps, watchman))
        try:
            yield Serving(address=address, files=ground.files, installation=apps.installation, apps=apps, failed=failed)
        finally:
            await server.stop(grace_s=_GRACE_S)
            failed.cancel()
            await asyncio.gather(failed, return_exceptions=True)


async def _apps(ground: _Ground, peers: Peers, parts: frozenset[Part]) -> Apps:
    """The audit service first: everything else needs it, and it needs nothing."""
    audit_app = await _audit(ground) if Part.AUDIT in parts else None
    installation = audit_app.installation if audit_app is not None else ""
    sink = Sink(ground.clock) if ground.config.notify.gateway == SINK else None
    auth_app = notify_app = None
    if parts & {Part.CORE, Part.CHECK}:
        auth_app = await _auth(ground, peers)
        installation = auth_app.installation
    if auth_app is not None and Part.CORE in parts:
        notify_app = await _notify(ground, auth_app, sink)
    return Apps(installation=installation, audit=audit_app, auth=auth_app, notify=notify_app, sink=sink)


async def _audit(ground: _Ground) -> audit.AuditApp:
    config, found = ground.config, ground.engines
    db, keeper = await found.connect(audit.ROLE), await found.connect(audit.KEEPER, PoolLimits(max_size=2))
    for database in (db, keeper):
        ground.stack.push_async_callback(database.close)
    await verify_schema(db, audit.SCHEMA)
    return await audit.build(
        db=db,
        keeper=keeper,
        keys=ground.keys,
        clock=ground.clock,
        carrier=config.server.carrier,
        installation=await installation_id(db, audit.SCHEMA),
        directory=config.server.audit_dir,
        registry=ground.registry,
        witnesses=tuple(map(_witness, config.audit.witnesses)),
        checkpoint_every=timedelta(seconds=config.audit.checkpoint_interval_s),
        retention_days=config.audit.terms,
    )


def _witness(configured: AuditWitness) -> Witness:
    logs = frozenset(map(RegionId, configured.logs))
    return Witness(key=configured.key, link=HttpLink(configured.url, ca=configured.ca), logs=logs)


async def _counted(ground: _Ground) -> Database:
    """Where the watchman counts what waits in the outbox."""
    db = await ground.engines.connect(auth.ROLE, PoolLimits(max_size=1))
    ground.stack.push_async_callback(db.close)
    return db


async def _auth(ground: _Ground, peers: Peers) -> auth.AuthApp:
    config, found = ground.config, ground.engines
    db = await found.connect(auth.ROLE)
    ground.stack.push_async_callback(db.close)
    hints = Hints(found.redis) if found.redis is not None else None
    if hints is not None:
        ground.stack.push_async_callback(hints.close)
    await verify_schema(db, auth.SCHEMA)
    hashing = config.hashing
    return auth.build(
        db=db,
        keys=ground.keys,
        profile=by_name(config.profile.name),
        clock=ground.clock,
        installation=await installation_id(db),
        notify=peers,
        audit=AuditOverRpc(peers.audit),
        spool_dir=config.server.spool_dir,
        registry=ground.registry,
        hints=hints,
        hashing=HashParameters(
            memory_kib=hashing.memory_kib, time_cost=hashing.time_cost, parallelism=hashing.parallelism
        ),
        hash_pool=HashLimits(workers=hashing.workers, max_waiting=hashing.queue_limit),
        shows_messages=config.notify.gateway == SINK,
    )


async def _notify(ground: _Ground, auth_app: auth.AuthApp, sink: Sink | None) -> notify.NotifyApp:
    if sink is None:
        raise ValueError("a gateway that `check` did not refuse")
    db = await ground.engines.connect(notify.ROLE)
    ground.stack.push_async_callback(db.close)
    await verify_schema(db, notify.SCHEMA)

    async def read_token(token: str, caller: Caller) -> tuple[StaffId, RoleId]:
        actor = await auth_app.actors.of(token, caller.system)
        return actor.staff_id, actor.role_id

    return notify.build(
        db=db,
        keys=ground.keys.sealing[SealingKind.MESSAGES],
        gateway=sink,
        clock=ground.clock,
        read_token=read_token,
        is_loopback=ground.config.server.listen.is_loopback,
    )


def _server(ground: _Ground, apps: Apps, parts: frozenset[Part]) -> Server:
    config = ground.config
    return Server(
        apps.registrations(parts),
        address=config.server.listen,
        tls=ground.files,
        carrier=config.server.carrier,
        allow=_allow(config),
        refusals=apps.refused,
        registry=ground.registry,
        log=cast(FilteringBoundLogger, logging.get("infosec.rpc")),
        clock=ground.clock,
        readiness=apps.ready,
        quiet=auth.HOT_PATHS | audit.HOT_PATHS,
        shares_port=config.server.shares_port,
    )


def _allow(config: Config) -> AllowList:
    """Store systems with a certificate of ours reach what people use; the directory says where each may act.

    Administration and the sink are for the command line, and for whom the configuration names.
    """
    open_to_systems = (
        auth.CHECK_SERVICE,
        auth.LOGIN_SERVICE,
        *auth.PERSON_SERVICES,
        audit.RECORD_SERVICE,
        audit.READ_SERVICE,
    )
    narrow = {service: frozenset({COMMAND_LINE}) for service in auth.ADMIN_SERVICES}
    narrow[notify.NOTIFY_SERVICE] = frozenset({COMMAND_LINE, "service/suite"})
    narrow[audit.ADMIN_SERVICE] = frozenset({COMMAND_LINE})
    narrow[notify.SINK_SERVICE] = frozenset({COMMAND_LINE})
    named = {service: frozenset(config.callers.allowed(service)) for service in config.callers.allow}
    return {
        **{service: ANY for service in open_to_systems},
        **{service: callers | named.get(service, frozenset()) for service, callers in narrow.items()},
        **{service: callers for service, callers in named.items() if service not in narrow},
    }


def _keys(config: Config, *, is_own: bool) -> KeyRing:
    """An installation of its own makes its keys; where servers are shared, processes must share the key files too."""
    directory = config.server.keys_dir
    return KeyRing.create_missing(directory, now=datetime.now(UTC)) if is_own else KeyRing.load(directory)


def _authority(config: Config) -> Authority | None:
    """The installation's own CA; None where certificates are configured."""
    if config.tls is not None:
        return None
    now = datetime.now(UTC)  # TLS is judged by the machines' clocks, whatever ours says
    return Authority.create_or_load(config.server.tls_dir, carrier=config.server.carrier, now=now)


def _certificates(config: Config, authority: Authority | None) -> CertificateFiles:
    """The configured ones, or those of the installation's own CA, which also makes the command line's."""
    if config.tls is not None:
        return config.tls.files
    if authority is None:
        raise ValueError("neither configured certificates nor a CA of our own")
    now = datetime.now(UTC)
    authority.renew(now=now)
    authority.issue_system("cli", now=now)
    return authority.issue_service("suite", now=now)


def _metrics_page(ground: _Ground) -> None:
    listen = ground.config.server.metrics_listen
    if listen is None:
        return
    try:
        page = MetricsPage(ground.registry, host=listen.host, port=listen.port)
    except OSError:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="server.metrics_listen",
            detail=f"cannot listen on {listen}",
            hint="choose a free port",
        ) from None
    ground.stack.callback(page.close)


async def _run(found: Engines, apps: Apps, watchman: Watchman) -> str:
    """Run until something ends that must not; answers what. Cancelled, all of it ends."""
    work: dict[str, Coroutine[Any, Any, str | None]] = {
        "engines": found.failed(),
        "watchman": watchman.run(),
        **apps.work(),
    }
    tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return _end_of(done.pop())
    finally:
        for task in tasks:
            task.cancel()
        # What will not end is left to the end of the loop, which cancels every single task.
        await asyncio.wait(tasks, timeout=_END_S)


def _end_of(task: asyncio.Task[Any]) -> str:
    error = task.exception()
    if error is None:
        return str(task.result() or f"{task.get_name()} ended")
    _LOG.critical("what must run has ended", part=task.get_name(), exc_info=error)
    return f"{task.get_name()}: {type(error).__name__}; the log says more"
