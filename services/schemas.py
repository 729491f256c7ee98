"""The schemas of all services: made, migrated, and given the installation's ID. Runs as the administrator."""

from __future__ import annotations

from datetime import datetime

from auditsvc import app as audit
from auditsvc.store import installation as audit_installation
from authsvc import app as auth
from authsvc.store import installation
from infosec.errors import Misconfigured, Reason
from infosec.ids import new_id
from infosec.storage.migrations import discover, migrate, prepare, verify
from infosec.storage.postgres import Database
from services.engines import Engines
from services.notify import app as notify

SCHEMAS = (
    (audit.SCHEMA, (audit.ROLE, audit.KEEPER), audit.MIGRATIONS),
    (auth.SCHEMA, (auth.ROLE,), auth.MIGRATIONS),
    (notify.SCHEMA, (notify.ROLE,), notify.MIGRATIONS),
)
"""Each with its login roles, and the package of its numbered SQL files."""


async def migrate_all(engines: Engines, now: datetime) -> dict[str, tuple[int, ...]]:
    """Bring every schema up to date; answers which files were applied. Raises Misconfigured."""
    applied = {}
    async with engines.administration() as admin:
        for schema, roles, package in SCHEMAS:
            for role in roles:
                await prepare(admin, schema, role, engines.role_password(role))
            applied[schema] = await migrate(admin, schema, discover(package), now)
        async with admin.transaction() as conn:
            claimed = await installation.claim(conn, new_id())
            await audit_installation.copy(conn, claimed)
    return applied


async def verify_schema(db: Database, schema: str) -> None:
    """Raises Misconfigured unless the schema is exactly what this release needs."""
    package = next(package for name, _roles, package in SCHEMAS if name == schema)
    await verify(db, schema, discover(package))


async def installation_id(db: Database, schema: str = auth.SCHEMA) -> str:
    """The ID that tokens and grants are good for, as the schema of `db` has it. Raises Misconfigured before `infosec migrate`."""
    read = installation.installation_id if schema == auth.SCHEMA else audit_installation.installation_id
    async with db.transaction() as conn:
        found = await read(conn)
    if found is None:
        raise Misconfigured(
            Reason.CONFIGURATION, key="postgres", detail="the database is not set up", hint="run `infosec migrate`"
        )
    return found
