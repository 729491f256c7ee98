"""Changes of roles and operations as rules: what two administrators may agree on, and what nobody may (CI-2, ID-8, RQ-7).

No change undoes a separation: privileged roles get no operation on a customer, nobody becomes privileged or stops being
so by an edit, an operation keeps its class and never loses its second person. Knows no storage and no wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from authsvc.directory import shown_text
from authsvc.sight import ADMINISTRATOR, AUDITOR
from infosec.decision.operations import Operation
from infosec.decision.roles import Permission, PlaceScope, Reach, Role
from infosec.errors import InvalidInput, Reason
from infosec.ids import OperationCode, RoleId

Roles = Mapping[RoleId, Role]
Operations = Mapping[OperationCode, Operation]

_BOUNDED = frozenset({Reach.ASSIGNED, Reach.ASSIGNED_OR_WORK_ORDER})


def checked_role(role: Role, roles: Roles, operations: Operations) -> Role:
    """The role as it may be written in place of the one of its ID. Raises InvalidInput."""
    role = replace(
        role,
        name_zh=shown_text(role.name_zh, "role.name_zh", is_required=True),
        name_en=shown_text(role.name_en, "role.name_en"),
    )
    _check_flags(role, roles.get(role.role_id))
    for code, permission in role.permissions.items():
        if code not in operations:
            raise _wrong("role.permissions", f"{code}: no such operation")
        _check_permission(role, operations[code], permission)
    return role


def checked_operation(operation: Operation, roles: Roles, operations: Operations) -> Operation:
    """The operation as it may be written in place of the one of its code. Raises InvalidInput."""
    operation = replace(
        operation,
        name_zh=shown_text(operation.name_zh, "operation.name_zh", is_required=True),
        name_en=shown_text(operation.name_en, "operation.name_en"),
        second_person_roles=tuple(dict.fromkeys(operation.second_person_roles)),
    )
    for role_id in operation.second_person_roles:
        _check_second_person(role_id, roles)
    present = operations.get(operation.code)
    if present is not None:
        _check_not_loosened(operation, present)
    return operation


def role_changes(role: Role, present: Role | None) -> str:
    """What would change, in codes that both languages share: `+x004 -1302 ~1500 place=OWN_STORE`."""
    return " ".join((role.role_id, *_role_changes(role, present)))


def operation_changes(operation: Operation, present: Operation | None) -> str:
    """What would change, as `role_changes` says it."""
    parts: list[str] = [operation.code]
    if present is None:
        parts += ["new", f"class={operation.cls}"]
    if present is None or present.second_person_roles != operation.second_person_roles:
        parts.append(f"second_person={','.join(operation.second_person_roles) or '-'}")
    if present is not None and (present.name_zh, present.name_en) != (operation.name_zh, operation.name_en):
        parts.append(f"name={operation.name_zh}")
    return " ".join(parts)


def _role_changes(role: Role, present: Role | None) -> Iterator[str]:
    before: Mapping[OperationCode, Permission] = present.permissions if present is not None else {}
    if present is None:
        yield "new"
    yield from (f"+{code}" for code in sorted(role.permissions.keys() - before.keys()))
    yield from (f"-{code}" for code in sorted(before.keys() - role.permissions.keys()))
    yield from (
        f"~{code}" for code in sorted(before.keys() & role.permissions.keys()) if before[code] != role.permissions[code]
    )
    if present is None or present.place is not role.place:
        yield f"place={role.place}"
    if present is not None and (present.name_zh, present.name_en) != (role.name_zh, role.name_en):
        yield f"name={role.name_zh}"


def _check_flags(role: Role, present: Role | None) -> None:
    if role.privileged and role.partner:
        raise _wrong("role.is_partner", "a partner's role is never privileged")
    if present is None:
        return
    # Else an edit would make, or unmake, an approver out of everybody who has the role (ID-8).
    if role.privileged is not present.privileged:
        raise _wrong("role.is_privileged", "stays as it is: make another role")
    if role.partner is not present.partner:
        raise _wrong("role.is_partner", "stays as it is: make another role")
    if role.privileged and role.place is not present.place:
        raise _wrong("role.place", "a privileged role keeps its place")


def _check_permission(role: Role, operation: Operation, permission: Permission) -> None:
    if role.role_id == ADMINISTRATOR:
        raise _wrong("role.permissions", "an administrator has no operation, the auditor's included")
    if role.privileged:
        if operation.customer_bound:
            raise _wrong("role.permissions", f"{operation.code}: a privileged role has no operation on a customer")
        return
    if role.partner and permission.reach is not Reach.OWN_LIST:
        raise _wrong("role.permissions", f"{operation.code}: a partner acts on its own list")
    if role.place is PlaceScope.ASSIGNED and permission.reach not in _BOUNDED:
        raise _wrong("role.permissions", f"{operation.code}: outside the hall, on assigned customers alone")
    if role.place in (PlaceScope.REGION, PlaceScope.CARRIER):
        raise _wrong("role.place", "operations on customers belong to one store, or to assigned customers")


def _check_second_person(role_id: RoleId, roles: Roles) -> None:
    role = roles.get(role_id)
    if role is None:
        raise _wrong("operation.second_person_roles", f"{role_id}: no such role")
    if role.partner or role_id in (ADMINISTRATOR, AUDITOR):
        raise _wrong("operation.second_person_roles", f"{role_id}: cannot be the second person")


def _check_not_loosened(operation: Operation, present: Operation) -> None:
    # The class decides on consent, identity and records: another one would be a way around them (CO-1, CI-3).
    if operation.cls is not present.cls:
        raise _wrong("operation.operation_class", "stays as it is")
    if (operation.customer_bound, operation.unmasks) != (present.customer_bound, present.unmasks):
        raise _wrong("operation", "whom it concerns, and unmasking, stay as they are")
    if present.second_person_roles and not operation.second_person_roles:
        raise _wrong("operation.second_person_roles", "an operation that needs a second person keeps needing one")


def _wrong(field: str, detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)
