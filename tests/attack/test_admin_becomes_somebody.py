"""An administrator tries to become somebody else, to give themselves power, or to make somebody who obeys (ID-8, CI-2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from infosec.api.auth.v1 import directory_pb2, policy_pb2, requests_pb2
from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.decision.operations import CATALOGUE
from infosec.decision.policy import compile_policy
from infosec.decision.roles import ROLES, UNLIMITED
from infosec.errors import InfosecError
from infosec.ids import RoleId
from tests.sim.admin_office import MA, XU, Office, admin_office, new_staff, rid
from tests.sim.login_nodes import outcome
from tests.sim.world import World


@pytest.fixture
async def office(world: World) -> Office:
    return await admin_office(world)


@pytest.mark.rule("ID-8")
@pytest.mark.parametrize(
    "change",
    [{"phone": "13800000011"}, {"store_id": "hq"}, {"role_id": "administrator"}, {"name": "新名", "phone": "1"}],
)
async def test_phone_store_and_role_are_not_changed_by_an_update_and_the_attempt_is_recorded(
    office: Office, change: dict[str, str]
) -> None:
    before = office.world.rows("select * from auth.staff where staff_id = 'li.na'")
    request = pb.UpdateStaffRequest(request_id=rid(), token=await office.token(XU), staff_id="li.na", **change)
    assert await office.refused(office.staff.UpdateStaff, request) == "PROTECTED_FIELD"
    assert office.world.rows("select * from auth.staff where staff_id = 'li.na'") == before
    facts = office.world.events("staff.protected-field-refused")[-1]["facts"]
    assert (facts["subject_staff_id"], facts["staff_id"]) == ("li.na", XU)
    assert "13800000011" not in str(facts)


@pytest.mark.rule("ID-10")
@pytest.mark.parametrize("spelling", ["li.na", "LI.NA", "ｌｉ．ｎａ", " li.na "])
@pytest.mark.parametrize("state", ["ACTIVE", "CLOSED"])
async def test_an_id_that_is_or_was_somebodys_is_never_made_again(office: Office, spelling: str, state: str) -> None:
    office.world.rows("update auth.staff set state = %s where staff_id = 'li.na'", state)
    before = office.world.credentials("li.na")
    request = pb.CreateStaffRequest(request_id=rid(), token=await office.token(XU), staff=new_staff(spelling))
    assert await office.refused(office.staff.CreateStaff, request) == "ALREADY_EXISTS"
    assert office.world.credentials("li.na") == before
    assert office.world.messages("FIRST_PASSWORD") == []


@pytest.mark.rule("ID-10")
async def test_of_two_who_make_the_same_id_at_once_one_does(office: Office) -> None:
    tokens = [await office.token(XU), await office.token(MA)]
    requests = [pb.CreateStaffRequest(request_id=rid(), token=token, staff=new_staff()) for token in tokens]
    outcomes = await asyncio.gather(*(office.refused(office.staff.CreateStaff, one) for one in requests))
    assert sorted(outcomes) == ["ALREADY_EXISTS", "OK"]
    assert len(office.world.messages("FIRST_PASSWORD")) == 1


@pytest.mark.rule("ID-8")
async def test_nobody_approves_the_approver_that_they_proposed(office: Office) -> None:
    crony = pb.CreateStaffRequest(
        request_id=rid(),
        token=await office.token(XU),
        staff=new_staff("my.crony", role_id="regional-manager"),
        reason="x",
    )
    pending = (await office.call(office.staff.CreateStaff, crony)).pending
    assert await office.approve(XU, pending.id) == "SELF_DECISION"
    assert office.world.rows("select 1 from auth.staff where staff_id = 'my.crony'") == []


@pytest.mark.rule("ID-8")
async def test_no_approver_is_made_with_a_password_that_the_maker_knows(office: Office) -> None:
    from passlib.hash import bcrypt

    known = bcrypt.using(rounds=4).hash("I know this 1")
    staff = new_staff("my.crony", role_id="administrator", legacy_hash=known)
    request = pb.CreateStaffRequest(request_id=rid(), token=await office.token(XU), staff=staff, reason="x")
    assert await office.refused(office.staff.CreateStaff, request) == "INVALID_ARGUMENT"


@pytest.mark.rule("ID-8")
async def test_an_administrator_gives_themselves_no_other_role(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    for role_id in ("auditor", "clerk", "regional-manager"):
        request = policy_pb2.AssignRoleRequest(request_id=rid(), token=token, staff_id=XU, role_id=role_id, reason="x")
        try:
            pending = (await office.call(office.policy_admin.AssignRole, request)).pending
        except InfosecError:
            continue
        assert await office.approve(XU, pending.id) in ("SELF_DECISION", "NOT_PERMITTED")
        token = await office.token(XU, step_up=True)
    assert office.world.one("select role_id from auth.staff where staff_id = %s", XU) == "administrator"


@pytest.mark.rule("ID-8", "RQ-1")
async def test_an_administrator_neither_rebinds_a_clerks_phone_nor_gets_their_password(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    mine = requests_pb2.RebindPhone(phone="13800000011")
    rebind = requests_pb2.SubmitRequestRequest(
        request_id=rid(),
        token=token,
        staff_id="li.na",
        kind=requests_pb2.REQUEST_KIND_REBIND_PHONE,
        reason="x",
        rebind_phone=mine,
    )
    reissue = requests_pb2.SubmitRequestRequest(
        request_id=rid(), token=token, staff_id="li.na", kind=requests_pb2.REQUEST_KIND_REISSUE_PASSWORD, reason="x"
    )
    for request in (rebind, reissue):
        assert await office.refused(office.requests.SubmitRequest, request) == "NOT_PERMITTED"
    # Of what the administrators did themselves: they logged in at a terminal.
    assert {message.template for message in office.world.messages()} <= {"NEW_TERMINAL"}


@pytest.mark.rule("CI-2")
async def test_an_administrator_has_no_operation_whatever_the_tables_say(office: Office) -> None:
    administrator = RoleId("administrator")
    greedy_data = replace(ROLES[administrator], permissions=dict.fromkeys(CATALOGUE, UNLIMITED))
    generous = {**ROLES, administrator: greedy_data}
    policy = compile_policy(CATALOGUE, generous)
    assert [
        code for code, one in CATALOGUE.items() if one.customer_bound and policy.permission(administrator, code)
    ] == []
    token = await office.token(XU, step_up=True)
    greedy = policy_pb2.Role(
        role_id="administrator",
        name_zh="管理员",
        place="CARRIER",
        is_privileged=True,
        permissions=[policy_pb2.Permission(operation="1500")],
    )
    request = policy_pb2.PutRoleRequest(request_id=rid(), token=token, role=greedy, reason="x")
    assert await office.refused(office.policy_admin.PutRole, request) == "INVALID_ARGUMENT"


@pytest.mark.rule("CI-2", "ID-8")
async def test_everybody_else_is_refused_every_method_of_an_administrator(office: Office) -> None:
    for staff in ("hu.bin", "zhou.tao", "zhao.lei", "chen.jing", "liu.yang", "li.na"):
        token = await office.token(staff)
        calls = [
            (office.staff.CreateStaff, pb.CreateStaffRequest(staff=new_staff())),
            (office.staff.UpdateStaff, pb.UpdateStaffRequest(staff_id="li.na", name="x")),
            (office.staff.SuspendStaff, pb.SuspendStaffRequest(staff_id="li.na", reason="x")),
            (office.staff.CloseStaff, pb.CloseStaffRequest(staff_id="li.na", reason="x")),
            (
                office.directory.PutRegion,
                directory_pb2.PutRegionRequest(region=directory_pb2.Region(region_id="r", name="r")),
            ),
            (
                office.directory.PutStore,
                directory_pb2.PutStoreRequest(store=directory_pb2.Store(store_id="e1", region_id="west", name="x")),
            ),
            (
                office.directory.PutTerminal,
                directory_pb2.PutTerminalRequest(terminal=directory_pb2.Terminal(terminal_id="t", store_id="e1")),
            ),
            (office.directory.PutSystem, directory_pb2.PutSystemRequest(system=directory_pb2.System(system_id="s"))),
            (
                office.policy_admin.PutRole,
                policy_pb2.PutRoleRequest(
                    role=policy_pb2.Role(role_id="r", name_zh="r", place="OWN_STORE"), reason="x"
                ),
            ),
            (
                office.policy_admin.AssignRole,
                policy_pb2.AssignRoleRequest(staff_id="li.na", role_id="clerk", reason="x"),
            ),
            (
                office.policy_admin.PutOperation,
                policy_pb2.PutOperationRequest(
                    operation=policy_pb2.Operation(code="x009", name_zh="r", operation_class=6), reason="x"
                ),
            ),
        ]
        for method, request in calls:
            request.request_id, request.token = rid(), token
            assert await office.refused(method, request) == "NOT_PERMITTED", f"{staff} {request.DESCRIPTOR.name}"


@pytest.mark.rule("ID-9")
async def test_a_token_of_another_system_or_of_an_ended_session_acts_for_nobody(office: Office) -> None:
    token = await office.token(XU)
    request = pb.ListStaffRequest(token=token)
    assert await office.refused(office.staff.ListStaff, request, system="pos") == "TOKEN_INVALID"
    await office.node.sessions.logout(token, "crm")  # type: ignore[arg-type]
    assert await office.refused(office.staff.ListStaff, request) == "SESSION_ENDED"
    assert await outcome(office.node.actors.of("session.x.y", "crm")) == "TOKEN_INVALID"


@pytest.mark.rule("ID-8")
async def test_two_administrators_who_suspend_one_another_leave_one(office: Office) -> None:
    pairs = [(await office.token(XU), MA), (await office.token(MA), XU)]
    requests = [
        pb.SuspendStaffRequest(request_id=rid(), token=token, staff_id=other, reason="x") for token, other in pairs
    ]
    outcomes = await asyncio.gather(*(office.refused(office.staff.SuspendStaff, one) for one in requests))
    assert outcomes.count("OK") == 1
    assert {office.world.state(XU), office.world.state(MA)} == {"ACTIVE", "SUSPENDED"}


@pytest.mark.rule("ID-8")
async def test_a_request_id_serves_one_write_alone(office: Office) -> None:
    token, request_id = await office.token(XU), rid()
    first = pb.SuspendStaffRequest(request_id=request_id, token=token, staff_id="li.na", reason="x")
    other = pb.SuspendStaffRequest(request_id=request_id, token=token, staff_id="wang.wei", reason="x")
    close = pb.CloseStaffRequest(request_id=request_id, token=token, staff_id="li.na", reason="x")
    assert await office.refused(office.staff.SuspendStaff, first) == "OK"
    assert await office.refused(office.staff.SuspendStaff, other) == "REQUEST_ID_REUSED"
    assert await office.refused(office.staff.CloseStaff, close) == "REQUEST_ID_REUSED"
    by_another = pb.SuspendStaffRequest(
        request_id=request_id, token=await office.token(MA), staff_id="li.na", reason="x"
    )
    assert await office.refused(office.staff.SuspendStaff, by_another) == "REQUEST_ID_REUSED"
    assert (office.world.state("li.na"), office.world.state("wang.wei")) == ("SUSPENDED", "ACTIVE")
