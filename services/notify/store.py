"""The table of messages. Whoever writes opens the transaction; the sealed body leaves it in `claim` alone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infosec.errors import AlreadyExists, NotFound, Reason
from infosec.storage.postgres import Connection
from services.notify.messages import Delivery, DeliveryState, Fault

_COLUMNS = (
    "message_id, template, masked_phone, state, fault, attempts, tries, created_at, updated_at, next_try_at, expires_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that this worker has until its lease ends, with its body still sealed."""

    delivery: Delivery
    sealed: bytes


async def insert(conn: Connection, delivery: Delivery, *, sealed: bytes, digest: bytes) -> None:
    """Take a message. The same message again changes nothing; raises AlreadyExists for another under its ID."""
    taken = await conn.execute(
        f"insert into notify.messages ({_COLUMNS}, sealed, digest)"  # noqa: S608
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (message_id) do nothing",
        (*_values(delivery), sealed, digest),
    )
    if taken.rowcount:
        return
    found = await conn.execute("select digest from notify.messages where message_id = %s", (delivery.message_id,))
    row = await found.fetchone()
    if row is None or bytes(row[0]) != digest:
        raise AlreadyExists(Reason.ALREADY_EXISTS, field="message_id")


async def claim(conn: Connection, now: datetime, *, count: int, lease: timedelta) -> list[Claimed]:
    """Lease at most `count` messages that are due, longest due first, and count the attempt. Safe beside other workers."""
    found = await conn.execute(
        # A common table expression, because a subquery in `where` may be run more than once and then lease too many.
        "with due (id) as (select message_id from notify.messages"  # noqa: S608
        "   where state = 'QUEUED' and next_try_at <= %(now)s and expires_at > %(now)s"
        "   and (leased_until is null or leased_until < clock_timestamp())"
        "   order by next_try_at limit %(count)s for update skip locked)"
        " update notify.messages set attempts = attempts + 1, tries = tries + 1, updated_at = %(now)s,"
        "   leased_until = clock_timestamp() + %(lease)s"
        f" from due where message_id = due.id returning {_COLUMNS}, sealed",
        {"now": now, "lease": lease, "count": count},
    )
    return [Claimed(delivery=_delivery(row[:-1]), sealed=bytes(row[-1])) for row in await found.fetchall()]


async def ending(conn: Connection, now: datetime, *, count: int) -> list[Delivery]:
    """At most `count` messages whose bodies are past their end, locked; those that a worker has are left to it."""
    found = await conn.execute(
        f"select {_COLUMNS} from notify.messages where state in ('QUEUED', 'FAILED') and expires_at <= %s"  # noqa: S608
        " and (leased_until is null or leased_until < clock_timestamp())"
        " order by expires_at limit %s for update skip locked",
        (now, count),
    )
    return [_delivery(row) for row in await found.fetchall()]


async def locked(conn: Connection, message_id: uuid.UUID) -> Delivery:
    """The message, which nobody else can change until the transaction ends. Raises NotFound."""
    found = await conn.execute(
        f"select {_COLUMNS} from notify.messages where message_id = %s for update",  # noqa: S608
        (message_id,),
    )
    return _delivery(_known(await found.fetchone()))


async def save(conn: Connection, delivery: Delivery) -> None:
    """Write what has become of a message and end its lease; its body is destroyed with the state that needs it."""
    await conn.execute(
        "update notify.messages set state = %s, fault = %s, tries = %s, next_try_at = %s, updated_at = %s,"
        " leased_until = null, sealed = case when %s then sealed else ''::bytea end where message_id = %s",
        (
            delivery.state.value,
            delivery.fault.value,
            delivery.tries,
            delivery.next_try_at,
            delivery.updated_at,
            delivery.keeps_body,
            delivery.message_id,
        ),
    )


async def retry_begun(conn: Connection, message_id: uuid.UUID, request_id: uuid.UUID) -> bool:
    """Whether this very call to Retry was the last that began a round for the message."""
    found = await conn.execute("select retry_request_id from notify.messages where message_id = %s", (message_id,))
    return bool(_known(await found.fetchone())[0] == request_id)


async def begin_retry(conn: Connection, message_id: uuid.UUID, request_id: uuid.UUID) -> None:
    """Remember the call that begins a round."""
    await conn.execute(
        "update notify.messages set retry_request_id = %s where message_id = %s", (request_id, message_id)
    )


async def find(conn: Connection, message_ids: Sequence[uuid.UUID]) -> list[Delivery]:
    """The messages in the order asked for; unknown ones are left out."""
    found = await conn.execute(
        f"select {_COLUMNS} from notify.messages where message_id = any(%s)",  # noqa: S608
        (list(message_ids),),
    )
    known = {row[0]: _delivery(row) for row in await found.fetchall()}
    return [known[message_id] for message_id in message_ids if message_id in known]


async def dead(conn: Connection, *, before: tuple[datetime, uuid.UUID] | None, count: int) -> list[Delivery]:
    """At most `count` messages that were given up, newest first, older than the one named."""
    found = await conn.execute(
        f"select {_COLUMNS} from notify.messages where state in ('FAILED', 'EXPIRED')"  # noqa: S608
        " and (%(at)s::timestamptz is null or (created_at, message_id) < (%(at)s::timestamptz, %(id)s::uuid))"
        " order by created_at desc, message_id desc limit %(count)s",
        {"at": before and before[0], "id": before and before[1], "count": count},
    )
    return [_delivery(row) for row in await found.fetchall()]


def _known(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise NotFound(Reason.NOT_FOUND, field="message_id")
    return row


def _values(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.message_id,
        delivery.template,
        delivery.masked_phone,
        delivery.state.value,
        delivery.fault.value,
        delivery.attempts,
        delivery.tries,
        delivery.created_at,
        delivery.updated_at,
        delivery.next_try_at,
        delivery.expires_at,
    )


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        message_id=row[0],
        template=row[1],
        masked_phone=row[2],
        state=DeliveryState(row[3]),
        fault=Fault(row[4]),
        attempts=row[5],
        tries=row[6],
        created_at=row[7],
        updated_at=row[8],
        next_try_at=row[9],
        expires_at=row[10],
    )
