"""What a request may hold: read once from the field options of the contract into plain checks, one per message type.

The limit stands at the field in protos/ and nowhere else. Knows no service and no transport.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from infosec.api.common.v1 import limits_pb2
from infosec.errors import InvalidInput, Reason

# A check is given a value, and raises _Broken. Paths are put together only when there is something to say.
_Check = Callable[[Any], None]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TIMESTAMP = "google.protobuf.Timestamp"
# Year 1 to 9999 (google/protobuf/timestamp.proto).
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


class _Broken(Exception):
    """A limit does not hold; `path` grows from the inside out."""

    def __init__(self, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path

    def inside(self, name: str) -> _Broken:
        if not self.path:
            return _Broken(self.detail, name)
        return _Broken(self.detail, name + self.path if self.path[0] == "[" else f"{name}.{self.path}")


class Limits:
    """The checks of the message types it has been asked about. Reading the options happens at the first question."""

    def __init__(self) -> None:
        self._checks: dict[str, _Check] = {}
        self._nested: dict[str, tuple[tuple[str, bool], ...]] = {}

    def check_for(self, descriptor: Descriptor) -> Callable[[Message], None]:
        """A function that raises InvalidInput, naming the first field that breaks its limit: "staff.phone"."""
        compiled = self._compiled(descriptor)

        def check(message: Message) -> None:
            try:
                compiled(message)
            except _Broken as broken:
                raise InvalidInput(Reason.INVALID_ARGUMENT, field=broken.path, detail=broken.detail) from None

        return check

    def unknown_in(self, message: Message) -> str | None:
        """The first field that the contract does not have, as path and number: "staff.99"."""
        return next(self._unknown(message, message.DESCRIPTOR, ""), None)

    def _unknown(self, message: Message, descriptor: Any, path: str) -> Iterator[str]:
        unknown: Any = UnknownFieldSet(message)
        for field in unknown:
            yield f"{path}{field.field_number}"
        for name, is_repeated in self._nested_of(descriptor):
            if is_repeated:
                for index, entry in enumerate(getattr(message, name)):
                    yield from self._unknown(entry, entry.DESCRIPTOR, f"{path}{name}[{index}].")
            elif message.HasField(name):
                inner = getattr(message, name)
                yield from self._unknown(inner, inner.DESCRIPTOR, f"{path}{name}.")

    def _nested_of(self, descriptor: Descriptor) -> tuple[tuple[str, bool], ...]:
        known = self._nested.get(descriptor.full_name)
        if known is None:
            known = tuple((f.name, f.is_repeated) for f in descriptor.fields if f.message_type is not None)
            self._nested[descriptor.full_name] = known
        return known

    def _compiled(self, descriptor: Descriptor) -> _Check:
        known = self._checks.get(descriptor.full_name)
        if known is None:
            known = _check_timestamp if descriptor.full_name == _TIMESTAMP else self._message_check(descriptor)
            self._checks[descriptor.full_name] = known
        return known

    def _message_check(self, descriptor: Descriptor) -> _Check:
        plain: list[tuple[str, _Check]] = []
        others: list[_Check] = []
        for field in descriptor.fields:
            limit = limit_of(field)
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                raise TypeError(f"{field.full_name}: limits are not defined for maps")
            value_check = self._value_check(field)
            if field.is_repeated:
                others.append(_repeated(field.name, limit, value_check))
            elif field.has_presence:
                others.append(_present(field.name, limit, value_check))
            elif value_check is not None:
                plain.append((field.name, value_check))
        return _fields(tuple(plain), tuple(others))

    def _value_check(self, field: FieldDescriptor) -> _Check | None:
        if field.message_type is None:
            return _scalar(field, limit_of(field))
        return self._compiled(field.message_type)


def limit_of(field: FieldDescriptor) -> limits_pb2.Limit:
    """The limit stated at `field`; an empty one where none is."""
    return field.GetOptions().Extensions[limits_pb2.limit]


def _fields(plain: tuple[tuple[str, _Check], ...], others: tuple[_Check, ...]) -> _Check:
    def check(message: Message) -> None:
        name = ""
        try:
            for name, value_check in plain:
                value_check(getattr(message, name))
        except _Broken as broken:
            raise broken.inside(name) from None
        for other in others:
            other(message)

    return check


def _repeated(name: str, limit: limits_pb2.Limit, value_check: _Check | None) -> _Check:
    max_items, required = limit.max_items, limit.required

    def check(message: Message) -> None:
        values = getattr(message, name)
        if not values:
            if required:
                raise _Broken("required", name)
            return
        if len(values) > max_items:
            raise _Broken(f"at most {max_items} entries", name)
        index = 0
        try:
            if value_check is not None:
                for index, value in enumerate(values):  # noqa: B007 - read where a check fails
                    value_check(value)
        except _Broken as broken:
            raise broken.inside(f"[{index}]").inside(name) from None

    return check


def _present(name: str, limit: limits_pb2.Limit, value_check: _Check | None) -> _Check:
    required = limit.required

    def check(message: Message) -> None:
        if not message.HasField(name):
            if required:
                raise _Broken("required", name)
            return
        try:
            if value_check is not None:
                value_check(getattr(message, name))
        except _Broken as broken:
            raise broken.inside(name) from None

    return check


def _scalar(field: FieldDescriptor, limit: limits_pb2.Limit) -> _Check | None:
    # For a repeated field `required` asks for an entry, and an entry must not be empty either; no list holds UNSPECIFIED.
    required = limit.required
    if field.type == FieldDescriptor.TYPE_STRING:
        return _string(limit.max_bytes, required=required, multiline=limit.multiline)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(limit.max_bytes, required=required)
    if field.enum_type is not None:
        return _enum(frozenset(field.enum_type.values_by_number), required=required or field.is_repeated)
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        raise TypeError(f"{field.full_name}: limits are not defined for floating point")
    if field.type != FieldDescriptor.TYPE_BOOL and (limit.max_value or required):
        return _number(limit.max_value, required=required)
    return None


def _string(max_bytes: int, *, required: bool, multiline: bool) -> _Check:
    forbidden = (_CONTROL_BUT_LINES if multiline else _CONTROL).search

    def check(value: str) -> None:
        if not value:
            if required:
                raise _Broken("required")
            return
        # One character is at most four bytes: most values need no encoding to be judged.
        if len(value) * 4 > max_bytes and len(value.encode()) > max_bytes:
            raise _Broken(f"at most {max_bytes} bytes")
        if not value.isprintable() and forbidden(value):
            raise _Broken("control characters")

    return check


def _bytes(max_bytes: int, *, required: bool) -> _Check:
    def check(value: bytes) -> None:
        if required and not value:
            raise _Broken("required")
        if len(value) > max_bytes:
            raise _Broken(f"at most {max_bytes} bytes")

    return check


def _enum(known: frozenset[int], *, required: bool) -> _Check:
    def check(value: int) -> None:
        if value not in known:
            raise _Broken("not a value of this list")
        if required and value == 0:
            raise _Broken("required")

    return check


def _number(max_value: int, *, required: bool) -> _Check:
    def check(value: int) -> None:
        if required and not value:
            raise _Broken("required")
        if max_value and not 0 <= value <= max_value:
            raise _Broken(f"0 to {max_value}")

    return check


def _check_timestamp(message: Any) -> None:
    if not (_FIRST_SECOND <= message.seconds <= _LAST_SECOND and 0 <= message.nanos <= 999_999_999):
        raise _Broken("a time between the years 1 and 9999")
