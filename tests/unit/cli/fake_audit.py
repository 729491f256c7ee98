"""The audit service in memory: entries in small pages, acts that take two people, logs that show what a test says."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.audit.v1 import admin_pb2, read_pb2
from infosec.errors import FailedPrecondition, InvalidInput, NotFound, PermissionDenied, Reason, Unauthenticated
from infosec.secret import Secret
from infosec.transparency.merkle import leaf_hash
from tests.sim.audit_log import SimLog

PAGE = 2
"""Whatever is asked for: a client follows the tokens."""
NUMBER = "13911112222"
SUBJECT = str(uuid.UUID(int=7))
NOW = Timestamp(seconds=int(datetime(2026, 3, 2, 1, 30, tzinfo=UTC).timestamp()))


def assertion(staff_id: str, *, stepped_up: bool) -> str:
    return f"marker-assertion/{staff_id}/{stepped_up}"


def person_of(shown: Secret, *, step_up: bool = False) -> str:
    """Who an assertion names. Raises as the service does."""
    mark, _, rest = shown.reveal().partition("/")
    staff_id, _, stepped_up = rest.partition("/")
    if mark != "marker-assertion":
        raise Unauthenticated(Reason.TOKEN_INVALID)
    if step_up and stepped_up != "True":
        raise PermissionDenied(Reason.STEP_UP_REQUIRED)
    return staff_id


def entry_of(body: bytes, index: int, log: str = "east") -> read_pb2.Entry:
    return read_pb2.Entry(log_id=log, index=index, leaf_hash=leaf_hash(body), body=body)


@dataclass
class FakeAuditRead:
    """AuditReadService. `logs_shown` are logs as they are; `shows` is a checkpoint to show in their place."""

    entries: list[read_pb2.Entry] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    logs_shown: list[SimLog] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)
    """Shown before that of the log, one for each time it is asked for."""
    proof_refusal: Exception | None = None

    async def query(self, shown: Secret, wanted: read_pb2.Filter, **given: Any) -> read_pb2.QueryResponse:
        self.readers.append(person_of(shown))
        self.asked.append((wanted, given))
        found, more = self._page(given["page_token"], given["page_size"])
        return read_pb2.QueryResponse(entries=found, next_page_token=more)

    async def who_accessed(self, shown: Secret, customer: Secret, **given: Any) -> read_pb2.WhoAccessedResponse:
        self.readers.append(person_of(shown))
        self.asked.append((customer.reveal(), given))
        found, more = self._page(given["page_token"], given["page_size"])
        return read_pb2.WhoAccessedResponse(entries=found, next_page_token=more)

    async def logs(self) -> Sequence[read_pb2.Log]:
        return [
            read_pb2.Log(
                log_id=log.log_id,
                origin=log.origin,
                size=len(log.entries),
                verifier_keys=[log.signer.key.vkey()],
            )
            for log in self.logs_shown
        ]

    async def checkpoint(self, log_id: str, *, at_least_size: int = 0) -> bytes:
        if self.checkpoints:
            return self.checkpoints.pop(0)
        return self._log(log_id).note(at=datetime.now(UTC))

    async def consistency_proof(self, log_id: str, *, old_size: int, new_size: int) -> Sequence[bytes]:
        if self.proof_refusal is not None:
            raise self.proof_refusal
        return self._log(log_id).consistency(old_size, new_size)

    def _log(self, log_id: str) -> SimLog:
        for log in self.logs_shown:
            if log.log_id == log_id:
                return log
        raise NotFound(Reason.NOT_FOUND)

    def _page(self, token: str, size: int) -> tuple[list[read_pb2.Entry], str]:
        start = int(token or 0)
        after = start + min(PAGE, size)
        return self.entries[start:after], str(after) if after < len(self.entries) else ""


@dataclass
class FakeAuditAdmin:
    """AuditAdminService. `ends` is the state that a confirmed act comes to."""

    acts_kept: list[admin_pb2.Act] = field(default_factory=list)
    holds_kept: list[admin_pb2.Hold] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)
    ends: admin_pb2.ActState.ValueType = admin_pb2.ACT_STATE_DONE

    async def erase_subject(self, shown: Secret, customer: Secret, *, reason: str) -> admin_pb2.Act:
        person = person_of(shown, step_up=True)
        self.customers.append(customer.reveal())
        return self._proposed(admin_pb2.ACT_KIND_ERASE_SUBJECT, person, reason, subject_id=SUBJECT)

    async def place_hold(self, shown: Secret, customer: Secret, *, reason: str) -> admin_pb2.Hold:
        self.customers.append(customer.reveal())
        hold = admin_pb2.Hold(
            hold_id=f"4b0c{len(self.holds_kept):04}-0000-4000-8000-000000000000",
            subject_id=SUBJECT,
            reason=reason,
            placed_by=person_of(shown),
            placed_at=NOW,
        )
        self.holds_kept.append(hold)
        return hold

    async def release_hold(self, shown: Secret, hold_id: str, *, reason: str) -> admin_pb2.Act:
        person = person_of(shown, step_up=True)
        return self._proposed(admin_pb2.ACT_KIND_RELEASE_HOLD, person, reason, hold_id=hold_id)

    async def holds(self, shown: Secret, *, active_only: bool, **_: object) -> admin_pb2.ListHoldsResponse:
        person_of(shown)
        kept = [hold for hold in self.holds_kept if not (active_only and hold.released_by)]
        return admin_pb2.ListHoldsResponse(holds=kept)

    async def apply_retention(self, shown: Secret, *, reason: str, dry_run: bool) -> admin_pb2.ApplyRetentionResponse:
        person = person_of(shown, step_up=not dry_run)
        if not reason:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="reason")
        counts = admin_pb2.RetentionCounts(payloads=300, entries=256, held=2)
        if dry_run:
            return admin_pb2.ApplyRetentionResponse(counts=counts)
        act = self._proposed(admin_pb2.ACT_KIND_APPLY_RETENTION, person, reason, retention=counts)
        return admin_pb2.ApplyRetentionResponse(act=act, counts=counts)

    async def confirm_act(self, shown: Secret, act_id: str) -> admin_pb2.Act:
        person, act = person_of(shown, step_up=True), self._open(act_id)
        if act.proposed_by == person:
            raise PermissionDenied(Reason.SELF_DECISION)
        return self._decided(act, person, self.ends)

    async def withdraw_act(self, shown: Secret, act_id: str, *, reason: str) -> admin_pb2.Act:
        return self._decided(self._open(act_id), person_of(shown), admin_pb2.ACT_STATE_WITHDRAWN)

    async def acts(
        self, shown: Secret, *, open_only: bool, page_size: int, page_token: str
    ) -> admin_pb2.ListActsResponse:
        person_of(shown)
        kept = [one for one in self.acts_kept if not open_only or one.state == admin_pb2.ACT_STATE_PROPOSED]
        return admin_pb2.ListActsResponse(acts=kept)

    async def record_finding(self, shown: Secret, **given: Any) -> str:
        self.findings.append((person_of(shown), given))
        return "e-1"

    def _proposed(self, kind: admin_pb2.ActKind.ValueType, person: str, reason: str, **more: Any) -> admin_pb2.Act:
        act = admin_pb2.Act(
            act_id=f"ac7{len(self.acts_kept):05}-0000-4000-8000-000000000000",
            kind=kind,
            state=admin_pb2.ACT_STATE_PROPOSED,
            reason=reason,
            proposed_by=person,
            proposed_at=NOW,
            expires_at=NOW,
            **more,
        )
        self.acts_kept.append(act)
        return act

    def _open(self, act_id: str) -> admin_pb2.Act:
        for act in self.acts_kept:
            if act.act_id == act_id:
                if act.state != admin_pb2.ACT_STATE_PROPOSED:
                    raise FailedPrecondition(Reason.REQUEST_CLOSED)
                return act
        raise NotFound(Reason.NOT_FOUND, field="act_id")

    def _decided(self, act: admin_pb2.Act, person: str, state: admin_pb2.ActState.ValueType) -> admin_pb2.Act:
        act.state, act.decided_by = state, person
        act.decided_at.CopyFrom(NOW)
        return act
