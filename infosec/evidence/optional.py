"""Libraries that only some formats need. The SDK installs without them, and then says which one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from infosec.errors import Misconfigured, Reason


def library(name: str) -> Any:
    """The module. Raises Misconfigured with what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        hint = "pip install 'infosec[evidence]'"
        raise Misconfigured(Reason.CONFIGURATION, detail=f"{name.partition('.')[0]}: {hint}", hint=hint) from None
