"""Names of schemas and roles in SQL text: plain lower-case identifiers and nothing else, so they need no quoting."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def sql_name(name: str) -> str:
    """`name` itself. Raises ValueError for what is no plain identifier: such a name is a bug of ours, never input."""
    if not _NAME.fullmatch(name):
        raise ValueError("a schema or role name is 1 to 63 of a-z 0-9 _")
    return name
