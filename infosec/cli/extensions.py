"""Commands that other packages bring: the server's, where it is installed. Loaded only when they are looked for, so that
a client command costs no server import and does not depend on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = "infosec.commands"
"""The entry point group: functions that take a Typer app and register commands on it."""

_OURS = frozenset({"infosec", "authsvc", "auditsvc", "services"})


def installed_commands() -> Mapping[str, Any]:
    """The commands of all installed entry points by name."""
    return commands_of(entry_points(group=COMMANDS))


def commands_of(points: Iterable[EntryPoint]) -> Mapping[str, Any]:
    """The commands of these entry points; those whose dependencies are not installed are simply absent."""
    brought: dict[str, Any] = {}
    for point in points:
        app = typer.Typer()
        # With a callback Typer makes a group of even one command.
        app.callback()(_nothing)
        try:
            point.load()(app)
        except ModuleNotFoundError as missing:
            # Ours, and yet not there: an installation without the server if it is the whole package, else a fault.
            if missing.name != point.module and (missing.name or "").split(".")[0] in _OURS:
                raise
            continue
        group = typer.main.get_command(app)
        if isinstance(group, TyperGroup):
            brought |= group.commands
    return brought


def _nothing() -> None:
    """Joined commands have no options of their own group."""
