"""Who may look at whose staff IDs."""

from __future__ import annotations

import pytest

from authsvc.sight import Sight, sight_of
from infosec.decision.roles import ROLES
from infosec.errors import PermissionDenied
from infosec.ids import RegionId, RoleId, StoreId

EAST, WEST, E1, E2, W1 = RegionId("east"), RegionId("west"), StoreId("e1"), StoreId("e2"), StoreId("w1")


def sight(role: str) -> Sight:
    return sight_of(role_id=RoleId(role), region_id=EAST, store_id=E1)


@pytest.mark.rule("CI-2")
def test_each_role_sees_its_part_of_the_tree_and_no_more() -> None:
    for role in ("administrator", "auditor", "carrier-duty-officer"):
        assert sight(role).covers(region_id=WEST, store_id=W1)
    assert sight("regional-manager").covers(region_id=EAST, store_id=E2)
    assert not sight("regional-manager").covers(region_id=WEST, store_id=W1)
    for role in ("store-manager", "duty-manager"):
        assert sight(role).covers(region_id=EAST, store_id=E1)
        assert not sight(role).covers(region_id=EAST, store_id=E2)


@pytest.mark.rule("CI-2")
def test_nobody_else_sees_anybody() -> None:
    seeing = {
        *("administrator", "auditor", "carrier-duty-officer"),
        *("regional-manager", "store-manager", "duty-manager"),
    }
    for role in ROLES.keys() - seeing:
        with pytest.raises(PermissionDenied):
            sight(role)
