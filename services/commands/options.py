"""What the server-side commands have in common: which configuration they work on, and a hasher of its costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PasswordHasher
from infosec.cli.words import t
from infosec.config import Config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help=t("配置文件（TOML）", "configuration file (TOML); defaults without it"))
]


def load(path: Path | None) -> Config:
    """The configuration. Raises Misconfigured."""
    return Config.load(path)


@contextmanager
def hasher_of(config: Config) -> Iterator[PasswordHasher]:
    """A hasher with the configured costs, ended after use."""
    costs = config.hashing
    hasher = PasswordHasher(
        HashParameters(memory_kib=costs.memory_kib, time_cost=costs.time_cost, parallelism=costs.parallelism)
    )
    try:
        yield hasher
    finally:
        hasher.close()


async def announce_to_nobody(_revisions: object) -> None:
    """For a command beside the server: running nodes find the change in the table."""
