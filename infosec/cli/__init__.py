"""The command line `infosec`: client sub-commands, one module a group. A client of the SDK, with no other way in."""

from __future__ import annotations

import os

# Before gRPC is imported, which reads it once. Its handlers run in every fork of a process that has channels or a server, and
# abort the child ("Check failed", in its poller) before that becomes an embedded engine. Nothing of ours calls gRPC after a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
