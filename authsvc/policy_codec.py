"""Roles and operations as the JSON bodies in which they are stored and proposed (CI-2: policy is data)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infosec.canonical import Json
from infosec.decision.operations import Operation, OperationClass, Purpose
from infosec.decision.roles import Permission, PlaceScope, Reach, Role
from infosec.ids import OperationCode, RoleId


def operation_body(operation: Operation) -> dict[str, Json]:
    return {
        "code": operation.code,
        "name_zh": operation.name_zh,
        "name_en": operation.name_en,
        "class": operation.cls.value,
        "second_person_roles": list(operation.second_person_roles),
        "customer_bound": operation.customer_bound,
        "unmasks": operation.unmasks,
    }


def operation_from(body: Mapping[str, Any]) -> Operation:
    """Raises InvalidInput for an operation that the rules do not allow, KeyError or ValueError for no operation."""
    return Operation(
        code=OperationCode(body["code"]),
        name_zh=body["name_zh"],
        name_en=body["name_en"],
        cls=OperationClass(body["class"]),
        second_person_roles=tuple(RoleId(role) for role in body["second_person_roles"]),
        customer_bound=body["customer_bound"],
        unmasks=body["unmasks"],
    )


def role_body(role: Role) -> dict[str, Json]:
    return {
        "role_id": role.role_id,
        "name_zh": role.name_zh,
        "name_en": role.name_en,
        "place": role.place.value,
        "privileged": role.privileged,
        "partner": role.partner,
        "permissions": {
            code: {"reach": permission.reach.value, "purposes": sorted(permission.purposes)}
            for code, permission in role.permissions.items()
        },
    }


def role_from(body: Mapping[str, Any]) -> Role:
    """Raises KeyError or ValueError for no role."""
    return Role(
        role_id=RoleId(body["role_id"]),
        name_zh=body["name_zh"],
        name_en=body["name_en"],
        place=PlaceScope(body["place"]),
        privileged=body["privileged"],
        partner=body["partner"],
        permissions={
            OperationCode(code): Permission(
                reach=Reach(entry["reach"]), purposes=frozenset(Purpose(purpose) for purpose in entry["purposes"])
            )
            for code, entry in body["permissions"].items()
        },
    )
