"""Runs the embedded engines for as long as the process that asked for them, and says where they are."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infosec.errors import Internal, Misconfigured, Reason
from infosec.private_files import read_secret
from infosec.storage.addresses import PostgresAddress, RedisAddress
from infosec.storage.embedded import cluster, hotstore
from infosec.storage.embedded.accounts import Account, engine_account
from infosec.storage.embedded.files import password_file
from infosec.storage.embedded.instance import InstanceLock
from infosec.storage.embedded.premises import Premises
from infosec.storage.embedded.processes import Engine
from infosec.storage.embedded.programs import Programs, find_programs, reachable_programs

_LOG = logging.getLogger(__name__)
_WATCH_EVERY_S = 0.5
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the engines are. `redis` is None where there is none: all works from the tables, slower to revoke."""

    postgres: PostgresAddress
    """As the administrator, for migrations."""
    redis: RedisAddress | None
    passwords: Path
    engine_uid: int | None
    """The account that the engines run as, if it is not our own."""

    def role(self, name: str) -> PostgresAddress:
        """The same database for the login role of one service; its password file is made when first asked for."""
        if not _ROLE.fullmatch(name):
            raise ValueError("a role name is 1 to 63 of a-z 0-9 _")
        return replace(self.postgres, user=name, password_file=password_file(self.passwords, name))


class EmbeddedServers:
    """PostgreSQL and Redis in one data directory, for one process at a time.

    `launch` and `shutdown` block (about a second at the very first start); `running` is the same for a coroutine.
    """

    def __init__(self, data_dir: Path, *, with_redis: bool = True) -> None:
        self._premises = Premises(data_dir)
        self._with_redis = with_redis
        self._lock: InstanceLock | None = None
        self._account: Account | None = None
        self._programs: Programs | None = None
        self._postgres: Engine | None = None
        self._redis: Engine | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Addresses]:
        """Engines that run while the block does. Raises Misconfigured when they cannot."""
        launch = asyncio.ensure_future(asyncio.to_thread(self.launch))
        try:
            yield await asyncio.shield(launch)
        finally:
            await asyncio.wait([launch])  # a start that was cancelled is stopped once it stands
            await asyncio.to_thread(self.shutdown)

    def launch(self) -> Addresses:
        """Start both engines; what a killed predecessor left running is stopped first; nothing committed is lost."""
        self._premises.open()
        self._lock = InstanceLock(self._premises.lock_file)
        try:
            return self._launch_locked()
        except BaseException:
            self.shutdown()
            raise

    def shutdown(self) -> None:
        """Stop both engines and let go of the data directory; harmless when nothing runs."""
        if self._lock is None:
            return
        if self._redis is not None:
            self._redis.stop(hotstore.STOP_PLAN)
        if self._postgres is not None:
            self._postgres.stop(cluster.STOP_PLAN)
        self._premises.close()
        self._lock.release()
        self._redis = self._postgres = self._lock = None

    async def wait_failed(self) -> str:
        """Wait until PostgreSQL has ended by itself; answers what happened, so that the server can stop loudly.

        A Redis that ended is started again meanwhile: what it held may be lost.
        """
        while self._postgres is not None:
            code = self._postgres.exit_code()
            if code is not None:
                return f"PostgreSQL ended with code {code}; its own words are in {self._premises.log('postgres')}"
            if self._redis is not None and self._redis.exit_code() is not None:
                _LOG.warning("the embedded Redis ended with code %s and is started again", self._redis.exit_code())
                await asyncio.to_thread(self._restart_redis)
            await asyncio.sleep(_WATCH_EVERY_S)
        return "the embedded servers were stopped"

    def _launch_locked(self) -> Addresses:
        premises = self._premises
        cluster.stop_orphan(premises)
        hotstore.stop_orphan(premises)
        self._account = engine_account(premises.postgres)
        premises.prepare(self._account)
        self._programs = reachable_programs(find_programs(), self._account, premises.program)
        admin_file = self._admin_password_file()
        admin_password = read_secret(admin_file)
        cluster.initialise(premises, self._programs, self._account, admin_password)
        self._postgres = cluster.start(premises, self._programs, self._account)
        cluster.ensure_database(premises, admin_password)
        postgres = PostgresAddress(
            host=str(premises.run), dbname=cluster.DATABASE, user=cluster.ADMIN, password_file=admin_file
        )
        return Addresses(
            postgres=postgres,
            redis=self._launch_redis() if self._with_redis else None,
            passwords=premises.passwords,
            engine_uid=self._account.uid if self._account else None,
        )

    def _admin_password_file(self) -> Path:
        premises = self._premises
        known = (premises.passwords / f"{cluster.ADMIN}.password").exists()
        if (premises.postgres / "PG_VERSION").exists() and not known:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="data_dir",
                detail=f"{premises.passwords}/{cluster.ADMIN}.password is missing: restore it from a backup",
            )
        return password_file(premises.passwords, cluster.ADMIN)

    def _launch_redis(self) -> RedisAddress | None:
        file = password_file(self._premises.passwords, "redis")
        self._restart_redis()
        if self._redis is None:
            _LOG.warning("no Redis: revocations reach the nodes by polling the tables, within the staleness bound")
            return None
        return RedisAddress(socket=hotstore.socket_path(self._premises), user=hotstore.USER, password_file=file)

    def _restart_redis(self) -> None:
        if self._programs is None:
            raise Internal(Reason.INTERNAL, detail="Redis before its program was looked for")
        password = read_secret(password_file(self._premises.passwords, "redis"))
        self._redis = hotstore.start(self._premises, self._programs, self._account, password)
