"""PolicyService and PolicyAdminService: what the policy is, and asking for it to be changed."""

from __future__ import annotations

from infosec.api.auth.v1 import policy_pb2 as pb
from infosec.api.auth.v1 import requests_pb2
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed

_SERVICE = "/infosec.api.auth.v1.PolicyService/"
_ADMIN = "/infosec.api.auth.v1.PolicyAdminService/"

GET_POLICY = Method(
    path=_SERVICE + "GetPolicy", request=pb.GetPolicyRequest, response=pb.GetPolicyResponse, is_repeatable=True
)
LIST_OPERATIONS = Method(
    path=_SERVICE + "ListOperations",
    request=pb.ListOperationsRequest,
    response=pb.ListOperationsResponse,
    is_repeatable=True,
)
GET_DEVIATION_REPORT = Method(
    path=_SERVICE + "GetDeviationReport",
    request=pb.GetDeviationReportRequest,
    response=pb.GetDeviationReportResponse,
    is_repeatable=True,
)
PUT_ROLE = Method(path=_ADMIN + "PutRole", request=pb.PutRoleRequest, response=pb.PutRoleResponse, is_repeatable=True)
ASSIGN_ROLE = Method(
    path=_ADMIN + "AssignRole", request=pb.AssignRoleRequest, response=pb.AssignRoleResponse, is_repeatable=True
)
PUT_OPERATION = Method(
    path=_ADMIN + "PutOperation", request=pb.PutOperationRequest, response=pb.PutOperationResponse, is_repeatable=True
)


class PolicyClient:
    """Changes answer with the request that a second person decides (CI-2, ID-8)."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def get(self, token: SecretText) -> pb.GetPolicyResponse:
        """The active profile with every threshold."""
        return await self._invoker.unary(GET_POLICY, pb.GetPolicyRequest(token=revealed(token)))

    async def operations(self, token: SecretText) -> pb.ListOperationsResponse:
        """The operation catalogue, and which roles may ask for what."""
        return await self._invoker.unary(LIST_OPERATIONS, pb.ListOperationsRequest(token=revealed(token)))

    async def deviations(self, token: SecretText) -> pb.GetDeviationReportResponse:
        """Where the active profile departs from standards and the handbook."""
        return await self._invoker.unary(GET_DEVIATION_REPORT, pb.GetDeviationReportRequest(token=revealed(token)))

    async def put_role(
        self, token: SecretText, role: pb.Role, *, reason: str, request_id: str | None = None
    ) -> requests_pb2.StaffRequest:
        """Make or replace a role, once a second administrator approves."""
        request = pb.PutRoleRequest(request_id=retry_key(request_id), token=revealed(token), role=role, reason=reason)
        return (await self._invoker.unary(PUT_ROLE, request)).pending

    async def assign_role(
        self, token: SecretText, staff_id: str, role_id: str, *, reason: str, request_id: str | None = None
    ) -> requests_pb2.StaffRequest:
        """Ask for another role for a person; the regional manager decides."""
        request = pb.AssignRoleRequest(
            request_id=retry_key(request_id), token=revealed(token), staff_id=staff_id, role_id=role_id, reason=reason
        )
        return (await self._invoker.unary(ASSIGN_ROLE, request)).pending

    async def put_operation(
        self, token: SecretText, operation: pb.Operation, *, reason: str, request_id: str | None = None
    ) -> requests_pb2.StaffRequest:
        """Make or replace an operation, once a second administrator approves."""
        request = pb.PutOperationRequest(
            request_id=retry_key(request_id), token=revealed(token), operation=operation, reason=reason
        )
        return (await self._invoker.unary(PUT_OPERATION, request)).pending
