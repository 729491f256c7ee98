"""Writes that a caller may send again: carried out once, and answered from what was kept (design, section 4).

The claim, the write and what is kept commit together. Knows no message: the wire says what makes two calls the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from authsvc.store.retries import TransactionRetries
from authsvc.work import Work, Works
from infosec.ids import RegionId
from infosec.rpc.server.retries import Retry, StoredCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a write answers from."""

    outcome: str
    """What `act` said: the identifier of what was made or changed. Never a secret."""
    revisions: Mapping[RegionId, int]
    """Empty for a repetition."""
    is_repeated: bool


async def once(works: Works, retry: Retry, act: Callable[[Work], Awaitable[str]]) -> Done:
    """Run `act` in a transaction, unless this call was carried out before. Of parallel retries the second waits."""
    async with works.begin() as work:
        retries = TransactionRetries(work.conn, work.now)
        stored = await retries.find(retry.caller, retry.request_id)
        if stored is not None:
            retry.check_same(stored)
            return Done(outcome=stored.outcome.decode(), revisions={}, is_repeated=True)
        outcome = await act(work)
        await retries.keep(
            retry.caller, retry.request_id, StoredCall(fingerprint=retry.fingerprint, outcome=outcome.encode())
        )
    return Done(outcome=outcome, revisions=work.revisions, is_repeated=False)
