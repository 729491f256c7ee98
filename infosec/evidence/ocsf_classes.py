"""Which OCSF 1.5 class and activity each of our events is. OCSF has none for consents, purposes and approvals: `unmapped`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from infosec.events.types import EventType as E


class OcsfClass(IntEnum):
    """Classes that are used; the first digit is the category."""

    BASE_EVENT = 0
    DETECTION_FINDING = 2004
    ACCOUNT_CHANGE = 3001
    AUTHENTICATION = 3002
    AUTHORIZE_SESSION = 3003
    ENTITY_MANAGEMENT = 3004
    USER_ACCESS = 3005
    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005


OTHER = 99


class Activity(NamedTuple):
    """A class, one of its activities, and whether it is one that did not succeed."""

    kind: OcsfClass
    activity: int = OTHER
    is_failure: bool = False


def _account(activity: int = OTHER, *, is_failure: bool = False) -> Activity:
    # Create 1, Enable 2, Password Change 3, Disable 5, Delete 6, Lock 9, MFA Factor Enable 10
    return Activity(OcsfClass.ACCOUNT_CHANGE, activity, is_failure)


def _login(activity: int = OTHER, *, is_failure: bool = False) -> Activity:
    # Logon 1, Logoff 2
    return Activity(OcsfClass.AUTHENTICATION, activity, is_failure)


def _thing(activity: int = OTHER) -> Activity:
    # Create 1, Read 2, Update 3, Delete 4
    return Activity(OcsfClass.ENTITY_MANAGEMENT, activity)


def _access(activity: int = OTHER, *, is_failure: bool = False) -> Activity:
    # Assign Privileges 1, Revoke Privileges 2
    return Activity(OcsfClass.USER_ACCESS, activity, is_failure)


def _call(activity: int = OTHER, *, is_failure: bool = False) -> Activity:
    # Create 1, Read 2, Update 3, Delete 4
    return Activity(OcsfClass.API_ACTIVITY, activity, is_failure)


def _data(activity: int) -> Activity:
    # Read 1, Update 2, Query 4, Delete 7
    return Activity(OcsfClass.DATASTORE_ACTIVITY, activity)


BASE = Activity(OcsfClass.BASE_EVENT, 0)
"""What is gone, or is of a type that this version does not know."""

ACTIVITIES: Mapping[E, Activity] = {
    E.LOGIN_SUCCEEDED: _login(1),
    E.LOGIN_FAILED: _login(1, is_failure=True),
    E.LOGIN_REFUSED: _login(1, is_failure=True),
    E.TERMINAL_REFUSED: _login(1, is_failure=True),
    E.STEP_UP_SUCCEEDED: _login(),
    E.SESSION_ENDED: _login(2),
    E.SESSION_LOCKED: _login(),
    E.SESSION_RESUMED: _login(),
    E.PROOF_SENT: _login(),
    E.PROOF_GIVEN: _login(),
    E.PROOF_FAILED: _login(is_failure=True),
    E.STAFF_LOCKED: _account(9),
    E.STAFF_BLACKLISTED: _account(9),
    E.STAFF_CREATED: _account(1),
    E.STAFF_UPDATED: _account(),
    E.STAFF_SUSPENDED: _account(5),
    E.STAFF_CLOSED: _account(6),
    E.STAFF_IMPORTED: _account(1),
    E.STAFF_REISSUED: _account(4),
    E.STAFF_REBOUND: _account(),
    E.STAFF_MOVED: _account(),
    E.STAFF_ROLE_CHANGED: _access(1),
    E.PROTECTED_FIELD_REFUSED: _account(is_failure=True),
    E.PASSWORD_CHANGED: _account(3),
    E.PASSWORD_REJECTED: _account(3, is_failure=True),
    E.PASSWORD_DELIVERY: _account(4),
    E.TOTP_ENROLLED: _account(),
    E.TOTP_ACTIVATED: _account(10),
    E.BREAK_GLASS_USED: _login(),
    E.BREAK_GLASS_REFUSED: _login(is_failure=True),
    E.REQUEST_SUBMITTED: _access(),
    E.REQUEST_ESCALATED: _access(),
    E.REQUEST_APPROVED: _access(1),
    E.REQUEST_REJECTED: _access(),
    E.REQUEST_CANCELLED: _access(),
    E.REQUEST_EXPIRED: _access(),
    E.REQUEST_LAPSED: _access(),
    E.REQUEST_CARRIED_OUT: _access(1),
    E.DECISION_REFUSED: _access(is_failure=True),
    E.GRANT_BOUND: _access(1),
    E.GRANT_RELEASED: _access(),
    E.GRANT_REVOKED: _access(2),
    E.INSTALLATION_INITIALISED: _thing(1),
    E.DIRECTORY_CHANGED: _thing(3),
    E.POLICY_CHANGED: _thing(3),
    E.CUSTOMERS_ASSIGNED: _access(1),
    E.CUSTOMERS_UNASSIGNED: _access(2),
    E.CHECK_DECIDED: _call(),
    E.CALL_REFUSED: _call(is_failure=True),
    E.AUDIT_QUERIED: _data(4),
    E.AUDIT_EXPORTED: _data(1),
    E.AUDIT_SAMPLED: _data(4),
    E.AUDIT_WHO_ACCESSED: _data(4),
    E.AUDIT_ACT_PROPOSED: _thing(),
    E.AUDIT_ACT_CONFIRMED: _thing(),
    E.AUDIT_ACT_WITHDRAWN: _thing(),
    E.AUDIT_ACT_EXPIRED: _thing(),
    E.AUDIT_ACT_BLOCKED: _thing(),
    E.AUDIT_HOLD_PLACED: _thing(1),
    E.AUDIT_HOLD_RELEASED: _thing(4),
    E.AUDIT_SUBJECT_ERASED: _data(7),
    E.AUDIT_RETENTION_APPLIED: _data(7),
    E.AUDIT_RESTORE_ACCEPTED: _data(2),
    E.AUDIT_FINDING_RECORDED: Activity(OcsfClass.DETECTION_FINDING, 1),
    E.AUDIT_KEY_ROTATED: _thing(3),
    E.AUDIT_CALL_REFUSED: _call(is_failure=True),
    E.CUSTOMER_VISITED: _call(1),
    E.CODE_SENT: _call(1),
    E.CODE_CONFIRMED: _call(3),
    E.ORDER_COMPLETED: _call(3),
    E.ORDER_REVERSED: _call(4),
}


def activity_of(type: str) -> Activity:
    """Of an event type as it stands in an entry."""
    try:
        return ACTIVITIES.get(E(type), BASE)
    except ValueError:
        return BASE
