"""What a failure becomes at the command line: an exit code and a message on stderr. Never a traceback.

Exit codes: 0 ok, 1 usage, 2 server or network, 3 not found, 4 denied, 5 pending approval, 6 conflict,
7 not verified (`infosec audit verify`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import TextIO

from infosec.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InfosecError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Reason,
    Unauthenticated,
)
from infosec.messages import TEXTS, Locale, Text, fill, localized, violations


class ExitCode(IntEnum):
    """What the process answers its caller."""

    OK = 0
    USAGE = 1
    SERVER = 2
    NOT_FOUND = 3
    DENIED = 4
    PENDING = 5
    CONFLICT = 6
    NOT_VERIFIED = 7
    INTERRUPTED = 130


_BY_CLASS: Mapping[type[InfosecError], ExitCode] = {
    InvalidInput: ExitCode.USAGE,
    Unauthenticated: ExitCode.DENIED,
    PermissionDenied: ExitCode.DENIED,
    NotFound: ExitCode.NOT_FOUND,
    AlreadyExists: ExitCode.CONFLICT,
    FailedPrecondition: ExitCode.CONFLICT,
    Aborted: ExitCode.CONFLICT,
}
_BY_REASON: Mapping[Reason, ExitCode] = {
    # Interrupted on the server's side: nothing to decide again, only to try again.
    Reason.ATTEMPT_DISCARDED: ExitCode.SERVER,
    Reason.ALREADY_RUNNING: ExitCode.CONFLICT,
    Reason.ALREADY_INITIALISED: ExitCode.CONFLICT,
}
_NEXT: Mapping[Reason, Text] = {
    Reason.TOKEN_INVALID: Text("下一步：infosec login 工号", "Next: infosec login STAFF_ID"),
    Reason.SESSION_ENDED: Text("下一步：infosec login 工号", "Next: infosec login STAFF_ID"),
    Reason.SESSION_LOCKED: Text("下一步：infosec session resume", "Next: infosec session resume"),
    Reason.SESSION_RESTRICTED: Text(
        "下一步：infosec password change 或 infosec totp enroll",
        "Next: infosec password change, or infosec totp enroll",
    ),
    Reason.STEP_UP_REQUIRED: Text("下一步：infosec step-up", "Next: infosec step-up"),
    Reason.LOGIN_REFUSED: Text(
        "申请解锁：infosec request submit unlock 工号", "To ask for an unlock: infosec request submit unlock STAFF_ID"
    ),
    Reason.PEER_UNAVAILABLE: Text(
        "请检查服务是否在运行，以及 --address 是否正确。", "Check that the server runs, and that --address is right."
    ),
}


class Told(InfosecError):
    """A refusal by the command line itself, in its own words."""

    def __init__(self, reason: Reason, text: Text, *, exit_code: ExitCode, violations: tuple[str, ...] = ()) -> None:
        super().__init__(reason, violations=violations)
        self.text = text
        self.exit_code = exit_code


def usage(zh: str, en: str) -> Told:
    """The command was given wrongly; the words say what to do."""
    return Told(Reason.INVALID_ARGUMENT, Text(zh, en), exit_code=ExitCode.USAGE)


def exit_code(error: InfosecError) -> ExitCode:
    """How the process ends because of `error`; what is not the caller's doing is the server's."""
    if isinstance(error, Told):
        return error.exit_code
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    return next((_BY_CLASS[cls] for cls in type(error).__mro__ if cls in _BY_CLASS), ExitCode.SERVER)


def report(error: InfosecError, *, locale: Locale, as_json: bool, to: TextIO) -> None:
    """Write what happened and what to do next."""
    to.write((_as_json(error, locale) if as_json else _as_text(error, locale)) + "\n")


def _message(error: InfosecError, locale: Locale) -> str:
    return error.text.in_(locale) if isinstance(error, Told) else localized(error, locale)


def _as_json(error: InfosecError, locale: Locale) -> str:
    return json.dumps(
        {
            "reason": error.reason.value,
            "message": _message(error, locale),
            "details": error.details,
            "retry_after_s": error.retry_after.total_seconds() if error.retry_after is not None else None,
            "violations": list(error.violations),
        },
        ensure_ascii=False,
    )


def _as_text(error: InfosecError, locale: Locale) -> str:
    lines = [_message(error, locale)]
    if len(error.violations) > 1 and not isinstance(error, Told):
        # Each on a line of its own, not in the sentence.
        lines = [fill(TEXTS[error.reason].in_(locale), error.details)]
    if len(error.violations) > 1 or isinstance(error, Told):
        lines += [f"  - {violation}" for violation in violations(error, locale)]
    if error.reason in _NEXT and not isinstance(error, Told):
        lines.append(_NEXT[error.reason].in_(locale))
    return "\n".join(_printable(line) for line in lines)


def _printable(line: str) -> str:
    """Without control characters: what comes from afar must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in line)
