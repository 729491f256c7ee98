"""The keys that an auditor trusts: C2SP verifier keys, one a line. Where they come from is the auditor's to judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from infosec.errors import InvalidInput, Reason
from infosec.transparency.cosignatures import WitnessKey
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import NoteKey
from infosec.transparency.spelling import decode_base64

_COMMENT = "#"
Key = TypeVar("Key", NoteKey, WitnessKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the tree of one size is the beginning of another's, unverified (RFC 9162, 2.1.4)."""

    log_id: str
    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]


def log_keys(texts: Iterable[str]) -> tuple[NoteKey, ...]:
    """Keys of logs, by the names that they sign under. Raises InvalidInput."""
    return tuple(dict.fromkeys(_parsed(NoteKey.parse, line, "key") for line in _lines(texts)))


def witness_keys(texts: Iterable[str]) -> tuple[WitnessKey, ...]:
    """Keys of witnesses. Raises InvalidInput."""
    return tuple(dict.fromkeys(_parsed(WitnessKey.parse, line, "witness") for line in _lines(texts)))


def consistency_proofs(text: str) -> tuple[ConsistencyProof, ...]:
    """From JSON, an object or one on each line: log_id, old_size, new_size, proof (base64). Raises InvalidInput."""
    try:
        try:
            whole = json.loads(text)
            objects = whole if isinstance(whole, list) else [whole]
        except ValueError:
            objects = [json.loads(line) for line in text.splitlines() if line.strip()]
        return tuple(
            ConsistencyProof(
                log_id=str(one["log_id"]),
                old_size=int(one["old_size"]),
                new_size=int(one["new_size"]),
                hashes=_hashes(one["proof"]),
            )
            for one in objects
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="consistency", detail="not a consistency proof") from None


def _hashes(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(decode_base64(text) for text in texts)


def _lines(texts: Iterable[str]) -> list[str]:
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(_COMMENT)]


def _parsed(parse: Callable[[str], Key], line: str, field: str) -> Key:
    try:
        return parse(line)
    except NotVerified as fault:
        detail = str(fault.details.get("detail", "not a verifier key"))
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail) from None
