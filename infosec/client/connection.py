"""A connection to the suite: one channel with mutual TLS, and a client for each service on it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc

from infosec.certificates import CertificateFiles
from infosec.client.calls import Invoker
from infosec.client.installation import COMMAND_LINE, address_of, certificate_files
from infosec.rpc.credentials import channel_credentials, client_options
from infosec.rpc.deadlines import Backoff

if TYPE_CHECKING:
    from infosec.client.approvals import ApprovalClient
    from infosec.client.audit import AuditClient
    from infosec.client.audit_admin import AuditAdminClient
    from infosec.client.audit_read import AuditReadClient
    from infosec.client.check import CheckClient
    from infosec.client.directory import DirectoryClient
    from infosec.client.login import LoginClient
    from infosec.client.notify import NotifyClient, SinkClient
    from infosec.client.policy import PolicyClient
    from infosec.client.requests import RequestClient
    from infosec.client.staff import StaffClient


class Connection:
    """Clients of all services at one address. Opens nothing before the first call; close it, or use `async with`."""

    def __init__(self, invoker: Invoker, *, address: str) -> None:
        self.address = address
        self.invoker = invoker

    @classmethod
    def of_installation(
        cls, *, home: Path | None = None, system: str = COMMAND_LINE, address: str | None = None, locale: str = "zh-CN"
    ) -> Self:
        """To a server on this machine, with the certificates that it made at first start. Raises Misconfigured."""
        files = certificate_files(home=home, system=system)
        return cls(_invoker(address or address_of(), files, locale=locale), address=address or address_of())

    @cached_property
    def login(self) -> LoginClient:
        from infosec.client.login import LoginClient

        return LoginClient(self.invoker)

    @cached_property
    def check(self) -> CheckClient:
        from infosec.client.check import CheckClient

        return CheckClient(self.invoker)

    @cached_property
    def audit(self) -> AuditClient:
        from infosec.client.audit import AuditClient

        return AuditClient(self.invoker)

    @cached_property
    def audit_read(self) -> AuditReadClient:
        from infosec.client.audit_read import AuditReadClient

        return AuditReadClient(self.invoker)

    @cached_property
    def audit_admin(self) -> AuditAdminClient:
        from infosec.client.audit_admin import AuditAdminClient

        return AuditAdminClient(self.invoker)

    @cached_property
    def requests(self) -> RequestClient:
        from infosec.client.requests import RequestClient

        return RequestClient(self.invoker)

    @cached_property
    def approvals(self) -> ApprovalClient:
        from infosec.client.approvals import ApprovalClient

        return ApprovalClient(self.invoker)

    @cached_property
    def staff(self) -> StaffClient:
        from infosec.client.staff import StaffClient

        return StaffClient(self.invoker)

    @cached_property
    def directory(self) -> DirectoryClient:
        from infosec.client.directory import DirectoryClient

        return DirectoryClient(self.invoker)

    @cached_property
    def policy(self) -> PolicyClient:
        from infosec.client.policy import PolicyClient

        return PolicyClient(self.invoker)

    @cached_property
    def notify(self) -> NotifyClient:
        from infosec.client.notify import NotifyClient

        return NotifyClient(self.invoker)

    @cached_property
    def sink(self) -> SinkClient:
        from infosec.client.notify import SinkClient

        return SinkClient(self.invoker)

    async def close(self) -> None:
        """Close the channel."""
        await self.invoker.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()


def connect(
    address: str,
    *,
    ca: Path | str,
    cert: Path | str,
    key: Path | str,
    locale: str = "zh-CN",
    server_name: str | None = None,
    backoff: Backoff | None = None,
) -> Connection:
    """A connection to `host:port` that trusts `ca` alone and shows `cert`. Raises Misconfigured for an unreadable file.

    `server_name` is what the server's certificate says, where the address differs. `locale` is zh-CN or en.
    """
    files = CertificateFiles(ca=Path(ca), certificate=Path(cert), key=Path(key))
    return Connection(
        _invoker(address, files, locale=locale, server_name=server_name, backoff=backoff), address=address
    )


def _invoker(
    address: str,
    files: CertificateFiles,
    *,
    locale: str,
    server_name: str | None = None,
    backoff: Backoff | None = None,
) -> Invoker:
    credentials, options = channel_credentials(files), client_options(server_name=server_name)

    def open_channel() -> grpc.aio.Channel:
        # At the first call, because a channel belongs to the event loop that made it.
        return grpc.aio.secure_channel(address, credentials, options=options)

    return Invoker(open_channel, locale=locale, backoff=backoff)
