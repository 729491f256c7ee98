"""The records that a decision reads, flat and immutable. No names, phones or keys of persons are in them.

Moments are epoch seconds and end in `_s`: a comparison of numbers is what the hot path can afford.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId

OpenHours = tuple[tuple[int, int], ...]
"""Spans [opens, closes) of one day in seconds after carrier midnight, closing at midnight is 86400. Empty: shut."""

CUSTOMER_PREFIX_BYTES = 8
"""How much of a customer's keyed digest an assignment keeps."""


class StaffState(StrEnum):
    """The state of a staff ID (section A)."""

    ISSUED = "ISSUED"
    ACTIVE = "ACTIVE"
    LOCKED = "LOCKED"
    BLACKLISTED = "BLACKLISTED"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store, its region, and when it is open in carrier time."""

    store_id: StoreId
    region: RegionId
    weekly: tuple[OpenHours, OpenHours, OpenHours, OpenHours, OpenHours, OpenHours, OpenHours]
    """Monday first."""
    special: Mapping[int, OpenHours] = field(default_factory=dict)
    """Days that differ, by `date.toordinal()`; empty hours: shut that day."""
    closed: bool = False
    """Closed for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A terminal (台席) and the store where it stands."""

    terminal_id: TerminalId
    store: StoreId
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A calling system and where it may act. Registration for a store covers that store's terminals."""

    system_id: SystemId
    stores: frozenset[StoreId] = frozenset()
    terminals: frozenset[TerminalId] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """What a decision needs to know of one staff ID."""

    staff_id: StaffId
    role: RoleId
    region: RegionId
    store: StoreId | None
    """None for those who belong to no store."""
    state: StaffState
    password_ends_s: float
    """00:00 carrier time of the password's 91st day (ID-4)."""
    epoch: int
    """Raised by whatever must end every session of this staff ID at once."""
    partner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One staff ID at one terminal (ID-9)."""

    session_id: SessionId
    staff_id: StaffId
    terminal: TerminalId
    store: StoreId
    started_s: float
    ends_s: float
    """The shift limit."""
    last_seen_s: float
    """Last use as recorded; the truth may be newer by up to `Limits.idle_grace_s`."""
    staff_epoch: int
    """The staff ID's epoch when the session began."""
    locked: bool = False
    restricted: bool = False
    """A first password to change or a second factor to enrol comes first."""
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The order that a grant was redeemed for, and when the grant is over and the row may be forgotten."""

    order: str
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The active profile's numbers that a decision uses; the defaults are profile `telecom-hall`."""

    profile: str = "telecom-hall"
    idle_s: float = 900
    idle_grace_s: float = 150
    """Use is recorded in steps of 2 min and reported every 30 s; a session is idle only when past both (ID-9)."""
    staleness_s: float = 5
    """A snapshot not confirmed for longer than this denies."""
