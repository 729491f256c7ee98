"""The wire of the notify service: who may ask, and protobuf to values and back. No answer holds a body or a whole phone."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from infosec import canonical, ids
from infosec.api.notify.v1 import notify_pb2 as pb
from infosec.api.notify.v1 import notify_pb2_grpc
from infosec.certificates import CallerKind
from infosec.errors import InvalidInput, PermissionDenied, Reason, Unauthenticated
from infosec.ids import RoleId
from infosec.rpc.server.identity import Caller, caller_of
from infosec.secret import Secret
from services.notify.deliveries import Deliveries, Position, Submission
from services.notify.messages import Delivery
from services.notify.ports import TokenReader
from services.notify.sink import Sink

ADMINISTRATOR = RoleId("administrator")
AUDITOR = RoleId("auditor")
DEFAULT_PAGE = 100

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class NotifyServicer(notify_pb2_grpc.NotifyServiceServicer):
    """NotifyService."""

    def __init__(self, deliveries: Deliveries, *, read_token: TokenReader) -> None:
        self._deliveries = deliveries
        self._read_token = read_token

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        if caller_of(context).kind is not CallerKind.SERVICE:
            raise PermissionDenied(Reason.CALLER_NOT_ALLOWED, detail="services of this installation alone")
        submission = Submission(
            message_id=_uuid(request.message_id, "message_id"),
            template=request.template,
            sealed=request.sealed,
            expires_at=request.expires_at.ToDatetime(tzinfo=UTC),
        )
        delivery = await self._deliveries.submit(submission, wait_s=_affordable_wait_s(context))
        return pb.SubmitResponse(delivery=_to_wire(delivery))

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Context) -> pb.GetDeliveryResponse:
        await self._require_reader(request.token, context)
        found = await self._deliveries.find([_uuid(raw, "message_ids") for raw in request.message_ids])
        return pb.GetDeliveryResponse(deliveries=map(_to_wire, found))

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        await self._require_reader(request.token, context)
        size = request.page_size or DEFAULT_PAGE
        found = await self._deliveries.dead_letters(before=_position(request.page_token), count=size + 1)
        page = found[:size]
        more = _page_token(page[-1]) if len(found) > size else ""
        return pb.ListDeadLettersResponse(deliveries=map(_to_wire, page), next_page_token=more)

    async def Retry(self, request: pb.RetryRequest, context: Context) -> pb.RetryResponse:
        await self._require_role(request.token, {ADMINISTRATOR}, caller_of(context))
        delivery = await self._deliveries.retry(
            _uuid(request.message_id, "message_id"), request_id=uuid.UUID(ids.request_id(request.request_id))
        )
        return pb.RetryResponse(delivery=_to_wire(delivery))

    async def _require_reader(self, token: str, context: Context) -> None:
        """Services may look at what they sent; a system only with an administrator's or auditor's token."""
        if token or caller_of(context).kind is not CallerKind.SERVICE:
            await self._require_role(token, {ADMINISTRATOR, AUDITOR}, caller_of(context))

    async def _require_role(self, token: str, roles: set[RoleId], caller: Caller) -> None:
        if not token:
            raise Unauthenticated(Reason.TOKEN_INVALID)
        _, role = await self._read_token(token, caller)
        if role not in roles:
            raise PermissionDenied(Reason.NOT_PERMITTED)


class SinkServicer(notify_pb2_grpc.SinkServiceServicer):
    """SinkService: registered for the sink on loopback, and nowhere else."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def ListMessages(self, request: pb.ListMessagesRequest, context: Context) -> pb.ListMessagesResponse:
        phone = Secret(request.phone) if request.phone else None
        kept = self._sink.newest(request.page_size or DEFAULT_PAGE, phone=phone)
        return pb.ListMessagesResponse(
            messages=[
                pb.SinkMessage(phone=one.phone.reveal(), text=one.text.reveal(), at=_timestamp(one.at)) for one in kept
            ]
        )


def _to_wire(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        message_id=str(delivery.message_id),
        state=pb.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state.value}"),
        template=delivery.template,
        masked_phone=delivery.masked_phone,
        attempts=delivery.attempts,
        fault=delivery.fault.value,
        created_at=_timestamp(delivery.created_at),
        updated_at=_timestamp(delivery.updated_at),
    )


def _affordable_wait_s(context: Context) -> float | None:
    """At most half of the caller's time goes into waiting for the gateway's first word; the rest is for the answer."""
    remaining = context.time_remaining()
    return None if remaining is None else max(0.0, remaining / 2)


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _uuid(raw: str, field: str) -> uuid.UUID:
    try:
        return uuid.UUID(raw)
    except ValueError:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="a UUID") from None


def _page_token(last: Delivery) -> str:
    place = canonical.encode([last.created_at.isoformat(), str(last.message_id)])
    return base64.urlsafe_b64encode(place).decode()


def _position(token: str) -> Position | None:
    if not token:
        return None
    try:
        match canonical.decode_strict(base64.b64decode(token, altchars=b"-_", validate=True)):
            case [str(at), str(message_id)] if datetime.fromisoformat(at).tzinfo:
                return datetime.fromisoformat(at), uuid.UUID(message_id)
            case _:
                raise ValueError
    except (ValueError, binascii.Error, InvalidInput):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="page_token", detail="one that this method gave") from None
