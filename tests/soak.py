"""`python -m tests.soak`: the attack and fault tests, every step of them, over and over for SOAK_MINUTES (10).

Prints a line of counts for each round and one for all; exit status 1 if anything failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

_TESTS = ("tests/attack", "tests/faults", "--all-faults")


def main() -> int:
    """Rounds until the time is over; the last one runs to its end."""
    until = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES", "10"))
    total: Counter[str] = Counter()
    while not total["rounds"] or time.monotonic() < until:
        total += Counter(rounds=1)
        counts = _round()
        total += counts
        print(f"round {total['rounds']}: {_said(counts)}", flush=True)
    print(f"in all: {total['rounds']} rounds, {_said(total)}")
    return 1 if total["failed"] else 0


def _round() -> Counter[str]:
    """One run of the tests. A run that could not even begin, or was cut short, counts as failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = (sys.executable, "-m", "pytest", "-q", "--tb=short", f"--junit-xml={report}", *_TESTS)
        began = time.monotonic()
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        counts = _counted(report) if report.exists() else Counter[str]()
    counts["seconds"] = round(time.monotonic() - began)
    if ended.returncode:
        print(ended.stdout, ended.stderr, sep="\n", flush=True)
        counts["failed"] = counts["failed"] or 1
    return counts


def _counted(report: Path) -> Counter[str]:
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    counts: Counter[str] = Counter()
    for suite in suites:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        counts += Counter(passed=int(suite.get("tests", 0)) - bad, failed=bad)
    return counts


def _said(counts: Counter[str]) -> str:
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['seconds']} s"


if __name__ == "__main__":
    sys.exit(main())
