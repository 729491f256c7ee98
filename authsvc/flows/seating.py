"""Who sits where at this moment: the matter of a request as it stands now, and who could decide it (RQ-2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from authsvc.requests import ABOVE, SEATS, Level, Matter, Person, Request, Seat
from authsvc.store import requests as store
from authsvc.store import subjects
from authsvc.work import Connection
from infosec.decision.policy import Policy
from infosec.decision.roles import PlaceScope
from infosec.ids import CARRIER, RegionId, RoleId


class Seating:
    """Reads it, inside the transaction that decides."""

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    def second_person(self, roles: Sequence[RoleId], region_id: RegionId) -> tuple[Seat, ...]:
        """RQ-7: the seats of the roles that an operation names; each reaches as far as the role does.

        Head office lies in no regional manager's region: what is done there (bulk export) any of them may decide.
        """
        known = self._policy().roles
        seats = (Seat(role_id=role, reach=known[role].place) for role in roles if role in known)
        if region_id != CARRIER:
            return tuple(seats)
        return tuple(
            replace(seat, reach=PlaceScope.CARRIER) if seat.reach is PlaceScope.REGION else seat for seat in seats
        )

    def reach(self, role_id: RoleId, *, approvals: bool) -> PlaceScope:
        """How far this role's power to decide reaches, at either face."""
        if approvals:
            role = self._policy().roles.get(role_id)
            return PlaceScope.OWN_STORE if role is None else role.place
        seats = (seat for level in SEATS.values() for seat in level)
        return next((seat.reach for seat in seats if seat.role_id == role_id), PlaceScope.OWN_STORE)

    async def of(self, conn: Connection, request: Request, now: datetime) -> tuple[Matter, list[Person]]:
        """Where the matter is now, and who might decide it at its level or above."""
        matter = await store.matter_of(conn, request)
        seats = self.second_person(request.decider_roles, matter.region_id)
        people = await self.people(conn, request.level, seats, matter.region_id, now)
        return replace(matter, seats=seats or SEATS[request.level]), people

    async def people(
        self, conn: Connection, level: Level, second: tuple[Seat, ...], region_id: RegionId, now: datetime
    ) -> list[Person]:
        """Who might decide there."""
        above = SEATS[ABOVE[level]] if level in ABOVE else ()
        seats = (*second, *SEATS[level], *above)
        wide = [seat.role_id for seat in seats if seat.reach is PlaceScope.CARRIER]
        return await subjects.people(conn, [seat.role_id for seat in seats], wide, region_id, now)
