"""A real PostgreSQL and a real Redis of our own in one data directory: the production engines, with another address."""

from infosec.storage.embedded.servers import Addresses, EmbeddedServers

__all__ = ["Addresses", "EmbeddedServers"]
