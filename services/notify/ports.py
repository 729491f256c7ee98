"""What the notify service needs from outside: a gateway to phones, and somebody who can read a person's token."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from infosec.errors import FailedPrecondition, Reason, Unavailable
from infosec.ids import RoleId, StaffId
from infosec.rpc.server.identity import Caller
from infosec.secret import Secret


class Receipt(StrEnum):
    """What the gateway has done with a message by the time it answers."""

    ACCEPTED = "ACCEPTED"
    """It will deliver it, as far as it knows."""
    DELIVERED = "DELIVERED"
    """The phone has it."""


class GatewayRefused(FailedPrecondition):
    """This message will never be taken: no such number, or barred."""

    def __init__(self) -> None:
        super().__init__(Reason.STATE_CONFLICT)


class GatewayUnreachable(Unavailable):
    """No answer, or a busy one: the message may be tried again."""

    def __init__(self) -> None:
        super().__init__(Reason.PEER_UNAVAILABLE)


class Gateway(Protocol):
    """Sends messages to phones."""

    async def send(self, message_id: str, phone: Secret, text: Secret) -> Receipt:
        """Hand one message over. When this returns, the gateway has taken responsibility for it.

        At least once: after a crash the same message comes again under the same ID, and a gateway that can recognise
        it shows it once. Raises GatewayRefused or GatewayUnreachable, and nothing of the message is in either.
        May be cancelled; whether the message was taken is then unknown.
        """
        ...

    async def health(self) -> None:
        """Raises GatewayUnreachable when a message sent now would not be taken."""
        ...


class TokenReader(Protocol):
    """Reads a person's session token, as good for the calling system alone."""

    async def __call__(self, token: str, caller: Caller) -> tuple[StaffId, RoleId]:
        """Whose token it is and what they are. Raises Unauthenticated (TOKEN_INVALID, SESSION_ENDED, SESSION_LOCKED)."""
        ...
