"""Commands that other packages bring: the server's, where it is installed. Each is loaded only when it is looked for, so that
no command costs the import of another, and a client's depends on none of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = "infosec.commands"
"""The entry point group. Each is named like the one command, or group of them, that its function adds to a Typer app."""

_OURS = frozenset({"infosec", "authsvc", "auditsvc", "services"})


@cache
def installed() -> Mapping[str, EntryPoint]:
    """What other packages bring, by the names of the commands. Looked for once: it reads what every package says of itself."""
    return {point.name: point for point in entry_points(group=COMMANDS)}


def command_of(point: EntryPoint) -> Any:
    """The command of an entry point; None where its dependencies are not installed."""
    app = typer.Typer()
    # With a callback Typer makes a group of even one command.
    app.callback()(_nothing)
    try:
        point.load()(app)
    except ModuleNotFoundError as missing:
        # Ours, and yet not there: an installation without the server if it is the whole package, else a fault.
        if missing.name not in _with_parents(point.module) and (missing.name or "").split(".")[0] in _OURS:
            raise
        return None
    group = typer.main.get_command(app)
    return group.commands.get(point.name) if isinstance(group, TyperGroup) else None


def _with_parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


def _nothing() -> None:
    """Joined commands have no options of their own group."""
