"""The services of one process, as one thing that is served, run, asked whether it is ready, and closed."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from auditsvc import app as audit
from authsvc import app as auth
from infosec.rpc.server.builder import Registration
from infosec.rpc.server.refusals import Refusal
from services.checking import Part
from services.notify import app as notify
from services.notify.sink import Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class Apps:
    """The services of a process; None for those that it does not serve."""

    installation: str
    audit: audit.AuditApp | None
    auth: auth.AuthApp | None
    notify: notify.NotifyApp | None
    sink: Sink | None

    def registrations(self, parts: frozenset[Part]) -> list[Registration]:
        """What the server is to serve."""
        found: list[Registration] = []
        if self.audit is not None:
            found += self.audit.registrations
        if self.auth is not None and Part.CHECK in parts:
            found += self.auth.check_registrations
        if self.auth is not None and self.notify is not None:
            found += [*self.auth.registrations, *self.notify.registrations()]
        return found

    async def ready(self, service: str) -> bool:
        """Whether an RPC service can do its work."""
        if service.startswith(audit.PACKAGE):
            # Also while a log is not signed: that is alarmed, and recording goes on.
            return self.audit is not None
        return self.auth is None or await self.auth.ready(service)

    async def refused(self, refusal: Refusal) -> None:
        """Record a refused call: with authsvc where it is served, else straight in the log."""
        if self.auth is not None:
            await self.auth.refused(refusal)
        elif self.audit is not None:
            await self.audit.refused(refusal)

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What has to run beside the server, by name."""
        work = {} if self.audit is None else {"audit": self.audit.run()}
        if self.auth is not None:
            work["auth"] = self.auth.run() if self.notify is not None else self.auth.run_check()
        if self.notify is not None:
            work["notify"] = self.notify.run()
        return work

    async def close(self) -> None:
        """Let go of threads, files and whoever waits."""
        if self.auth is not None:
            await self.auth.close()
        if self.audit is not None:
            await self.audit.close()
