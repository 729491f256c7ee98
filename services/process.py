"""What the process entry points have in common: `infosec serve` for a part that the entry point names."""

from __future__ import annotations

import sys

from infosec.cli.app import main as command_line
from services.checking import Part


def main(*parts: Part) -> None:
    """As `infosec serve --part ...`, with the same options and the same end of every failure."""
    chosen = [word for part in parts for word in ("--part", part.value)]
    sys.argv[1:] = ["serve", *chosen, *sys.argv[1:]]
    command_line()
