"""Decides in the caller's process, from a snapshot that follows the centre for the caller's own stores.

What needs a customer's digest, a grant or a record first (every `read`) is asked at the centre. Stale, it denies. What it
decides itself is in a durable queue before it is answered, and what cannot be put there is denied (CI-1).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.check_events import check_event
from infosec.client.calls import SecretText
from infosec.client.check import Asks
from infosec.client.guard_journal import GuardDelivery, Recorder
from infosec.decision.check import CheckRequest, Decision, Mode, denied_unasked, unrecorded
from infosec.decision.decide import decide
from infosec.decision.operations import OperationClass
from infosec.decision.reasons import DenyReason
from infosec.decision.session import SESSION_KIND, HandleMemo, SessionHandle
from infosec.decision.snapshot import EMPTY, Changes, Snapshot
from infosec.errors import Aborted, InfosecError, Reason, Unauthenticated
from infosec.events.event import Event
from infosec.ids import RegionId, StoreId, SystemId, TerminalId, node_id, operation_code
from infosec.journal import MAX_BYTES, DecisionJournal
from infosec.messages import Locale
from infosec.private_files import private_directory
from infosec.rpc import decision_codec, snapshot_codec

_ANY_CUSTOMER = b"\x00" * 32
"""Stands for a named customer where the answer does not depend on which; the digest's key is not here."""
_ASK_CENTRE = frozenset(
    {
        DenyReason.REQUIREMENTS_MISSING,
        DenyReason.CUSTOMER_NOT_ASSIGNED,
        DenyReason.CUSTOMER_NOT_LISTED,
        DenyReason.SESSION_IDLE,
        DenyReason.REVISION_BEHIND,
    }
)
_NO_KEYS: dict[str, bytes] = {}
_RECONNECT_S = 0.5
_REVISION_WAIT_S = 0.25
_LONGEST_OPENING_S = 1.0
"""A stream that took longer to open is opened again: by so much its messages may be older than they look."""
_REPORT_AT_ONCE = 2000
_TOO_OLD_S = 3600
"""A use so long ago keeps no session alive."""
_LAST_DELIVERY_S = 2.0
"""How long the end of a Guard waits for the audit service; what is left then, the next process delivers."""
_OURSELVES = SystemId("self")
"""Until the centre has told our name. The audit service knows it from the certificate."""


class Centre(Protocol):
    """What a Guard needs of CheckService; infosec.client.check.CheckClient is one."""

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """The centre's answer. Raises InfosecError."""
        ...

    def watch_snapshot(self) -> AsyncIterator[pb.WatchSnapshotResponse]:
        """The whole view, then changes, until the connection breaks. Raises InfosecError."""
        ...

    async def report_activity(self, tokens: Sequence[SecretText], *, seconds_ago: int) -> None:
        """Tell which sessions were served, and how long ago at most. Raises InfosecError."""
        ...


class _Now:
    """The caller's clock, as a Clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now


class Guard(Asks):
    """Local decisions. `async with guard.running():` follows the centre and waits for the first snapshot."""

    def __init__(
        self,
        centre: Centre,
        audit: Recorder,
        *,
        spool_dir: Path,
        max_spool_bytes: int = MAX_BYTES,
        locale: Locale = Locale.ZH_CN,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        report_every_s: float = 30.0,
    ) -> None:
        """`connection.check` and `connection.audit`.

        `spool_dir` keeps the decisions that are not in the log yet (CI-1): a directory of this account alone, on a disk that
        outlives the process; all Guards of a machine may share it. With `max_spool_bytes` undelivered it denies. Raises
        Misconfigured or Unavailable where nothing can be kept there. `close` it, or use `running`.
        """
        private_directory(spool_dir)
        self._journal = DecisionJournal(spool_dir, GuardDelivery(audit), _Now(now), max_bytes=max_spool_bytes)
        self.snapshot: Snapshot = EMPTY
        self._centre = centre
        self._locale = locale
        self._now = now
        self._report_every_s = report_every_s
        self._installation = ""
        self._system = SystemId("")
        self._handles = HandleMemo()
        self._confirmed_at = float("-inf")
        self._moved = asyncio.Condition()
        self._served: set[str] = set()
        self._served_since = time.monotonic()
        self._unreported: list[tuple[float, list[str]]] = []

    @property
    def is_fresh(self) -> bool:
        """Confirmed by the centre within the staleness bound, by a clock that nobody sets."""
        return time.monotonic() - self._confirmed_at <= self.snapshot.limits.staleness_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Guard]:
        """Runs while the block does; the block begins with a fresh snapshot. At its end the last uses are reported, and the
        last decisions delivered; a Guard runs once.
        """
        task = asyncio.create_task(self.run())
        ready = asyncio.create_task(self.ready())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield self
        finally:
            try:
                ready.cancel()
                if not task.done():
                    await self.settle()
                task.cancel()
                await asyncio.gather(task, ready, return_exceptions=True)
                await self.report()
            finally:
                self.close()

    async def run(self) -> None:
        """Follow the centre, deliver what was decided and report activity, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._report_for_ever())
            group.create_task(self._journal.run())

    @property
    def undelivered(self) -> int:
        """Decisions that are in the spool and not in the log yet."""
        return self._journal.backlog().count

    async def settle(self, within_s: float = _LAST_DELIVERY_S) -> None:
        """Wait until everything that was decided is in the log, but not long. `run` must be running."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._journal.drained()

    def close(self) -> None:
        """Let go of the spool: from now on everything is denied. What is undelivered the next process delivers."""
        self._journal.close()

    async def ready(self) -> None:
        """Wait until there is a fresh snapshot."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.is_fresh)

    async def ask(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """Decide one operation, here where it can be. Raises what the centre's Check raises."""
        local = CheckRequest(
            system=self._system,
            operation=operation_code(request.operation),
            store=StoreId(node_id(request.store_id, "store_id")),
            terminal=TerminalId(node_id(request.terminal_id, "terminal_id")),
            customer=_ANY_CUSTOMER if request.customer else None,
            purpose=decision_codec.PURPOSES.get(request.purpose),
            work_order=request.work_order or None,
            at_least=tuple([(RegionId(entry.region_id), entry.number) for entry in request.at_least]),
        )
        try:
            handle = self._handles.open(
                request.token, self.snapshot.keys.get(SESSION_KIND, _NO_KEYS), self._installation
            )
        except Unauthenticated:
            reason = DenyReason.TOKEN_INVALID if self.is_fresh else DenyReason.SNAPSHOT_STALE
            return self._answered(request, local, None, denied_unasked(reason, mode=Mode.GUARD))
        decision = await self._decided(handle, local)
        if self._is_for_the_centre(handle, request, decision):
            return await self._asked(handle, request)
        return self._answered(request, local, handle, decision)

    def _answered(
        self, request: pb.CheckRequest, local: CheckRequest, handle: SessionHandle | None, decision: Decision
    ) -> pb.CheckResponse:
        """CI-1: what is decided is in a durable queue before it is answered, and what cannot be is denied."""
        event = self._event(request, local, handle, decision)
        try:
            if decision.allowed:
                self._journal.allowed(event, request.customer)
            else:
                self._journal.denied(local.system, event, request.customer)
        except InfosecError:
            if decision.allowed:
                decision = unrecorded(decision, self._now().timestamp())
        if decision.allowed:
            self._served.add(request.token)
        return decision_codec.response(decision, self._locale)

    def _event(
        self, request: pb.CheckRequest, local: CheckRequest, handle: SessionHandle | None, decision: Decision
    ) -> Event:
        return check_event(
            decision,
            snapshot=self.snapshot,
            handle=handle,
            store=local.store,
            at=self._now(),
            system_id=local.system or _OURSELVES,
            terminal_id=local.terminal,
            operation=local.operation,
            purpose=local.purpose.value if local.purpose else None,
            work_order=local.work_order,
            order_id=request.order_id or None,
            trace_id=request.trace_id or None,
        )

    def _is_for_the_centre(self, handle: SessionHandle, request: pb.CheckRequest, decision: Decision) -> bool:
        if decision.reason is DenyReason.SNAPSHOT_STALE:
            return False
        if decision.reason in _ASK_CENTRE or (decision.allowed and decision.cls is OperationClass.READ):
            return True
        # Grants are verified at the centre alone; a use after a long pause has to be known to all nodes at once (ID-9).
        return decision.allowed and (bool(request.grants) or self._used_long_ago(handle))

    async def _asked(self, handle: SessionHandle, request: pb.CheckRequest) -> pb.CheckResponse:
        asked_s = self._now().timestamp()
        answer = await self._centre.ask(request)
        session = self.snapshot.sessions.get(handle.session_id)
        if answer.allowed and session is not None and session.last_seen_s < asked_s:
            # The centre knows of this use: here the session is not idle either.
            used = replace(session, last_seen_s=asked_s)
            self.snapshot = self.snapshot.with_changes(Changes(sessions={handle.session_id: used}))
        return answer

    def _used_long_ago(self, handle: SessionHandle) -> bool:
        limits, session = self.snapshot.limits, self.snapshot.sessions.get(handle.session_id)
        return session is not None and (
            self._now().timestamp() > session.last_seen_s + limits.idle_s - limits.idle_grace_s
        )

    async def _decided(self, handle: SessionHandle, request: CheckRequest) -> Decision:
        decision = self._decide(handle, request)
        if decision.reason is DenyReason.REVISION_BEHIND:
            await self._reached(((handle.region, handle.revision), *request.at_least))
            decision = self._decide(handle, request)
        return decision

    def _decide(self, handle: SessionHandle, request: CheckRequest) -> Decision:
        if not self.is_fresh:
            return denied_unasked(DenyReason.SNAPSHOT_STALE, mode=Mode.GUARD)
        return decide(self.snapshot, handle, request, self._now(), mode=Mode.GUARD)

    async def _reached(self, wanted: Sequence[tuple[RegionId, int]]) -> None:
        """Wait for these revisions, but not long."""

        def there() -> bool:
            known = self.snapshot.revisions
            return all(known.get(region, -1) >= number for region, number in wanted)

        try:
            async with asyncio.timeout(_REVISION_WAIT_S), self._moved:
                await self._moved.wait_for(there)
        except TimeoutError:
            return

    async def _follow(self) -> None:
        while True:
            wait_s = _RECONNECT_S
            with suppress(InfosecError):  # the snapshot goes stale by itself, and then denies
                wait_s = await self._follow_one_stream()
            await asyncio.sleep(wait_s)

    async def _follow_one_stream(self) -> float:
        """Take its messages until it ends; how long to wait before the next. Raises InfosecError.

        The first message was made after the stream was opened. From that one moment the age of every later one follows,
        by two clocks that nobody sets, however long it lay in a buffer on its way.
        """
        opened_at = time.monotonic()
        offset_s: float | None = None
        stream: Any = self._centre.watch_snapshot()
        try:
            async for message in stream:
                if offset_s is None:
                    is_late = time.monotonic() - opened_at > _LONGEST_OPENING_S
                    offset_s = opened_at - (message.age_ms + message.read_at_ms) / 1000
                    await self._take(message, offset_s)
                    if is_late:
                        return 0.0
                else:
                    await self._take(message, offset_s)
        finally:
            await stream.aclose()
        return _RECONNECT_S

    async def _take(self, message: pb.WatchSnapshotResponse, offset_s: float) -> None:
        """Raises Aborted for a view that knows less than we do: what was revoked must not return."""
        confirmed_at = message.read_at_ms / 1000 + offset_s
        as_of_s = self._now().timestamp() - (time.monotonic() - confirmed_at)
        revisions = {RegionId(entry.region_id): entry.number for entry in message.revisions}
        changes = snapshot_codec.decode(message.body, revisions, as_of_s)
        if message.is_whole:
            self._refuse_older(revisions, confirmed_at)
            self.snapshot = EMPTY.with_changes(changes)
        else:
            self.snapshot = self.snapshot.with_changes(changes)
        self._installation, self._system = message.installation, SystemId(message.system_id)
        self._confirmed_at = confirmed_at
        async with self._moved:
            self._moved.notify_all()

    def _refuse_older(self, revisions: dict[RegionId, int], confirmed_at: float) -> None:
        """A node that lags behind the one before it is refused. Read later than all that we know, it is not that node
        which went back but the truth: a backup was restored.
        """
        if confirmed_at - self._confirmed_at > self.snapshot.limits.staleness_s:
            return
        if any(revisions.get(region, 0) < number for region, number in self.snapshot.revisions.items()):
            raise Aborted(Reason.STATE_CONFLICT, detail="older than the snapshot")

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._report_every_s)
            await self.report()

    async def report(self) -> None:
        """Tell the centre now which sessions were served. What it could not be told is told the next time, with its age."""
        if self._served:
            tokens = sorted(self._served)
            pieces = [tokens[start : start + _REPORT_AT_ONCE] for start in range(0, len(tokens), _REPORT_AT_ONCE)]
            self._unreported += [(self._served_since, piece) for piece in pieces]
        self._served, self._served_since = set(), time.monotonic()
        while self._unreported:
            since, tokens = self._unreported[0]
            seconds_ago = int(time.monotonic() - since) + 1
            if seconds_ago <= _TOO_OLD_S:
                try:
                    await self._centre.report_activity(tokens, seconds_ago=seconds_ago)
                except InfosecError:
                    return
            self._unreported.pop(0)
