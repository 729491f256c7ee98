"""`<FILE>.manifest.json`: what was exported, from where, under which checkpoint, and what that proves.

The manifest is not signed. What can be proved of it is: each checkpoint by its log's key, everything else against that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from infosec import canonical
from infosec.errors import InvalidInput
from infosec.evidence.cells import COLUMNS, WORDS
from infosec.evidence.faults import Flaw, NotProved, malformed
from infosec.messages import Text
from infosec.transparency.merkle import HASH_BYTES

VERSION = 1
MAX_MANIFEST_BYTES = 1 << 30
DIGEST = "digest"

COMPLETE = Text(
    "完整区间：每一行都是日志中的原记录，顺序正确，且该序号区间内的记录一条不少。",
    "A whole range: every row is an entry of the log, in its place, and no entry of this range of indexes is missing.",
)
FILTERED = Text(
    "筛选导出：每一行都是日志中的原记录，顺序正确；未证明符合条件的记录全部在内（空缺处只有哈希）。",
    "A filtered export: every row is an entry of the log, in its place. That all entries which match are here is not "
    "proved: for those left out there are hashes alone.",
)
UNSIGNED = Text(
    "筛选条件和导出时间由导出方填写，未经签名。",
    "The filter and the time of the export are the exporter's word; they are not signed.",
)
EMPTIED = Text(
    "部分记录已超过保存期限，只剩哈希：证明曾有此记录，内容不可再得。",
    "Some entries are past their retention term and have their hash alone: that they were there is proved, what they "
    "said is gone.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """One log of an export: the range [start, end), and what proves it."""

    log_id: str
    origin: str
    start: int
    end: int
    size: int
    checkpoint: str
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]
    rows: int
    gaps: int
    emptied: int
    """Rows whose payload is gone by retention."""
    blocks: bytes
    """The hashes of all blocks, where there are no gaps; else they stand in the proof file."""

    @property
    def is_complete(self) -> bool:
        """No entry of the range was left out."""
        return not self.gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is said of one export."""

    file: str
    format: str
    encoding: str
    rules: tuple[Text, ...]
    """How cells are spelled in this format, in words."""
    rows: int
    sha256: str
    created_at: str
    """UTC, as moments are spelled in entries."""
    export_id: str
    filter: Mapping[str, Any]
    """As it was asked for; of a customer, only that there was one."""
    proof: str
    """The name of the proof file; empty where there are no gaps."""
    proof_sha256: str
    logs: tuple[LogPart, ...]
    is_as_written: bool = True
    """The digest at its end is its own. Anybody can make that so: it finds accidents, and proves nothing."""

    def encode(self) -> bytes:
        """The file's bytes."""
        fields = self._fields()
        fields[DIGEST] = _digest(fields)
        return (json.dumps(fields, ensure_ascii=False, indent=1) + "\n").encode("utf-8")

    def statements(self) -> tuple[Text, ...]:
        """What this export proves, if it is verified, and what it does not."""
        whole = COMPLETE if all(log.is_complete for log in self.logs) else FILTERED
        return (whole, *((EMPTIED,) if any(log.emptied for log in self.logs) else ()), UNSIGNED)

    def _fields(self) -> dict[str, Any]:
        return {
            "manifest": VERSION,
            "file": self.file,
            "format": self.format,
            "encoding": self.encoding,
            "rows": self.rows,
            "sha256": self.sha256,
            "created_at": self.created_at,
            "export_id": self.export_id,
            "filter": dict(self.filter),
            "proof": self.proof,
            "proof_sha256": self.proof_sha256,
            "logs": [_log_fields(log) for log in self.logs],
            "proves": _both(self.statements()),
            "rules": _both(self.rules),
            "columns": {name: {"zh-CN": WORDS[name].zh, "en": WORDS[name].en} for name in COLUMNS},
        }

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Unverified. Raises NotProved(MALFORMED_MANIFEST)."""
        try:
            fields = json.loads(data)
            if fields["manifest"] != VERSION:
                raise malformed(Flaw.MALFORMED_MANIFEST, "another version")
            return cls(
                file=_text(fields["file"]),
                format=_text(fields["format"]),
                encoding=_text(fields["encoding"]),
                rules=tuple(map(Text, fields["rules"]["zh-CN"], fields["rules"]["en"])),
                rows=_count(fields["rows"]),
                sha256=_text(fields["sha256"]),
                created_at=_text(fields["created_at"]),
                export_id=_text(fields["export_id"]),
                filter=dict(fields["filter"]),
                proof=_text(fields["proof"]),
                proof_sha256=_text(fields["proof_sha256"]),
                logs=tuple(_log(one) for one in fields["logs"]),
                is_as_written=fields.get(DIGEST) == _digest({k: v for k, v in fields.items() if k != DIGEST}),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput):
            raise malformed(Flaw.MALFORMED_MANIFEST, "not a manifest of an export") from None


def read_manifest(path: Path) -> Manifest:
    """Raises NotProved(MALFORMED_MANIFEST), OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise malformed(Flaw.MALFORMED_MANIFEST, "too long")
    return Manifest.parse(data)


def manifest_path(file: Path) -> Path:
    return file.with_name(file.name + ".manifest.json")


def proof_path(file: Path) -> Path:
    return file.with_name(file.name + ".proof")


def encode_hashes(hashes: Sequence[bytes]) -> str:
    """Hashes in one base64 text."""
    return base64.b64encode(b"".join(hashes)).decode("ascii")


def decode_hashes(text: str) -> tuple[bytes, ...]:
    """Raises ValueError."""
    data = base64.b64decode(_text(text), validate=True)
    if len(data) % HASH_BYTES:
        raise ValueError("not whole hashes")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def _log_fields(log: LogPart) -> dict[str, Any]:
    return {
        "log": log.log_id,
        "origin": log.origin,
        "start": log.start,
        "end": log.end,
        "size": log.size,
        "rows": log.rows,
        "gaps": log.gaps,
        "without_payload": log.emptied,
        "checkpoint": log.checkpoint,
        "left": encode_hashes(log.left),
        "right": encode_hashes(log.right),
        "blocks": base64.b64encode(log.blocks).decode("ascii"),
    }


def _log(fields: Mapping[str, Any]) -> LogPart:
    return LogPart(
        log_id=_text(fields["log"]),
        origin=_text(fields["origin"]),
        start=_count(fields["start"]),
        end=_count(fields["end"]),
        size=_count(fields["size"]),
        rows=_count(fields["rows"]),
        gaps=_count(fields["gaps"]),
        emptied=_count(fields["without_payload"]),
        checkpoint=_text(fields["checkpoint"]),
        left=decode_hashes(fields["left"]),
        right=decode_hashes(fields["right"]),
        blocks=base64.b64decode(_text(fields["blocks"]), validate=True),
    )


def _digest(fields: Mapping[str, Any]) -> str:
    return sha256(canonical.encode(fields)).hexdigest()


def _both(texts: Sequence[Text]) -> dict[str, list[str]]:
    return {"zh-CN": [text.zh for text in texts], "en": [text.en for text in texts]}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("not a count")
    return value


__all__ = ["LogPart", "Manifest", "NotProved", "manifest_path", "proof_path", "read_manifest"]
