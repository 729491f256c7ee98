"""The SDK: `async with connect("host:7443", ca=..., cert=..., key=...) as suite: await suite.check.check(...)`.

This is the public surface. Names are imported when they are first used, so that importing the package costs little.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infosec.client.check import question
    from infosec.client.connection import Connection, connect
    from infosec.client.guard import Guard
    from infosec.client.interceptor import Guarded, GuardInterceptor, decision, guarded
    from infosec.client.masking import NOTHING_SHOWN, Kind, MaskedFields
    from infosec.decision.operations import Purpose
    from infosec.errors import InfosecError, Reason
    from infosec.secret import Secret

_WHERE = {
    "Connection": "infosec.client.connection",
    "connect": "infosec.client.connection",
    "Guard": "infosec.client.guard",
    "question": "infosec.client.check",
    "Guarded": "infosec.client.interceptor",
    "GuardInterceptor": "infosec.client.interceptor",
    "decision": "infosec.client.interceptor",
    "guarded": "infosec.client.interceptor",
    "Kind": "infosec.client.masking",
    "MaskedFields": "infosec.client.masking",
    "NOTHING_SHOWN": "infosec.client.masking",
    "Purpose": "infosec.decision.operations",
    "InfosecError": "infosec.errors",
    "Reason": "infosec.errors",
    "Secret": "infosec.secret",
}

__all__ = [
    "NOTHING_SHOWN",
    "Connection",
    "Guard",
    "GuardInterceptor",
    "Guarded",
    "InfosecError",
    "Kind",
    "MaskedFields",
    "Purpose",
    "Reason",
    "Secret",
    "connect",
    "decision",
    "guarded",
    "question",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
