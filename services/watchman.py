"""Beside the serving: what is measured now and then, and certificates of the installation's own CA renewed in time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge

from authsvc.app import AuthApp
from infosec import logging
from infosec.cancellation import raise_if_cancelled
from infosec.certificates import Authority, expiries
from infosec.errors import InfosecError
from infosec.storage.postgres import Database
from services import store

MEASURE_EVERY_S = 15.0
RENEW_EVERY_S = 3600.0
_LOG = logging.get(__name__)


class Watchman:
    """Gauges of one process. With `db` (as auth_service) it also counts what waits in the outbox."""

    def __init__(
        self, auth_app: AuthApp | None, *, registry: CollectorRegistry, authority: Authority | None, db: Database | None
    ) -> None:
        self._authority = authority
        self._db = db
        if auth_app is not None:
            feeder = auth_app.feeder
            fresh = Gauge("infosec_snapshot_fresh", "1 while the snapshot is fresh.", registry=registry)
            fresh.set_function(lambda: float(feeder.is_fresh))
        self._ends = Gauge(
            "infosec_certificate_end_seconds", "When a certificate of the own CA ends.", ("file",), registry=registry
        )
        self._waiting = Gauge("infosec_outbox_waiting", "Events not delivered yet.", ("topic",), registry=registry)
        self._oldest = Gauge(
            "infosec_outbox_oldest_seconds",
            "When the oldest undelivered event was made.",
            ("topic",),
            registry=registry,
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measure())
            group.create_task(self._renew())

    async def _measure(self) -> None:
        while self._db is not None:
            try:
                await self._count(self._db)
            except InfosecError as error:
                _LOG.warning("the outbox was not counted", reason=error.reason.value)
            raise_if_cancelled()
            await asyncio.sleep(MEASURE_EVERY_S)

    async def _count(self, db: Database) -> None:
        self._waiting.clear()
        self._oldest.clear()
        for queue in await store.queues(db):
            self._waiting.labels(queue.topic).set(queue.waiting)
            if queue.oldest is not None:
                self._oldest.labels(queue.topic).set(queue.oldest.timestamp())

    async def _renew(self) -> None:
        while True:
            if self._authority is not None:
                try:
                    await asyncio.to_thread(self._renewed, self._authority)
                except InfosecError as error:
                    _LOG.error("certificates were not renewed", reason=error.reason.value, **error.details)
            raise_if_cancelled()
            await asyncio.sleep(RENEW_EVERY_S)

    def _renewed(self, authority: Authority) -> None:
        """The server takes renewed files at the next connection."""
        for files in authority.renew(now=datetime.now(UTC)):
            _LOG.info("certificate renewed", path=str(files.certificate))
        for expiry in expiries(authority.directory):
            self._ends.labels(expiry.path.name).set(expiry.not_after.timestamp())
