"""Real engines, a carrier, and the administrators' services wired on it."""

import pytest

from tests.sim.admin_office import Office, admin_office
from tests.sim.world import World


@pytest.fixture
async def office(world: World) -> Office:
    """The services of one process."""
    return await admin_office(world)
