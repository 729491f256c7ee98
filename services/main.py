"""The server-side commands: serve, init, migrate, doctor, cert, keys, break-glass, demo. Joined to `infosec` by an entry point."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the server-side commands to the command line."""
    from services.commands import audit_log, break_glass, cert, demo, doctor, init, keys, migrate, serve, witness

    for module in (serve, init, migrate, doctor, cert, keys, break_glass, audit_log, witness, demo):
        module.register(app)
