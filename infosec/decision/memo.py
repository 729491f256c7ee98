"""A bounded memory of signed texts that were verified, so that each is verified once in a process.

Failures are never kept: a flood of forged texts cannot push out a good one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock
from typing import Generic, TypeVar

Opened = TypeVar("Opened")
Keys = TypeVar("Keys", bound=Mapping[str, object])

Opener = Callable[[str, Keys, str], Opened]
"""Verifies a text with public keys and an installation's ID; raises where it is not good."""


class VerifiedMemo(Generic[Keys, Opened]):
    """Remembers what `opener` returned by the text's SHA-256, least recently used out first. Safe for threads."""

    def __init__(self, opener: Opener[Keys, Opened], *, capacity: int = 65_536) -> None:
        self._opener = opener
        self._capacity = capacity
        self._opened: OrderedDict[bytes, Opened] = OrderedDict()
        self._keys: Keys | None = None
        self._installation = ""
        self._lock = Lock()

    def open(self, text: str, keys: Keys, installation: str) -> Opened:
        """What the text says, verified now or before with these same keys. Raises what the opener raises.

        Other keys than the last time (another object, as after a rotation) forget everything.
        """
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if keys is not self._keys or installation != self._installation:
                self._opened.clear()
                self._keys, self._installation = keys, installation
            known = self._opened.get(digest)
            if known is not None:
                self._opened.move_to_end(digest)
                return known
        opened = self._opener(text, keys, installation)
        with self._lock:
            if keys is self._keys:
                self._opened[digest] = opened
                if len(self._opened) > self._capacity:
                    self._opened.popitem(last=False)
        return opened

    def __len__(self) -> int:
        return len(self._opened)
