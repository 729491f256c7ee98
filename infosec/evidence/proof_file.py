"""`<FILE>.proof`, beside a filtered export: the hashes that stand for what did not match, and those of each block of rows.

Lines of JSON, in order. Nothing in it is believed: it adds up to the checkpoint's root, or it is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from infosec.evidence.blocks import Block
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.manifest import decode_hashes, encode_hashes
from infosec.evidence.parts import Gap

_MAX_LINE = 64 * 1024


class ProofWriter:
    """Appends to a proof file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def gap(self, log_id: str, gap: Gap) -> None:
        self._line({"log": log_id, "gap": [gap.start, gap.end], "hashes": encode_hashes(gap.hashes)})

    def block(self, log_id: str, block: Block) -> None:
        self._line({"log": log_id, "block": block.number, "hashes": encode_hashes(block.hashes)})

    def _line(self, fields: dict[str, Any]) -> None:
        self._file.write(json.dumps(fields, separators=(",", ":")) + "\n")


def gaps(path: Path, log_id: str) -> Iterator[Gap]:
    """The gaps of a log, in order. Raises NotProved(MALFORMED_PROOF)."""
    for number, fields, hashes in _lines(path, log_id, "gap"):
        bounds = fields["gap"]
        if not isinstance(bounds, list) or len(bounds) != 2 or not all(type(one) is int for one in bounds):
            raise malformed(Flaw.MALFORMED_PROOF, "a gap without bounds", row=number)
        yield Gap(start=bounds[0], end=bounds[1], hashes=hashes)


def blocks(path: Path, log_id: str) -> Iterator[Block]:
    """The blocks of a log that have rows in the file, in order. Raises NotProved(MALFORMED_PROOF)."""
    for number, fields, hashes in _lines(path, log_id, "block"):
        if type(fields["block"]) is not int:
            raise malformed(Flaw.MALFORMED_PROOF, "a block without a number", row=number)
        yield Block(fields["block"], hashes)


def _lines(path: Path, log_id: str, kind: str) -> Iterator[tuple[int, dict[str, Any], tuple[bytes, ...]]]:
    named = f'"{kind}":'.encode()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
                if named not in line:  # of the other kind, as the writer spells it
                    continue
                fields = json.loads(line)
                if fields["log"] == log_id:
                    yield number, fields, decode_hashes(fields["hashes"])
    except OSError:
        raise malformed(Flaw.MALFORMED_PROOF, "cannot be read") from None
    except (ValueError, KeyError, TypeError):
        raise malformed(Flaw.MALFORMED_PROOF, "not a proof file") from None
