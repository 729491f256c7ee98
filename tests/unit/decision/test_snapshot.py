"""Snapshots: changes make the next one, the last one stays as it was, and what was revoked does not return."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from infosec.decision.decide import decide
from infosec.decision.grants import GrantId
from infosec.decision.operations import CATALOGUE
from infosec.decision.reasons import DenyReason
from infosec.decision.snapshot import EMPTY, Changes, Snapshot
from infosec.decision.tables import Binding, Limits, StaffState
from infosec.errors import Aborted
from infosec.ids import CARRIER, OperationCode
from tests.unit.decision.world import ACTOR, EAST, SESSION, case_of


@pytest.mark.rule("CI-2")
def test_a_lock_denies_from_the_next_snapshot_on_and_leaves_the_last_alone() -> None:
    case = case_of("clerk", "1302")
    before = case.snapshot()
    locked = replace(case.staff, state=StaffState.LOCKED)
    after = before.with_changes(Changes(revisions={EAST: 10}, staff={ACTOR: locked}))
    assert decide(before, case.handle, case.request, case.now).allowed
    assert decide(after, case.handle, case.request, case.now).reason is DenyReason.STAFF_NOT_ACTIVE
    assert after.revisions == {EAST: 10, CARRIER: 4}


def test_tables_that_no_change_touched_are_shared() -> None:
    before = case_of("clerk", "1302").snapshot()
    after = before.with_changes(Changes(revisions={EAST: 10}, sessions={SESSION: None}))
    touched = {
        field.name for field in fields(Snapshot) if getattr(before, field.name) is not getattr(after, field.name)
    }
    assert touched == {"revisions", "sessions"}
    assert SESSION in before.sessions
    assert SESSION not in after.sessions


def test_removing_what_is_not_there_changes_nothing() -> None:
    snapshot = case_of("clerk", "1302").snapshot()
    assert snapshot.with_changes(Changes(revoked={GrantId("g"): None})).revoked == {}


@pytest.mark.rule("CI-2")
def test_a_role_or_operation_that_changes_is_compiled_anew() -> None:
    case = case_of("clerk", "1302")
    role = case.roles[case.staff.role]
    narrowed = replace(role, permissions={})
    after = case.snapshot().with_changes(Changes(roles={role.role_id: narrowed}))
    assert decide(after, case.handle, case.request, case.now).reason is DenyReason.OPERATION_NOT_PERMITTED
    gone = case.snapshot().with_changes(Changes(operations={OperationCode("1302"): None}))
    assert decide(gone, case.handle, case.request, case.now).reason is DenyReason.OPERATION_UNKNOWN
    assert len(gone.policy.operations) == len(CATALOGUE) - 1


def test_a_revision_never_goes_back() -> None:
    snapshot = case_of("clerk", "1302").snapshot()
    with pytest.raises(Aborted):
        snapshot.with_changes(Changes(revisions={EAST: 8}))
    assert snapshot.with_changes(Changes(revisions={EAST: 9})).revisions[EAST] == 9


def test_freshness_only_moves_forward() -> None:
    case = case_of("clerk", "1302")
    snapshot = case.snapshot()
    later = case.now + timedelta(seconds=30)
    assert decide(snapshot, case.handle, case.request, later).reason is DenyReason.SNAPSHOT_STALE
    assert decide(snapshot.confirmed(later), case.handle, case.request, later).allowed
    assert snapshot.confirmed(case.now - timedelta(days=1)).as_of_s == snapshot.as_of_s
    assert snapshot.with_changes(Changes(as_of_s=5)).as_of_s == snapshot.as_of_s


def test_limits_and_keys_come_with_the_changes() -> None:
    keys = {"session": {"k1": b"1" * 32}, "grant-consent": {"k2": b"2" * 32}}
    snapshot = EMPTY.with_changes(Changes(keys=keys, limits=Limits(profile="nist-800-63b-4", idle_s=600)))
    assert snapshot.keys["grant-consent"] == {"k2": b"2" * 32}
    assert snapshot.limits.idle_s == 600
    assert snapshot.with_changes(Changes()).limits is snapshot.limits


def test_pruning_forgets_only_what_time_has_made_useless() -> None:
    case = case_of("clerk", "1302")
    ends = case.session.ends_s
    bound = {GrantId("old"): Binding(order="o", expires_s=ends), GrantId("new"): Binding(order="o", expires_s=ends + 1)}
    case.bound, case.revoked = bound, {GrantId("old"): ends, GrantId("new"): ends + 1}
    pruned = case.snapshot().pruned(case.now + timedelta(seconds=ends - case.now_s))
    assert set(pruned.sessions) == set()
    assert set(pruned.bound) == set(pruned.revoked) == {GrantId("new")}
    kept = case.snapshot().pruned(case.now)
    assert (set(kept.sessions), len(kept.bound), len(kept.revoked)) == ({SESSION}, 2, 2)
