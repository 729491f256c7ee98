"""No room for the spool: what cannot be put down is denied, the process lives, and goes on when there is room (CI-1)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from infosec.client.connection import connect
from tests.faults.books import Books, agree, ask, ask_until, asking, missing
from tests.faults.recording import Service
from tests.sim.check_nodes import PAY, READ, until
from tests.sim.world import PASSWORD, World

NO_RECORD = "RECORD_UNAVAILABLE"
ROOM = 16_384
"""Bytes that a file may have: a small part of what is asked below."""


@pytest.mark.rule("CI-1")
async def test_where_the_spool_cannot_grow_the_rest_is_denied_and_reads_go_on(
    suite_world: World, tmp_path: Path
) -> None:
    service, books = Service(world=suite_world, folder=tmp_path), Books()
    try:
        await service.start()
        files = service.files()
        async with connect(service.address, ca=files.ca, cert=files.certificate, key=files.key) as crm:
            token = (await crm.login.login("li.na", PASSWORD, terminal_id="e1-t1")).token
        async with asking(service.address, files) as stub:
            await ask_until(books, stub, token, PAY, "OK")
            await service.ask({"file_size": ROOM})
            answers = [await ask(books, stub, token, PAY) for _ in range(200)]
            counts = f"{Counter(answers)} of {len(answers)}"
            assert set(answers) == {"OK", NO_RECORD}, counts
            assert answers[-1] == NO_RECORD, counts
            # What is recorded in PostgreSQL needs no spool.
            await ask_until(books, stub, token, READ, "OK")
            await service.ask({"file_size": None})
            await ask_until(books, stub, token, PAY, "OK")
            await until(lambda: _missing(suite_world, books), 0, within_s=60)
        agree(suite_world, books)
    finally:
        await service.kill()


async def _missing(world: World, books: Books) -> int:
    return missing(world, books)
