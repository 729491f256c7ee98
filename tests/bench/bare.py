"""The limit of the server library: grpc.aio answering a fixed body. `python -m tests.bench.bare BODY_BYTES`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc

from infosec.rpc.server import loop


class _Fixed(grpc.GenericRpcHandler):
    def __init__(self, body: bytes) -> None:
        async def answer(_request: bytes, _context: Any) -> bytes:
            return body

        self._handler = grpc.unary_unary_rpc_method_handler(answer)

    def service(self, _details: grpc.HandlerCallDetails) -> Any:
        return self._handler


async def _main(size: int) -> None:
    server = grpc.aio.server(handlers=(_Fixed(b"\x00" * size),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"port": port}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    loop.run(_main(int(sys.argv[1])))
