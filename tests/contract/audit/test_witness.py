"""The log's side and a real witness, over HTTP on loopback: cosignatures on the stored notes, whatever fails in between."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from auditsvc.cosigning import Outcome, Witness
from auditsvc.witness_link import HttpLink
from auditsvc.witnesses import Witnesses
from infosec.certificates import Authority
from infosec.clock import SystemClock
from infosec.config import Address
from infosec.errors import Misconfigured, Reason, Unavailable
from infosec.ids import RegionId
from infosec.keys import SigningKeys
from infosec.transparency.cosignatures import WitnessKey, cosignatures, require_witnesses
from infosec.transparency.notes import parse_note
from infosec.transparency.witness import AddCheckpoint
from services.witness import app
from services.witness.config import WitnessConfig, WitnessTls
from tests.sim.audit import EAST, WEST, AuditStand
from tests.sim.signing import ORIGINS, checkpoint_keys, grow, newest, signer, witness, witness_config, witnesses


@pytest.mark.rule("CI-1")
async def test_each_new_checkpoint_is_cosigned_and_the_note_keeps_the_cosignatures(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    one = witness_config(tmp_path / "w1", keys.verifiers(EAST))
    two = witness_config(tmp_path / "w2", keys.verifiers(EAST), name="witness.example/w2")
    async with witness(audit, one) as w1, witness(audit, two) as w2, witnesses(audit, w1, w2) as asked:
        for number in range(3):
            await grow(audit, 300, first=300 * number)
            await signing.sign_due()
            await asked.ask_all()
            note = parse_note((await newest(audit)).note.encode())
            names = require_witnesses(note, [w1.key, w2.key], at_least=2, not_after=audit.clock.now())
            assert names == {"witness.example/w1", "witness.example/w2"}
        await asked.ask_all()
        again = parse_note((await newest(audit)).note.encode())
        assert again == note, "a cosigned checkpoint is not cosigned again"


async def test_new_checkpoints_go_to_the_witness_by_themselves(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    async with (
        witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running,
        witnesses(audit, running) as asked,
    ):
        signing = signer(audit, keys, tmp_path, witnesses=asked)
        await grow(audit, 3)
        await signing.sign_due()
        asking = asyncio.create_task(asked.run())
        for size in (3, 7):
            if size > 3:
                await grow(audit, 4, first=3)
                await signing.sign_due()
            async with asyncio.timeout(60):
                while (found := await newest(audit)).size != size or not _is_cosigned(found.note, running.key):
                    await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_what_a_process_signed_that_was_ended_before_it_could_ask_is_asked_for_by_another(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    async with witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running:
        link = HttpLink(running.url)
        asked = Witnesses(
            audit.db, [Witness(key=running.key, link=link)], audit.clock, look_again=timedelta(milliseconds=20)
        )
        asking = asyncio.create_task(asked.run())
        for number in range(2):
            await grow(audit, 3, first=3 * number)
            await signer(audit, keys, tmp_path).sign_due()  # offers it to nobody
            async with asyncio.timeout(60):
                while not _is_cosigned((await newest(audit)).note, running.key):
                    await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asked.close()


async def test_a_log_that_a_witness_does_not_know_keeps_no_other_from_it(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    await grow(audit, 3, region=WEST)
    await grow(audit, 3)
    await signing.sign_due()
    async with witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running:
        for logs, outcomes in (
            (frozenset[RegionId](), {EAST: Outcome.COSIGNED, WEST: Outcome.REFUSED}),
            (frozenset({EAST}), {EAST: Outcome.COSIGNED}),
        ):
            link = HttpLink(running.url)
            asked = Witnesses(audit.db, [Witness(key=running.key, link=link, logs=logs)], audit.clock)
            await asked.ask_all()
            assert asked.outcomes == {(running.key.name, log_id): one for log_id, one in outcomes.items()}
            await asked.close()


async def test_a_witness_that_was_away_catches_up_from_its_own_size(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    config = witness_config(tmp_path / "w", keys.verifiers(EAST))
    await grow(audit, 5)
    await signing.sign_due()
    async with witness(audit, config) as running, witnesses(audit, running) as asked:
        await asked.ask_all()
    for number in range(1, 4):
        await grow(audit, 200, first=200 * number)
        await signing.sign_due()
    # Both start anew: the log's side does not know the witness's size, the witness reads its own from the disk.
    async with witness(audit, config) as running, witnesses(audit, running) as asked:
        await asked.ask_all()
        assert _is_cosigned((await newest(audit)).note, running.key)


async def test_a_witness_that_is_away_keeps_nothing_from_being_signed(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    async with witness(audit, witness_config(tmp_path / "w", keys.verifiers(EAST))) as running:
        pass
    async with witnesses(audit, running) as asked:
        signing = signer(audit, keys, tmp_path, witnesses=asked)
        await grow(audit, 3)
        assert await signing.sign_due() == (EAST,)
        await asked.ask_all()
        assert not asked.contradictions
        assert not _is_cosigned((await newest(audit)).note, running.key)


async def test_a_witness_that_does_not_answer_is_left_after_the_deadline(audit: AuditStand) -> None:
    never = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    link = HttpLink(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", deadline_s=0.1)
    with pytest.raises(Unavailable) as refused:
        await link.add_checkpoint(b"")
    assert refused.value.reason is Reason.PEER_UNAVAILABLE
    never.set()
    await link.close()
    server.close()


async def test_a_checkpoint_of_a_rotated_key_needs_the_new_key_at_the_witness(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    before = keys.verifiers(EAST)
    SigningKeys.load(tmp_path / "checkpoint.json").rotate(now=audit.clock.now())
    await grow(audit, 3)
    await signing.sign_due()
    async with witness(audit, witness_config(tmp_path / "w", before)) as running, witnesses(audit, running) as asked:
        await asked.ask_all()
        assert not _is_cosigned((await newest(audit)).note, running.key)
    both = witness_config(tmp_path / "w", keys.verifiers(EAST))
    async with witness(audit, both) as running, witnesses(audit, running) as asked:
        await asked.ask_all()
        assert _is_cosigned((await newest(audit)).note, running.key)


async def test_the_witness_answers_as_the_specification_says(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    await grow(audit, 3)
    await signing.sign_due()
    note = parse_note((await newest(audit)).note.encode())
    config = witness_config(tmp_path / "w", keys.verifiers(EAST))
    async with witness(audit, config) as running, aiohttp.ClientSession(running.url) as http:

        async def post(old: int) -> tuple[int, str, str]:
            body = AddCheckpoint.of(old_size=old, proof=(), note=note).encode()
            async with http.post("/add-checkpoint", data=body) as answer:
                return answer.status, answer.headers["Content-Type"], await answer.text()

        status, _, text = await post(0)
        assert status == 200 and text.startswith("— witness.example/w1 ") and text.endswith("\n")
        assert await post(0) == (409, "text/x.tlog.size", "3\n")
        assert (await post(3))[0] == 200
        assert (await post(4))[0] == 400
        for method, path, expected in (
            ("GET", "/healthz", 200),
            ("GET", "/add-checkpoint", 405),
            ("GET", "/", 404),
            ("POST", "/healthz", 405),
        ):
            async with http.request(method, path) as answer:
                assert answer.status == expected
        async with http.post("/add-checkpoint", data=b"old 0\n" * 200_000) as answer:
            assert answer.status == 413
        async with http.post("/add-checkpoint", data=b"hello") as answer:
            assert answer.status == 400


async def test_over_tls_the_witness_is_verified(audit: AuditStand, tmp_path: Path) -> None:
    # TLS is judged by the machine's clock.
    authority = Authority.create_or_load(tmp_path / "tls", carrier="carrier.example", now=SystemClock().now())
    files = authority.issue_service("witness", now=SystemClock().now())
    keys = checkpoint_keys(tmp_path, audit)
    plain = witness_config(tmp_path / "w", keys.verifiers(EAST))
    config = plain.model_copy(update={"tls": WitnessTls(cert=files.certificate, key=files.key)})
    async with witness(audit, config) as running:
        url = f"https://localhost:{running.address.port}"
        trusting, other = HttpLink(url, ca=files.ca), HttpLink(url)
        assert (await trusting.add_checkpoint(b"hello")).status == 400
        with pytest.raises(Unavailable):
            await other.add_checkpoint(b"hello")
        await trusting.close()
        await other.close()


async def test_a_witness_does_not_start_without_its_memory_nor_twice_nor_open_to_others(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    config = witness_config(tmp_path / "w", keys.verifiers(EAST))
    assert await _refusal(audit, config) is Reason.CONFIGURATION  # never set up
    app.create(config, clock=audit.clock)
    with pytest.raises(Misconfigured) as again:
        app.create(config, clock=audit.clock)
    assert again.value.reason is Reason.ALREADY_INITIALISED
    async with app.serving(config, clock=audit.clock):
        assert await _refusal(audit, config) is Reason.ALREADY_RUNNING
    everywhere = config.model_copy(update={"listen": Address(host="0.0.0.0", port=0)})
    assert await _refusal(audit, everywhere) is Reason.CONFIGURATION
    (tmp_path / "w" / "seen").rmdir()
    assert await _refusal(audit, config) is Reason.CONFIGURATION  # it would cosign anything once more


async def test_an_answer_that_is_no_cosignature_of_the_witness_is_not_stored(audit: AuditStand, tmp_path: Path) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    await grow(audit, 3)
    await signer(audit, keys, tmp_path).sign_due()
    before = (await newest(audit)).note
    one = witness_config(tmp_path / "w1", keys.verifiers(EAST))
    other = witness_config(tmp_path / "w2", keys.verifiers(EAST), name="witness.example/w2")
    async with witness(audit, one) as w1, witness(audit, other) as w2:
        link = HttpLink(w1.url)
        asked = Witnesses(audit.db, [Witness(key=w2.key, link=link)], audit.clock)
        await asked.ask_all()
        await link.close()
    assert (await newest(audit)).note == before
    assert not asked.contradictions


def _is_cosigned(note: str, key: WitnessKey) -> bool:
    return bool(cosignatures(parse_note(note.encode()), [key]))


async def _refusal(stand: AuditStand, config: WitnessConfig) -> Reason:
    with pytest.raises(Misconfigured) as refused:
        async with app.serving(config, clock=stand.clock):
            pass
    return refused.value.reason


async def test_a_witness_process_that_is_killed_goes_on_from_what_it_has_cosigned(
    audit: AuditStand, tmp_path: Path
) -> None:
    keys = checkpoint_keys(tmp_path, audit)
    signing = signer(audit, keys, tmp_path)
    config = tmp_path / "witness.toml"
    (log_key,) = keys.vkeys(EAST)
    config.write_text(
        'name = "witness.example/w1"\nlisten = "127.0.0.1:0"\ndata_dir = "w"\n'
        f'[[logs]]\norigin = "{ORIGINS.of(EAST)}"\nkeys = ["{log_key}"]\n'
    )
    made = await _command(
        "-c", "from infosec.cli.app import main; main()", "--output", "json", "witness", "init", "--config", str(config)
    )
    key = WitnessKey.parse(json.loads(made)["key"])
    for number in range(2):
        await grow(audit, 5, first=5 * number)
        await signing.sign_due()
        async with _process(config, number) as url:
            link = HttpLink(url)
            asked = Witnesses(audit.db, [Witness(key=key, link=link)], audit.clock)
            await asked.ask_all()
            await asked.close()
        assert _is_cosigned((await newest(audit)).note, key)
    # The second time it asked for a proof from what the first process had written before it was killed.
    (seen,) = (tmp_path / "w" / "seen").iterdir()
    assert parse_note(seen.read_bytes()).text == parse_note((await newest(audit)).note.encode()).text


async def _command(*words: str) -> bytes:
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


@asynccontextmanager
async def _process(config: Path, number: int) -> AsyncIterator[str]:
    """`services.witnessd`: the first one is killed at the end, the next one told to stop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.witnessd", "--config", str(config), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        started = ""
        while not (found := re.search(r"127\.0\.0\.1:(\d+)", started)):
            line = await process.stderr.readline()
            assert line, started
            started += line.decode()
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.send_signal(signal.SIGTERM if number else signal.SIGKILL)
        assert await process.wait() == (0 if number else -signal.SIGKILL)
