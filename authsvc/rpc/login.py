"""LoginService on the wire: messages in, flows called, messages out. Decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from authsvc.flows.assertions import Assertions
from authsvc.flows.login import LoginAsk, Logins, PastLogin
from authsvc.flows.password_change import PasswordChanges
from authsvc.flows.second_factor import SecondFactors
from authsvc.flows.session_life import AtRevision, SessionLife
from authsvc.sessions import Duty
from infosec import ids
from infosec.api.auth.v1 import login_pb2 as pb
from infosec.api.auth.v1 import login_pb2_grpc
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.ids import SystemId, TerminalId
from infosec.rpc.server.identity import caller_of
from infosec.secret import Secret

_DUTIES = {Duty.CHANGE_PASSWORD: pb.DUTY_CHANGE_PASSWORD, Duty.ENROLL_TOTP: pb.DUTY_ENROLL_TOTP}


class LoginService(login_pb2_grpc.LoginServiceServicer):
    """The ten methods of login.proto."""

    def __init__(
        self,
        *,
        logins: Logins,
        passwords: PasswordChanges,
        factors: SecondFactors,
        sessions: SessionLife,
        assertions: Assertions,
    ) -> None:
        self._logins = logins
        self._passwords = passwords
        self._factors = factors
        self._sessions = sessions
        self._assertions = assertions

    async def Login(self, request: pb.LoginRequest, context: Any) -> pb.LoginResponse:
        done = await self._logins.login(
            LoginAsk(
                staff_text=request.staff_id,
                password=Secret(request.password),
                code=Secret(request.totp_code),
                terminal_id=TerminalId(ids.node_id(request.terminal_id, "terminal_id")),
                system_id=caller_of(context).system,
            )
        )
        opened = done.opened
        return pb.LoginResponse(
            token=done.token.reveal(),
            staff_id=opened.staff_id,
            role_id=opened.role_id,
            store_id=opened.store_id,
            last_login=_past(opened.last_login),
            failures_since=opened.failures_since,
            password_days_left=opened.password_days_left,
            duties=_duties(opened.duties),
            ends_at=_moment(opened.ends_at),
            revision=Revision(region_id=opened.session_region, number=done.revision),
        )

    async def IssueToken(self, request: pb.IssueTokenRequest, context: Any) -> pb.IssueTokenResponse:
        target = SystemId(ids.node_id(request.system_id, "system_id"))
        token = await self._sessions.token_for(request.token, caller_of(context).system, target=target)
        return pb.IssueTokenResponse(token=token.reveal())

    async def IssueAssertion(self, request: pb.IssueAssertionRequest, context: Any) -> pb.IssueAssertionResponse:
        made = await self._assertions.of(request.token, caller_of(context).system)
        return pb.IssueAssertionResponse(assertion=made.text.reveal(), expires_at=_moment(made.expires_at))

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Any) -> pb.ChangePasswordResponse:
        done = await self._passwords.change(
            request.token,
            caller_of(context).system,
            current=Secret(request.current_password),
            new=Secret(request.new_password),
        )
        return pb.ChangePasswordResponse(
            duties=_duties(done.duties),
            password_days_left=done.password_days_left,
            revision=Revision(region_id=done.region_id, number=done.revision),
        )

    async def StepUp(self, request: pb.StepUpRequest, context: Any) -> pb.StepUpResponse:
        until = await self._factors.step_up(request.token, caller_of(context).system, code=Secret(request.totp_code))
        return pb.StepUpResponse(until=_moment(until))

    async def EnrollTotp(self, request: pb.EnrollTotpRequest, context: Any) -> pb.EnrollTotpResponse:
        uri = await self._factors.enroll(
            request.token, caller_of(context).system, password=Secret(request.password), code=Secret(request.totp_code)
        )
        return pb.EnrollTotpResponse(otpauth_uri=uri.reveal())

    async def ActivateTotp(self, request: pb.ActivateTotpRequest, context: Any) -> pb.ActivateTotpResponse:
        left = await self._factors.activate(request.token, caller_of(context).system, code=Secret(request.totp_code))
        return pb.ActivateTotpResponse(duties=_duties(left))

    async def LockSession(self, request: pb.LockSessionRequest, context: Any) -> pb.LockSessionResponse:
        return pb.LockSessionResponse(
            revision=_revision(await self._sessions.lock(request.token, caller_of(context).system))
        )

    async def ResumeSession(self, request: pb.ResumeSessionRequest, context: Any) -> pb.ResumeSessionResponse:
        done = await self._sessions.resume(request.token, caller_of(context).system, password=Secret(request.password))
        return pb.ResumeSessionResponse(revision=_revision(done))

    async def Logout(self, request: pb.LogoutRequest, context: Any) -> pb.LogoutResponse:
        return pb.LogoutResponse(
            revision=_revision(await self._sessions.logout(request.token, caller_of(context).system))
        )


def _past(past: PastLogin | None) -> pb.PastLogin | None:
    if past is None:
        return None
    return pb.PastLogin(at=_moment(past.at), terminal_id=past.terminal_id, store_id=past.store_id)


def _duties(left: tuple[Duty, ...]) -> list[pb.Duty.ValueType]:
    return [_DUTIES[duty] for duty in left]


def _moment(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _revision(at: AtRevision) -> Revision:
    return Revision(region_id=at.region_id, number=at.number)
