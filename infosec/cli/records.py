"""Messages of the contract as plain rows, and back: timestamps as datetimes, enums by their short names.

One walk over the descriptors serves every message, so a field that the contract gains appears by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from infosec.errors import InvalidInput, Reason

Value = None | str | int | float | bool | datetime | Sequence["Value"] | Mapping[str, "Value"]
Row = dict[str, Value]

Wanted = TypeVar("Wanted", bound=Message)


def row(message: Message) -> Row:
    """Every field, in the order of the contract; None where there is nothing."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def rows(messages: Sequence[Message]) -> list[Row]:
    """A row for each."""
    return [row(message) for message in messages]


def message_of(kind: type[Wanted], given: object) -> Wanted:
    """A message from a row as `row` makes it. Raises InvalidInput, naming no value, for what does not fit."""
    if not isinstance(given, Mapping):
        raise InvalidInput(Reason.INVALID_ARGUMENT, detail="a JSON object is expected")
    try:
        return json_format.ParseDict(_wire_form(kind.DESCRIPTOR, given), kind())
    except (json_format.ParseError, TypeError, ValueError):
        raise InvalidInput(
            Reason.INVALID_ARGUMENT, detail=f"fields: {', '.join(field.name for field in kind.DESCRIPTOR.fields)}"
        ) from None


def enum_names(enum: EnumDescriptor) -> dict[str, int]:
    """Short names to numbers, without the unspecified one: LOCKED for STAFF_STATE_LOCKED."""
    return {short: value.number for value in enum.values if (short := _short(enum, value.number)) is not None}


def _value(message: Message, field: Any) -> Value:
    if field.is_repeated:
        return [_one(field, item) for item in getattr(message, field.name)]
    if field.message_type is not None and not message.HasField(field.name):
        return None
    return _one(field, getattr(message, field.name))


def _one(field: Any, value: Any) -> Value:
    if isinstance(value, Timestamp):
        return value.ToDatetime(tzinfo=UTC)
    if isinstance(value, Message):
        return row(value)
    if field.enum_type is not None:
        return _short(field.enum_type, value)
    plain: Value = value if value != "" else None
    return plain


def _short(enum: EnumDescriptor, number: int) -> str | None:
    if number not in enum.values_by_number:
        return str(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    name = enum.values_by_number[number].name.removeprefix(prefix)
    return None if name == "UNSPECIFIED" else name


def _wire_form(descriptor: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in descriptor.fields}
    return {
        name: _wire_value(fields[name], value) if name in fields else value
        for name, value in given.items()
        if value is not None
    }


def _wire_value(field: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_wire_value(field, item) for item in value]
    if field.message_type is not None and isinstance(value, Mapping):
        return _wire_form(field.message_type, value)
    if field.enum_type is not None and isinstance(value, str):
        short = enum_names(field.enum_type).get(value.upper().replace("-", "_"))
        return value if short is None else short
    return value
