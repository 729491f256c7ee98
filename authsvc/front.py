"""The check front: a thin adapter over the decision core. Decides from the snapshot; asks the truth only where it must.

Knows no wire: questions and answers are plain values, so that every server in front of it is as thin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from authsvc.activity import Activity
from authsvc.events import Event, EventType
from authsvc.feeder import Feeder
from authsvc.recorder import AccessRecorder
from infosec.clock import Clock
from infosec.decision.check import MASK_ALL, CheckRequest, Decision
from infosec.decision.decide import decide
from infosec.decision.grants import Grant, GrantMemo
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import DenyReason
from infosec.decision.session import SESSION_KIND, HandleMemo, SessionHandle
from infosec.errors import InfosecError, PermissionDenied, Unauthenticated
from infosec.ids import CARRIER, OperationCode, RegionId, StoreId, SystemId, TerminalId


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The decision, and the ID of its record where one was made."""

    decision: Decision
    record_id: str = ""


class CheckFront:
    """Answers checks. All state is the feeder's snapshot, the memos of verified texts, and which sessions were served."""

    def __init__(
        self,
        feeder: Feeder,
        recorder: AccessRecorder,
        activity: Activity,
        clock: Clock,
        *,
        installation: str,
        customer_digest: Callable[[str], bytes],
        revision_wait: timedelta,
    ) -> None:
        self._feeder = feeder
        self._recorder = recorder
        self._activity = activity
        self._clock = clock
        self._installation = installation
        self._customer_digest = customer_digest
        self._revision_wait = revision_wait
        self._handles = HandleMemo()
        self._grants = GrantMemo()

    async def check(self, question: Question) -> Answer:
        """Decide one question. Every failure of ours is a denial with its reason, never an exception."""
        opened = self._opened(question)
        if isinstance(opened, DenyReason):
            return Answer(decision=_denial(opened))
        handle, request = opened
        decision = self._decide(handle, request)
        if decision.reason in (DenyReason.REVISION_BEHIND, DenyReason.SESSION_IDLE, DenyReason.SNAPSHOT_STALE):
            decision = await self._decided_again(handle, request, decision)
        if not decision.allowed:
            return Answer(decision=decision)
        self._activity.served(handle.session_id, self._clock.now().timestamp())
        if decision.cls is not OperationClass.READ:
            return Answer(decision=decision)
        return await self._recorded(question, handle, request, decision)

    def served(self, token: str, system: SystemId) -> None:
        """A Guard of this system served the session behind the token (ID-9); a token that is no good counts for nothing."""
        try:
            handle = self._handles.open(token, self._feeder.snapshot.keys.get(SESSION_KIND, {}), self._installation)
        except Unauthenticated:
            return
        if handle.system == system:
            self._activity.served(handle.session_id, self._clock.now().timestamp())

    def _opened(self, question: Question) -> tuple[SessionHandle, CheckRequest] | DenyReason:
        keys = self._feeder.snapshot.keys
        try:
            handle = self._handles.open(question.token, keys.get(SESSION_KIND, {}), self._installation)
        except Unauthenticated:
            return DenyReason.TOKEN_INVALID
        grants: tuple[Grant, ...] = ()
        if question.grants:
            try:
                grants = tuple([self._grants.open(text, keys, self._installation) for text in question.grants])
            except PermissionDenied:
                return DenyReason.GRANT_INVALID
        return handle, CheckRequest(
            system=question.system,
            operation=question.operation,
            store=question.store,
            terminal=question.terminal,
            customer=self._customer_digest(question.customer) if question.customer else None,
            product=question.product,
            purpose=question.purpose,
            work_order=question.work_order,
            order=question.order,
            grants=grants,
            at_least=question.at_least,
        )

    def _decide(self, handle: SessionHandle, request: CheckRequest) -> Decision:
        if not self._feeder.is_fresh:  # a clock that was set back must not make an old snapshot look new
            return _denial(DenyReason.SNAPSHOT_STALE)
        return decide(self._feeder.snapshot, handle, request, self._clock.now())

    async def _decided_again(self, handle: SessionHandle, request: CheckRequest, first: Decision) -> Decision:
        """Wait for the revision that was asked for, or ask the truth once whether the session is really idle."""
        try:
            if first.reason is DenyReason.SESSION_IDLE:
                served_s = self._activity.last_served_s(handle.session_id)
                if not await self._feeder.ask_last_seen(handle.session_id, served_s):
                    return first
            else:
                wanted = ((handle.region, handle.revision), *request.at_least)
                if not await self._feeder.reached(wanted, self._revision_wait):
                    return first
        except InfosecError:
            return first  # the truth cannot be asked: the denial stands
        return self._decide(handle, request)

    async def _recorded(
        self, question: Question, handle: SessionHandle, request: CheckRequest, decision: Decision
    ) -> Answer:
        """CI-1: a read is allowed only once its record is in the log."""
        event = Event(
            type=EventType.CHECK_DECIDED,
            at=self._clock.now(),
            region_id=decision.region,
            facts={
                "staff_id": handle.staff_id,
                "session_id": handle.session_id,
                "system_id": handle.system,
                "terminal_id": handle.terminal,
                "store_id": request.store,
                "operation": request.operation,
                "customer": request.customer.hex() if request.customer else None,
                "purpose": request.purpose.value if request.purpose else None,
                "work_order": request.work_order,
                "order_id": request.order,
                "reason": decision.reason.value,
                "revision": decision.region_revision,
                "trace_id": question.trace_id or None,
            },
        )
        try:
            record_id = await self._recorder.record(event)
        except InfosecError:
            return Answer(
                decision=replace(decision, reason=DenyReason.RECORD_UNAVAILABLE, masking=MASK_ALL, grants_used=())
            )
        return Answer(decision=decision, record_id=record_id)


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
    )
