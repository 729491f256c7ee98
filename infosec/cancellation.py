"""Loops that run until they are cancelled must notice it even where a cancellation was lost on its way to them."""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """To be called once a round by what runs for ever, before it rests: nobody is to wait for a rest to be over.

    Python 3.11's asyncio.wait_for forgets a cancellation that arrives together with its result, and drivers wait by it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
