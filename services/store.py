"""What the processes themselves ask the database: how it stands with the queues, the jobs, the clock and the rights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from infosec.storage.postgres import Database

_KEPT = ("auth.staff", "auth.requests", "auth.sessions", "auth.grants", "auth.findings", "notify.messages")
"""What no service may delete (ID-1, RQ-6)."""
_MAY_IN_AUDIT = (
    *(
        f"audit_service: INSERT on audit.{table}"
        for table in (
            "logs", "entries", "tiles", "checkpoints", "subjects", "announcements", "retries", "jobs",
        )
    ),
    "audit_service: UPDATE on audit.jobs",
    "audit_service: DELETE on audit.retries",
    *(f"audit_keeper: INSERT on audit.{table}" for table in ("retentions", "announcements", "retries")),
    *(
        f"audit_keeper: DELETE on audit.{table}"
        for table in ("subjects", "entries", "tiles", "checkpoints", "announcements", "retries")
    ),
)  # fmt: skip
"""What is granted on whole tables of the audit logs, beside reading: who adds does not delete, and nobody changes (CI-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits on one topic of the outbox."""

    topic: str
    waiting: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """How a periodic job fares."""

    name: str
    last_success: datetime | None
    next_due: datetime


async def queues(db: Database) -> list[Queue]:
    """Every topic that has something to deliver."""
    rows = await db.read_all(
        "select topic, count(*), min(created_at) from auth.outbox where delivered_at is null group by topic order by topic"
    )
    return [Queue(topic=row[0], waiting=row[1], oldest=row[2]) for row in rows]


async def jobs(db: Database) -> list[JobRun]:
    """Every job of authsvc that was ever due."""
    rows = await db.read_all("select name, last_success, next_due from auth.jobs order by name")
    return [JobRun(name=row[0], last_success=row[1], next_due=row[2]) for row in rows]


async def audit_jobs(db: Database) -> list[JobRun]:
    """The same of auditsvc. Asked as one of its roles."""
    rows = await db.read_all("select name, last_success, next_due from audit.jobs order by name")
    return [JobRun(name=row[0], last_success=row[1], next_due=row[2]) for row in rows]


async def dead_messages(db: Database) -> int:
    """Messages that were given up. Asked as the administrator or as notify's role."""
    row = await db.read_one("select count(*) from notify.messages where state in ('FAILED', 'EXPIRED')")
    return int(row[0]) if row else 0


async def database_time(db: Database) -> datetime | None:
    """The database's own clock."""
    row = await db.read_one("select clock_timestamp()")
    return row[0] if row else None


async def administrators(db: Database) -> int:
    """How many administrators can log in."""
    row = await db.read_one(
        "select count(*) from auth.staff where role_id = 'administrator' and state in ('ISSUED', 'ACTIVE')"
    )
    return int(row[0]) if row else 0


async def held_codes(db: Database) -> int:
    """How many break-glass codes are in force. Asked as the administrator."""
    row = await db.read_one("select count(*) from auth.break_glass where used_at is null")
    return int(row[0]) if row else 0


async def excess_rights(db: Database, roles: Sequence[str]) -> list[str]:
    """What a service's role may do and should not, in words of the database. Empty is as it should be."""
    found = await db.read_all(_ATTRIBUTES, (list(roles),))
    found += await db.read_all(_MEMBERSHIPS, (list(roles),))
    found += await db.read_all(_OWNED, (list(roles),))
    found += await db.read_all(_SCHEMAS, (list(roles),))
    found += await db.read_all(_TABLES, (list(_KEPT), list(roles)))
    found += await db.read_all(_AUDIT_TABLES, (list(roles), list(_MAY_IN_AUDIT)))
    return sorted(row[0] for row in found)


_ATTRIBUTES = """
select rolname || ': ' || concat_ws(', ', case when rolsuper then 'SUPERUSER' end, case when rolcreatedb then 'CREATEDB' end,
       case when rolcreaterole then 'CREATEROLE' end, case when rolreplication then 'REPLICATION' end,
       case when rolbypassrls then 'BYPASSRLS' end)
  from pg_roles
 where rolname = any(%s) and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)"""
_MEMBERSHIPS = """
select member.rolname || ': member of ' || other.rolname
  from pg_auth_members m join pg_roles member on member.oid = m.member join pg_roles other on other.oid = m.roleid
 where member.rolname = any(%s)"""
_OWNED = """
select r.rolname || ': owns ' || n.nspname || '.' || c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
 where r.rolname = any(%s) and n.nspname not like 'pg\\_%%'"""
_SCHEMAS = """
select r.rolname || ': CREATE in ' || n.nspname
  from pg_roles r cross join pg_namespace n
 where r.rolname = any(%s) and n.nspname not like 'pg\\_%%' and has_schema_privilege(r.oid, n.oid, 'CREATE')"""
# A role is named <schema>_service: beyond its own schema it has nothing, and in it nothing that rewrites history.
_TABLES = """
select r.rolname || ': ' || p.privilege || ' on ' || n.nspname || '.' || c.relname
  from pg_roles r
 cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) p (privilege)
  join pg_class c on c.relkind in ('r', 'p')
  join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('auth', 'notify')
 where has_schema_privilege(r.oid, n.oid, 'USAGE') and has_table_privilege(r.oid, c.oid, p.privilege)
   and (r.rolname <> n.nspname || '_service'
        or p.privilege in ('TRUNCATE', 'REFERENCES', 'TRIGGER')
        or (p.privilege = 'DELETE' and n.nspname || '.' || c.relname = any(%s))
        or (p.privilege <> 'SELECT' and c.relname in ('schema_migrations', 'installation', 'break_glass')))
   and r.rolname = any(%s)"""
# The audit logs have two roles of their own, and what each may do is a short list.
_AUDIT_TABLES = """
select told from (
    select r.rolname || ': ' || p.privilege || ' on ' || n.nspname || '.' || c.relname as told,
           r.rolname in ('audit_service', 'audit_keeper') and p.privilege = 'SELECT' as is_reading
      from pg_roles r
     cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) p (privilege)
      join pg_class c on c.relkind in ('r', 'p')
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'audit'
     where has_schema_privilege(r.oid, n.oid, 'USAGE') and has_table_privilege(r.oid, c.oid, p.privilege)
       and r.rolname = any(%s)) as granted
 where not is_reading and told <> all(%s)"""
