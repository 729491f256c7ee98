"""Handles for secret values (ID-7). A handle goes anywhere and shows nothing; `reveal()` is the one door, so a search
for that word lists every place that touches a secret. Knows nothing of where the values come from.
"""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, Self, TypeVar

Value = TypeVar("Value", str, bytes)


class _Handle(Generic[Value]):
    """No text form, no copy, no pickle, no hash, no JSON; equality in constant time and only between handles."""

    __slots__ = ("__value",)

    def __init__(self, value: Value) -> None:
        self.__value: Value = value

    def reveal(self) -> Value:
        """The value itself. Use it up at once; do not keep it in a name that lives on."""
        return self.__value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        # Defining __eq__ alone also takes __hash__ away, which is meant: a hash of a secret is a fact about it.
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__value), _bytes(other.__value))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not copied or pickled")

    def __copy__(self) -> Self:
        raise TypeError(f"{type(self).__name__} is not copied")

    def __deepcopy__(self, memo: object) -> Self:
        raise TypeError(f"{type(self).__name__} is not copied")


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


class Secret(_Handle[str]):
    """A secret text: a password, a one-time code."""

    __slots__ = ()


class SecretBytes(_Handle[bytes]):
    """Secret bytes: a key."""

    __slots__ = ()
