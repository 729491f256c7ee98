"""RFC 8785 canonical JSON, for the subset that is signed and hashed here: one value has one spelling.

Floats have no place in it; integers stay within what every JSON reader keeps exactly (RFC 7493, 2.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

import orjson

from infosec.errors import InvalidInput, Reason

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

MAX_INT = 2**53 - 1
MAX_DEPTH = 32

_quoted = json.JSONEncoder(ensure_ascii=False).encode
"""For a str this gives exactly the escapes of RFC 8785, 3.2.2.2."""


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`. Raises InvalidInput for floats, big integers, lone surrogates, foreign types."""
    parts: list[str] = []
    try:
        _write(value, parts, 0)
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        return _refuse("text with a lone surrogate")


_CHECKED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_UTC_Z


def encode_checked(value: Mapping[str, object]) -> bytes:
    """As `encode`, many times faster, for what is known to have ASCII names and no float in it; its caller has checked that.

    A UUID becomes its text, and a moment in UTC that is not a whole second `2026-11-22T01:02:03.000004Z`. Raises InvalidInput for
    lone surrogates, big integers and foreign types.
    """
    try:
        return orjson.dumps(value, option=_CHECKED)
    except orjson.JSONEncodeError:
        return _refuse("text with a lone surrogate, a big integer or a foreign type")


def decode_strict(data: bytes) -> Json:
    """The value whose canonical bytes are exactly `data`.

    Raises InvalidInput for everything else: other spellings, duplicate names, floats, NaN, trailing bytes.
    """
    try:
        value: Json = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_int=_exact_int,
            parse_constant=_no_float,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        _refuse("not JSON")
    if encode(value) != data:
        _refuse("not canonical")
    return value


def _write(value: object, parts: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        _refuse("nested too deep")
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case int():
            if abs(value) > MAX_INT:
                _refuse("an integer beyond 2^53 - 1")
            parts.append(int.__repr__(value))
        case str():
            parts.append(_quoted(value))
        case list() | tuple():
            parts.append("[")
            for index, item in enumerate(value):
                parts.append("," if index else "")
                _write(item, parts, depth + 1)
            parts.append("]")
        case Mapping():
            _write_object(value, parts, depth)
        case _:
            _refuse(f"a value of type {type(value).__name__}")


def _write_object(value: Mapping[object, object], parts: list[str], depth: int) -> None:
    names = [name if isinstance(name, str) else _refuse("a name that is not text") for name in value]
    parts.append("{")
    for index, name in enumerate(sorted(names, key=_utf16)):
        parts.append("," if index else "")
        parts.append(_quoted(name))
        parts.append(":")
        _write(value[name], parts, depth + 1)
    parts.append("}")


def _utf16(name: str) -> bytes:
    """Names are ordered by UTF-16 code units (RFC 8785, 3.2.3), which is not the order of code points."""
    return name.encode("utf-16-be")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("a name given twice")
    return members


def _exact_int(text: str) -> int:
    # Bounded before int(): a long run of digits is slow to convert.
    return int(text) if len(text) <= len(str(-MAX_INT)) else _refuse("an integer beyond 2^53 - 1")


def _no_float(_text: str) -> NoReturn:
    _refuse("a number that is not an integer")


def _refuse(detail: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_ARGUMENT, field="json", detail=detail)
