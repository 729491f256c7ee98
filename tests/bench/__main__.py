"""`make bench`: one JSON object a line; exit 1 when a line is not met, 2 when something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import checks, denials, evidence, h2load, half_load, logins, records
from tests.bench.line import Line


def main() -> int:
    """Measure everything against one site."""
    if h2load.is_missing():
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.site", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as site,
    ):
        told = site.stdout.readline()  # type: ignore[union-attr]
        if not told:
            return 2
        lines = []
        for line in _measured(json.loads(told), Path(folder)):
            lines.append(line)
            print(line, flush=True)
        site.communicate("")
    return 0 if all(line.met for line in lines) else 1


def _measured(site: dict[str, Any], folder: Path) -> Iterator[Line]:
    """Line by line. What locks people comes after what needs them, and what fills the log comes last."""
    yield logins.measure(site)
    yield checks.measure(site)
    audited = checks.measure_audited(site)
    yield audited
    yield half_load.measure(site, saturated=audited.ours)
    yield from denials.measure(site)
    yield from records.measure(site)
    yield from evidence.measure(site, folder)


if __name__ == "__main__":
    raise SystemExit(main())
