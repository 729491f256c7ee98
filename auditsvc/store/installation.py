"""The installation's ID, as set-up copied it here: auditsvc reads no other schema."""

from __future__ import annotations

from infosec.storage.postgres import Connection


async def copy(conn: Connection, installation: str) -> None:
    """Keep the ID; set-up calls this as the owner, and the ID never changes."""
    await conn.execute(
        "insert into audit.installation (installation_id) values (%s) on conflict (installation_id) do nothing",
        (installation,),
    )


async def installation_id(conn: Connection) -> str | None:
    """The ID; None before the set-up."""
    row = await (await conn.execute("select installation_id from audit.installation")).fetchone()
    return str(row[0]) if row else None
