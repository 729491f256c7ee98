"""Roles and operations, compiled to one bitset per role, so that the hot path asks one bit.

Holds the separation that no role data can undo: a privileged role has no operation on a customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infosec.decision.operations import Operation
from infosec.decision.roles import LEVEL_ABOVE, UNLIMITED, Permission, Role
from infosec.ids import OperationCode, RoleId


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The compiled tables. Make one with `compile_policy`."""

    operations: Mapping[OperationCode, Operation]
    roles: Mapping[RoleId, Role]
    index: Mapping[OperationCode, int]
    """The bit of each operation."""
    permitted: Mapping[RoleId, int]
    """Per role, the operations that it may ask for."""
    limited: Mapping[RoleId, int]
    """Per role, those of them that a Permission narrows."""

    def permission(self, role: RoleId, code: OperationCode) -> Permission | None:
        """What the role's permission for the operation is limited to; None if it has none (CI-2: default deny)."""
        bit = 1 << self.index.get(code, len(self.index))
        if not self.permitted.get(role, 0) & bit:
            return None
        return self.roles[role].permissions[code] if self.limited[role] & bit else UNLIMITED


def compile_policy(operations: Mapping[OperationCode, Operation], roles: Mapping[RoleId, Role]) -> Policy:
    """Bitsets over operations in code order. Permissions for codes that are not in the catalogue count for nothing."""
    index = {code: bit for bit, code in enumerate(sorted(operations))}
    permitted: dict[RoleId, int] = {}
    limited: dict[RoleId, int] = {}
    for role_id, role in roles.items():
        allowed = [
            code
            for code in role.permissions
            if code in index and not (role.privileged and operations[code].customer_bound)
        ]
        permitted[role_id] = sum(1 << index[code] for code in allowed)
        limited[role_id] = sum(1 << index[code] for code in allowed if not role.permissions[code].is_unlimited)
    return Policy(operations=operations, roles=roles, index=index, permitted=permitted, limited=limited)


def approver_roles(operation: Operation, actor: RoleId) -> tuple[RoleId, ...]:
    """Whose approval counts (RQ-7). One level up as well where the actor's own role is the one that decides (RQ-2)."""
    named = operation.second_person_roles
    above = LEVEL_ABOVE.get(actor)
    return (*named, above) if actor in named and above is not None and above not in named else named
