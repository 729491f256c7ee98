"""OCSF 1.5 events as JSONL, for a SIEM: the entry stays whole in `raw_data`, and the event is derived from it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infosec.evidence.cells import Row, fields_of, log_of, of_fields
from infosec.evidence.faults import Flaw, malformed
from infosec.evidence.found import Found, judged
from infosec.evidence.jsonl import MAX_LINE
from infosec.evidence.ocsf_classes import OcsfClass, activity_of
from infosec.messages import Text

VERSION = "1.5.0"
RULE = Text(
    "OCSF 1.5 事件；记录原文在 raw_data，日志名、序号在 metadata.log_name、metadata.sequence，叶哈希在 unmapped.leaf_hash。",
    "OCSF 1.5 events; the entry is raw_data, its log and index are metadata.log_name and metadata.sequence, its leaf hash "
    "is unmapped.leaf_hash.",
)
_PRODUCT = {"name": "infosec", "vendor_name": "infosec"}
_UNKNOWN, _SUCCESS, _FAILURE = 0, 1, 2
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3
_WITH_USER = frozenset({OcsfClass.ACCOUNT_CHANGE, OcsfClass.AUTHENTICATION, OcsfClass.USER_ACCESS})
_MAPPED = frozenset(
    {"staff_id", "role_id", "session_id", "terminal_id", "store_id", "system_id", "operation", "reason"}
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def event_of(log: str, row: Row) -> dict[str, Any]:
    """The OCSF event of a row. Raises ValueError for what is no entry."""
    return _event(log, row.index, row.leaf_hash.hex(), row.entry)


class OcsfWriter:
    """Writes rows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def add(self, log: str, row: Row) -> None:
        self._file.write(_encoded(event_of(log, row)) + "\n")

    def close(self) -> None:
        self._file.close()


def read_ocsf(path: Path) -> Iterator[list[Found]]:
    """The rows of a file, each in a batch of its own. Raises NotProved(MALFORMED_FILE)."""
    with path.open("rb") as file:
        for place, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            try:
                event = json.loads(line)
                found = _found(place, event)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise malformed(Flaw.MALFORMED_FILE, "a line that is no event of ours", row=place) from None
            yield [found]


def _found(place: int, event: Mapping[str, Any]) -> Found:
    """The cells are taken from the entry: what is compared is the whole event."""
    raw, meta, leaf = event.get("raw_data", ""), event["metadata"], event["unmapped"]["leaf_hash"]
    entry = raw.encode("utf-8", "surrogatepass")
    cells = {"log": meta["log_name"], "index": str(meta["sequence"]), "leaf_hash": leaf}
    try:
        expected = _event(cells["log"], meta["sequence"], leaf, entry)
        cells |= of_fields(fields_of(entry)) if entry else {}
    except ValueError:
        return judged(place, cells, entry)
    found = judged(place, cells, entry)
    return found._replace(wrong=found.wrong + tuple(_differing(event, expected)))


def _differing(event: Mapping[str, Any], expected: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The members that are not the same, by their path; one inside of none is told by the outer one."""
    for name in {**expected, **event}:
        mine, other = event.get(name), expected.get(name)
        if isinstance(mine, dict) and isinstance(other, dict):
            yield from _differing(mine, other, f"{path}{name}.")
        elif mine != other or type(mine) is not type(other) or (name in event) != (name in expected):
            yield f"{path}{name if name in expected else '?'}"


def _event(log: str, index: int, leaf: str, entry: bytes) -> dict[str, Any]:
    if not entry:
        return _base(activity_of(""), 0, log, index) | {"severity_id": _UNKNOWN, "unmapped": {"leaf_hash": leaf}}
    fields = fields_of(entry)
    cells = of_fields(fields)
    facts: Any = fields["facts"]
    if not log_of(fields):
        raise ValueError("no log")
    kind = activity_of(cells["type"])
    event = _base(kind, _milliseconds(cells["occurred"]), log, index)
    event["metadata"] |= {
        "uid": cells["event_id"],
        "event_code": cells["type"],
        "logged_time": _milliseconds(cells["recorded"]),
        "original_time": cells["occurred"],
    }
    failed = kind.is_failure or facts.get("decision") == "DENIED"
    event["severity_id"] = _MEDIUM if kind.kind is OcsfClass.DETECTION_FINDING else _LOW if failed else _INFORMATIONAL
    event["status_id"] = _FAILURE if failed else _SUCCESS
    if "reason" in facts:
        event["status_detail"] = cells["reason"]
    event["actor"] = _actor(facts)
    if kind.kind in _WITH_USER:
        event["user"] = {"uid": str(facts.get("subject_staff_id") or facts.get("staff_id") or "unknown")}
    event |= _places(kind.kind, facts, cells)
    unmapped = {name: value for name, value in facts.items() if name not in _MAPPED}
    for name, cell in (("customer_subject", fields.get("subject")), ("sealed", fields.get("sealed"))):
        if cell is not None:
            unmapped[name] = cell
    event["unmapped"] = {"leaf_hash": leaf, "recorded_by": cells["recorded_by"], **unmapped}
    event["raw_data"] = entry.decode("utf-8")
    return event


def _base(kind: Any, time: int, log: str, index: int) -> dict[str, Any]:
    return {
        "class_uid": int(kind.kind),
        "class_name": kind.kind.name.replace("_", " ").title(),
        "category_uid": int(kind.kind) // 1000,
        "activity_id": kind.activity,
        "type_uid": int(kind.kind) * 100 + kind.activity,
        "time": time,
        "metadata": {"version": VERSION, "product": _PRODUCT, "log_name": log, "sequence": index},
    }


def _actor(facts: Mapping[str, Any]) -> dict[str, Any]:
    user = {"uid": facts.get("staff_id"), "type": facts.get("role_id")}
    actor: dict[str, Any] = {"user": {name: value for name, value in user.items() if value is not None}}
    if "session_id" in facts:
        actor["session"] = {"uid": facts["session_id"]}
    return actor


def _places(kind: OcsfClass, facts: Mapping[str, Any], cells: Mapping[str, str]) -> dict[str, Any]:
    """Where it was: the terminal as endpoint, the store as its zone, the store system as service or data store."""
    endpoint = {"uid": facts.get("terminal_id"), "zone": facts.get("store_id")}
    places: dict[str, Any] = {"src_endpoint": {name: value for name, value in endpoint.items() if value is not None}}
    system = facts.get("system_id")
    service = {} if system is None else {"service": {"name": system}}
    places["api"] = {"operation": facts.get("operation") or facts.get("method") or cells["type"], **service}
    if kind is OcsfClass.DATASTORE_ACTIVITY:
        places["database"] = {"name": "audit log", "type_id": OTHER_DATABASE}
    return places


OTHER_DATABASE = 99


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
