"""PolicyService and PolicyAdminService on the wire. A change is a request that a second administrator decides (CI-2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import timedelta
from typing import Any

from authsvc import deviations
from authsvc.flows.once import once
from authsvc.flows.policy_changes import PolicyChanges
from authsvc.flows.submit import Ask, Submissions
from authsvc.profile import Profile
from authsvc.requests import Kind
from authsvc.rpc.admin_calls import AdminCalls, Call
from authsvc.rpc.requests import to_wire as request_to_wire
from authsvc.store import policy as store
from authsvc.work import Work, Works
from infosec import ids
from infosec.api.auth.v1 import check_pb2, policy_pb2_grpc
from infosec.api.auth.v1 import policy_pb2 as pb
from infosec.api.auth.v1.requests_pb2 import StaffRequest
from infosec.decision.operations import Operation, OperationClass, Purpose
from infosec.decision.roles import Permission, PlaceScope, Reach, Role
from infosec.errors import InvalidInput, Reason
from infosec.ids import RoleId

_CLASSES = {check_pb2.OperationClass.Value(f"OPERATION_CLASS_{cls.value}"): cls for cls in OperationClass}
_CLASS_OF = {cls: number for number, cls in _CLASSES.items()}
_PURPOSES = {check_pb2.Purpose.Value(f"PURPOSE_{purpose.value}"): purpose for purpose in Purpose}
_PURPOSE_OF = {purpose: number for number, purpose in _PURPOSES.items()}


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """PolicyService: what is in force, to everybody with a full session."""

    def __init__(
        self, *, works: Works, calls: AdminCalls, profile: Profile, installation: deviations.Installation
    ) -> None:
        self._works = works
        self._calls = calls
        self._profile = profile
        self._installation = installation

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Any) -> pb.GetPolicyResponse:
        await self._calls.by_anybody(request.token, context)
        return pb.GetPolicyResponse(profile=self._profile.name, thresholds=_thresholds(self._profile))

    async def ListOperations(self, request: pb.ListOperationsRequest, context: Any) -> pb.ListOperationsResponse:
        await self._calls.by_anybody(request.token, context)
        async with self._works.read() as conn:
            operations, roles = await store.operations(conn), await store.roles(conn)
        return pb.ListOperationsResponse(
            operations=map(_operation_to_wire, operations.values()), roles=map(_role_to_wire, roles.values())
        )

    async def GetDeviationReport(
        self, request: pb.GetDeviationReportRequest, context: Any
    ) -> pb.GetDeviationReportResponse:
        call = await self._calls.by_anybody(request.token, context)
        return pb.GetDeviationReportResponse(
            profile=self._profile.name,
            deviations=[
                pb.Deviation(
                    standard=one.standard.value,
                    clause=one.clause,
                    departure=one.what.in_(call.locale),
                    why=one.why.in_(call.locale),
                )
                for one in deviations.deviations(self._profile, self._installation)
            ],
        )


class PolicyAdminServicer(policy_pb2_grpc.PolicyAdminServiceServicer):
    """PolicyAdminService."""

    def __init__(self, *, works: Works, calls: AdminCalls, changes: PolicyChanges, submissions: Submissions) -> None:
        self._works = works
        self._calls = calls
        self._changes = changes
        self._submissions = submissions

    async def PutRole(self, request: pb.PutRoleRequest, context: Any) -> pb.PutRoleResponse:
        call = await self._calls.by_administrator(request.token, context)
        role = _role_from(request.role)

        async def act(work: Work) -> str:
            proposed = await self._changes.propose_role(work, call.actor, role, request.reason, self._submissions)
            return str(proposed.id)

        done = await once(self._works, self._calls.retry("PutRole", request, request.request_id, call), act)
        return pb.PutRoleResponse(pending=await self._pending(call, done.outcome))

    async def PutOperation(self, request: pb.PutOperationRequest, context: Any) -> pb.PutOperationResponse:
        call = await self._calls.by_administrator(request.token, context)
        code = ids.operation_code(request.operation.code)

        async def act(work: Work) -> str:
            present = (await store.operations(work.conn)).get(code)
            operation = _operation_from(request.operation, present)
            proposed = await self._changes.propose_operation(
                work, call.actor, operation, request.reason, self._submissions
            )
            return str(proposed.id)

        done = await once(self._works, self._calls.retry("PutOperation", request, request.request_id, call), act)
        return pb.PutOperationResponse(pending=await self._pending(call, done.outcome))

    async def AssignRole(self, request: pb.AssignRoleRequest, context: Any) -> pb.AssignRoleResponse:
        """A CHANGE_ROLE request like any other: the rules of requests say who decides it (ID-8)."""
        call = await self._calls.by_administrator(request.token, context)
        call.actor.require_step_up(self._works.clock.now())
        ask = Ask(
            kind=Kind.CHANGE_ROLE,
            staff_id=ids.staff_id(request.staff_id),
            reason=request.reason,
            role_id=RoleId(ids.node_id(request.role_id, "role_id")),
        )
        retry = self._calls.retry("AssignRole", request, request.request_id, call)
        submitted = await self._submissions.submit(call.actor, ask, retry)
        return pb.AssignRoleResponse(pending=request_to_wire(submitted, call.locale))

    async def _pending(self, call: Call, request_id: str) -> StaffRequest:
        return request_to_wire(await self._submissions.get(call.actor, request_id), call.locale)


def _thresholds(profile: Profile) -> list[pb.Threshold]:
    return [
        pb.Threshold(name=field.name, value=_shown(getattr(profile, field.name)))
        for field in fields(profile)
        if field.name != "name"
    ]


def _shown(value: object) -> str:
    """Durations in seconds (`900s`), sets and lists with commas, no value as `-`."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, frozenset):
        return ",".join(sorted(map(str, value))) or "-"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _operation_to_wire(operation: Operation) -> pb.Operation:
    return pb.Operation(
        code=operation.code,
        name_zh=operation.name_zh,
        name_en=operation.name_en,
        operation_class=_CLASS_OF[operation.cls],
        second_person_roles=operation.second_person_roles,
        needs_no_customer=not operation.customer_bound,
    )


def _operation_from(wire: pb.Operation, present: Operation | None) -> Operation:
    """What the contract does not let a caller set stays as it is. Raises InvalidInput."""
    return Operation(
        code=ids.operation_code(wire.code),
        name_zh=wire.name_zh,
        name_en=wire.name_en,
        cls=_CLASSES[wire.operation_class],
        second_person_roles=tuple(
            RoleId(ids.node_id(role, "second_person_roles")) for role in wire.second_person_roles
        ),
        customer_bound=present.customer_bound if present is not None else True,
        unmasks=present.unmasks if present is not None else False,
    )


def _role_to_wire(role: Role) -> pb.Role:
    return pb.Role(
        role_id=role.role_id,
        name_zh=role.name_zh,
        name_en=role.name_en,
        place=role.place.value,
        permissions=[
            pb.Permission(
                operation=code,
                reach=permission.reach.value,
                purposes=[_PURPOSE_OF[purpose] for purpose in sorted(permission.purposes)],
            )
            for code, permission in sorted(role.permissions.items())
        ],
        is_privileged=role.privileged,
        is_partner=role.partner,
    )


def _role_from(wire: pb.Role) -> Role:
    """Raises InvalidInput for what is no role."""
    permissions = {ids.operation_code(one.operation): _permission_from(one) for one in wire.permissions}
    if len(permissions) < len(wire.permissions):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="role.permissions", detail="an operation twice")
    return Role(
        role_id=RoleId(ids.node_id(wire.role_id, "role_id")),
        name_zh=wire.name_zh,
        name_en=wire.name_en,
        place=_one_of(PlaceScope, wire.place, "role.place"),
        permissions=permissions,
        privileged=wire.is_privileged,
        partner=wire.is_partner,
    )


def _permission_from(wire: pb.Permission) -> Permission:
    return Permission(
        reach=_one_of(Reach, wire.reach or Reach.ANY, "role.permissions.reach"),
        purposes=frozenset(_purposes(wire.purposes)),
    )


def _purposes(numbers: Iterable[check_pb2.Purpose.ValueType]) -> Iterable[Purpose]:
    for number in numbers:
        if number not in _PURPOSES:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="role.permissions.purposes", detail="not a purpose")
        yield _PURPOSES[number]


def _one_of(kind: Any, text: str, field: str) -> Any:
    try:
        return kind(text.strip().upper())
    except ValueError:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=f"one of {', '.join(kind)}") from None
