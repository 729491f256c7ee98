"""A log of a million entries, grown, proved, exported, verified, sampled and queried: `python -m tests.bench.million [ENTRIES]`.

One JSON object for each step: seconds, a rate where there is one, and the peak memory of this process and of the audit
service (MiB) so far. Takes some minutes, so it is no part of `make bench`.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.evidence.formats import FormatName
from infosec.evidence.verifying import verify
from tests.bench import evidence, records

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_PROOFS = 200


def main() -> int:
    """Everything, on a site of its own."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.site", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as site,
    ):
        asyncio.run(_measured(json.loads(site.stdout.readline()), Path(folder), most))  # type: ignore[union-attr]
        site.communicate("")
    return 0


async def _measured(site: dict[str, Any], folder: Path, most: int) -> None:
    size = 0
    for wanted in (one for one in SIZES if one <= most):
        await _step(site, f"append to {wanted}", records.fill(site, wanted - size), count=wanted - size)
        size = wanted
        await _proofs(site, wanted)
    file = folder / "million.jsonl"
    await _step(site, "export as JSONL", evidence.exported(site, file), count=size)
    trust = await evidence._trust(site)
    await _step(site, "verify JSONL offline", asyncio.to_thread(verify, file, trust, now=datetime.now(UTC)), count=size)
    await _step(
        site, "export as Parquet", evidence.exported(site, folder / "m.parquet", FormatName.PARQUET), count=size
    )
    async with evidence.reader(site) as suite:
        token, read = evidence.auditor(site), suite.audit_read
        await _step(site, "query the newest 100", read.query(token, pb.Filter(log_ids=[evidence.LOG])))
        by_one = pb.Filter(log_ids=[evidence.LOG], staff_ids=["clerk.7"], types=["check.decided"])
        await _step(site, "query 100 of one person", read.query(token, by_one))
        await _step(site, "patterns of an hour", read.patterns(token, since=_hour_ago(), until=datetime.now(UTC)))


async def _step(site: dict[str, Any], name: str, work: Awaitable[object], count: int = 0) -> None:
    started = time.monotonic()
    await work
    took = time.monotonic() - started
    told: dict[str, object] = {"step": name, "seconds": round(took, 2)}
    if count:
        told["per_second"] = round(count / took)
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told["service_peak_mib"] = _peak_of(site["audit_pid"])
    print(json.dumps(told), flush=True)


async def _proofs(site: dict[str, Any], size: int) -> None:
    """The time of one proof at this size: a logarithm grows by little where the log grows tenfold."""
    draw, took = random.Random(size), list[float]()
    async with evidence.reader(site) as suite:
        size = next(log.size for log in await suite.audit_read.logs() if log.log_id == evidence.LOG)
        for number in range(_PROOFS + 20):
            started = time.monotonic()
            proof = await suite.audit_read.inclusion_proof(evidence.LOG, draw.randrange(size), size=size)
            if number >= 20:
                took.append((time.monotonic() - started) * 1000)
    print(json.dumps({"proof_at": size, "median_ms": round(median(took), 2), "hashes": len(proof.proof)}), flush=True)


def _hour_ago() -> datetime:
    return datetime.fromtimestamp(time.time() - 3600, UTC)


def _peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


if __name__ == "__main__":
    raise SystemExit(main())
