"""How long a session lasts, what must be done in it first, and which use is odd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authsvc.profile import TELECOM_HALL
from authsvc.sessions import (
    Duty,
    FindingKind,
    Sighting,
    duties,
    ends_at,
    idle_before,
    must_enroll,
    odd_uses,
)
from infosec.ids import RoleId, StoreId, TerminalId

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


@pytest.mark.rule("ID-9", "ID-4")
@pytest.mark.parametrize(
    ("password_left", "restricted", "lasts"),
    [
        (timedelta(days=30), False, timedelta(hours=12)),
        (timedelta(hours=2), False, timedelta(hours=2)),
        (timedelta(days=30), True, timedelta(minutes=15)),
        (timedelta(minutes=5), True, timedelta(minutes=5)),
    ],
)
def test_a_session_ends_at_the_shift_limit_or_with_the_password_or_soon_if_restricted(
    password_left: timedelta, restricted: bool, lasts: timedelta
) -> None:
    assert ends_at(NOW, NOW + password_left, is_restricted=restricted, profile=TELECOM_HALL) == NOW + lasts


@pytest.mark.rule("ID-1", "RQ-3")
def test_duties_come_in_the_order_in_which_they_are_done() -> None:
    assert duties(must_change=True, must_enroll=True) == (Duty.CHANGE_PASSWORD, Duty.ENROLL_TOTP)
    assert duties(must_change=False, must_enroll=True) == (Duty.ENROLL_TOTP,)
    assert duties(must_change=False, must_enroll=False) == ()


@pytest.mark.rule("RQ-3")
@pytest.mark.parametrize(
    ("role", "active", "must"),
    [("regional-manager", False, True), ("regional-manager", True, False), ("clerk", False, False)],
)
def test_who_decides_enrols_a_second_factor_first(role: str, active: bool, must: bool) -> None:
    assert must_enroll(RoleId(role), totp_active=active, profile=TELECOM_HALL) is must


@pytest.mark.rule("ID-9")
@pytest.mark.parametrize(("minutes", "idle"), [(15, False), (17.5, False), (17.6, True)])
def test_idle_is_what_certainly_was_not_used_for_fifteen_minutes(minutes: float, idle: bool) -> None:
    assert (NOW - timedelta(minutes=minutes) < idle_before(NOW, TELECOM_HALL)) is idle


@pytest.mark.rule("ID-10")
@pytest.mark.parametrize(
    ("terminal", "store", "minutes", "in_session", "found"),
    [
        ("e1-t1", "e1", 1, True, ()),
        ("e1-t2", "e1", 1, True, (FindingKind.TWO_PLACES,)),
        ("e1-t2", "e1", 1, False, ()),
        ("e1-t2", "e1", 3, True, ()),
        ("e2-t1", "e2", 1, True, (FindingKind.TWO_PLACES, FindingKind.IMPOSSIBLE_TRAVEL)),
        ("e2-t1", "e2", 29, False, (FindingKind.IMPOSSIBLE_TRAVEL,)),
        ("e2-t1", "e2", 30, True, ()),
    ],
)
def test_odd_use(terminal: str, store: str, minutes: int, in_session: bool, found: tuple[FindingKind, ...]) -> None:
    last = Sighting(
        terminal_id=TerminalId("e1-t1"),
        store_id=StoreId("e1"),
        at=NOW - timedelta(minutes=minutes),
        in_session=in_session,
    )
    assert odd_uses(last, TerminalId(terminal), StoreId(store), NOW, TELECOM_HALL) == found


@pytest.mark.rule("ID-10")
def test_the_first_login_is_not_odd() -> None:
    assert odd_uses(None, TerminalId("e1-t1"), StoreId("e1"), NOW, TELECOM_HALL) == ()
