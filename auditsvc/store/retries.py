"""Writes that were carried out, by caller and request_id: what a retry is answered from. Holds identifiers, no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString
from uuid import UUID

from infosec.errors import Internal, Reason
from infosec.rpc.server.retries import Retry, StoredCall
from infosec.storage.postgres import Connection

_CLAIM: LiteralString = """
insert into audit.retries (caller, request_id, fingerprint, answer, at) values (%s, %s, %s, %s, %s)
on conflict (caller, request_id) do nothing"""

_FIND: LiteralString = "select fingerprint, answer from audit.retries where caller = %s and request_id = %s"


async def claim(conn: Connection, retry: Retry, answer: UUID, now: datetime) -> UUID | None:
    """None if the call is new, and answered with `answer` once this commits; else what it was answered with before.

    Of parallel retries the second waits here. Raises InvalidInput(REQUEST_ID_REUSED).
    """
    row = (retry.caller, retry.request_id, retry.fingerprint, answer.bytes, now)
    if (await conn.execute(_CLAIM, row)).rowcount:
        return None
    found = await (await conn.execute(_FIND, (retry.caller, retry.request_id))).fetchone()
    if found is None:
        raise Internal(Reason.INTERNAL, detail="a retry was forgotten while it was looked for")
    stored = StoredCall(fingerprint=bytes(found[0]), outcome=bytes(found[1]))
    retry.check_same(stored)
    return UUID(bytes=stored.outcome)


async def forget(conn: Connection, before: datetime) -> None:
    """Forget the calls of that time: they are not retried any more."""
    await conn.execute("delete from audit.retries where at < %s", (before,))
