"""NotifyService: messages to phones, handed over sealed; and the sink of the loopback demo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.notify.v1 import notify_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed

_SERVICE = "/infosec.api.notify.v1.NotifyService/"
_SINK = "/infosec.api.notify.v1.SinkService/"

SUBMIT = Method(path=_SERVICE + "Submit", request=pb.SubmitRequest, response=pb.SubmitResponse, is_repeatable=True)
GET_DELIVERY = Method(
    path=_SERVICE + "GetDelivery", request=pb.GetDeliveryRequest, response=pb.GetDeliveryResponse, is_repeatable=True
)
LIST_DEAD_LETTERS = Method(
    path=_SERVICE + "ListDeadLetters",
    request=pb.ListDeadLettersRequest,
    response=pb.ListDeadLettersResponse,
    is_repeatable=True,
)
RETRY = Method(path=_SERVICE + "Retry", request=pb.RetryRequest, response=pb.RetryResponse, is_repeatable=True)
LIST_MESSAGES = Method(
    path=_SINK + "ListMessages", request=pb.ListMessagesRequest, response=pb.ListMessagesResponse, is_repeatable=True
)


class NotifyClient:
    """Bodies go in sealed and come out nowhere."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def submit(self, message_id: str, *, template: str, sealed: bytes, expires_at: datetime) -> pb.Delivery:
        """Hand a sealed message over; the message ID makes it safe to repeat."""
        until = Timestamp()
        until.FromDatetime(expires_at)
        request = pb.SubmitRequest(message_id=message_id, template=template, sealed=sealed, expires_at=until)
        return (await self._invoker.unary(SUBMIT, request)).delivery

    async def deliveries(self, message_ids: Sequence[str], *, token: SecretText | None = None) -> Sequence[pb.Delivery]:
        """How messages fared, in the order asked for; unknown ones are left out."""
        request = pb.GetDeliveryRequest(token=revealed(token), message_ids=message_ids)
        return (await self._invoker.unary(GET_DELIVERY, request)).deliveries

    async def dead_letters(
        self, *, token: SecretText | None = None, page_size: int = 100, page_token: str = ""
    ) -> pb.ListDeadLettersResponse:
        """One page of messages that were given up."""
        request = pb.ListDeadLettersRequest(token=revealed(token), page_size=page_size, page_token=page_token)
        return await self._invoker.unary(LIST_DEAD_LETTERS, request)

    async def retry(self, token: SecretText, message_id: str, *, request_id: str | None = None) -> pb.Delivery:
        """Try a given-up message again, while its body has not expired."""
        request = pb.RetryRequest(request_id=retry_key(request_id), token=revealed(token), message_id=message_id)
        return (await self._invoker.unary(RETRY, request)).delivery


class SinkClient:
    """Unimplemented everywhere but in the loopback demo."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def messages(self, *, phone: str = "", page_size: int = 100) -> Sequence[pb.SinkMessage]:
        """Messages that were "sent"."""
        request = pb.ListMessagesRequest(phone=phone, page_size=page_size)
        return (await self._invoker.unary(LIST_MESSAGES, request)).messages
