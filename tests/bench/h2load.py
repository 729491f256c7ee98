"""h2load as the load generator: one gRPC request over and over. It takes little of the processor that it shares."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run counted. `succeeded` is HTTP 200, which gRPC errors are too: those answer with no `body_bytes`."""

    requests: int
    """Without those under way at the end of a run of so many seconds."""
    succeeded: int
    body_bytes: int
    per_s: float

    def must_be(self, *, answer_bytes: int, within: int) -> None:
        """Raises AssertionError when one failed, or answers were not of the length of a right one on an average."""
        if self.succeeded != self.requests or abs(self.body_bytes / self.requests - (answer_bytes + _PREFIX)) > within:
            raise AssertionError(f"not all of them were answered rightly: {self}")


_PREFIX = 5
"""Bytes before each message: whether it is compressed, and its length."""


def is_missing() -> bool:
    """Says so, and what to install."""
    if shutil.which("h2load") is not None:
        return False
    print("h2load is missing: install Debian's package nghttp2-client", file=sys.stderr)
    return True


def request_file(at: Path, message: bytes) -> Path:
    """The request's body for `start`."""
    at.write_bytes(struct.pack("!BI", 0, len(message)) + message)
    return at


def start(port: int, path: str, request: Path, *options: str) -> subprocess.Popen[str]:
    """Plaintext on loopback. `outcome` waits for it."""
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    return subprocess.Popen(
        ["h2load", *options, "-t", "1", "-d", str(request), *headers, f"http://127.0.0.1:{port}{path}"],
        stdout=subprocess.PIPE,
        text=True,
    )


def outcome(load: subprocess.Popen[str]) -> Outcome:
    """Wait for its end, and read what it printed."""
    out = load.communicate()[0]
    return Outcome(
        requests=int(_found(r"requests: (\d+) total", out)),
        succeeded=int(_found(r"(\d+) succeeded", out)),
        body_bytes=int(_found(r"\((\d+)\) data", out)),
        per_s=float(_found(r"finished in [^,]*, ([\d.]+) req/s", out)),
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(f"h2load did not say {pattern!r}:\n{text}")
    return found[1]


def answered_at(log: Path) -> list[float]:
    """When each answer had come, in seconds of the epoch, from the file of the option `--log-file`."""
    lines = (line.split("\t") for line in log.read_text().splitlines())
    return [(int(begun_us) + int(took_us)) / 1e6 for begun_us, _, took_us in lines]
