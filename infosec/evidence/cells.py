"""The readable columns of an entry: the reading side of its canonical bytes. Every cell is re-derived when a file is verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from infosec.events.facts import FACTS
from infosec.messages import Text

FACT_COLUMNS = (
    "staff_id",
    "role_id",
    "store_id",
    "terminal_id",
    "system_id",
    "operation",
    "purpose",
    "decision",
    "reason",
    "subject_staff_id",
    "session_id",
    "trace_id",
)
"""The facts that have a column of their own; the others stand together in `facts`."""
COLUMNS = (
    "log",
    "index",
    "leaf_hash",
    "recorded",
    "occurred",
    "type",
    *FACT_COLUMNS,
    "customer_subject",
    "facts",
    "sealed",
    "recorded_by",
    "event_id",
    "entry",
)
"""All columns in their order. The first three and the last are the row; the others are derived from the entry."""
DERIVED = COLUMNS[3:-1]
MOMENTS = ("recorded", "occurred")

WORDS: Mapping[str, Text] = {
    "log": Text("日志（片区）", "the log, which is a region's"),
    "index": Text("在日志中的序号", "the index in the log"),
    "leaf_hash": Text("记录的叶哈希（RFC 6962，十六进制）", "the entry's leaf hash (RFC 6962), in hex"),
    "recorded": Text("入日志时间（UTC）", "when it was recorded, UTC"),
    "occurred": Text("发生时间（UTC）", "when it happened, UTC"),
    "type": Text("事件类型", "the type of event"),
    **{name: FACTS[name].words for name in FACT_COLUMNS},
    "customer_subject": Text("客户在日志中的随机编号", "the customer's random ID in the log"),
    "facts": Text("其余内容（JSON）", "all other facts, as JSON"),
    "sealed": Text("以客户密钥加密的内容（JSON）", "what is sealed under the customer's key, as JSON"),
    "recorded_by": Text("记录方", "who recorded it"),
    "event_id": Text("事件编号", "the event's ID"),
    "entry": Text("记录原文，以上各列均由此得出", "the entry itself, from which all these columns follow"),
}


class Row(NamedTuple):
    """One row of an export. The entry is empty where retention has let it go."""

    index: int  # type: ignore[assignment]  # no tuple here is searched by `tuple.index`
    leaf_hash: bytes
    entry: bytes


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TAKEN = frozenset(FACT_COLUMNS)


def derived(entry: bytes) -> dict[str, str]:
    """The cells of an entry that are not empty, in the order of DERIVED; nothing for an entry that is gone.

    Raises ValueError for bytes that are no entry, which a log that signs its own entries never has.
    """
    return of_fields(fields_of(entry)) if entry else {}


def fields_of(entry: bytes) -> dict[str, object]:
    """The entry's JSON. Raises ValueError."""
    try:
        fields = json.loads(entry)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    return fields


def of_fields(fields: Mapping[str, object]) -> dict[str, str]:
    """As `derived`, of an entry that was read. Raises ValueError."""
    try:
        facts = fields["facts"]
        cells = {"recorded": fields["recorded"], "occurred": fields["at"], "type": fields["type"]}
        rest = {}
        for name in FACT_COLUMNS:
            if name in facts:  # type: ignore[operator]  # what is no mapping raises, and is told below
                cells[name] = facts[name]  # type: ignore[index]
        if len(facts) + 3 != len(cells):  # type: ignore[arg-type]
            rest = {name: value for name, value in facts.items() if name not in _TAKEN}  # type: ignore[attr-defined]
        if "subject" in fields:
            cells["customer_subject"] = fields["subject"]
        if rest:
            cells["facts"] = _dumps(rest)
        if "sealed" in fields:
            cells["sealed"] = _dumps(fields["sealed"])
        cells["recorded_by"] = fields["by"]
        cells["event_id"] = fields["id"]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("not an entry") from None
    for name, value in cells.items():
        if value.__class__ is not str:  # no fact with a column is anything but text; what comes is shown as it is
            cells[name] = _dumps(value)
    return cells  # type: ignore[return-value]  # the loop above has made them text


def log_of(fields: Mapping[str, object]) -> str:
    """The log that the entry says it stands in; empty where it does not."""
    log = fields.get("log")
    return log if isinstance(log, str) else ""
