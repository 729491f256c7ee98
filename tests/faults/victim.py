"""Real processes to be killed and stopped: `python -m tests.faults.victim SOCKET` forks one for every connection to SOCKET.

A victim reads one JSON line (where, which operation, where to stop), says {"pid"}, runs the operation on objects wired as a
server wires them, says {"stopped": step} when it has come to its stop point and stops itself there, and says {"answer", "steps"}
at the end. With `serve` it answers crowds of logins, a JSON line each, until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from authsvc.hashing import PasswordHasher, Target
from authsvc.hashing import PoolLimits as HashLimits
from infosec.errors import InfosecError
from infosec.storage.postgres import Database, PoolLimits
from tests.faults.recording import append, relay, world_at
from tests.faults.stops import SteppedDatabase, SteppedHasher
from tests.sim.login_nodes import CRM, login_node
from tests.sim.request_desk import Desk, request_desk, retry
from tests.sim.world import CHEAP, ROLE, World

LIMITS = PoolLimits(max_size=6)
_IDLE_MS = 100
"""A stopped process in a transaction holds its rows until PostgreSQL ends its session: soon, once it has come to its stop."""

Told = Mapping[str, Any]


@dataclass(kw_only=True)
class Stops:
    """Counts steps, and stops the whole process at one of them."""

    at: int
    say: Callable[[Mapping[str, Any]], None]
    databases: Sequence[SteppedDatabase] = ()
    passed: list[str] = field(default_factory=list)

    async def __call__(self, step: str) -> None:
        self.passed.append(step)
        if len(self.passed) - 1 == self.at:
            for connection in [one for database in self.databases for one in database.in_transaction]:
                # Only now: a machine that falters before the stop ends no session.
                await connection.execute(f"set local idle_in_transaction_session_timeout = {_IDLE_MS}")
            self.say({"stopped": step})
            os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(kw_only=True)
class SteppedWorld(World):
    """A world whose pools have stop points."""

    databases: list[SteppedDatabase] = field(default_factory=list)

    async def database(self, limits: PoolLimits | None = None) -> Database:
        made = await SteppedDatabase.connect(self.addresses.role(ROLE), limits or LIMITS)
        self.databases.append(made)
        return await self._stack.enter_async_context(made)


async def log_in(desk: Desk, told: Told) -> None:
    await desk.node.login(told["staff"], told["password"], at=told["at"])


async def change_password(desk: Desk, told: Told) -> None:
    await desk.node.change(told["token"], told["password"], told["new"])


async def approve(desk: Desk, told: Told) -> None:
    actor = await desk.node.actors.of(told["token"], CRM)
    await desk.decisions.approve(actor, told["request"], "已核实", retry(told["retry"]))


async def redeem(desk: Desk, told: Told) -> None:
    await desk.approvals.redeem(CRM, told["grant"], told["order"])


ACTS: Mapping[str, Callable[[Desk, Told], Awaitable[None]]] = {
    act.__name__: act for act in (log_in, change_password, approve, redeem)
}


RECORDING: Mapping[str, Callable[[Told, Stops], Awaitable[None]]] = {"append": append, "relay": relay}
"""What needs no desk."""


async def desk_with(world: World, hasher: Any = None) -> Desk:
    """Logins and requests wired as one process has them."""
    return await request_desk(world, await login_node(world, hasher=hasher))


async def operate(told: Told, stops: Stops) -> None:
    """One operation, with stop points, and its answer as soon as there is one."""
    world = world_at(told, SteppedWorld)
    assert isinstance(world, SteppedWorld)
    hasher = SteppedHasher(inner=PasswordHasher(CHEAP, limits=HashLimits(workers=1)))
    desk = await desk_with(world, hasher)
    stops.databases = world.databases
    for database in world.databases:
        await database.read_one("select 1")
        database.stop = stops  # type: ignore[method-assign]
    hasher.stop = stops
    try:
        await ACTS[told["act"]](desk, told)
        answer = "OK"
    except InfosecError as error:
        answer = error.reason.value
    stops.say({"answer": answer, "steps": stops.passed})
    await desk.node.attempts.drain()


async def serve(told: Told, lines: TextIO, say: Callable[[Mapping[str, Any]], None]) -> None:
    """Log in crowds: each line is a list of logins to be tried at once; the answer counts outcomes and verifications."""
    world = world_at(told)
    verified: Counter[Target] = Counter()

    def count(target: Target) -> None:
        verified[target] += 1

    hasher = PasswordHasher(CHEAP, limits=HashLimits(workers=1, max_waiting=1000), observer=count)
    node = await login_node(world, hasher=hasher)
    say({"ready": True})
    while line := await asyncio.to_thread(lines.readline):
        verified.clear()
        tries = [node.try_login(one["staff"], one["password"], at=one["at"]) for one in json.loads(line)]
        outcomes = Counter(await asyncio.gather(*tries))
        say({"outcomes": outcomes, "verified": {target.value: n for target, n in verified.items()}})
    await world.close()


def live(connection: socket.socket) -> None:
    """The life of one victim."""
    lines = connection.makefile("r", encoding="utf-8")
    told = json.loads(lines.readline())

    def say(what: Mapping[str, Any]) -> None:
        connection.sendall(json.dumps(what).encode() + b"\n")

    say({"pid": os.getpid()})
    if told["act"] == "serve":
        asyncio.run(serve(told, lines, say))
    elif told["act"] in RECORDING:
        asyncio.run(RECORDING[told["act"]](told, Stops(at=told["stop_at"], say=say)))
    else:
        asyncio.run(operate(told, Stops(at=told["stop_at"], say=say)))


def main(path: str) -> None:
    """Fork victims until standard input ends: the imports are paid for once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        print("READY", flush=True)
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                try:
                    live(connection)
                finally:
                    os._exit(0)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
