"""Puts the notify service together from its leaves; tests call the same function with other ones."""

from __future__ import annotations

from dataclasses import dataclass

from infosec.api.notify.v1 import notify_pb2_grpc
from infosec.clock import Clock
from infosec.errors import Misconfigured, Reason
from infosec.rpc.server.builder import Registration
from infosec.sms import Sealer
from infosec.storage.postgres import Database
from services.notify.deliveries import Deliveries
from services.notify.messages import RetryPolicy
from services.notify.ports import Gateway, TokenReader
from services.notify.rpc import NotifyServicer, SinkServicer
from services.notify.sender import Sender, SenderLimits
from services.notify.sink import Sink

SCHEMA = "notify"
ROLE = "notify_service"
MIGRATIONS = "services.notify.migrations"
NOTIFY_SERVICE = "infosec.api.notify.v1.NotifyService"
SINK_SERVICE = "infosec.api.notify.v1.SinkService"

ANSWER_WAIT_S = 1.0
"""How long Submit waits for the gateway's first word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyApp:
    """The service, ready to be served. `run` has to run as long as messages are to go out."""

    notify: NotifyServicer
    sink: SinkServicer | None
    """Set for the loopback demo alone."""
    deliveries: Deliveries
    sender: Sender
    db: Database
    gateway: Gateway

    def registrations(self) -> tuple[Registration, ...]:
        """What the server is to serve: NotifyService, and in the loopback demo SinkService."""
        notify: Registration = (notify_pb2_grpc.add_NotifyServiceServicer_to_server, self.notify)
        if self.sink is None:
            return (notify,)
        return (notify, (notify_pb2_grpc.add_SinkServiceServicer_to_server, self.sink))

    async def run(self) -> None:
        """Send what is queued, until cancelled."""
        await self.sender.run()

    async def health(self) -> None:
        """Raises Unavailable when messages can be neither taken nor sent. A gateway that is away only delays them."""
        await self.db.health()


def build(
    *,
    db: Database,
    keys: Sealer,
    gateway: Gateway,
    clock: Clock,
    read_token: TokenReader,
    is_loopback: bool,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
    limits: SenderLimits = SenderLimits(),  # noqa: B008 - frozen
    answer_wait_s: float = ANSWER_WAIT_S,
) -> NotifyApp:
    """The service on these leaves: `db` as role notify_service, `keys` of SealingKind.MESSAGES.

    Raises Misconfigured for the sink anywhere but on loopback: whoever reaches it can read every password it was sent.
    """
    if isinstance(gateway, Sink) and not is_loopback:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="notify.gateway",
            detail="the sink is for loopback only",
            hint="configure the carrier's SMS gateway",
        )
    sender = Sender(db=db, keys=keys, gateway=gateway, clock=clock, policy=policy, limits=limits)
    deliveries = Deliveries(db=db, keys=keys, sender=sender, clock=clock, policy=policy, answer_wait_s=answer_wait_s)
    return NotifyApp(
        notify=NotifyServicer(deliveries, read_token=read_token),
        sink=SinkServicer(gateway) if isinstance(gateway, Sink) else None,
        deliveries=deliveries,
        sender=sender,
        db=db,
        gateway=gateway,
    )
