"""What a response shows of a customer, field by field, and the response with that masked as the decision says (CI-5).

    VIEW = MaskedFields(shop_pb2.CustomerView, {"customer.phone": Kind.PHONE, "lines.address": Kind.ADDRESS})
    shown = apply(VIEW, view, await suite.check.check(...))

Knows messages and decisions, not the wire. A guarded method does this by itself: `guarded("1500", masks=VIEW)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.client.masked_text import mask_address, mask_id_number, mask_name, mask_phone
from infosec.errors import Internal, Misconfigured, PermissionDenied, Reason

__all__ = [
    "NOTHING_SHOWN",
    "Kind",
    "MaskedFields",
    "Masks",
    "NothingShown",
    "apply",
    "mask_address",
    "mask_id_number",
    "mask_name",
    "mask_phone",
]


class Kind(StrEnum):
    """What a field holds, by its name in the decision's masking."""

    PHONE = "phone"
    NAME = "name"
    ID_NUMBER = "id_number"
    ADDRESS = "address"


_MASKED_BY: Mapping[Kind, Callable[[str], str]] = MappingProxyType(
    {
        Kind.PHONE: mask_phone,
        Kind.NAME: mask_name,
        Kind.ID_NUMBER: mask_id_number,
        Kind.ADDRESS: mask_address,
    }
)


class NothingShown(Enum):
    """Said explicitly: the response shows nothing of any customer's."""

    NOTHING_SHOWN = "NOTHING_SHOWN"


NOTHING_SHOWN: Final = NothingShown.NOTHING_SHOWN
M = TypeVar("M", bound=Message)
_Steps = tuple[FieldDescriptor, ...]


class MaskedFields:
    """Which fields of a response hold what. Paths are field names with dots, through repeated fields and map values too."""

    __slots__ = ("_fields", "response")

    def __init__(self, response: type[Message], fields: Mapping[str, Kind]) -> None:
        """Raises Misconfigured for a path that does not lead to a text in `response`, and where there is none at all."""
        if not fields:
            raise _wrong("fields", "no field is named", "say `masks=NOTHING_SHOWN` for a response that shows nothing")
        self.response = response
        self._fields: tuple[tuple[_Steps, Kind], ...] = tuple(
            (_steps(response.DESCRIPTOR, path), Kind(kind)) for path, kind in fields.items()
        )

    def masked(self, message: M, masking: pb.Masking) -> M:
        """A copy with every kind masked that `masking` names, and without fields that this program does not know.

        Raises Internal for another message than the plan was made for: what it shows is not known.
        """
        if message.DESCRIPTOR.full_name != self.response.DESCRIPTOR.full_name:
            raise Internal(Reason.INTERNAL, detail="a response of another type than its masking plan's")
        copy = type(message)()
        copy.CopyFrom(message)
        if any(getattr(masking, kind.value) for kind in Kind):
            # A newer peer's fields pass through an older program unseen: nobody has said what they hold.
            copy.DiscardUnknownFields()
        for steps, kind in self._fields:
            if getattr(masking, kind.value):
                _mask(copy, steps, _MASKED_BY[kind])
        return copy

    def __repr__(self) -> str:
        paths = (f"{'.'.join(step.name for step in steps)}: {kind.value}" for steps, kind in self._fields)
        return f"MaskedFields({self.response.DESCRIPTOR.full_name}, {', '.join(paths)})"


Masks = MaskedFields | Literal[NothingShown.NOTHING_SHOWN]


def apply(plan: Masks, message: M, decision: pb.CheckResponse) -> M:
    """`message` as `decision` lets it be shown; the one given is not changed. Raises PermissionDenied where it denies.

    Unmasked is only what the decision names as unmasked (an approved `x004`, RQ-7). One without masking masks all.
    """
    if not decision.allowed:
        raise PermissionDenied(Reason.NOT_PERMITTED, detail="the decision denies: there is nothing to show")
    if plan is NOTHING_SHOWN:
        return message
    return plan.masked(message, decision.masking if decision.HasField("masking") else _ALL)


_ALL = pb.Masking(phone=True, name=True, id_number=True, address=True)


def _steps(descriptor: Any, path: str) -> _Steps:
    """The fields on the way, the last one a text."""
    steps: list[FieldDescriptor] = []
    for name in path.split("."):
        found = None if descriptor is None else descriptor.fields_by_name.get(name)
        if found is None:
            at = "a text, which has no fields" if descriptor is None else descriptor.full_name
            raise _wrong(path, f"no field {name!r} in {at}", "name fields of the response, from its top")
        value = _map_value(found) or found
        descriptor = value.message_type
        steps.append(found)
        if descriptor is None and value.type != FieldDescriptor.TYPE_STRING:
            raise _wrong(path, "not a text", "what is masked must be a string field")
    if descriptor is not None:
        raise _wrong(
            path, "a message, not a text", f"name the fields of {descriptor.full_name} that hold customer data"
        )
    return tuple(steps)


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of a map's values."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def _mask(message: Any, steps: _Steps, masked: Callable[[str], str]) -> None:
    field, rest = steps[0], steps[1:]
    value = getattr(message, field.name)
    if _map_value(field) is not None:
        for key in value:
            if rest:
                _mask(value[key], rest, masked)
            else:
                value[key] = masked(value[key])
    elif field.is_repeated:
        if rest:
            for one in value:
                _mask(one, rest, masked)
        else:
            value[:] = [masked(text) for text in value]
    elif rest:
        if message.HasField(field.name):
            _mask(value, rest, masked)
    elif value:
        setattr(message, field.name, masked(value))


def _wrong(path: str, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, key=f"masks: {path}", detail=f"{detail} (CI-5)", hint=hint)
