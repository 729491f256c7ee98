"""What the server-side commands have in common: which configuration they work on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infosec.cli.words import t
from infosec.config import Config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help=t("配置文件（TOML）", "configuration file (TOML); defaults without it"))
]


def load(path: Path | None) -> Config:
    """The configuration. Raises Misconfigured."""
    return Config.load(path)
