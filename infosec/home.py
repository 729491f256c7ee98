"""Where an installation keeps its data, unless it is told otherwise: one answer for server, SDK and command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """$INFOSEC_HOME, or `infosec` under $XDG_DATA_HOME or ~/.local/share."""
    if home := environment.get("INFOSEC_HOME"):
        return Path(home).expanduser().absolute()
    shared = environment.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "share") / "infosec"
