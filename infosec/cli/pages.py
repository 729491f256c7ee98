"""All pages of a list, and things by the first characters of their ID."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from infosec.cli.failures import ExitCode, Told, usage
from infosec.errors import Reason
from infosec.messages import Text

PAGE = 500
WHOLE_ID = 36
SHORTEST = 4


class Page(Protocol):
    """An answer of a list method."""

    @property
    def next_page_token(self) -> str: ...


class Identified(Protocol):
    """Something with an ID."""

    @property
    def id(self) -> str: ...


AnyPage = TypeVar("AnyPage", bound=Page)
Item = TypeVar("Item")
Found = TypeVar("Found", bound=Identified)


async def every(
    fetch: Callable[[int, str], Awaitable[AnyPage]],
    items: Callable[[AnyPage], Sequence[Item]],
    *,
    limit: int | None = None,
) -> list[Item]:
    """The items of all pages, or the first `limit`. `fetch` takes page size and page token."""
    found: list[Item] = []
    token = ""
    while True:
        size = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await fetch(size, token)
        found += items(page)
        token = page.next_page_token
        if not token or (limit is not None and len(found) >= limit):
            return found if limit is None else found[:limit]


async def whole_id(
    begin: str, fetch: Callable[[int, str], Awaitable[AnyPage]], items: Callable[[AnyPage], Sequence[Found]]
) -> str:
    """The whole ID that starts with `begin`, among the items of all pages. Raises Told where there is none, or several."""
    return begin if len(begin) >= WHOLE_ID else the_one(begin, [item.id for item in await every(fetch, items)])


def the_one(begin: str, ids: Sequence[str]) -> str:
    """The one of these IDs that starts with `begin`. Raises Told where there is none, or several."""
    if len(begin) < SHORTEST:
        raise usage(f"编号至少要写 {SHORTEST} 位。", f"Give at least {SHORTEST} characters of the ID.")
    found = [id for id in ids if id.startswith(begin.lower())]
    if len(found) > 1:
        raise usage(
            f"有多个编号以 {begin} 开头，请多写几位。", f"More than one ID starts with {begin}; give more of it."
        )
    if not found:
        raise Told(
            Reason.NOT_FOUND,
            Text(f"未找到编号以 {begin} 开头的记录，或您无权查看。", f"Nothing that you may see starts with {begin}."),
            exit_code=ExitCode.NOT_FOUND,
        )
    return found[0]
