"""Whose staff IDs and findings a role may look at (section A, who is who). Pure; what a role may change is not said here."""

from __future__ import annotations

from dataclasses import dataclass

from infosec.errors import PermissionDenied, Reason
from infosec.ids import RegionId, RoleId, StoreId

ADMINISTRATOR = RoleId("administrator")
AUDITOR = RoleId("auditor")
CARRIER_DUTY_OFFICER = RoleId("carrier-duty-officer")
REGIONAL_MANAGER = RoleId("regional-manager")
STORE_MANAGER = RoleId("store-manager")
DUTY_MANAGER = RoleId("duty-manager")

_EVERYWHERE = frozenset({ADMINISTRATOR, AUDITOR, CARRIER_DUTY_OFFICER})
_IN_STORE = frozenset({STORE_MANAGER, DUTY_MANAGER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The part of the tree that somebody sees; None: not bounded."""

    region_id: RegionId | None = None
    store_id: StoreId | None = None

    def covers(self, *, region_id: RegionId, store_id: StoreId) -> bool:
        """Whether what belongs there is in sight."""
        return self.region_id in (None, region_id) and self.store_id in (None, store_id)


def sight_of(*, role_id: RoleId, region_id: RegionId, store_id: StoreId) -> Sight:
    """What a person of this role, region and store sees. Raises PermissionDenied(NOT_PERMITTED) for who sees nobody."""
    if role_id in _EVERYWHERE:
        return Sight()
    if role_id == REGIONAL_MANAGER:
        return Sight(region_id=region_id)
    if role_id in _IN_STORE:
        return Sight(region_id=region_id, store_id=store_id)
    raise PermissionDenied(Reason.NOT_PERMITTED, role=role_id)
