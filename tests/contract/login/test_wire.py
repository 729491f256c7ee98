"""LoginService as a caller meets it: every field of every answer (ID-9, section A)."""

from __future__ import annotations

from datetime import UTC

import pyotp
import pytest

from authsvc.rpc.login import LoginService
from infosec.api.auth.v1 import login_pb2 as pb
from infosec.certificates import CallerKind
from infosec.errors import InvalidInput
from infosec.messages import Locale
from infosec.rpc.server.identity import Caller, bind
from tests.sim.login_nodes import login_node
from tests.sim.world import PASSWORD, Hire, World


@pytest.fixture
async def service(world: World) -> LoginService:
    node = await login_node(world)
    return LoginService(
        logins=node.logins,
        passwords=node.passwords,
        factors=node.factors,
        sessions=node.sessions,
        assertions=node.assertions,
    )


@pytest.fixture
def context() -> object:
    """A call by the system `crm`."""
    return object()


def _by_crm(context: object) -> object:
    bind(context, Caller(kind=CallerKind.SYSTEM, name="crm", locale=Locale.EN, peer="test"))
    return context


@pytest.mark.rule("ID-9", "ID-4")
async def test_a_day_in_the_life_of_a_clerk(world: World, service: LoginService, context: object) -> None:
    call = _by_crm(context)
    await service.Login(pb.LoginRequest(staff_id="li.na", password=PASSWORD, terminal_id="e1-t1"), call)
    world.advance(hours=1)
    request = pb.LoginRequest(staff_id=" LI.NA ", password=PASSWORD, terminal_id="E1-T2")
    login = await service.Login(request, call)
    assert (login.staff_id, login.role_id, login.store_id) == ("li.na", "clerk", "e1")
    assert (login.last_login.terminal_id, login.last_login.store_id) == ("e1-t1", "e1")
    assert (login.failures_since, login.password_days_left, list(login.duties)) == (0, 89, [])
    assert (login.ends_at.ToDatetime(UTC) - world.clock.now()).total_seconds() == 12 * 3600
    assert login.revision.region_id == "east" and login.revision.number > 0
    token = login.token
    assert (await service.IssueToken(pb.IssueTokenRequest(token=token, system_id="pos"), call)).token != token
    asserted = await service.IssueAssertion(pb.IssueAssertionRequest(token=token), call)
    assert asserted.assertion.startswith("assertion.")
    assert (asserted.expires_at.ToDatetime(UTC) - world.clock.now()).total_seconds() == 5 * 60
    locked = await service.LockSession(pb.LockSessionRequest(token=token), call)
    resumed = await service.ResumeSession(pb.ResumeSessionRequest(token=token, password=PASSWORD), call)
    changed = await service.ChangePassword(
        pb.ChangePasswordRequest(token=token, current_password=PASSWORD, new_password="Quiet#river8"), call
    )
    assert (list(changed.duties), changed.password_days_left) == ([], 90)
    ended = await service.Logout(pb.LogoutRequest(token=token), call)
    numbers = [answer.revision.number for answer in (login, locked, resumed, changed, ended)]
    assert numbers == sorted(set(numbers))


@pytest.mark.rule("RQ-3")
async def test_a_manager_enrols_activates_and_steps_up(world: World, service: LoginService, context: object) -> None:
    call = _by_crm(context)
    world.hire(Hire(staff_id="new.boss", role="regional-manager", totp=False, first=True))
    login = await service.Login(pb.LoginRequest(staff_id="new.boss", password=PASSWORD, terminal_id="e1-t1"), call)
    assert list(login.duties) == [pb.DUTY_CHANGE_PASSWORD, pb.DUTY_ENROLL_TOTP]
    assert not login.HasField("last_login")
    enrolled = await service.EnrollTotp(pb.EnrollTotpRequest(token=login.token, password=PASSWORD), call)
    device = pyotp.parse_uri(enrolled.otpauth_uri)
    code = device.at(world.clock.now())
    activated = await service.ActivateTotp(pb.ActivateTotpRequest(token=login.token, totp_code=code), call)
    assert list(activated.duties) == [pb.DUTY_CHANGE_PASSWORD]
    await service.ChangePassword(
        pb.ChangePasswordRequest(token=login.token, current_password=PASSWORD, new_password="Quiet#river8"), call
    )
    world.advance(seconds=30)
    code = device.at(world.clock.now())
    stepped = await service.StepUp(pb.StepUpRequest(token=login.token, totp_code=code), call)
    assert (stepped.until.ToDatetime(UTC) - world.clock.now()).total_seconds() == 300


async def test_a_terminal_id_that_can_be_none_is_the_systems_fault(service: LoginService, context: object) -> None:
    with pytest.raises(InvalidInput):
        request = pb.LoginRequest(staff_id="li.na", password=PASSWORD, terminal_id="no/such")
        await service.Login(request, _by_crm(context))
