"""Who the person behind a call is, for a service that never asks authsvc: an identity assertion, verified here.

Knows which system calls and which keys there are; asks nobody, and reads no table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion, open_assertion
from infosec.errors import PermissionDenied, Reason
from infosec.rpc.server.identity import Caller


class AssertedPersons:
    """Opens the assertions that store systems hand over with their calls.

    `public_keys` (kid -> 32 bytes, of kind `assertion` alone) is asked at every call, so that a new key is known at once.
    """

    def __init__(self, public_keys: Callable[[], Mapping[str, bytes]], *, installation: str, clock: Clock) -> None:
        self._public_keys = public_keys
        self._installation = installation
        self._clock = clock

    def person(self, text: str, caller: Caller) -> IdentityAssertion:
        """The person for whom `caller` acts, as authsvc knew them minutes ago at most.

        Raises Unauthenticated(TOKEN_INVALID), PermissionDenied(CALLER_NOT_ALLOWED) for a caller that is no store system.
        """
        return open_assertion(
            text, self._public_keys(), installation=self._installation, system=caller.system, now=self._clock.now()
        )


def require_role(person: IdentityAssertion, roles: AbstractSet[str]) -> None:
    """One of these roles. Raises PermissionDenied(NOT_PERMITTED)."""
    if person.role_id not in roles:
        raise PermissionDenied(Reason.NOT_PERMITTED, role=person.role_id)


def require_step_up(person: IdentityAssertion, now: datetime) -> None:
    """RQ-3: a second factor given in this session within five minutes. Raises PermissionDenied(STEP_UP_REQUIRED).

    Who stepped up after the assertion was made needs a new one.
    """
    if person.stepped_up_until_s <= now.timestamp():
        raise PermissionDenied(Reason.STEP_UP_REQUIRED)
