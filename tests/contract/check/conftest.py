"""Real engines and a carrier for these tests."""

from tests.sim.servers import embedded, fresh_database, tcp_servers
from tests.sim.world import world, world_keys

__all__ = ["embedded", "fresh_database", "tcp_servers", "world", "world_keys"]
