"""Numbered SQL files, each applied once, in order, in a transaction of its own; and the schema and role of a service.

A file that was applied is never edited: its digest is kept, and a difference stops the start. Knows no service.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import psycopg
from psycopg import sql

from infosec.errors import AlreadyExists, Misconfigured, Reason
from infosec.secret import Secret
from infosec.storage.identifiers import sql_name
from infosec.storage.postgres import Connection, Database

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK_VERSION = 0
"""The row that whoever migrates holds locked; it stands for no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file: its number, its name without number and ending, its text."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def discover(package: str) -> tuple[Migration, ...]:
    """The migrations in a package's folder, in order; numbers start at 1 and leave none out."""
    found = []
    for file in resources.files(package).iterdir():
        if not file.name.endswith(".sql"):
            continue
        parts = _FILE.fullmatch(file.name)
        if parts is None:
            raise Misconfigured(Reason.CONFIGURATION, key=package, detail=f"{file.name} is not named NNNN_name.sql")
        text = file.read_text(encoding="utf-8")
        found.append(Migration(version=int(parts[1]), name=parts[2], text=text))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise Misconfigured(Reason.CONFIGURATION, key=package, detail="migration numbers repeat or leave a gap")
    return tuple(found)


async def prepare(admin: Database, schema: str, role: str, password: Secret) -> None:
    """Make a service's schema and its login role, or set the role's password. May be done again at every start.

    The role may log in, connect to this database and see its own schema; its tables are granted by the migrations. Only
    a SCRAM verifier computed here goes to the server, so the password itself is in no statement and no log (ID-7).
    """
    async with admin.transaction() as connection:
        verifier = connection.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
        await _put_role(connection, sql_name(role), verifier.decode())
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(sql_name(schema))))
        database = (await (await connection.execute("SELECT current_database()")).fetchall())[0][0]
        for grant in (
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO {role}",
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
        ):
            await connection.execute(
                sql.SQL(grant).format(
                    database=sql.Identifier(database), schema=sql.Identifier(schema), role=sql.Identifier(role)
                )
            )


async def migrate(admin: Database, schema: str, migrations: Sequence[Migration], now: datetime) -> tuple[int, ...]:
    """Apply what is missing, and answer with its numbers. Several processes may do it at once: one does, the others wait.

    Raises Misconfigured for an applied file that has changed since, and for a database that a newer release has moved on.
    """
    await _ensure_table(admin, sql_name(schema), now)
    applied = []
    for migration in migrations:
        if await _apply(admin, schema, migration, migrations, now):
            applied.append(migration.version)
    if not migrations:
        await verify(admin, schema, migrations)
    return tuple(applied)


async def verify(database: Database, schema: str, migrations: Sequence[Migration]) -> None:
    """Raises Misconfigured unless exactly `migrations` have been applied; for a server that may not migrate itself.

    Needs SELECT on the schema's table schema_migrations, which `migrate` grants to everybody who may use the schema.
    """
    known = await _applied(database, schema)
    if known is None:
        raise Misconfigured(
            Reason.CONFIGURATION, key=schema, detail="the database is not set up", hint="run `infosec migrate`"
        )
    _require_known(known, migrations)
    missing = [migration.version for migration in migrations if migration.version not in known]
    if missing:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key=schema,
            detail=f"migration {missing[0]:04d} is not applied",
            hint="run `infosec migrate`",
        )


async def _put_role(connection: Connection, role: str, verifier: str) -> None:
    known = await (await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))).fetchone()
    verb = "ALTER" if known else "CREATE"
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS"
    statement = sql.SQL(f"{verb} ROLE {{role}} {rights} PASSWORD {{verifier}}")
    await connection.execute(statement.format(role=sql.Identifier(role), verifier=sql.Literal(verifier)))


async def _ensure_table(admin: Database, schema: str, now: datetime) -> None:
    """The table and its lock row, made together; whoever loses the race to make them finds them made."""
    for _ in range(3):
        found = await admin.read_one("SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.schema_migrations",))
        if found == (True,):
            return
        try:
            async with admin.transaction() as connection:
                await _make_table(connection, schema, now)
        except AlreadyExists:
            continue


async def _make_table(connection: Connection, schema: str, now: datetime) -> None:
    table = sql.Identifier(schema, "schema_migrations")
    columns = "version int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL"
    try:
        await connection.execute(sql.SQL(f"CREATE TABLE {{}} ({columns})").format(table))
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject):  # the table, or its row type
        raise AlreadyExists(Reason.ALREADY_EXISTS) from None
    await connection.execute(sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(table))
    await connection.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'lock', '', %s)").format(table), (_LOCK_VERSION, now))


async def _apply(
    admin: Database, schema: str, migration: Migration, migrations: Sequence[Migration], now: datetime
) -> bool:
    table = sql.Identifier(schema, "schema_migrations")
    async with admin.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0", prepare=False)
        await connection.execute(
            sql.SQL("SELECT 1 FROM {} WHERE version = %s FOR UPDATE").format(table), (_LOCK_VERSION,)
        )
        rows = await (await connection.execute(_applied_query(schema))).fetchall()
        known = {version: digest for version, digest in rows if version != _LOCK_VERSION}
        _require_known(known, migrations)
        if migration.version in known:
            return False
        await connection.execute(sql.SQL(migration.text), prepare=False)
        await connection.execute(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s)").format(table),
            (migration.version, migration.name, migration.sha256, now),
        )
    return True


def _applied_query(schema: str) -> sql.Composed:
    return sql.SQL("SELECT version, sha256 FROM {}").format(sql.Identifier(sql_name(schema), "schema_migrations"))


async def _applied(database: Database, schema: str) -> dict[int, str] | None:
    """None where the schema was never migrated, or this role may not use it."""
    async with database.statements() as connection:
        try:
            rows = await (await connection.execute(_applied_query(schema))).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.InsufficientPrivilege):
            return None
    return {version: digest for version, digest in rows if version != _LOCK_VERSION}


def _require_known(known: dict[int, str], migrations: Sequence[Migration]) -> None:
    ours = {migration.version: migration for migration in migrations}
    for version, digest in sorted(known.items()):
        if version not in ours:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="migrations",
                detail=f"the database has migration {version:04d}, which this release does not know: use the newer one",
            )
        if ours[version].sha256 != digest:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="migrations",
                detail=f"{version:04d}_{ours[version].name}.sql was changed after it was applied: add a new file instead",
            )
