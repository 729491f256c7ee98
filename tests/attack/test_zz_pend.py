import asyncio
from collections import Counter
import grpc
from tests.sim.suite import *
from tests.sim.servers import embedded, fresh_database
from tests.sim.world import world_keys
from infosec.client.check import CHECK, question
async def test_x(suite):
    token = await suite.session("li.na")
    request = question(token, "1302", store_id="e1", terminal_id="e1-t1", customer="13911112222").SerializeToString()
    ch = suite.channel()
    call = ch.unary_unary(CHECK.path)
    async def one():
        try:
            await call(request, timeout=60)
            return "OK"
        except grpc.aio.AioRpcError as e:
            return f"{e.code()} {e.details()} {e.debug_error_string()[:300]}"
    c = Counter(await asyncio.gather(*(one() for _ in range(10000))))
    print(len(c))
    for k, v in c.most_common(5): print(v, k)
