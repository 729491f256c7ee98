"""How the services of a process reach one another: over its own wire, or over another process's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from authsvc.work import Message
from infosec.certificates import CertificateFiles
from infosec.client.audit import AuditClient
from infosec.client.connection import Connection, connect
from infosec.config import Address
from infosec.errors import Reason, Unavailable
from services.notifying import NotifyOverRpc


class Peers:
    """The services of this very process over its own wire, reachable once the server listens; or the audit service elsewhere."""

    def __init__(self, audit: Address | None, files: CertificateFiles, stack: AsyncExitStack) -> None:
        """`audit` is where another process serves the audit logs; None where this one does."""
        self._files = files
        self._stack = stack
        self._audit_address = audit
        self._own: Address | None = None
        self._shown = 0
        self._reached: dict[Address, Connection] = {}

    def reach(self, address: Address) -> None:
        self._own = address

    def audit(self) -> AuditClient:
        """Raises Unavailable before the server listens."""
        return self._there(self._audit_address or self._own, "audit").audit

    async def submit(self, message: Message) -> str:
        return await NotifyOverRpc(self._there(self._own, "notify").notify).submit(message)

    async def states(self, message_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        return await NotifyOverRpc(self._there(self._own, "notify").notify).states(message_ids)

    def _there(self, address: Address | None, peer: str) -> Connection:
        if address is None:
            raise Unavailable(Reason.PEER_UNAVAILABLE, detail=peer)
        files, on_disk = self._files, self._files.certificate.stat().st_mtime_ns
        if on_disk != self._shown:
            # A channel keeps the certificate that it was opened with, beyond its end.
            self._reached, self._shown = {}, on_disk
        if address not in self._reached:
            name = "localhost" if address.is_loopback else None
            opened = connect(str(address), ca=files.ca, cert=files.certificate, key=files.key, server_name=name)
            self._stack.push_async_callback(opened.close)
            self._reached[address] = opened
        return self._reached[address]
