"""Writes that were carried out, by caller and request_id: what a retry is answered from. Holds identifiers, no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import RequestId
from infosec.rpc.server.retries import StoredCall

Connection = AsyncConnection[Any]

_UNFINISHED = b""


class TransactionRetries:
    """Remembers writes by (caller, request_id), in the transaction of the write itself."""

    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now

    async def find(self, caller: str, request_id: RequestId) -> StoredCall | None:
        """The write that was committed under this ID, or None. Locks the ID until the transaction ends."""
        # The row that this leaves is rolled back with the write; a parallel retry waits on it here.
        row = await (
            await self._conn.execute(
                "insert into auth.retries as r (request_id, caller, fingerprint, answer, at) values (%s, %s, %s, %s, %s)"
                " on conflict (request_id, caller) do update set at = r.at returning fingerprint, answer",
                (request_id, caller, _UNFINISHED, _UNFINISHED, self._now),
            )
        ).fetchone()
        if row is None or bytes(row[0]) == _UNFINISHED:
            return None
        return StoredCall(fingerprint=bytes(row[0]), outcome=bytes(row[1]))

    async def keep(self, caller: str, request_id: RequestId, call: StoredCall) -> None:
        """Remember; commits or is lost together with the write."""
        await self._conn.execute(
            "update auth.retries set fingerprint = %s, answer = %s where request_id = %s and caller = %s",
            (call.fingerprint, call.outcome, request_id, caller),
        )


async def carried_out(conn: Connection, caller: str, request_id: RequestId) -> StoredCall | None:
    """The write that was committed under this ID, looked at before costly preparations; takes no lock."""
    query = "select fingerprint, answer from auth.retries where caller = %s and request_id = %s and fingerprint <> ''"
    row = await (await conn.execute(query, (caller, request_id))).fetchone()
    return None if row is None else StoredCall(fingerprint=bytes(row[0]), outcome=bytes(row[1]))
