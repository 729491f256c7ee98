"""A durable, bounded, local queue in files: what was decided here and must be recorded elsewhere (CI-1).

Standard library only, so that the SDK carries it too. Knows nothing of what the records say, nor who takes them.
"""

from infosec.spool.folder import orphans, read_refused
from infosec.spool.frames import MAX_RECORD_BYTES, SpoolDamaged
from infosec.spool.queue import Backlog, Batch, Position, Spool
from infosec.spool.relay import Deliver, SpoolRelay

__all__ = [
    "MAX_RECORD_BYTES",
    "Backlog",
    "Batch",
    "Deliver",
    "Position",
    "Spool",
    "SpoolDamaged",
    "SpoolRelay",
    "orphans",
    "read_refused",
]
