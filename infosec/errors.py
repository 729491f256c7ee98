"""The one error tree. Every failure that leaves a part of the suite is one of these, with a reason from a closed list.

Knows nothing of gRPC: infosec.rpc.status maps the classes to statuses; infosec.messages has the words.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class Reason(StrEnum):
    """Why a call was refused. Closed: mirrors enum ErrorReason in common/v1/errors.proto, and a test compares them."""

    # the caller's input
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PASSWORD_REJECTED = "PASSWORD_REJECTED"  # noqa: S105
    FILE_REJECTED = "FILE_REJECTED"
    # who is calling
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    CALLER_NOT_ALLOWED = "CALLER_NOT_ALLOWED"
    CALLER_OUT_OF_PLACE = "CALLER_OUT_OF_PLACE"
    LOGIN_REFUSED = "LOGIN_REFUSED"
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105
    SESSION_ENDED = "SESSION_ENDED"
    SESSION_LOCKED = "SESSION_LOCKED"
    SESSION_RESTRICTED = "SESSION_RESTRICTED"
    # what they may do
    NOT_PERMITTED = "NOT_PERMITTED"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    SELF_DECISION = "SELF_DECISION"
    PROTECTED_FIELD = "PROTECTED_FIELD"
    PROOF_REFUSED = "PROOF_REFUSED"
    # the state of things
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    STATE_CONFLICT = "STATE_CONFLICT"
    REQUEST_CLOSED = "REQUEST_CLOSED"
    GRANT_INVALID = "GRANT_INVALID"
    GRANT_BOUND = "GRANT_BOUND"
    NO_APPROVER = "NO_APPROVER"
    # what we cannot do now
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    ATTEMPT_DISCARDED = "ATTEMPT_DISCARDED"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    PEER_UNAVAILABLE = "PEER_UNAVAILABLE"
    RECORD_UNAVAILABLE = "RECORD_UNAVAILABLE"
    SNAPSHOT_STALE = "SNAPSHOT_STALE"
    REVISION_AHEAD = "REVISION_AHEAD"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    # a server-side command or start-up
    CONFIGURATION = "CONFIGURATION"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    ALREADY_INITIALISED = "ALREADY_INITIALISED"


class InfosecError(Exception):
    """A failure with a reason. `details` are short, public facts (a field's name, a limit): never a secret, never driver text.

    `retry_after` is set where the same call may succeed later.
    """

    def __init__(
        self, reason: Reason, *, retry_after: timedelta | None = None, violations: tuple[str, ...] = (), **details: str
    ) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.retry_after = retry_after
        self.violations = violations
        """Every unmet requirement, for PASSWORD_REJECTED and FILE_REJECTED: all at once (ID-2)."""
        self.details = details

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.reason}({facts})" if facts else self.reason.value


class InvalidInput(InfosecError):
    """The call itself is wrong and will stay wrong."""


class Unauthenticated(InfosecError):
    """We do not know who this is, or will not say."""


class PermissionDenied(InfosecError):
    """Known, and not allowed."""


class NotFound(InfosecError):
    """No such thing, or not one that the caller may see."""


class AlreadyExists(InfosecError):
    """The name is taken."""


class FailedPrecondition(InfosecError):
    """Not in this state; somebody has to do something else first."""


class Aborted(InfosecError):
    """Lost against somebody else's change; read again and decide again."""


class ResourceExhausted(InfosecError):
    """Too much at once; `retry_after` says when."""


class Unavailable(InfosecError):
    """Something that we need is not there now. Nothing was done."""


class DeadlineExceeded(InfosecError):
    """The time for the call ran out."""


class Unimplemented(InfosecError):
    """No such method here."""


class Internal(InfosecError):
    """A fault of ours; its text stays with us, in the log."""


class Misconfigured(InfosecError):
    """A server cannot start as told; `details` name the key and what to do."""
