"""What one system's Guards may see of the snapshot: its own stores and terminals, and who is in session there.

Of another store nothing is told, nor that something ceased to be there (design, section 6).
"""

from __future__ import annotations

from dataclasses import replace

from infosec.decision.session import SESSION_KIND
from infosec.decision.snapshot import Changes, Snapshot
from infosec.decision.tables import Session, Staff, Terminal
from infosec.ids import SessionId, StaffId, StoreId, SystemId, TerminalId


class View:
    """The view of one watching system. `whole` first, then `of` for each change."""

    def __init__(self, system: SystemId) -> None:
        self._system = system
        self._stores: frozenset[StoreId] = frozenset()
        """Registered in full."""
        self._terminals: frozenset[TerminalId] = frozenset()
        """Registered one by one."""
        self._around: frozenset[StoreId] = frozenset()
        """Where those stand: their hours are needed, and nothing else of them."""
        self._sent_terminals: set[TerminalId] = set()
        self._sent_sessions: dict[SessionId, StaffId] = {}

    def whole(self, snapshot: Snapshot) -> Changes:
        """Everything that the system may see now."""
        system = snapshot.systems.get(self._system)
        is_active = system is not None and system.active
        self._stores = system.stores if system is not None and is_active else frozenset()
        self._terminals = system.terminals if system is not None and is_active else frozenset()
        standing = [snapshot.terminals.get(terminal) for terminal in self._terminals]
        self._around = frozenset(terminal.store for terminal in standing if terminal is not None)
        self._sent_terminals.clear()
        self._sent_sessions.clear()
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
        """The part of a change that the system may see. `snapshot` is at least as new as the change."""
        sessions, staff = self._people(changes, snapshot)
        return replace(
            changes,
            stores={k: v for k, v in changes.stores.items() if k in self._stores or k in self._around},
            terminals=self._standing(changes),
            systems={k: v for k, v in changes.systems.items() if k == self._system},
            staff=staff,
            sessions=sessions,
            assignments={},
            bound={},
            revoked={},
            keys={k: v for k, v in changes.keys.items() if k == SESSION_KIND},
        )

    def must_restart(self, changes: Changes) -> bool:
        """What the system may see is another now and has to be sent anew."""
        return self._system in changes.systems or any(key in self._terminals for key in changes.terminals)

    def _may_see(self, store: StoreId, terminal: TerminalId) -> bool:
        return store in self._stores or terminal in self._terminals

    def _standing(self, changes: Changes) -> dict[TerminalId, Terminal | None]:
        """A terminal that was carried out of view is gone."""
        seen: dict[TerminalId, Terminal | None] = {}
        for key, row in changes.terminals.items():
            if row is not None and self._may_see(row.store, key):
                self._sent_terminals.add(key)
                seen[key] = row
            elif key in self._sent_terminals:
                self._sent_terminals.discard(key)
                seen[key] = None
        return seen

    def _people(
        self, changes: Changes, snapshot: Snapshot
    ) -> tuple[dict[SessionId, Session | None], dict[StaffId, Staff | None]]:
        """Sessions in view, and the staff IDs behind them for as long as they are."""
        before = set(self._sent_sessions.values())
        sessions: dict[SessionId, Session | None] = {}
        for key, row in changes.sessions.items():
            if row is not None and self._may_see(row.store, row.terminal):
                self._sent_sessions[key] = row.staff_id
                sessions[key] = row
            elif key in self._sent_sessions:
                del self._sent_sessions[key]
                sessions[key] = None
        if not sessions and not changes.staff:
            return sessions, {}
        after = set(self._sent_sessions.values())
        new = after - before
        staff: dict[StaffId, Staff | None] = {key: row for key, row in changes.staff.items() if key in after}
        staff |= {key: snapshot.staff.get(key) for key in new}
        staff |= dict.fromkeys(before - after)
        return sessions, staff
