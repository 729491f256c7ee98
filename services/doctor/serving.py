"""The serving process, asked over its own wire whether it can do its work."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from infosec.certificates import CertificateFiles
from infosec.errors import InfosecError
from infosec.rpc.credentials import channel_credentials, client_options
from services.doctor.findings import Finding, failed, fine, warning, wrong

_WITHIN_S = 3.0


async def look(address: str, files: CertificateFiles) -> Finding:
    """Ready means that its snapshot is fresh."""
    if not files.certificate.exists():
        return warning("server", "尚未启动过", "nothing was started yet")
    try:
        credentials = channel_credentials(files)
    except InfosecError as error:
        return failed("server", error)
    async with grpc.aio.secure_channel(address, credentials, options=client_options()) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_WITHIN_S)
        except grpc.aio.AioRpcError as error:
            return _unanswered(address, error.code())
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return fine("server", f"{address} 正常", f"{address} serves, from a fresh snapshot")
    return wrong(
        "server",
        f"{address} 在运行，但数据已陈旧，检查一律拒绝：请看数据库",
        f"{address} runs, but its snapshot is stale and it denies every check: look at the database",
    )


def _unanswered(address: str, code: grpc.StatusCode) -> Finding:
    if code is grpc.StatusCode.UNAVAILABLE:
        return warning("server", f"{address} 无应答：没有运行？", f"nothing answers at {address}: does it run?")
    return wrong("server", f"{address} 应答 {code.name}", f"{address} answers {code.name}")
