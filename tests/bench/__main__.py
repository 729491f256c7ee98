"""`make bench`: one JSON object a line; exit 1 when a line is not met, 2 when something is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import checks, evidence, logins, records


def main() -> int:
    """Measure everything against one site."""
    if shutil.which("h2load") is None:
        print("h2load is missing: install Debian's package nghttp2-client", file=sys.stderr)
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
        at, lines = json.loads(told), []
        for bench in (
            logins.measure,
            checks.measure,
            checks.measure_audited,
            records.measure,
            lambda at: evidence.measure(at, Path(folder)),
        ):
            lines.append(bench(at))
            print(lines[-1], flush=True)
        site.communicate("")
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
