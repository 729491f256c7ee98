"""Another store system, and a centre that knows one clerk: run by test_sdk_alone where nothing but the SDK is installed."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from infosec.api.auth.v1 import check_pb2, check_pb2_grpc
from infosec.client import GuardInterceptor, guarded
from infosec.client.calls import Invoker
from infosec.client.check import CheckClient

PAY = "/till.v1.TillService/Pay"


class Centre(check_pb2_grpc.CheckServiceServicer):
    """Allows 1302 to whoever has the clerk's token."""

    async def Check(self, request: check_pb2.CheckRequest, context: Any) -> check_pb2.CheckResponse:
        assert (request.store_id, request.terminal_id, request.customer) == ("e1", "e1-t1", "13911112222")
        is_allowed = request.token == "clerk" and request.operation == "1302"
        return check_pb2.CheckResponse(
            allowed=is_allowed,
            reason="OK" if is_allowed else "OPERATION_NOT_PERMITTED",
            operation_class=check_pb2.OPERATION_CLASS_PAY,
        )


class Till:
    """The system's own service."""

    @guarded("1302", customer=lambda request: request.value)
    async def pay(self, request: StringValue, context: Any) -> StringValue:
        return StringValue(value="OK")


async def served(*, interceptors: tuple[Any, ...] = ()) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(interceptors=interceptors)
    return server, server.add_insecure_port("127.0.0.1:0")


async def pay(channel: grpc.aio.Channel, token: str) -> str:
    """What the till answers."""
    call = channel.unary_unary(PAY, StringValue.SerializeToString, StringValue.FromString)
    metadata = [("infosec-store", "e1"), ("infosec-terminal", "e1-t1"), *([("infosec-token", token)] if token else [])]
    try:
        return "paid:" + (await call(StringValue(value="13911112222"), metadata=metadata, timeout=60)).value
    except grpc.aio.AioRpcError as error:
        reason = error.details() if error.code() is not grpc.StatusCode.UNAVAILABLE else "-"
        return f"{error.code().name}:{reason}"


async def main() -> None:
    """Allowed, denied, without a token, and with the centre gone."""
    centre, centre_port = await served()
    check_pb2_grpc.add_CheckServiceServicer_to_server(Centre(), centre)
    await centre.start()
    invoker = Invoker(lambda: grpc.aio.insecure_channel(f"127.0.0.1:{centre_port}"), locale="en")
    till, till_port = await served(interceptors=(GuardInterceptor(CheckClient(invoker)),))
    handler = grpc.unary_unary_rpc_method_handler(Till().pay, StringValue.FromString, StringValue.SerializeToString)
    till.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("till.v1.TillService", {"Pay": handler}),))
    await till.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{till_port}") as channel:
        for token in ("clerk", "trainee", ""):
            print(await pay(channel, token))
        await centre.stop(None)
        print(await pay(channel, "clerk"))
    await invoker.close()
    await till.stop(None)


asyncio.run(main())
