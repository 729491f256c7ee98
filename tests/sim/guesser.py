"""A process that logs in many times at once, for tests with several real processes: `python -m tests.sim.guesser`.

Reads one JSON object from stdin, says READY, waits for a line, and answers with a JSON object: outcomes and verifications.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from infosec.keys import KeyRing
from infosec.storage.addresses import PostgresAddress
from infosec.storage.embedded import Addresses
from tests.sim.login_nodes import login_node
from tests.sim.world import World


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    postgres = PostgresAddress(
        host=told["host"],
        dbname=told["dbname"],
        user=told["user"],
        password_file=Path(told["passwords"]) / f"{told['user']}.password",
    )
    addresses = Addresses(postgres=postgres, redis=None, passwords=Path(told["passwords"]), engine_uid=None)
    keys_dir = Path(told["keys"])
    world = World(addresses=addresses, keys=KeyRing.load(keys_dir), keys_dir=keys_dir)
    node = await login_node(world)
    print("READY", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    calls = [node.try_login(told["staff"], told["password"], at=told["terminal"]) for _ in range(told["times"])]
    outcomes = Counter(await asyncio.gather(*calls))
    await world.close()
    print(json.dumps({"outcomes": outcomes, "verified": {kind.value: n for kind, n in node.verified.items()}}))


if __name__ == "__main__":
    asyncio.run(main())
