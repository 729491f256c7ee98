"""Everything that can change a decision, as immutable tables at a known revision; changes make the next snapshot.

There is no decision cache beside it to go stale. Knows nothing of where the changes come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from infosec.decision.grants import GrantId
from infosec.decision.operations import Operation
from infosec.decision.policy import Policy, compile_policy
from infosec.decision.roles import Role
from infosec.decision.tables import Binding, Limits, Session, Staff, Store, System, Terminal
from infosec.errors import Aborted, Reason
from infosec.ids import OperationCode, RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId

Key = TypeVar("Key")
Row = TypeVar("Row")

PublicKeys = Mapping[str, Mapping[str, bytes]]
"""Public keys by kind of signed text (`SESSION_KIND`, and each GrantKind's value), then by key ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a newer state of the truth says about the rows that changed; None removes a row.

    A whole snapshot is `EMPTY.with_changes(everything)`.
    """

    revisions: Mapping[RegionId, int] = field(default_factory=dict)
    as_of_s: float = 0
    """When the truth was read, by the reader's own clock."""
    operations: Mapping[OperationCode, Operation | None] = field(default_factory=dict)
    roles: Mapping[RoleId, Role | None] = field(default_factory=dict)
    stores: Mapping[StoreId, Store | None] = field(default_factory=dict)
    terminals: Mapping[TerminalId, Terminal | None] = field(default_factory=dict)
    systems: Mapping[SystemId, System | None] = field(default_factory=dict)
    staff: Mapping[StaffId, Staff | None] = field(default_factory=dict)
    sessions: Mapping[SessionId, Session | None] = field(default_factory=dict)
    assignments: Mapping[StaffId, frozenset[bytes] | None] = field(default_factory=dict)
    bound: Mapping[GrantId, Binding | None] = field(default_factory=dict)
    revoked: Mapping[GrantId, float | None] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, bytes] | None] = field(default_factory=dict)
    limits: Limits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One state of the truth. Never changed; the next one shares every table that no change touched."""

    revisions: Mapping[RegionId, int]
    as_of_s: float
    policy: Policy
    stores: Mapping[StoreId, Store]
    terminals: Mapping[TerminalId, Terminal]
    systems: Mapping[SystemId, System]
    staff: Mapping[StaffId, Staff]
    sessions: Mapping[SessionId, Session]
    assignments: Mapping[StaffId, frozenset[bytes]]
    """First bytes (`CUSTOMER_PREFIX_BYTES`) of the keyed digests of each person's own customers."""
    bound: Mapping[GrantId, Binding]
    revoked: Mapping[GrantId, float]
    """Revoked grants, and when each is over and may be forgotten."""
    keys: PublicKeys
    limits: Limits

    def with_changes(self, changes: Changes) -> Snapshot:
        """The next snapshot. Raises Aborted if a revision would go back: what was revoked must not return."""
        for region, revision in changes.revisions.items():
            if revision < self.revisions.get(region, 0):
                raise Aborted(Reason.STATE_CONFLICT, region=region, detail="older than the snapshot")
        policy = self.policy
        if changes.operations or changes.roles:
            policy = compile_policy(
                _merged(policy.operations, changes.operations), _merged(policy.roles, changes.roles)
            )
        return Snapshot(
            revisions=_merged(self.revisions, changes.revisions),
            as_of_s=max(self.as_of_s, changes.as_of_s),
            policy=policy,
            stores=_merged(self.stores, changes.stores),
            terminals=_merged(self.terminals, changes.terminals),
            systems=_merged(self.systems, changes.systems),
            staff=_merged(self.staff, changes.staff),
            sessions=_merged(self.sessions, changes.sessions),
            assignments=_merged(self.assignments, changes.assignments),
            bound=_merged(self.bound, changes.bound),
            revoked=_merged(self.revoked, changes.revoked),
            keys=_merged(self.keys, changes.keys),
            limits=changes.limits or self.limits,
        )

    def confirmed(self, as_of: datetime) -> Snapshot:
        """The same state, known to be current at `as_of`: nothing had changed."""
        return replace(self, as_of_s=max(self.as_of_s, as_of.timestamp()))

    def pruned(self, now: datetime) -> Snapshot:
        """Without the rows that time alone has made useless: sessions past their shift limit, grants past their end."""
        now_s = now.timestamp()
        return self.with_changes(
            Changes(
                sessions={key: None for key, session in self.sessions.items() if session.ends_s <= now_s},
                bound={key: None for key, binding in self.bound.items() if binding.expires_s <= now_s},
                revoked={key: None for key, expires_s in self.revoked.items() if expires_s <= now_s},
            )
        )


def _merged(table: Mapping[Key, Row], changed: Mapping[Key, Row | None] | Mapping[Key, Row]) -> Mapping[Key, Row]:
    """A copy with the changes in it, or the table itself where there are none."""
    if not changed:
        return table
    merged = dict(table)
    for key, row in changed.items():
        if row is None:
            merged.pop(key, None)
        else:
            merged[key] = row
    return merged


EMPTY = Snapshot(
    revisions={},
    as_of_s=0,
    policy=compile_policy({}, {}),
    stores={},
    terminals={},
    systems={},
    staff={},
    sessions={},
    assignments={},
    bound={},
    revoked={},
    keys={},
    limits=Limits(),
)
"""Knows nothing and, being older than any staleness bound, allows nothing."""
