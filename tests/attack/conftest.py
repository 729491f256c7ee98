"""Real engines, a carrier, and the whole suite for these tests."""

from tests.sim.servers import embedded, fresh_database
from tests.sim.suite import suite, suite_world
from tests.sim.world import world, world_keys

__all__ = ["embedded", "fresh_database", "suite", "suite_world", "world", "world_keys"]
