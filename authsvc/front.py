"""The check front: a thin adapter over the decision core. Decides from the snapshot; asks the truth only where it must.

An allow is made from the snapshot at the moment of the answer: whatever was waited for, the question is decided again after
it, so that no answer is older than what this process knows. Knows no wire: questions and answers are plain values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from authsvc.activity import Activity
from authsvc.feeder import Feeder
from authsvc.journal import Journal
from authsvc.recorder import AccessRecorder
from infosec.check_events import check_event
from infosec.clock import Clock
from infosec.decision.check import CheckRequest, Decision, denied_unasked, unrecorded
from infosec.decision.decide import decide
from infosec.decision.grants import Grant, GrantMemo, order_key
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import DenyReason
from infosec.decision.session import SESSION_KIND, HandleMemo, SessionHandle
from infosec.errors import InfosecError, PermissionDenied, Unauthenticated
from infosec.events.event import Event
from infosec.ids import OperationCode, RegionId, StoreId, SystemId, TerminalId
from infosec.logging import get

_LOG = get(__name__)
_NO_KEYS: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A check as it came, nothing verified yet."""

    system: SystemId
    token: str
    operation: OperationCode
    store: StoreId
    terminal: TerminalId
    customer: str = ""
    purpose: Purpose | None = None
    work_order: str | None = None
    product: str | None = None
    order: str | None = None
    grants: tuple[str, ...] = ()
    at_least: tuple[tuple[RegionId, int], ...] = ()
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision, and the ID of its record where one was made."""

    decision: Decision
    record_id: str = ""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A question whose token and grants were verified."""

    handle: SessionHandle
    request: CheckRequest


@dataclass(frozen=True, slots=True)
class _Judged:
    """A decision on its way into the record; `opened` is None where nothing could be verified."""

    opened: _Opened | None
    decision: Decision
    withdraws: str | None = None
    """The event that says that data was released, when it was not."""


class CheckFront:
    """Answers checks. All state is the feeder's snapshot, the memos of verified texts, and which sessions were served."""

    def __init__(
        self,
        feeder: Feeder,
        recorder: AccessRecorder,
        journal: Journal,
        activity: Activity,
        clock: Clock,
        *,
        installation: str,
        customer_digest: Callable[[str], bytes],
        revision_wait: timedelta,
    ) -> None:
        self._feeder = feeder
        self._recorder = recorder
        self._journal = journal
        self._activity = activity
        self._clock = clock
        self._installation = installation
        self._customer_digest = customer_digest
        self._revision_wait = revision_wait
        self._handles = HandleMemo()
        self._grants = GrantMemo()

    async def check(self, question: Question) -> Answer:
        """Decide one question. Every failure of ours is a denial with its reason, never an exception."""
        judged = self._at_once(question)
        return self._noted(question, judged) if judged is not None else await self._waited(question)

    async def check_all(self, questions: Sequence[Question]) -> list[Answer]:
        """Decide each for itself, in order. What needs no wait is decided when the others have waited."""
        waiting = [index for index, question in enumerate(questions) if self._at_once(question) is None]
        waited = await asyncio.gather(*(self._waited(questions[index]) for index in waiting))
        answers = dict(zip(waiting, waited, strict=True))
        return [answers.get(index) or await self.check(question) for index, question in enumerate(questions)]

    def _at_once(self, question: Question) -> _Judged | None:
        """The decision from what this process knows; None where something has to be waited for."""
        opened = self._opened(question)
        if isinstance(opened, DenyReason):
            return None if self._may_change(opened) else _Judged(None, denied_unasked(opened))
        now = self._clock.now()
        decision = self._decide(opened, now)
        if self._may_change(decision.reason):
            return None
        if decision.allowed and (
            decision.cls is OperationClass.READ or self._used_long_ago(opened.handle, now.timestamp())
        ):
            return None
        return _Judged(opened, decision)

    def _noted(self, question: Question, judged: _Judged) -> Answer:
        """CI-1: what is decided is in a durable queue before it is answered, and what cannot be is denied."""
        decision = judged.decision
        event = self._event(question, judged)
        try:
            if decision.allowed or judged.withdraws is not None:
                # What takes a record back is never counted together with others: each names the one it is about.
                self._journal.allowed(event)
            else:
                self._journal.denied(question.system, event)
        except InfosecError:
            if decision.allowed:
                return Answer(unrecorded(decision, self._clock.now().timestamp()))
        else:
            if decision.allowed and judged.opened is not None:
                self._activity.served(judged.opened.handle.session_id, self._clock.now().timestamp())
        return Answer(decision)

    def served(self, token: str, system: SystemId, seconds_ago: int) -> None:
        """A Guard of this system served the session behind the token (ID-9); a token that is no good counts for nothing."""
        snapshot = self._feeder.snapshot
        try:
            handle = self._handles.open(token, snapshot.keys.get(SESSION_KIND, _NO_KEYS), self._installation)
        except Unauthenticated:
            return
        used_s = self._clock.now().timestamp() - seconds_ago
        if handle.system == system and used_s < handle.expires_s and handle.session_id in snapshot.sessions:
            self._activity.reported(handle.session_id, used_s)

    async def _waited(self, question: Question) -> Answer:
        """As `check`, for a question that may have to wait: for news, for the truth about an idle session, for its record."""
        opened = self._opened(question)
        if isinstance(opened, DenyReason) and self._may_change(opened):
            await self._feeder.read_again(self._revision_wait)
            opened = self._opened(question)
        if isinstance(opened, DenyReason):
            return self._noted(question, _Judged(None, denied_unasked(opened)))
        decision = self._decide(opened)
        if self._may_change(decision.reason):
            decision = await self._decided_again(opened, decision)
        if decision.allowed and self._used_long_ago(opened.handle, self._clock.now().timestamp()):
            decision = await self._use_written(opened)
        judged = _Judged(opened, decision)
        if decision.allowed and decision.cls is OperationClass.READ:
            return await self._recorded(question, judged)
        return self._noted(question, judged)

    def _opened(self, question: Question) -> _Opened | DenyReason:
        keys = self._feeder.snapshot.keys
        try:
            handle = self._handles.open(question.token, keys.get(SESSION_KIND, _NO_KEYS), self._installation)
        except Unauthenticated:
            # Who has not read the keys cannot call a token bad.
            return DenyReason.TOKEN_INVALID if self._feeder.is_fresh else DenyReason.SNAPSHOT_STALE
        grants: tuple[Grant, ...] = ()
        if question.grants:
            try:
                grants = tuple([self._grants.open(text, keys, self._installation) for text in question.grants])
            except PermissionDenied:
                return DenyReason.GRANT_INVALID
        request = CheckRequest(
            system=question.system,
            operation=question.operation,
            store=question.store,
            terminal=question.terminal,
            customer=self._digest_of(question),
            product=question.product,
            purpose=question.purpose,
            work_order=question.work_order,
            order=order_key(question.system, question.order) if question.order else None,
            grants=grants,
            at_least=question.at_least,
        )
        return _Opened(handle, request)

    def _may_change(self, reason: DenyReason) -> bool:
        """Whether this denial may be over in a moment."""
        if reason is DenyReason.SNAPSHOT_STALE:
            return not self._feeder.is_failing
        return reason is DenyReason.REVISION_BEHIND or reason is DenyReason.SESSION_IDLE

    def _decide(self, opened: _Opened, now: datetime | None = None) -> Decision:
        if not self._feeder.is_fresh:  # a clock that was set back must not make an old snapshot look new
            return denied_unasked(DenyReason.SNAPSHOT_STALE)
        return decide(self._feeder.snapshot, opened.handle, opened.request, now or self._clock.now())

    async def _decided_again(self, opened: _Opened, first: Decision) -> Decision:
        """Wait for the revision that was asked for, or ask the truth once whether the session is really idle."""
        handle, request = opened.handle, opened.request
        if first.reason is DenyReason.SESSION_IDLE:
            try:
                self._feeder.seen(handle.session_id, await self._activity.last_use_s(handle.session_id))
            except InfosecError:
                return first  # the truth cannot be asked: the denial stands
        elif first.reason is DenyReason.SNAPSHOT_STALE:
            await self._feeder.read_again(self._revision_wait)
        else:
            await self._feeder.reached(((handle.region, handle.revision), *request.at_least), self._revision_wait)
        return self._decide(opened)

    def _used_long_ago(self, handle: SessionHandle, now_s: float) -> bool:
        """Other nodes may soon take this session for idle (ID-9)."""
        snapshot = self._feeder.snapshot
        limits, session = snapshot.limits, snapshot.sessions.get(handle.session_id)
        if session is None:
            return False
        return now_s > session.last_seen_s + limits.idle_s - limits.idle_grace_s

    async def _use_written(self, opened: _Opened) -> Decision:
        session_id, now_s = opened.handle.session_id, self._clock.now().timestamp()
        try:
            await self._activity.write_now(session_id, now_s)
        except InfosecError as error:
            _LOG.warning("a use is not written yet", reason=error.reason.value)
        else:
            self._feeder.seen(session_id, now_s)
        return self._decide(opened)

    async def _recorded(self, question: Question, judged: _Judged) -> Answer:
        """CI-1: a read is allowed only once its record is in the log, and only if it still is allowed then."""
        opened = judged.opened
        if opened is None:
            raise ValueError("nobody is allowed unopened")
        event = self._event(question, judged)
        try:
            await self._recorder.record(event)
        except InfosecError:
            return self._not_released(question, judged, event)
        except asyncio.CancelledError:
            # Whoever asked has gone, and is answered nothing.
            self._not_released(question, judged, event)
            raise
        again = self._decide(opened)
        if again.allowed:
            self._activity.served(opened.handle.session_id, self._clock.now().timestamp())
            return Answer(again, str(event.event_id))
        # The log says that data was released, and it was not: say so too.
        return self._noted(question, _Judged(opened, again, withdraws=str(event.event_id)))

    def _not_released(self, question: Question, judged: _Judged, event: Event) -> Answer:
        """Denied, and the record may yet be made: the denial follows it into the log."""
        refused = unrecorded(judged.decision, self._clock.now().timestamp())
        return self._noted(question, _Judged(judged.opened, refused, withdraws=str(event.event_id)))

    def _event(self, question: Question, judged: _Judged) -> Event:
        opened = judged.opened
        digest = opened.request.customer if opened is not None else self._digest_of(question)
        return check_event(
            judged.decision,
            snapshot=self._feeder.snapshot,
            handle=opened.handle if opened is not None else None,
            store=question.store,
            at=self._clock.now(),
            system_id=question.system,
            terminal_id=question.terminal,
            operation=question.operation,
            purpose=question.purpose.value if question.purpose else None,
            work_order=question.work_order or None,
            order_id=question.order or None,
            trace_id=question.trace_id or None,
            withdraws=judged.withdraws,
            customer=digest.hex() if digest is not None else None,
        )

    def _digest_of(self, question: Question) -> bytes | None:
        return self._customer_digest(question.customer) if question.customer else None
