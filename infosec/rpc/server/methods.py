"""What the server knows of each method it serves, read from the contract once: shape, request type, limits.

Requests are decoded here rather than by gRPC, so that bytes which are no message get a clear answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from infosec.errors import InvalidInput, Misconfigured, Reason
from infosec.rpc.limits import Limits

OURS = "infosec.api."


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of one service."""

    path: str
    service: str
    behaviour: Callable[..., Any]
    response_serializer: Callable[[Any], bytes] | None
    takes_stream: bool
    gives_stream: bool
    is_implemented: bool
    is_bounded: bool
    """Counts against a bound on calls at once; a single health check does not."""
    read: Callable[[bytes], Message]
    """Decodes and checks one message. Raises InvalidInput."""

    @property
    def is_stream(self) -> bool:
        return self.takes_stream or self.gives_stream


class Recorder:
    """Stands in for the server in `add_XServicer_to_server`, and remembers what would have been registered."""

    def __init__(self) -> None:
        self.services: dict[str, Mapping[str, grpc.RpcMethodHandler[Any, Any]]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """The same handlers come again, by name, in the other call."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        self.services[service] = handlers


def methods_of(
    service: str,
    handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]],
    limits: Limits,
    on_unknown_field: Callable[[str], None],
) -> list[Method]:
    """Every method of a registered service. Raises Misconfigured for one that the contract does not have."""
    return [_method(service, name, handler, limits, on_unknown_field) for name, handler in handlers.items()]


def _method(
    service: str,
    name: str,
    handler: grpc.RpcMethodHandler[Any, Any],
    limits: Limits,
    on_unknown_field: Callable[[str], None],
) -> Method:
    path = f"/{service}/{name}"
    behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return Method(
        path=path,
        service=service,
        behaviour=behaviour,
        response_serializer=handler.response_serializer,
        takes_stream=handler.request_streaming,
        gives_stream=handler.response_streaming,
        # The generated base classes answer in plain functions; ours are all asynchronous.
        is_implemented=inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour),
        is_bounded=service.startswith(OURS) or handler.request_streaming or handler.response_streaming,
        read=_reader(path, service, _request_class(service, name), limits, on_unknown_field),
    )


def _request_class(service: str, name: str) -> type[Message]:
    try:
        descriptor = Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        raise Misconfigured(Reason.CONFIGURATION, key=service, detail=f"has no method {name} in the contract") from None
    return GetMessageClass(descriptor.input_type)


def _reader(
    path: str, service: str, request_class: type[Message], limits: Limits, on_unknown_field: Callable[[str], None]
) -> Callable[[bytes], Message]:
    if not service.startswith(OURS):
        return _decoder(request_class)
    descriptor: Any = request_class.DESCRIPTOR
    decode, check, unknown_in = _decoder(request_class), limits.check_for(descriptor), limits.unknown_in
    refuses_unknown = service.endswith("AdminService")

    def read(raw: bytes) -> Message:
        message = decode(raw)
        size = message.ByteSize()
        message.DiscardUnknownFields()
        # Only a message that has some is walked to name the first.
        unknown = unknown_in(decode(raw)) if message.ByteSize() != size else None
        if unknown is not None:
            if refuses_unknown:
                raise InvalidInput(Reason.UNKNOWN_FIELD, field=unknown)
            on_unknown_field(path)
        check(message)
        return message

    return read


def _decoder(request_class: type[Message]) -> Callable[[bytes], Message]:
    from_string = request_class.FromString

    def decode(raw: bytes) -> Message:
        try:
            return from_string(raw)
        except DecodeError:
            # The parser's text may quote the message.
            raise InvalidInput(
                Reason.INVALID_ARGUMENT,
                field=request_class.DESCRIPTOR.name,
                detail="not a message of this type, in UTF-8",
            ) from None

    return decode
