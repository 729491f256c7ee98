"""kill -9 of whoever records, under load and between every pair of steps: what was answered is in the log, and once (CI-1)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditsvc.appending import Appender
from infosec.client.connection import connect
from infosec.client.guard import Guard
from infosec.keys import SealingKind
from infosec.storage.postgres import Database, PoolLimits
from tests.faults.books import Books, Entries, agree, ask_until, asking, both, missing
from tests.faults.recording import EAST, ROOT, Service, appended, events_from, relaying, where
from tests.faults.stages import Case, Share
from tests.sim.audit import SERVICE
from tests.sim.check_nodes import PAY, until
from tests.sim.login_nodes import login_node
from tests.sim.world import PASSWORD, World

AT_LEAST = 20
"""Reads and payments allowed before each death."""


@pytest.fixture
async def service(suite_world: World, tmp_path: Path) -> AsyncIterator[Service]:
    """The whole suite in a process that can be killed."""
    made = Service(world=suite_world, folder=tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.kill()


async def token_of(service: Service) -> str:
    files = service.files()
    async with connect(service.address, ca=files.ca, cert=files.certificate, key=files.key) as crm:
        return (await crm.login.login("li.na", PASSWORD, terminal_id="e1-t1")).token


@pytest.mark.rule("CI-1")
async def test_after_kill_9_of_the_service_every_check_that_was_allowed_is_in_the_log_once(
    service: Service, request: pytest.FixtureRequest
) -> None:
    books, token = Books(), await token_of(service)
    deaths = 6 if request.config.getoption("--all-faults") else 2
    for death in range(deaths + 1):
        async with asking(service.address, service.files()) as stub:
            await ask_until(books, stub, token, PAY, "OK")
            if death == deaths:
                await until(lambda: _missing(service.world, books), 0, within_s=60)
                break
            askers, before = both(books, stub, token), (books.reads, books.others)
            while books.reads < before[0] + AT_LEAST or books.others < before[1] + AT_LEAST:
                await asyncio.sleep(0.002)
            await service.kill()
            await asyncio.gather(*askers)
        await service.start()
    agree(service.world, books)
    counts = f"{deaths} deaths; {books.reads} reads and {books.others} others allowed; {books}"
    assert min(books.reads, books.others) >= deaths * AT_LEAST, counts
    assert books.unanswered, f"nobody was in the middle of a question: {counts}"


async def _missing(world: World, books: Books) -> int:
    return await asyncio.to_thread(missing, world, books)


# --- a store system's process, with a Guard in it ---


@pytest.mark.rule("CI-1")
async def test_after_kill_9_of_a_guards_process_the_next_one_delivers_what_it_answered(
    service: Service, tmp_path: Path
) -> None:
    token, files, spools = await token_of(service), service.files(), tmp_path / "guard"
    told = {
        "address": service.address,
        "token": token,
        "spool": str(spools),
        "began": service.began_s,
        "files": [str(files.ca), str(files.certificate), str(files.key)],
    }
    allowed: list[str] = []
    for life in range(2):
        guard = await _guarding({**told, "life": life})
        assert guard.stdout is not None
        while len(allowed) < 100 * (life + 1):
            line = await guard.stdout.readline()
            assert line, "the Guard's process has ended by itself"
            allowed.append(json.loads(line)["allowed"])
        os.kill(guard.pid, signal.SIGKILL)
        rest, _ = await guard.communicate()
        # What it had written down before it died it had answered; a line that was cut off it had not.
        allowed += [json.loads(line)["allowed"] for line in rest.splitlines() if line.endswith(b"}")]
    async with (
        connect(service.address, ca=files.ca, cert=files.certificate, key=files.key) as crm,
        Guard(crm.check, crm.audit, spool_dir=spools).running(),
    ):
        await until(lambda: _not_there(service.world, allowed), 0, within_s=60)
    on_record = Entries.of(service.world).allowing()
    counts = Counter(len(on_record.get(trace, [])) for trace in allowed)
    assert counts == {1: len(allowed)}, f"of {len(allowed)} answers so many are so many times on record: {counts}"


async def _not_there(world: World, traces: list[str]) -> int:
    found = await asyncio.to_thread(lambda: Entries.of(world).allowing())
    return sum(trace not in found for trace in traces)


async def _guarding(told: dict[str, Any]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.guarding"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    return process


# --- recording itself, step by step ---


def case_of(world: World, breeder: Path) -> Case:
    told = where(world.addresses, world.keys_dir, now=world.clock.now())
    return Case(world=world, told=told, breeder=breeder)


@pytest.mark.rule("CI-1")
async def test_an_audit_process_that_died_before_its_answer_has_recorded_all_or_nothing_and_a_retry_is_the_same(
    world: World, breeder: Path, share: Share
) -> None:
    count, first, case = 6, 0, case_of(world, breeder)
    db = await Database.connect(world.addresses.role(SERVICE), PoolLimits(max_size=2))
    world.on_close(db.close)
    appender = Appender(db, world.keys.sealing[SealingKind.SUBJECTS], world.clock)
    world.on_close(appender.close)
    await appended(appender, events_from(first, count, world.keys))
    async with case.victim(act="append", first=count, count=count) as whole:
        said = await whole.says()
    steps, first = tuple(said["steps"]), 2 * count
    assert said["answer"] == list(range(count, 2 * count))
    done = 0
    for step in share.among(steps):
        async with case.victim(step, act="append", first=first, count=count) as victim:
            name = await victim.comes_to_its_stop()
            await victim.is_killed()
        events = events_from(first, count, world.keys)
        kept = dict(
            world.rows(
                "select event_id, index from audit.entries where event_id = any(%s)", [one.event_id for one in events]
            )
        )
        assert len(kept) in (0, count), f"at {name}: {len(kept)} of {count}"
        once, again = await appended(appender, events), await appended(appender, events)
        assert once == again, f"at {name}"
        assert kept == {} or [kept[one.event_id] for one in events] == [one.index for one in once], f"at {name}"
        done += bool(kept)
        first += count
    entries = Entries.of(world).entries
    assert len(entries) == first, f"{first} events, {len(entries)} entries"
    assert 0 < done < len(share.among(steps)), f"{done} of {len(share.among(steps))} deaths were after the commit"


@pytest.mark.rule("CI-1")
async def test_a_recorder_that_died_in_the_middle_of_its_batches_repeats_them_all_and_each_event_is_there_once(
    world: World, breeder: Path
) -> None:
    batch, case = 20, case_of(world, breeder)
    async with AsyncExitStack() as victims:
        for number in range(5):
            victim = await victims.enter_async_context(case.victim(act="append", first=number * batch, count=batch))
            if number % 2:
                await victim.is_killed_now()
            else:
                assert len((await victim.says())["answer"]) == batch
    db = await Database.connect(world.addresses.role(SERVICE), PoolLimits(max_size=2))
    world.on_close(db.close)
    appender = Appender(db, world.keys.sealing[SealingKind.SUBJECTS], world.clock)
    world.on_close(appender.close)
    before = {entry["id"] for entry in Entries.of(world).entries}
    receipts = await appended(appender, events_from(0, 5 * batch, world.keys))
    assert sorted(receipt.index for receipt in receipts) == list(range(5 * batch))
    entries = Entries.of(world).entries
    assert len(entries) == 5 * batch, f"{len(before)} before the repetition, {len(entries)} after it"


@pytest.mark.rule("CI-1")
async def test_every_committed_event_of_authsvc_comes_to_the_log_once_wherever_the_relay_dies(
    world: World, breeder: Path, share: Share
) -> None:
    node = await login_node(world)
    dbs = [await world.database(), await Database.connect(world.addresses.role(SERVICE), PoolLimits(max_size=2))]
    world.on_close(dbs[1].close)
    await _log_in(node)
    async with case_of(world, breeder).victim(act="relay") as whole:
        said = await whole.says()
    steps, after_recording = tuple(said["steps"]), 0
    assert said["answer"] == len(world.events())
    for step in share.among(steps):
        await _log_in(node)
        before = len(Entries.of(world).entries)
        async with case_of(world, breeder).victim(step, act="relay") as victim:
            await victim.comes_to_its_stop()
            await victim.is_killed()
        after_recording += len(Entries.of(world).entries) > before
        world.clock.advance(timedelta(seconds=31))  # the lease of the dead one is over
        async with relaying(world, *dbs) as relay:
            while await relay.deliver_due():
                pass
        put, recorded = _ids(world)
        assert recorded == put, (
            f"after a death at step {step} of {len(steps)}: {len(put)} put, {len(recorded)} recorded"
        )
    assert after_recording > 0, f"of {len(share.among(steps))} deaths {after_recording} came after the recording"
    assert world.one("select count(*) from auth.outbox where topic = 'audit' and delivered_at is null") == 0


async def _log_in(node: Any) -> None:
    """Events: a login that ends another session, and one that fails."""
    await node.login("li.na", at="e1-t1")
    await node.try_login("li.na", "wrong", at="e1-t2")


def _ids(world: World) -> tuple[Counter[str], Counter[str]]:
    put = Counter(event["id"] for event in world.events())
    return put, Counter(entry["id"] for entry in Entries.of(world).entries if entry["log"] in (EAST, "carrier"))
