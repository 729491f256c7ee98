"""How authsvc reaches the notify service: through the SDK, like everybody."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from authsvc.work import Message
from infosec.api.notify.v1 import notify_pb2 as pb
from infosec.client.notify import NotifyClient


class NotifyOverRpc:
    """authsvc's port NotifyService on NotifyClient."""

    def __init__(self, client: NotifyClient) -> None:
        self._client = client

    async def submit(self, message: Message) -> str:
        delivery = await self._client.submit(
            str(message.message_id), template=message.template, sealed=message.sealed, expires_at=message.expires_at
        )
        return _state(delivery)

    async def states(self, message_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        found = await self._client.deliveries([str(one) for one in message_ids])
        return {uuid.UUID(delivery.message_id): _state(delivery) for delivery in found}


def _state(delivery: pb.Delivery) -> str:
    return pb.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_")
