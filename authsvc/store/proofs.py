"""One-time codes to the bound phone (RQ-1): what was sent, tried and used. Holds digests of codes, never a code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from authsvc.proofs import STAFF_WINDOW, TERMINAL_WINDOW, Challenge, Sent
from authsvc.staff import StaffState
from infosec.ids import StaffId, SystemId, TerminalId

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A staff ID and the phone that it is bound to, sealed."""

    staff_id: StaffId
    state: StaffState
    password_ends_at: datetime
    phone_sealed: bytes


async def serves(conn: Connection, system_id: SystemId, terminal_id: TerminalId) -> bool:
    """Whether the system is registered for the terminal, or for the store where it stands."""
    row = await (
        await conn.execute(
            """
            select 1 from auth.terminals t
            join auth.stores s on s.store_id = t.store_id and not s.is_closed
            join auth.systems y on y.system_id = %s and not y.is_retired
                 and (t.terminal_id = any(y.terminal_ids) or t.store_id = any(y.store_ids))
            where t.terminal_id = %s and not t.is_retired
            """,
            (system_id, terminal_id),
        )
    ).fetchone()
    return row is not None


async def take_places(conn: Connection, attempt_key: str, terminal_id: TerminalId, now: datetime) -> None:
    """Hold the staff key, then the terminal, until the transaction ends: counting and adding are one act."""
    for key in (f"staff/{attempt_key}", f"terminal/{terminal_id}"):
        await conn.execute(
            "insert into auth.proof_places (key, at) values (%s, %s) on conflict (key) do update set at = excluded.at",
            (key, now),
        )


async def sent(conn: Connection, attempt_key: str, terminal_id: TerminalId, now: datetime) -> Sent:
    """Codes asked for within the windows."""
    row = await (
        await conn.execute(
            """
            select * from
              (select count(*), min(created_at) from auth.proof_challenges
               where attempt_key = %s and created_at > %s) as staff,
              (select count(*), min(created_at) from auth.proof_challenges
               where terminal_id = %s and created_at > %s) as terminal
            """,
            (attempt_key, now - STAFF_WINDOW, terminal_id, now - TERMINAL_WINDOW),
        )
    ).fetchone()
    for_staff, oldest_for_staff, at_terminal, oldest_at_terminal = row or (0, None, 0, None)
    return Sent(
        for_staff=for_staff,
        oldest_for_staff=oldest_for_staff,
        at_terminal=at_terminal,
        oldest_at_terminal=oldest_at_terminal,
    )


async def bound(conn: Connection, attempt_key: str) -> Bound | None:
    """The staff ID behind the key; None where there is none, or it is closed for ever."""
    row = await (
        await conn.execute(
            "select f.staff_id, f.state, c.ends_at, f.phone_sealed from auth.staff f"
            " join auth.credentials c on c.staff_id = f.staff_id where f.staff_id = %s and f.state <> 'CLOSED'",
            (attempt_key,),
        )
    ).fetchone()
    if row is None:
        return None
    return Bound(
        staff_id=StaffId(row[0]), state=StaffState(row[1]), password_ends_at=row[2], phone_sealed=bytes(row[3])
    )


async def insert(conn: Connection, challenge: Challenge, now: datetime) -> None:
    """Add a challenge; one for an unknown staff ID counts in the limits like any."""
    await conn.execute(
        "insert into auth.proof_challenges (challenge_id, attempt_key, staff_id, terminal_id, digest, created_at, expires_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (
            challenge.challenge_id,
            challenge.attempt_key,
            challenge.staff_id,
            challenge.terminal_id,
            challenge.digest,
            now,
            challenge.expires_at,
        ),
    )


async def count_try(conn: Connection, challenge_id: UUID) -> Challenge | None:
    """Count one more try, then say what there is: a try is counted before its code is looked at."""
    row = await (
        await conn.execute(
            "update auth.proof_challenges set tries = tries + 1 where challenge_id = %s returning"
            " challenge_id, attempt_key, staff_id, terminal_id, tries, expires_at, used_at, digest",
            (challenge_id,),
        )
    ).fetchone()
    if row is None:
        return None
    return Challenge(
        challenge_id=row[0],
        attempt_key=row[1],
        staff_id=row[2],
        terminal_id=TerminalId(row[3]),
        tries=row[4],
        expires_at=row[5],
        used_at=row[6],
        digest=bytes(row[7]),
    )


async def mark_met(conn: Connection, challenge_id: UUID, now: datetime) -> None:
    """The right code was given: it is used up."""
    await conn.execute("update auth.proof_challenges set used_at = %s where challenge_id = %s", (now, challenge_id))


async def owner(conn: Connection, challenge_id: UUID) -> tuple[StaffId, TerminalId] | None:
    """Whose proof it is, still good or not, and where it was given."""
    query = "select staff_id, terminal_id from auth.proof_challenges where challenge_id = %s and used_at is not null"
    row = await (await conn.execute(query, (challenge_id,))).fetchone()
    return None if row is None else (StaffId(row[0]), TerminalId(row[1]))


async def use_proof(conn: Connection, challenge_id: UUID, *, met_after: datetime, now: datetime) -> bool:
    """Use the proof up; False if it was used before or its challenge was met too long ago."""
    cursor = await conn.execute(
        "update auth.proof_challenges set proof_used_at = %s"
        " where challenge_id = %s and used_at > %s and proof_used_at is null",
        (now, challenge_id, met_after),
    )
    return cursor.rowcount == 1


async def forget(conn: Connection, before: datetime) -> None:
    """Drop what no limit counts any more."""
    await conn.execute("delete from auth.proof_challenges where created_at < %s", (before,))
    await conn.execute("delete from auth.proof_places where at < %s", (before,))
