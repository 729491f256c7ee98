"""An outage of the audit logs, for the stage alone: their database takes no entry until the block ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infosec.config import Config
from services.engines import running_or_own_engines


@asynccontextmanager
async def logs_refuse_entries(config: Config) -> AsyncIterator[None]:
    """As when the disk of the logs is full: reading goes on, and nothing can be added."""
    async with running_or_own_engines(config) as engines, engines.administration() as admin:
        async with admin.transaction() as conn:
            await conn.execute("revoke insert on audit.entries from audit_service")
        try:
            yield
        finally:
            async with admin.transaction() as conn:
                await conn.execute("grant insert on audit.entries to audit_service")
