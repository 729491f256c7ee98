"""Entries of the log as rows: what the canonical bytes say, under the names that exports give it. Asks no server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.records import Row, Value
from infosec.cli.words import Words
from infosec.decision.operations import CATALOGUE
from infosec.evidence.cells import FACT_COLUMNS, fields_of
from infosec.messages import Text

DECISIONS: Words = {"ALLOWED": Text("允许", "allowed"), "DENIED": Text("拒绝", "denied")}
PURPOSES: Words = {
    "ORDER": Text("办理订单", "order"),
    "COMPLAINT": Text("处理投诉", "complaint"),
    "WORK_ORDER": Text("处理工单", "work order"),
    "WALK_IN": Text("客户到厅", "walk-in"),
}
OPERATIONS: Words = {code: Text(one.name_zh, one.name_en) for code, one in CATALOGUE.items()}
"""Of the catalogue that the suite comes with; a code that an installation added stands for itself."""


def entry_row(entry: pb.Entry) -> Row:
    """An entry. Every row has every name; all but the first three are None where retention has let the payload go."""
    first: Row = {"log": entry.log_id, "index": entry.index, "leaf_hash": entry.leaf_hash.hex()}
    return first | _columns(entry.body)


def entry_rows(entries: Iterable[pb.Entry]) -> list[Row]:
    """A row for each."""
    return [entry_row(entry) for entry in entries]


def _columns(body: bytes) -> Row:
    fields = _fields(body)
    facts = _mapping(fields.get("facts"))
    return {
        "recorded": _moment(fields.get("recorded")),
        "occurred": _moment(fields.get("at")),
        "type": _plain(fields.get("type")),
        **{name: facts.get(name) for name in FACT_COLUMNS},
        "customer_subject": _plain(fields.get("subject")),
        "facts": {name: value for name, value in facts.items() if name not in FACT_COLUMNS},
        "sealed": _mapping(fields.get("sealed")),
        "recorded_by": _plain(fields.get("by")),
        "event_id": _plain(fields.get("id")),
        "entry": body.decode("utf-8", "replace") or None,
    }


def _fields(body: bytes) -> dict[str, object]:
    try:
        return fields_of(body) if body else {}
    except ValueError:
        # Shown as it is, without columns; that it is what the log signed is for `verify` to say.
        return {}


def _mapping(value: object) -> dict[str, Value]:
    return {str(name): _plain(inner) for name, inner in value.items()} if isinstance(value, dict) else {}


def _plain(value: object) -> Value:
    return value if isinstance(value, str | int | bool) else None


def _moment(value: object) -> Value:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def code_of(value: Value) -> str:
    """A word of ours in its one spelling: WALK_IN for walk-in."""
    return str(value or "").upper().replace("-", "_")
