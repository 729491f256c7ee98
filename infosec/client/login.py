"""LoginService: sessions, and what people do with their own credentials. Nothing that judges a person is repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from infosec.api.auth.v1 import login_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, revealed
from infosec.rpc.deadlines import SLOW_CALL_S
from infosec.secret import Secret

_SERVICE = "/infosec.api.auth.v1.LoginService/"

LOGIN = Method(
    path=_SERVICE + "Login",
    request=pb.LoginRequest,
    response=pb.LoginResponse,
    is_repeatable=False,
    deadline_s=SLOW_CALL_S,
)
ISSUE_TOKEN = Method(
    path=_SERVICE + "IssueToken", request=pb.IssueTokenRequest, response=pb.IssueTokenResponse, is_repeatable=True
)
ISSUE_ASSERTION = Method(
    path=_SERVICE + "IssueAssertion",
    request=pb.IssueAssertionRequest,
    response=pb.IssueAssertionResponse,
    is_repeatable=True,
)
CHANGE_PASSWORD = Method(
    path=_SERVICE + "ChangePassword",
    request=pb.ChangePasswordRequest,
    response=pb.ChangePasswordResponse,
    is_repeatable=False,
    deadline_s=SLOW_CALL_S,
)
STEP_UP = Method(path=_SERVICE + "StepUp", request=pb.StepUpRequest, response=pb.StepUpResponse, is_repeatable=False)
ENROLL_TOTP = Method(
    path=_SERVICE + "EnrollTotp",
    request=pb.EnrollTotpRequest,
    response=pb.EnrollTotpResponse,
    is_repeatable=False,
    deadline_s=SLOW_CALL_S,
)
ACTIVATE_TOTP = Method(
    path=_SERVICE + "ActivateTotp",
    request=pb.ActivateTotpRequest,
    response=pb.ActivateTotpResponse,
    is_repeatable=False,
)
LOCK_SESSION = Method(
    path=_SERVICE + "LockSession", request=pb.LockSessionRequest, response=pb.LockSessionResponse, is_repeatable=True
)
RESUME_SESSION = Method(
    path=_SERVICE + "ResumeSession",
    request=pb.ResumeSessionRequest,
    response=pb.ResumeSessionResponse,
    is_repeatable=False,
    deadline_s=SLOW_CALL_S,
)
LOGOUT = Method(path=_SERVICE + "Logout", request=pb.LogoutRequest, response=pb.LogoutResponse, is_repeatable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """Who acts in a session, signed: what services that do not ask authsvc want with a call. Opaque to its holder."""

    text: Secret
    expires_at: datetime
    """UTC. A later use needs a new one, as does whoever stepped up since (RQ-3)."""


class LoginClient:
    """Every method raises Unauthenticated(LOGIN_REFUSED), and nothing more, for whatever was wrong (ID-7)."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def login(
        self, staff_id: str, password: SecretText, *, terminal_id: str, totp_code: SecretText | None = None
    ) -> pb.LoginResponse:
        """Start a session at a terminal. Aborted(ATTEMPT_DISCARDED): nothing was counted, ask the person again."""
        request = pb.LoginRequest(
            staff_id=staff_id, password=revealed(password), totp_code=revealed(totp_code), terminal_id=terminal_id
        )
        return await self._invoker.unary(LOGIN, request)

    async def issue_token(self, token: SecretText, *, system_id: str) -> str:
        """The token with which another system acts in the same session (ID-9)."""
        request = pb.IssueTokenRequest(token=revealed(token), system_id=system_id)
        return (await self._invoker.unary(ISSUE_TOKEN, request)).token

    async def issue_assertion(self, token: SecretText) -> Assertion:
        """The assertion with which this system shows other services who acts in the session; minutes long."""
        made = await self._invoker.unary(ISSUE_ASSERTION, pb.IssueAssertionRequest(token=revealed(token)))
        return Assertion(text=Secret(made.assertion), expires_at=made.expires_at.ToDatetime(UTC))

    async def change_password(
        self, token: SecretText, *, current: SecretText, new: SecretText
    ) -> pb.ChangePasswordResponse:
        """Replace the password. InvalidInput(PASSWORD_REJECTED) has every unmet requirement in `violations` (ID-2)."""
        request = pb.ChangePasswordRequest(
            token=revealed(token), current_password=revealed(current), new_password=revealed(new)
        )
        return await self._invoker.unary(CHANGE_PASSWORD, request)

    async def step_up(self, token: SecretText, totp_code: SecretText) -> pb.StepUpResponse:
        """Prove the second factor again; serves five minutes of decisions (RQ-3)."""
        return await self._invoker.unary(
            STEP_UP, pb.StepUpRequest(token=revealed(token), totp_code=revealed(totp_code))
        )

    async def enroll_totp(
        self, token: SecretText, password: SecretText, *, totp_code: SecretText | None = None
    ) -> Secret:
        """A new TOTP secret as otpauth:// URI, shown this once. `totp_code` is of the device in use, if there is one."""
        request = pb.EnrollTotpRequest(
            token=revealed(token), password=revealed(password), totp_code=revealed(totp_code)
        )
        return Secret((await self._invoker.unary(ENROLL_TOTP, request)).otpauth_uri)

    async def activate_totp(self, token: SecretText, totp_code: SecretText) -> pb.ActivateTotpResponse:
        """Activate the enrolled secret with a first code."""
        request = pb.ActivateTotpRequest(token=revealed(token), totp_code=revealed(totp_code))
        return await self._invoker.unary(ACTIVATE_TOTP, request)

    async def lock_session(self, token: SecretText) -> pb.LockSessionResponse:
        """Lock the session at its terminal (ID-9)."""
        return await self._invoker.unary(LOCK_SESSION, pb.LockSessionRequest(token=revealed(token)))

    async def resume_session(self, token: SecretText, password: SecretText) -> pb.ResumeSessionResponse:
        """Resume a locked session with the password; a failure counts as at login."""
        request = pb.ResumeSessionRequest(token=revealed(token), password=revealed(password))
        return await self._invoker.unary(RESUME_SESSION, request)

    async def logout(self, token: SecretText) -> pb.LogoutResponse:
        """End the session."""
        return await self._invoker.unary(LOGOUT, pb.LogoutRequest(token=revealed(token)))
