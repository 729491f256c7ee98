"""A store system's process to be killed: `python -m tests.faults.guarding` decides payments with a Guard, one after the other,
and says {"allowed": trace} for each, once it has its answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from pathlib import Path

from infosec.client.connection import connect
from infosec.client.guard import Guard
from tests.faults.recording import RunningClock
from tests.sim.check_nodes import PAY


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    ca, cert, key = told["files"]
    clock = RunningClock(told["began"])
    async with connect(told["address"], ca=ca, cert=cert, key=key) as crm:
        guard = Guard(crm.check, crm.audit, spool_dir=Path(told["spool"]), now=clock.now)
        async with guard.running():
            for number in count():
                trace = f"{told['life']}-{number}"
                answer = await guard.check(
                    told["token"], PAY, store_id="e1", terminal_id="e1-t1", customer="13911112222", trace_id=trace
                )
                if answer.allowed:
                    print(json.dumps({"allowed": trace}), flush=True)
                await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main())
