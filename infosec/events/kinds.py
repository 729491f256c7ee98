"""Kinds of facts, each with what it accepts. Every text has a bound and an alphabet: a log is read by machines and people.

Knows no event type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from infosec import ids
from infosec.canonical import MAX_INT
from infosec.events.event import Fact

MAX_TEXT = 500

Judge = Callable[[Fact], bool]
"""Whether the value is one of the kind. Never raises."""


class FactKind(StrEnum):
    """What a fact is. The value is how docs name it."""

    STAFF = "staff ID"
    ROLE = "role"
    STORE = "store"
    REGION = "region"
    TERMINAL = "terminal"
    SYSTEM = "system"
    ENTITY = "entity"
    """An ID of any kind of ours: a node, a role, an operation code, a UUID."""
    SESSION = "session"
    OPERATION = "operation"
    CUSTOMER = "customer"
    """The keyed digest of the customer's number, 32 bytes in hex."""
    SUBJECT = "subject"
    """The random ID under which the log names a customer."""
    EVENT = "event"
    REQUEST = "request"
    GRANT = "grant"
    ORDER = "order"
    WORK_ORDER = "work order"
    CODE = "code"
    """A word from a list of ours."""
    CODES = "codes"
    """Such words, with commas between them."""
    COUNT = "count"
    FLAG = "flag"
    MOMENT = "moment"
    DIGEST = "digest"
    """32 bytes in hex."""
    TEXT = "text"
    """Free text on one line."""


SEALED_KINDS = frozenset({FactKind.ORDER, FactKind.WORK_ORDER})
"""What tells who the customer is, by the books of another system: sealed under the subject's key (CI-8)."""

_HIDDEN = "\x00-\x1f\x7f-\x9f\ud800-\udfff"
"""Control characters, as the wire refuses them, so that no caller's text fails here; and what is no character."""
_REMEMBERED = 4096
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)"


def _matching(form: str | re.Pattern[str], flags: re.RegexFlag = re.ASCII) -> Judge:
    fits = (form if isinstance(form, re.Pattern) else re.compile(form, flags)).fullmatch

    def judge(value: Fact) -> bool:
        return isinstance(value, str) and fits(value) is not None

    return judge


def _known(judge: Judge) -> Judge:
    """The same judge, which remembers: of IDs and codes there are few, and every event names some."""
    return lru_cache(_REMEMBERED)(judge)


_is_spelled_as_moment = _matching(_RFC3339)


def _is_moment(value: Fact) -> bool:
    if not isinstance(value, str) or not _is_spelled_as_moment(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False  # the thirtieth of February
    return True


def _is_count(value: Fact) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT


def _is_flag(value: Fact) -> bool:
    return value is True or value is False


_node, _uuid, _digest = _known(_matching(ids.NODE_ID)), _matching(_UUID), _matching(r"[0-9a-f]{64}")
_number = _matching(f"[^{_HIDDEN}]{{1,64}}", re.UNICODE)

JUDGES: Mapping[FactKind, Judge] = {
    FactKind.STAFF: _known(_matching(ids.STAFF_ID)),
    FactKind.ROLE: _node,
    FactKind.STORE: _node,
    FactKind.REGION: _node,
    FactKind.TERMINAL: _node,
    FactKind.SYSTEM: _node,
    FactKind.ENTITY: _node,
    FactKind.SESSION: _known(_uuid),
    FactKind.OPERATION: _known(_matching(ids.OPERATION)),
    FactKind.CUSTOMER: _digest,
    FactKind.SUBJECT: _uuid,
    FactKind.EVENT: _uuid,
    FactKind.REQUEST: _uuid,
    FactKind.GRANT: _uuid,
    FactKind.ORDER: _number,
    FactKind.WORK_ORDER: _number,
    FactKind.CODE: _known(_matching(_WORD)),
    FactKind.CODES: _matching(f"{_WORD}(?:,{_WORD}){{0,63}}"),
    FactKind.COUNT: _is_count,
    FactKind.FLAG: _is_flag,
    FactKind.MOMENT: _is_moment,
    FactKind.DIGEST: _digest,
    FactKind.TEXT: _matching(f"[^{_HIDDEN}]{{1,{MAX_TEXT}}}", re.UNICODE),
}

_RUNS = re.compile(f"[{_HIDDEN}]+")


def as_text(raw: str) -> str | None:
    """`raw` as a TEXT: on one line, and cut, visibly, where it is too long. None for nothing."""
    text = _RUNS.sub(" ", raw).strip()
    return (text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…") or None
