"""Who is acting: a token resolved against the record of truth at the moment of use. Knows no wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from authsvc.staff import MAY_LOG_IN, StaffState
from authsvc.store import actors as store
from authsvc.work import Works
from infosec.clock import Clock
from infosec.decision.session import SessionHandle, open_token
from infosec.errors import PermissionDenied, Reason, Unauthenticated
from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import SigningKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person in a live session, as PostgreSQL knows them now."""

    staff_id: StaffId
    name: str
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    session_id: SessionId
    terminal_id: TerminalId
    session_store_id: StoreId
    system_id: SystemId
    stepped_up_until: datetime | None
    must_change: bool
    must_enroll: bool
    is_locked: bool

    def require_step_up(self, now: datetime) -> None:
        """RQ-3: a second factor given in this session within five minutes. Raises PermissionDenied(STEP_UP_REQUIRED)."""
        if self.stepped_up_until is None or self.stepped_up_until <= now:
            raise PermissionDenied(Reason.STEP_UP_REQUIRED)

    def require_role(self, *roles: str) -> None:
        """One of these roles. Raises PermissionDenied(NOT_PERMITTED)."""
        if self.role_id not in roles:
            raise PermissionDenied(Reason.NOT_PERMITTED, role=self.role_id)


class Actors:
    """Resolves tokens. `latest_idle` is after how long without use a session has ended whatever else is known (ID-9)."""

    def __init__(
        self, works: Works, keys: SigningKeys, installation: str, clock: Clock, *, latest_idle: timedelta
    ) -> None:
        self._works = works
        self._keys = keys
        self._installation = installation
        self._clock = clock
        self._latest_idle = latest_idle

    def handle(self, token: str, system: str) -> SessionHandle:
        """The verified claims of a token that was made for the calling system. Raises Unauthenticated(TOKEN_INVALID)."""
        handle = open_token(token, self._keys.public_keys(), self._installation)
        if handle.system != system or handle.expires_s <= self._clock.now().timestamp():
            raise Unauthenticated(Reason.TOKEN_INVALID)
        return handle

    async def of(self, token: str, system: str) -> Actor:
        """The person behind a full, unlocked session.

        Raises Unauthenticated(TOKEN_INVALID | SESSION_ENDED), PermissionDenied(CALLER_OUT_OF_PLACE | SESSION_LOCKED |
        SESSION_RESTRICTED).
        """
        actor = await self.of_any(token, system)
        if actor.is_locked:
            raise PermissionDenied(Reason.SESSION_LOCKED)
        if actor.must_change or actor.must_enroll:
            raise PermissionDenied(Reason.SESSION_RESTRICTED)
        return actor

    async def of_any(self, token: str, system: str) -> Actor:
        """As `of`, locked and restricted sessions included: for the methods that unlock or complete them.

        The system must be registered for the terminal still, as when it logged the person in (design, section 4).
        """
        handle = self.handle(token, system)
        now = self._clock.now()
        async with self._works.read() as conn:
            row = await store.live_session(conn, handle.session_id, handle.system)
            if row is None or not self._is_live(row, handle, now):
                raise Unauthenticated(Reason.SESSION_ENDED)
            if not row.system_serves:
                raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE, system=handle.system, terminal=handle.terminal)
            if not row.is_locked:  # what its system asks while the person is away is no use by the person (ID-9)
                await store.touch(conn, handle.session_id, now)
        return Actor(
            staff_id=row.staff_id,
            name=row.name,
            role_id=row.role_id,
            store_id=row.store_id,
            region_id=row.region_id,
            session_id=handle.session_id,
            terminal_id=handle.terminal,
            session_store_id=row.session_store_id,
            system_id=handle.system,
            stepped_up_until=row.stepped_up_until,
            must_change=row.must_change,
            must_enroll=row.must_enroll,
            is_locked=row.is_locked,
        )

    def _is_live(self, row: store.LiveSession, handle: SessionHandle, now: datetime) -> bool:
        return (
            row.staff_id == handle.staff_id
            and row.terminal_id == handle.terminal
            and row.staff_epoch == row.session_epoch
            and StaffState(row.state) in MAY_LOG_IN
            and now < row.ends_at
            and now < row.password_ends_at  # ID-4: from the date, at the moment of use
            and now - row.last_seen <= self._latest_idle  # ID-9
            and not row.terminal_retired
            and row.session_store_region == row.region_id
        )
