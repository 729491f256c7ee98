"""A log of a million entries, grown, proved, exported, verified, sampled and queried: `python -m tests.bench.million [ENTRIES]`.

One JSON object for each step: seconds, a rate where there is one, the peak memory of this process so far, and that of the
audit service during the step (MiB). Takes some minutes, so it is no part of `make bench`.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.audit_read import AuditReadClient
from infosec.errors import FailedPrecondition
from infosec.evidence.formats import FormatName
from infosec.evidence.verifying import verify
from infosec.review.sampling import Week
from infosec.secret import Secret
from tests.bench import evidence, records

T = TypeVar("T")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
_WEEK = timedelta(days=7)
"""So long ago everything happens: it is in a week that is over by now."""


def main() -> int:
    """Everything, on a site of its own."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.site", folder, str(_WEEK.days)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as site,
    ):
        asyncio.run(_measured(json.loads(site.stdout.readline()), Path(folder), most))  # type: ignore[union-attr]
        site.communicate("")
    return 0


async def _measured(site: dict[str, Any], folder: Path, most: int) -> None:
    size = 0
    for wanted in (one for one in SIZES if one <= most):
        await _step(site, f"append to {wanted}", records.fill(site, wanted - size, ago=_WEEK), count=wanted - size)
        size = wanted
        await _proof(site)
    os.kill(site["audit_pid"], signal.SIGUSR1)  # the audit service is in this week now
    file = folder / "million.jsonl"
    await _step(site, "export as JSONL", evidence.exported(site, file), count=size)
    trust = await evidence.trust_of(site)
    await _step(site, "verify JSONL offline", asyncio.to_thread(verify, file, trust, now=datetime.now(UTC)), count=size)
    await _step(
        site, "export as Parquet", evidence.exported(site, folder / "m.parquet", FormatName.PARQUET), count=size
    )
    async with evidence.reader(site) as suite:
        token, read = evidence.auditor(site), suite.audit_read
        await _step(site, "query the newest 100", read.query(token, pb.Filter(log_ids=[evidence.LOG])))
        by_one = pb.Filter(log_ids=[evidence.LOG], staff_ids=["clerk.7"], types=["check.decided"])
        await _step(site, "query 100 of one person", read.query(token, by_one))
        sampled = await _step(site, "draw a sample", _sampled(token, read), count=size)
        print(json.dumps({"people": len(sampled.population), "drawn": len(sampled.drawn)}), flush=True)
        ended = datetime.now(UTC) - _WEEK
        hour = read.patterns(token, since=ended - timedelta(hours=1), until=ended)
        print(json.dumps({"patterns": len(await _step(site, "patterns of an hour", hour, count=size))}), flush=True)


async def _sampled(token: Secret, read: AuditReadClient) -> pb.DrawSampleResponse:
    """The store's spot checks; the first question closes the week, and the next checkpoint fixes the draw (CI-6)."""
    week = Week.before(datetime.now(UTC)).monday.isoformat()
    while True:
        try:
            return await read.draw_sample(token, store_id="e1", log_id=evidence.LOG, week=week)
        except FailedPrecondition as not_yet:
            if not_yet.retry_after is None:
                raise
            await asyncio.sleep(not_yet.retry_after.total_seconds())


async def _step(site: dict[str, Any], name: str, work: Awaitable[T], count: int = 0) -> T:
    Path(f"/proc/{site['audit_pid']}/clear_refs").write_text("5")  # the peak begins anew
    started = time.monotonic()
    done = await work
    took = time.monotonic() - started
    told: dict[str, object] = {"step": name, "seconds": round(took, 2)}
    if count:
        told["per_second"] = round(count / took)
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told["service_peak_mib"] = _peak_of(site["audit_pid"])
    print(json.dumps(told), flush=True)
    return done


async def _proof(site: dict[str, Any]) -> None:
    """The time of one proof at this size: a logarithm grows by little where the log grows tenfold."""
    async with evidence.reader(site) as suite:
        size = next(log.size for log in await suite.audit_read.logs() if log.log_id == evidence.LOG)
    took, hashes = await evidence.proof_ms(site, size)
    print(json.dumps({"proof_at": size, "median_ms": round(took, 2), "hashes": hashes}), flush=True)


def _peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


if __name__ == "__main__":
    raise SystemExit(main())
