"""Roles and operations as they are stored (CI-2: policy is data)."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from authsvc.policy_codec import operation_body, operation_from, role_body, role_from
from infosec.decision.operations import CATALOGUE, Operation
from infosec.decision.roles import ROLES, Role
from infosec.ids import CARRIER, OperationCode, RoleId

Connection = AsyncConnection[Any]


async def hold(conn: Connection) -> None:
    """Let policy changes of others wait until the transaction ends: each is judged against what the one before it left."""
    await conn.execute("select 1 from auth.region_revisions where region_id = %s for update", (CARRIER,))


async def roles(conn: Connection) -> dict[RoleId, Role]:
    rows = await (await conn.execute("select role_id, body from auth.roles order by role_id")).fetchall()
    return {RoleId(row[0]): role_from(row[1]) for row in rows}


async def operations(conn: Connection) -> dict[OperationCode, Operation]:
    rows = await (await conn.execute("select code, body from auth.operations order by code")).fetchall()
    return {OperationCode(row[0]): operation_from(row[1]) for row in rows}


async def put_role(conn: Connection, role: Role) -> None:
    await conn.execute(
        "insert into auth.roles (role_id, body) values (%s, %s) on conflict (role_id) do update set body = excluded.body",
        (role.role_id, Jsonb(role_body(role))),
    )


async def put_operation(conn: Connection, operation: Operation) -> None:
    await conn.execute(
        "insert into auth.operations (code, body) values (%s, %s) on conflict (code) do update set body = excluded.body",
        (operation.code, Jsonb(operation_body(operation))),
    )


async def seed_policy(conn: Connection) -> None:
    """Write the built-in roles and operations: the handbook's (section G)."""
    for operation in CATALOGUE.values():
        await put_operation(conn, operation)
    for role in ROLES.values():
        await put_role(conn, role)
