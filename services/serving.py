"""One serving process: engines, keys, certificates, the services that it is to serve, and a clean end.

Everything is made here from top to bottom. The clock comes in, so that the demo is the same code.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from authsvc import app as auth
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PoolLimits as HashLimits
from authsvc.profile import by_name
from authsvc.work import Message
from infosec import logging
from infosec.certificates import Authority, CertificateFiles
from infosec.client.connection import connect
from infosec.clock import Clock
from infosec.config import Address, Config
from infosec.errors import Misconfigured, Reason, Unavailable
from infosec.ids import RoleId, StaffId
from infosec.keys import KeyRing, SealingKind
from infosec.rpc.server.builder import Server
from infosec.rpc.server.identity import ANY, AllowList, Caller
from infosec.rpc.server.metrics import MetricsPage
from infosec.storage.postgres import Database
from infosec.storage.redis import Hints
from services.checking import SINK, SUITE, Part, check
from services.engines import Engines, engines
from services.notify import app as notify
from services.notify.sink import Sink
from services.notifying import NotifyOverRpc
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
    auth: auth.AuthApp
    notify: notify.NotifyApp | None
    sink: Sink | None
    failed: asyncio.Task[str]


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
        peer = _Peer(ground.files, stack)
        db = await found.connect(auth.ROLE)
        stack.push_async_callback(db.close)
        auth_app, installation = await _auth(ground, db, peer)
        sink = Sink(clock) if config.notify.gateway == SINK else None
        notify_app = await _notify(ground, auth_app, sink) if Part.CORE in parts else None
        server = _server(ground, auth_app, notify_app, parts)
        await auth_app.feeder.refresh()
        await server.start()
        address = Address(host=config.server.listen.host, port=server.port)
        peer.reach(address)
        watchman = Watchman(
            auth_app, registry=ground.registry, authority=authority, db=db if notify_app is not None else None
        )
        _metrics_page(ground)
        failed = asyncio.create_task(_run(found, auth_app, notify_app, watchman))
        try:
            yield Serving(
                address=address,
                files=ground.files,
                installation=installation,
                auth=auth_app,
                notify=notify_app,
                sink=sink,
                failed=failed,
            )
        finally:
            await server.stop(grace_s=_GRACE_S)
            failed.cancel()
            await asyncio.gather(failed, return_exceptions=True)
            await auth_app.close()


class _Peer:
    """The notify service of this very process, over its own wire: reachable once the server listens."""

    def __init__(self, files: CertificateFiles, stack: AsyncExitStack) -> None:
        self._files = files
        self._stack = stack
        self._address = ""
        self._shown = 0
        self._reached: NotifyOverRpc | None = None

    def reach(self, address: Address) -> None:
        self._address = str(address)

    async def submit(self, message: Message) -> str:
        return await self._there().submit(message)

    async def states(self, message_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        return await self._there().states(message_ids)

    def _there(self) -> NotifyOverRpc:
        if not self._address:
            raise Unavailable(Reason.PEER_UNAVAILABLE, detail="notify")
        on_disk = self._files.certificate.stat().st_mtime_ns
        if self._reached is None or on_disk != self._shown:
            # A channel keeps the certificate that it was opened with, beyond its end.
            files = self._files
            opened = connect(self._address, ca=files.ca, cert=files.certificate, key=files.key, server_name="localhost")
            self._stack.push_async_callback(opened.close)
            self._reached, self._shown = NotifyOverRpc(opened.notify), on_disk
        return self._reached


async def _auth(ground: _Ground, db: Database, peer: _Peer) -> tuple[auth.AuthApp, str]:
    config, found = ground.config, ground.engines
    hints = Hints(found.redis) if found.redis is not None else None
    if hints is not None:
        ground.stack.push_async_callback(hints.close)
    await verify_schema(db, auth.SCHEMA)
    installation = await installation_id(db)
    hashing = config.hashing
    app = auth.build(
        db=db,
        keys=ground.keys,
        profile=by_name(config.profile.name),
        clock=ground.clock,
        installation=installation,
        notify=peer,
        registry=ground.registry,
        hints=hints,
        hashing=HashParameters(
            memory_kib=hashing.memory_kib, time_cost=hashing.time_cost, parallelism=hashing.parallelism
        ),
        hash_pool=HashLimits(workers=hashing.workers, max_waiting=hashing.queue_limit),
        shows_messages=config.notify.gateway == SINK,
    )
    return app, installation


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


def _server(
    ground: _Ground, auth_app: auth.AuthApp, notify_app: notify.NotifyApp | None, parts: frozenset[Part]
) -> Server:
    registrations = [*(auth_app.check_registrations if Part.CHECK in parts else ())]
    if notify_app is not None:
        registrations += [*auth_app.registrations, *notify_app.registrations()]
    config = ground.config
    return Server(
        registrations,
        address=config.server.listen,
        tls=ground.files,
        carrier=config.server.carrier,
        allow=_allow(config),
        refusals=auth_app.refused,
        registry=ground.registry,
        log=cast(FilteringBoundLogger, logging.get("infosec.rpc")),
        clock=ground.clock,
        readiness=auth_app.ready,
        quiet=auth.HOT_PATHS,
    )


def _allow(config: Config) -> AllowList:
    """Store systems with a certificate of ours reach what people use; the directory says where each may act.

    Administration and the sink are for the command line, and for whom the configuration names.
    """
    open_to_systems = (auth.CHECK_SERVICE, auth.LOGIN_SERVICE, *auth.PERSON_SERVICES)
    narrow = {service: frozenset({COMMAND_LINE}) for service in auth.ADMIN_SERVICES}
    narrow[notify.NOTIFY_SERVICE] = frozenset({COMMAND_LINE, "service/suite"})
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


async def _run(found: Engines, auth_app: auth.AuthApp, notify_app: notify.NotifyApp | None, watchman: Watchman) -> str:
    """Run until something ends that must not; answers what. Cancelled, all of it ends."""
    work: dict[str, Coroutine[Any, Any, str | None]] = {
        "engines": found.failed(),
        "watchman": watchman.run(),
        "auth": auth_app.run() if notify_app is not None else auth_app.run_check(),
    }
    if notify_app is not None:
        work["notify"] = notify_app.run()
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
