"""Real engines, a carrier, and the request slice wired on it."""

import pytest

from tests.sim.request_desk import Desk, request_desk
from tests.sim.world import World


@pytest.fixture
async def desk(world: World) -> Desk:
    """The request slice of one process."""
    return await request_desk(world)
