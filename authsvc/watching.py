"""What one system's Guards may see of the snapshot: its own stores, and who is in session there (design, section 6)."""

from __future__ import annotations

from dataclasses import replace

from infosec.decision.session import SESSION_KIND
from infosec.decision.snapshot import Changes, Snapshot
from infosec.decision.tables import Staff
from infosec.ids import StaffId, StoreId, SystemId


class View:
    """The view of one watching system. `whole` first, then `of` for each change."""

    def __init__(self, system: SystemId) -> None:
        self._system = system
        self._stores: frozenset[StoreId] = frozenset()
        self._staff: set[StaffId] = set()

    def whole(self, snapshot: Snapshot) -> Changes:
        """Everything that the system may see now."""
        system = snapshot.systems.get(self._system)
        terminals = {t.store for t in snapshot.terminals.values() if system and t.terminal_id in system.terminals}
        self._stores = (system.stores | terminals) if system and system.active else frozenset()
        self._staff.clear()
        everything = Changes(
            revisions=snapshot.revisions,
            as_of_s=snapshot.as_of_s,
            operations=snapshot.policy.operations,
            roles=snapshot.policy.roles,
            stores=snapshot.stores,
            terminals=snapshot.terminals,
            systems=snapshot.systems,
            sessions=snapshot.sessions,
            keys=snapshot.keys,
            limits=snapshot.limits,
        )
        return self.of(everything, snapshot)

    def of(self, changes: Changes, snapshot: Snapshot) -> Changes:
        """The part of a change that the system may see. A removal tells no more than an ID that it may have seen."""
        sessions = {
            key: row for key, row in changes.sessions.items() if row is None or row.store in self._stores
        }
        staff: dict[StaffId, Staff | None] = {k: v for k, v in changes.staff.items() if k in self._staff}
        for row in sessions.values():
            if row is not None and row.staff_id not in self._staff:
                self._staff.add(row.staff_id)
                staff[row.staff_id] = snapshot.staff.get(row.staff_id)
        return replace(
            changes,
            stores={k: v for k, v in changes.stores.items() if k in self._stores},
            terminals={k: v for k, v in changes.terminals.items() if v is None or v.store in self._stores},
            systems={k: v for k, v in changes.systems.items() if k == self._system},
            staff=staff,
            sessions=sessions,
            assignments={},
            bound={},
            revoked={},
            keys={k: v for k, v in changes.keys.items() if k == SESSION_KIND},
        )

    def must_restart(self, changes: Changes) -> bool:
        """The system's own registration changed: what it may see has to be sent anew."""
        return self._system in changes.systems
