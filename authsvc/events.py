"""What happens in authsvc, as audit events. Each is committed with the change that it records (outbox)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from infosec import canonical
from infosec.ids import CARRIER, RegionId

Fact = str | int | bool | None


class EventType(StrEnum):
    """The closed list of what is recorded."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_REFUSED = "login.refused"
    TERMINAL_REFUSED = "terminal.refused"
    STAFF_LOCKED = "staff.locked"
    STAFF_BLACKLISTED = "staff.blacklisted"
    STAFF_CREATED = "staff.created"
    STAFF_UPDATED = "staff.updated"
    STAFF_SUSPENDED = "staff.suspended"
    STAFF_CLOSED = "staff.closed"
    STAFF_IMPORTED = "staff.imported"
    STAFF_REISSUED = "staff.reissued"
    STAFF_REBOUND = "staff.rebound"
    STAFF_MOVED = "staff.moved"
    STAFF_ROLE_CHANGED = "staff.role-changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_REJECTED = "password.rejected"  # noqa: S105
    PASSWORD_DELIVERY = "password.delivery"  # noqa: S105
    TOTP_ENROLLED = "totp.enrolled"
    TOTP_ACTIVATED = "totp.activated"
    STEP_UP_SUCCEEDED = "step-up.succeeded"
    SESSION_ENDED = "session.ended"
    SESSION_LOCKED = "session.locked"
    SESSION_RESUMED = "session.resumed"
    PROOF_SENT = "proof.sent"
    PROOF_GIVEN = "proof.given"
    PROOF_FAILED = "proof.failed"
    REQUEST_SUBMITTED = "request.submitted"
    REQUEST_ESCALATED = "request.escalated"
    REQUEST_APPROVED = "request.approved"
    REQUEST_REJECTED = "request.rejected"
    REQUEST_CANCELLED = "request.cancelled"
    REQUEST_EXPIRED = "request.expired"
    REQUEST_LAPSED = "request.lapsed"
    REQUEST_CARRIED_OUT = "request.carried-out"
    DECISION_REFUSED = "decision.refused"
    GRANT_BOUND = "grant.bound"
    GRANT_RELEASED = "grant.released"
    DIRECTORY_CHANGED = "directory.changed"
    POLICY_CHANGED = "policy.changed"
    CUSTOMERS_ASSIGNED = "customers.assigned"
    CUSTOMERS_UNASSIGNED = "customers.unassigned"
    CHECK_DECIDED = "check.decided"
    CALL_REFUSED = "call.refused"
    PROTECTED_FIELD_REFUSED = "staff.protected-field-refused"
    INSTALLATION_INITIALISED = "installation.initialised"
    BREAK_GLASS_USED = "break-glass.used"
    BREAK_GLASS_REFUSED = "break-glass.refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. Facts are public: IDs, codes, reasons; no password, code, phone or customer."""

    type: EventType
    at: datetime
    region_id: RegionId = CARRIER
    facts: Mapping[str, Fact] = field(default_factory=dict)
    event_id: uuid.UUID = field(default_factory=uuid.uuid4)

    def body(self) -> bytes:
        """Canonical bytes (RFC 8785), the same on every machine."""
        return canonical.encode(
            {
                "type": self.type.value,
                "at": self.at.isoformat(timespec="microseconds"),
                "region": self.region_id,
                "id": str(self.event_id),
                "facts": {name: value for name, value in self.facts.items() if value is not None},
            }
        )
