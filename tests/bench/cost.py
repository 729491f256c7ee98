"""Where the CPU of a login goes: `python -m tests.bench.cost`, one JSON object for each round of logins.

CPU time from /proc is what neighbours on the machine disturb least; rates are in tests.bench.logins. Milliseconds for each
login: the bare hash, then what the server's hashing threads, its other threads, PostgreSQL and the client used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from authsvc.hash_schemes import HashParameters
from tests.bench import h2load, logins

ROUNDS, _BARE = 3, 100


def main() -> int:
    """Measure against one site."""
    if h2load.is_missing():
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.site", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        site = json.loads(server.stdout.readline())  # type: ignore[union-attr]
        logins.drive(site, 0)
        for number in range(ROUNDS):
            print(json.dumps(_round(site, server.pid, number)), flush=True)
        server.communicate("")
    return 0


def _round(site: dict[str, Any], pid: int, number: int) -> dict[str, float]:
    hash_ms = _bare_hash_ms(site["password"])
    before, client, started = _threads(pid), _client_s(), time.monotonic()
    engines = _engines_ms(pid)
    done = len(logins.drive(site, number)) + logins.BESIDE
    took, client = time.monotonic() - started, _client_s() - client
    engines = _engines_ms(pid) - engines
    spent = sorted((ms - before.get(thread, 0.0) for thread, ms in _threads(pid).items()), reverse=True)
    # The threads that hash are told by their work: nothing else comes near.
    hashing, rest = sum(spent[: os.cpu_count() or 1]), sum(spent[os.cpu_count() or 1 :])
    parts = {"hashing": hashing, "server": rest, "postgres": engines, "client": client * 1000}
    each = {name: round(ms / done, 2) for name, ms in parts.items()}
    ratio = hash_ms / sum(each.values())
    return {"logins_per_s": round(done / took, 1), "bare_hash": round(hash_ms, 2), **each, "cpu_ratio": round(ratio, 3)}


def _client_s() -> float:
    """CPU seconds of this process, and of those it started that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _bare_hash_ms(password: str) -> float:
    """With as many at once as there are cores: they share caches and memory, as the server's do."""
    hasher = HashParameters().hasher()
    hashed = hasher.hash(password)
    started = time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda _: hasher.verify(hashed, password), range(_BARE)))
    return (time.process_time() - started) / _BARE * 1000


def _threads(pid: int) -> dict[str, float]:
    """CPU milliseconds of each thread of a process."""
    spent = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e6
    return spent


def _engines_ms(pid: int) -> float:
    """CPU milliseconds of everything that a process started: the embedded engines and their backends."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += sum(_threads(int(child)).values()) + _engines_ms(int(child))
    return total


if __name__ == "__main__":
    raise SystemExit(main())
