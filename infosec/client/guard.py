"""Decides in the caller's process, from a snapshot that follows the centre for the caller's own stores.

What needs a customer's digest, a grant or a record (every `read`) is asked at the centre. Stale, it denies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.client.calls import SecretText, revealed
from infosec.decision.check import MASK_ALL, CheckRequest, Decision, Mode
from infosec.decision.decide import decide
from infosec.decision.operations import OperationClass
from infosec.decision.reasons import DenyReason
from infosec.decision.session import SESSION_KIND, HandleMemo, SessionHandle
from infosec.decision.snapshot import EMPTY, Snapshot
from infosec.errors import InfosecError, Unauthenticated
from infosec.ids import CARRIER, RegionId, StoreId, SystemId, TerminalId, node_id, operation_code
from infosec.messages import Locale
from infosec.rpc import decision_codec, snapshot_codec

_ANY_CUSTOMER = b"\x00" * 32
"""Stands for a named customer where the answer does not depend on which; the digest's key is not here."""
_ASK_CENTRE = frozenset(
    {
        DenyReason.REQUIREMENTS_MISSING,
        DenyReason.CUSTOMER_NOT_ASSIGNED,
        DenyReason.CUSTOMER_NOT_LISTED,
        DenyReason.SESSION_IDLE,
    }
)
_RECONNECT_S = 0.5
_REVISION_WAIT_S = 0.25


class Centre(Protocol):
    """What a Guard needs of CheckService; infosec.client.check.CheckClient is one."""

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """The centre's answer. Raises InfosecError."""
        ...

    def watch_snapshot(self) -> AsyncIterator[pb.WatchSnapshotResponse]:
        """The whole view, then changes, until the connection breaks. Raises InfosecError."""
        ...

    async def report_activity(self, tokens: Sequence[str]) -> None:
        """Tell which sessions were served. Raises InfosecError."""
        ...


class Guard:
    """Local decisions. `run()` must be running: `async with guard.running():` does that and waits for the first snapshot."""

    def __init__(
        self,
        centre: Centre,
        *,
        locale: Locale = Locale.ZH_CN,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        report_every_s: float = 30.0,
    ) -> None:
        self.snapshot: Snapshot = EMPTY
        self._centre = centre
        self._locale = locale
        self._now = now
        self._report_every_s = report_every_s
        self._installation = ""
        self._system = SystemId("")
        self._handles = HandleMemo()
        self._least_lag_s = float("inf")
        self._confirmed_at = float("-inf")
        self._moved = asyncio.Condition()
        self._served: set[str] = set()

    @property
    def is_fresh(self) -> bool:
        """Confirmed by the centre within the staleness bound."""
        return time.monotonic() - self._confirmed_at <= self.snapshot.limits.staleness_s

    async def run(self) -> None:
        """Follow the centre and report activity, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._report())

    async def ready(self) -> None:
        """Wait until there is a fresh snapshot."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.is_fresh)

    async def check(
        self,
        token: SecretText,
        operation: str,
        *,
        store: str,
        terminal: str,
        customer: str = "",
        at_least: Sequence[tuple[str, int]] = (),
        request: pb.CheckRequest | None = None,
    ) -> pb.CheckResponse:
        """The answer, made here where it can be. `request` is what the centre is asked; by default just these arguments.

        Raises what the centre's Check raises, and InvalidInput for identifiers that are none.
        """
        text = revealed(token)
        local = CheckRequest(
            system=self._system,
            operation=operation_code(operation),
            store=StoreId(node_id(store, "store_id")),
            terminal=TerminalId(node_id(terminal, "terminal_id")),
            customer=_ANY_CUSTOMER if customer else None,
            at_least=tuple((RegionId(region), number) for region, number in at_least),
        )
        decision = await self._decided(text, local)
        if decision.reason in _ASK_CENTRE or (decision.allowed and decision.cls is OperationClass.READ):
            return await self._centre.ask(request or _as_asked(text, local, customer, at_least))
        if decision.allowed:
            self._served.add(text)
        return decision_codec.response(decision, self._locale)

    async def _decided(self, token: str, request: CheckRequest) -> Decision:
        try:
            keys = self.snapshot.keys.get(SESSION_KIND, {})
            handle = self._handles.open(token, keys, self._installation)
        except Unauthenticated:
            return _denial(DenyReason.TOKEN_INVALID if self.is_fresh else DenyReason.SNAPSHOT_STALE)
        decision = self._decide(handle, request)
        if decision.reason is DenyReason.REVISION_BEHIND and await self._reached(handle, request):
            decision = self._decide(handle, request)
        return decision

    def _decide(self, handle: SessionHandle, request: CheckRequest) -> Decision:
        if not self.is_fresh:
            return _denial(DenyReason.SNAPSHOT_STALE)
        return decide(self.snapshot, handle, request, self._now(), mode=Mode.GUARD)

    async def _reached(self, handle: SessionHandle, request: CheckRequest) -> bool:
        wanted = ((handle.region, handle.revision), *request.at_least)

        def there() -> bool:
            known = self.snapshot.revisions
            return all(known.get(region, -1) >= number for region, number in wanted)

        try:
            async with asyncio.timeout(_REVISION_WAIT_S), self._moved:
                await self._moved.wait_for(there)
        except TimeoutError:
            return there()
        return True

    async def _follow(self) -> None:
        while True:
            try:
                async for message in self._centre.watch_snapshot():
                    await self._take(message)
            except InfosecError:
                pass  # the snapshot goes stale by itself, and then denies
            await asyncio.sleep(_RECONNECT_S)

    async def _take(self, message: pb.WatchSnapshotResponse) -> None:
        """A message that lay in a buffer is as old as it is: the least lag ever seen is the clocks' difference."""
        fresh_at_s = message.fresh_at.ToMicroseconds() / 1e6
        now_s = self._now().timestamp()
        self._least_lag_s = min(self._least_lag_s, now_s - fresh_at_s)
        as_of_s = fresh_at_s + self._least_lag_s
        revisions = {RegionId(entry.region_id): entry.number for entry in message.revisions}
        changes = snapshot_codec.decode(message.body, revisions, as_of_s)
        self.snapshot = (EMPTY if message.is_whole else self.snapshot).with_changes(changes)
        self._installation, self._system = message.installation, SystemId(message.system_id)
        self._confirmed_at = time.monotonic() - max(0.0, now_s - as_of_s)
        async with self._moved:
            self._moved.notify_all()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._report_every_s)
            tokens, self._served = self._served, set()
            if not tokens:
                continue
            try:
                await self._centre.report_activity(sorted(tokens))
            except InfosecError:
                self._served |= tokens  # told next time


def _as_asked(token: str, request: CheckRequest, customer: str, at_least: Sequence[tuple[str, int]]) -> pb.CheckRequest:
    asked = pb.CheckRequest(
        token=token,
        operation=request.operation,
        store_id=request.store,
        terminal_id=request.terminal,
        customer=customer,
    )
    for region, number in at_least:
        asked.at_least.add(region_id=region, number=number)
    return asked


def _denial(reason: DenyReason) -> Decision:
    """A denial made before the decision core could be asked."""
    return Decision(
        reason=reason,
        required=(),
        masking=MASK_ALL,
        cls=None,
        region=CARRIER,
        region_revision=0,
        carrier_revision=0,
        holds_until_s=0,
        grants_used=(),
        mode=Mode.GUARD,
    )
