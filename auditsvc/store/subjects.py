"""Subjects: found, made and erased. Erasures are counted, for those who have subjects in memory."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from infosec.storage.postgres import Connection

_MAKE: LiteralString = """
insert into audit.subjects (digest, subject_id, data_key, made_at)
select digest, subject_id, data_key, %s from unnest(%s::bytea[], %s::uuid[], %s::bytea[]) as made (digest, subject_id, data_key)
 order by digest
on conflict (digest) do nothing"""

_KNOWN: LiteralString = """
select gate.passages, digest, subject_id, data_key from audit.gates gate left join audit.subjects on digest = any(%s)
 where gate.name = 'subjects'"""

_ERASED: LiteralString = "update audit.gates set passages = passages + 1 where name = 'subjects'"

_FIND: LiteralString = """
select subject_id, data_key from audit.subjects where digest = any(%s) order by made_at, subject_id"""


async def known(conn: Connection, digests: Sequence[bytes]) -> tuple[int, dict[bytes, tuple[uuid.UUID, bytes]]]:
    """How often subjects were erased so far; and ID and sealed data key of those of these that there are, by digest."""
    rows = await (await conn.execute(_KNOWN, (list(digests),), prepare=True)).fetchall()
    return rows[0][0], {row[1]: (row[2], row[3]) for row in rows if row[1] is not None}


async def erasures(conn: Connection) -> int:
    """How often subjects were erased so far."""
    rows = await conn.execute("select passages from audit.gates where name = 'subjects'", prepare=True)
    return int((await rows.fetchall())[0][0])


async def make(conn: Connection, made: Sequence[tuple[bytes, uuid.UUID, bytes]], now: datetime) -> None:
    """Add subjects; whoever made one for the same customer first keeps theirs."""
    digests, ids, keys = (list(column) for column in zip(*made, strict=True))
    await conn.execute(_MAKE, (now, digests, ids, keys), prepare=True)


async def find(conn: Connection, digests: Sequence[bytes]) -> list[tuple[uuid.UUID, bytes]]:
    """The subjects of one customer, by the digests under every key: more than one after a rotation of that key."""
    rows = await (await conn.execute(_FIND, (list(digests),), prepare=True)).fetchall()
    return [(row[0], row[1]) for row in rows]


async def erase(conn: Connection, subject_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """As the keeper: what is about these subjects can be read by nobody any more. Answers which there were (CI-8).

    Waits for whoever appends; who appends from then on is told by the count that somebody was erased.
    """
    rows = await conn.execute(
        "delete from audit.subjects where subject_id = any(%s) returning subject_id", (list(subject_ids),)
    )
    erased = [row[0] for row in await rows.fetchall()]
    if erased:
        await conn.execute(_ERASED)
    return erased
