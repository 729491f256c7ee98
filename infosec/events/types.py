"""The closed list of what is recorded. `catalogue` says what each of them means and carries."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """What happened. A value is never given another meaning, and never taken away: the log keeps it."""

    # logins and sessions
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_REFUSED = "login.refused"
    TERMINAL_REFUSED = "terminal.refused"
    STEP_UP_SUCCEEDED = "step-up.succeeded"
    SESSION_ENDED = "session.ended"
    SESSION_LOCKED = "session.locked"
    SESSION_RESUMED = "session.resumed"
    PROOF_SENT = "proof.sent"
    PROOF_GIVEN = "proof.given"
    PROOF_FAILED = "proof.failed"
    # staff IDs and what opens them
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
    PROTECTED_FIELD_REFUSED = "staff.protected-field-refused"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_REJECTED = "password.rejected"  # noqa: S105
    PASSWORD_DELIVERY = "password.delivery"  # noqa: S105
    TOTP_ENROLLED = "totp.enrolled"
    TOTP_ACTIVATED = "totp.activated"
    BREAK_GLASS_USED = "break-glass.used"
    BREAK_GLASS_REFUSED = "break-glass.refused"
    # requests and grants
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
    GRANT_REVOKED = "grant.revoked"
    # what the installation is
    INSTALLATION_INITIALISED = "installation.initialised"
    DIRECTORY_CHANGED = "directory.changed"
    POLICY_CHANGED = "policy.changed"
    CUSTOMERS_ASSIGNED = "customers.assigned"
    CUSTOMERS_UNASSIGNED = "customers.unassigned"
    # access
    CHECK_DECIDED = "check.decided"
    CALL_REFUSED = "call.refused"
    # the audit service itself
    AUDIT_QUERIED = "audit.queried"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_SAMPLED = "audit.sampled"
    AUDIT_WHO_ACCESSED = "audit.who-accessed"
    AUDIT_ACT_PROPOSED = "audit.act-proposed"
    AUDIT_ACT_CONFIRMED = "audit.act-confirmed"
    AUDIT_ACT_WITHDRAWN = "audit.act-withdrawn"
    AUDIT_ACT_EXPIRED = "audit.act-expired"
    AUDIT_ACT_BLOCKED = "audit.act-blocked"
    AUDIT_HOLD_PLACED = "audit.hold-placed"
    AUDIT_HOLD_RELEASED = "audit.hold-released"
    AUDIT_SUBJECT_ERASED = "audit.subject-erased"
    AUDIT_RETENTION_APPLIED = "audit.retention-applied"
    AUDIT_FINDING_RECORDED = "audit.finding-recorded"
    AUDIT_KEY_ROTATED = "audit.key-rotated"
    AUDIT_RESTORE_ACCEPTED = "audit.restore-accepted"
    AUDIT_CALL_REFUSED = "audit.call-refused"
    # what store systems tell (CI-7)
    CUSTOMER_VISITED = "customer.visited"
    CODE_SENT = "code.sent"
    CODE_CONFIRMED = "code.confirmed"
    ORDER_COMPLETED = "order.completed"
    ORDER_REVERSED = "order.reversed"
