"""What the policy is, and how two administrators change it."""

from __future__ import annotations

import pytest

from infosec.api.auth.v1 import check_pb2
from infosec.api.auth.v1 import policy_pb2 as pb
from infosec.messages import Locale
from tests.sim.admin_office import MA, XU, Office, rid
from tests.sim.world import Hire


def a_role(role_id: str = "trainer", *codes: str, **values: object) -> pb.Role:
    permissions = [pb.Permission(operation=code) for code in codes]
    return pb.Role(role_id=role_id, permissions=permissions, **{"name_zh": "培训师", "place": "own_store", **values})  # type: ignore[arg-type]


def put_role(token: str, role: pb.Role) -> pb.PutRoleRequest:
    return pb.PutRoleRequest(request_id=rid(), token=token, role=role, reason="新岗位")


def put_operation(token: str, operation: pb.Operation) -> pb.PutOperationRequest:
    return pb.PutOperationRequest(request_id=rid(), token=token, operation=operation, reason="新业务")


async def test_everybody_with_a_session_may_read_the_policy(office: Office) -> None:
    token = await office.token("li.na")
    policy = await office.call(office.policy.GetPolicy, pb.GetPolicyRequest(token=token))
    values = {one.name: one.value for one in policy.thresholds}
    assert policy.profile == "telecom-hall"
    assert (values["idle_limit"], values["max_failures"], values["reminder_days"]) == ("900s", "5", "14,7,3,1")
    assert (values["required_classes"], values["password_life_days"]) == ("-", "90")
    operations = await office.call(office.policy.ListOperations, pb.ListOperationsRequest(token=token))
    assert len(operations.operations) == 33 and len(operations.roles) == 15
    export = next(one for one in operations.operations if one.code == "x005")
    assert export.needs_no_customer and list(export.second_person_roles) == ["regional-manager"]
    concierge = next(one for one in operations.roles if one.role_id == "concierge")
    limited = next(one for one in concierge.permissions if one.operation == "1500")
    assert list(limited.purposes) == [check_pb2.PURPOSE_COMPLAINT]


async def test_deviations_are_reported_in_the_callers_language(office: Office) -> None:
    request = pb.GetDeviationReportRequest(token=await office.token("li.na"))
    english = await office.call(office.policy.GetDeviationReport, request)
    chinese = await office.call(office.policy.GetDeviationReport, request, locale=Locale.ZH_CN)
    assert len(english.deviations) == len(chinese.deviations) > 5
    assert english.deviations[0].departure != chinese.deviations[0].departure


@pytest.mark.rule("CI-2", "ID-8")
async def test_a_role_changes_when_a_second_administrator_approves(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    answer = await office.call(office.policy_admin.PutRole, put_role(token, a_role("trainer", "8783")))
    assert answer.pending.change == "trainer new +8783 place=OWN_STORE"
    assert office.world.rows("select 1 from auth.roles where role_id = 'trainer'") == []
    assert await office.approve(XU, answer.pending.id) == "SELF_DECISION"
    assert await office.approve(MA, answer.pending.id) == "OK"
    body = office.world.one("select body from auth.roles where role_id = 'trainer'")
    assert list(body["permissions"]) == ["8783"]
    assert ("role", "trainer") in office.world.rows(
        "select kind, entity_id from auth.changes where region_id = 'carrier'"
    )
    facts = office.world.events("policy.changed")[-1]["facts"]
    assert (facts["submitted_by"], facts["staff_id"], facts["entity_id"]) == (XU, MA, "trainer")


@pytest.mark.rule("CI-2", "RQ-7")
async def test_an_operation_gets_a_second_person_and_keeps_what_a_caller_cannot_set(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    unmask = pb.Operation(
        code="X004",
        name_zh="还原",
        operation_class=check_pb2.OPERATION_CLASS_READ,
        second_person_roles=["store-manager", "regional-manager"],
    )
    answer = await office.call(office.policy_admin.PutOperation, put_operation(token, unmask))
    assert await office.approve(MA, answer.pending.id) == "OK"
    body = office.world.one("select body from auth.operations where code = 'x004'")
    assert body["unmasks"] is True
    assert body["second_person_roles"] == ["store-manager", "regional-manager"]


async def test_a_proposal_is_judged_again_when_it_is_written(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    front = await office.call(office.policy_admin.PutRole, put_role(token, a_role("trainer", "8783")))
    chief = await office.call(
        office.policy_admin.PutRole, put_role(token, a_role("trainer", is_privileged=True, place="CARRIER"))
    )
    assert await office.approve(MA, chief.pending.id) == "OK"
    assert await office.approve(MA, front.pending.id) == "STATE_CONFLICT"
    assert office.world.one("select body -> 'privileged' from auth.roles where role_id = 'trainer'") is True


@pytest.mark.rule("RQ-3")
async def test_changing_the_policy_needs_an_administrator_with_a_fresh_second_factor(office: Office) -> None:
    token = await office.token(XU)
    assert await office.refused(office.policy_admin.PutRole, put_role(token, a_role())) == "STEP_UP_REQUIRED"
    operation = pb.Operation(code="x009", name_zh="新", operation_class=check_pb2.OPERATION_CLASS_PAY)
    assert await office.refused(office.policy_admin.PutOperation, put_operation(token, operation)) == "STEP_UP_REQUIRED"
    role = pb.AssignRoleRequest(request_id=rid(), token=token, staff_id="li.na", role_id="vip-clerk", reason="晋升")
    assert await office.refused(office.policy_admin.AssignRole, role) == "STEP_UP_REQUIRED"
    auditor = await office.token("hu.bin", step_up=True)
    assert await office.refused(office.policy_admin.PutRole, put_role(auditor, a_role())) == "NOT_PERMITTED"


@pytest.mark.parametrize(
    "role",
    [
        a_role("trainer", "9999"),
        a_role("trainer", "8783", "8783"),
        a_role("trainer", place="MOON"),
        a_role("auditor", "1500", is_privileged=True, place="CARRIER"),
        a_role("administrator", "x005", is_privileged=True, place="CARRIER"),
        a_role("clerk", is_privileged=True),
        pb.Role(
            role_id="t", name_zh="t", place="OWN_STORE", permissions=[pb.Permission(operation="1500", reach="ALL")]
        ),
        pb.Role(
            role_id="t", name_zh="t", place="OWN_STORE", permissions=[pb.Permission(operation="1500", purposes=[0])]
        ),
    ],
    ids=lambda role: str(role.role_id),
)
@pytest.mark.rule("CI-2")
async def test_what_no_change_may_do_is_not_even_proposed(office: Office, role: pb.Role) -> None:
    token = await office.token(XU, step_up=True)
    assert await office.refused(office.policy_admin.PutRole, put_role(token, role)) == "INVALID_ARGUMENT"
    assert office.world.one("select count(*) from auth.requests") == 0


@pytest.mark.rule("RQ-7")
async def test_a_reversal_without_a_second_person_is_not_even_proposed(office: Office) -> None:
    token = await office.token(XU, step_up=True)
    reversal = pb.Operation(code="1121", name_zh="冲正", operation_class=check_pb2.OPERATION_CLASS_REVERSE)
    assert await office.refused(office.policy_admin.PutOperation, put_operation(token, reversal)) == "INVALID_ARGUMENT"


@pytest.mark.rule("ID-8")
async def test_another_role_for_a_person_is_a_request_that_somebody_else_decides(office: Office) -> None:
    office.world.hire(Hire(staff_id="li.jie", role="store-manager", phone="13800000021"))
    token = await office.token(XU, step_up=True)
    role = pb.AssignRoleRequest(request_id=rid(), token=token, staff_id="li.jie", role_id="clerk", reason="轮岗")
    answer = await office.call(office.policy_admin.AssignRole, role)
    assert await office.call(office.policy_admin.AssignRole, role) == answer
    assert office.world.one("select role_id from auth.staff where staff_id = 'li.jie'") == "store-manager"
    assert await office.approve("zhao.lei", answer.pending.id) == "OK"
    assert office.world.one("select role_id from auth.staff where staff_id = 'li.jie'") == "clerk"
