"""A real server on loopback with mutual TLS, servicers that do as they are told, and what it left behind."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from infosec import logging as infosec_logging
from infosec.api.auth.v1 import check_pb2, check_pb2_grpc, login_pb2, login_pb2_grpc, staff_pb2, staff_pb2_grpc
from infosec.certificates import Authority, CertificateFiles
from infosec.client.connection import Connection, connect
from infosec.config import Address
from infosec.rpc.credentials import channel_credentials, client_options
from infosec.rpc.deadlines import Backoff
from infosec.rpc.server.builder import Registration, Server, ServerLimits
from infosec.rpc.server.health import Readiness, always_ready
from infosec.rpc.server.identity import Anybody, Caller, caller_of
from infosec.rpc.server.refusals import Refusal

CARRIER = "carrier.example"
LOGIN = "infosec.api.auth.v1.LoginService"
CHECK = "infosec.api.auth.v1.CheckService"
STAFF = "infosec.api.auth.v1.StaffAdminService"
BILLING = "system/billing"

Act = Callable[[Any], Awaitable[Any]]


@dataclass
class Told:
    """What every fake method does: count the call, remember the caller, then act."""

    act: Act
    calls: int = 0
    callers: list[Caller] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)

    async def __call__(self, request: Any, context: Any) -> Any:
        self.calls += 1
        self.callers.append(caller_of(context))
        self.seen.append(request)
        return await self.act(request)


async def _login(_request: Any) -> Any:
    return login_pb2.LoginResponse(token="t")


async def _logout(_request: Any) -> Any:
    return login_pb2.LogoutResponse()


async def _suspend(_request: Any) -> Any:
    return staff_pb2.SuspendStaffResponse()


async def _allow(_request: Any) -> Any:
    return check_pb2.CheckResponse(allowed=True, reason="OK")


class FakeLogin(login_pb2_grpc.LoginServiceServicer):
    def __init__(self) -> None:
        self.login = Told(_login)
        self.logout = Told(_logout)

    async def Login(self, request: Any, context: Any) -> Any:
        return await self.login(request, context)

    async def Logout(self, request: Any, context: Any) -> Any:
        return await self.logout(request, context)


class FakeCheck(check_pb2_grpc.CheckServiceServicer):
    def __init__(self) -> None:
        self.check = Told(_allow)

    async def Check(self, request: Any, context: Any) -> Any:
        return await self.check(request, context)

    async def CheckStream(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for each in requests:
            yield check_pb2.CheckStreamResponse(number=each.number, answer=await self.check(each.check, context))

    async def WatchSnapshot(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield check_pb2.WatchSnapshotResponse(body=b"{}", is_whole=True)
        await asyncio.Event().wait()


class FakeStaff(staff_pb2_grpc.StaffAdminServiceServicer):
    def __init__(self) -> None:
        self.rows: list[str] = []
        self.suspend = Told(_suspend)

    async def SuspendStaff(self, request: Any, context: Any) -> Any:
        return await self.suspend(request, context)

    async def GetStaff(self, request: Any, context: Any) -> Any:
        return staff_pb2.GetStaffResponse(staff=staff_pb2.Staff(staff_id=request.staff_id))

    async def ImportStaff(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for part in requests:
            if part.WhichOneof("part") == "header":
                yield staff_pb2.ImportStaffResponse()  # go on
            else:
                self.rows.append(part.row.staff_id)
                yield staff_pb2.ImportStaffResponse(checked=len(self.rows))
        yield staff_pb2.ImportStaffResponse(checked=len(self.rows), is_done=True, imported=len(self.rows))


@dataclass
class Wire:
    """One server and its clients."""

    server: Server
    authority: Authority
    login: FakeLogin
    check: FakeCheck
    staff: FakeStaff
    refusals: list[Refusal]
    registry: CollectorRegistry
    log: io.StringIO

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def files(self, system: str = "billing", authority: Authority | None = None) -> CertificateFiles:
        return (authority or self.authority).issue_system(system, now=datetime.now(UTC))

    def suite(
        self, system: str = "billing", *, locale: str = "zh-CN", authority: Authority | None = None
    ) -> Connection:
        files = self.files(system, authority)
        quick = Backoff(attempts=4, first=Backoff().first / 100, longest=Backoff().longest / 100)
        return connect(
            self.address, ca=self.files().ca, cert=files.certificate, key=files.key, locale=locale, backoff=quick
        )

    def channel(self, files: CertificateFiles | None = None) -> grpc.aio.Channel:
        """A bare channel, for what the SDK would not send."""
        return grpc.aio.secure_channel(
            self.address, channel_credentials(files or self.files()), options=client_options()
        )

    async def raw(self, path: str, body: bytes) -> bytes:
        """Call a unary method with bytes of one's own."""
        async with self.channel() as channel:
            answer: bytes = await channel.unary_unary(path)(body, timeout=10)
            return answer


def everything(**more: frozenset[str] | Anybody) -> Mapping[str, frozenset[str] | Anybody]:
    billing = frozenset({BILLING})
    return {LOGIN: billing, CHECK: billing, STAFF: billing, **more}


def make_authority(folder: Path, carrier: str = CARRIER) -> Authority:
    return Authority.create_or_load(folder, carrier=carrier, now=datetime.now(UTC))


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    allow: Mapping[str, frozenset[str] | Anybody] | None = None,
    limits: ServerLimits | None = None,
    readiness: Readiness = always_ready,
    sink: Callable[[Refusal], Awaitable[None]] | None = None,
    more: Sequence[Registration] = (),
    carrier: str = CARRIER,
) -> AsyncIterator[Wire]:
    """A running server; stopped at the end."""
    authority, log, refusals = make_authority(folder / "tls"), io.StringIO(), list[Refusal]()
    infosec_logging.configure("info", log)
    login, check, staff, registry = FakeLogin(), FakeCheck(), FakeStaff(), CollectorRegistry()

    async def remember(refusal: Refusal) -> None:
        refusals.append(refusal)

    server = Server(
        [
            (login_pb2_grpc.add_LoginServiceServicer_to_server, login),
            (check_pb2_grpc.add_CheckServiceServicer_to_server, check),
            (staff_pb2_grpc.add_StaffAdminServiceServicer_to_server, staff),
            *more,
        ],
        address=Address(host="127.0.0.1", port=0),
        tls=authority.issue_service("authd", now=datetime.now(UTC)),
        carrier=carrier,
        allow=everything() if allow is None else allow,
        refusals=sink or remember,
        registry=registry,
        log=infosec_logging.get("tests.wire"),
        limits=limits,
        readiness=readiness,
    )
    await server.start()
    try:
        yield Wire(server, authority, login, check, staff, refusals, registry, log)
    finally:
        await server.stop(grace_s=0)
