"""The suite on engines that are not its own: over TCP with TLS and passwords, migrated first, served as service roles."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest

from infosec.client.connection import Connection, connect
from infosec.secret import Secret
from infosec.storage.embedded import Addresses
from tests.sim.installation import Installation, Opened, Process, first_password, free_port, opened, staffed_store
from tests.sim.patience import PATIENCE_S
from tests.sim.servers import sync_connection

CUSTOMER = Secret("13800138000")


def _set_up(here: Installation, audit: Installation, processes: list[Process]) -> Opened:
    """Migrated, initialised, its audit logs and its core running, the first administrator at the console."""
    here.on_server("migrate")
    people = opened(here)
    processes.append(audit.start("--part", "audit"))
    processes.append(here.start("--part", "core"))
    people.administrators[0].log_in()
    people.administrators[0].change_password("plum.Fence-27")
    return people


def _with_audit(place: Path, text: str, *, of_audit: str = "") -> tuple[Installation, str]:
    """Where the audit logs are served, with settings of its own, and the configuration of those who have to be told."""
    audit = Installation(place=place, config_text=of_audit + text, name="audit")
    return audit, f'{text}[audit]\naddress = "127.0.0.1:{audit.port}"\n'


def test_before_the_migration_it_says_what_to_do(place: Path, outside: str) -> None:
    here = Installation(place=place, config_text=outside)
    refused = here.on_server("serve", expect=2)
    assert "infosec init" in refused.err
    found = here.on_server("doctor", expect=2).json
    assert any("infosec migrate" in one["text"] or one["about"].startswith("postgres.") for one in found)
    assert here.on_server("migrate").out
    assert "up to date" in here.on_server("migrate").out


@pytest.mark.rule("ID-5", "CI-2")
@pytest.mark.parametrize("with_redis", [True, False], ids=["with Redis", "without Redis"])
async def test_what_is_locked_at_one_process_is_denied_at_all(
    place: Path, outside: str, processes: list[Process], with_redis: bool
) -> None:
    text = outside if with_redis else outside.partition("[redis]")[0] + "[redis]\nenabled = false\n"
    audit, text = _with_audit(place, text)
    core = Installation(place=place, config_text=text, name="core")
    _set_up(core, audit, processes)
    fronts = [Installation(place=place, config_text=text, name=f"check{n}") for n in (1, 2)]
    started = [front.spawn("--part", "check") for front in fronts]
    processes += started
    for process in started:
        process.until_serving()
    token = await _clerk_at_work(core)
    for front in fronts:
        assert await _answers_in_the_end(front, token, allowed=True)
    core.run("staff", "suspend", "clerk.li", "--reason", "left the till open")
    for front in fronts:
        assert await _answers_in_the_end(front, token, allowed=False)


@pytest.mark.rule("CI-1")
async def test_of_two_audit_processes_at_one_address_each_may_be_killed_while_the_other_records(
    place: Path, outside: str, database: Addresses, processes: list[Process]
) -> None:
    audit, text = _with_audit(place, outside, of_audit="shares_port = true\n")
    here, front = (Installation(place=place, config_text=text, name=name) for name in ("core", "check"))
    _set_up(here, audit, processes)
    recording = [processes[0], _another_recorder(audit, processes)]
    processes.append(front.start("--part", "check"))
    token, allowed = await _clerk_at_work(here), 0
    for number in range(2):
        recording[number].kill()
        recorded = await _allowed_of(front, token, 20)
        assert recorded >= 10, "the other records"
        allowed += recorded
        assert await _answers_in_the_end(front, token, allowed=True)
        recording[number] = _another_recorder(audit, processes)
    with sync_connection(database.postgres) as owner:
        on_record = "select count(*) from audit.entries where type = 'check.decided' and decision = 'ALLOWED'"
        assert owner.execute(on_record).fetchall()[0][0] >= allowed + 2
        gapless = "select count(*), max(index) + 1, max(size) from audit.entries join audit.logs using (log_id) group by log_id"
        assert all(len(set(row)) == 1 for row in owner.execute(gapless).fetchall())
    for config, parts in ((here, ()), (audit, ("--part", "audit"))):
        assert [one for one in config.on_server("doctor", *parts).json if one["verdict"] == "WRONG"] == []


async def _clerk_at_work(core: Installation) -> str:
    """The token of somebody new in a new store, with a password of their own."""
    staffed_store(core, "south", "s001", [("clerk.li", "李营业", "13900001111")])
    given, chosen = Secret(first_password(core, "1111")), Secret("willow.Spoon-53")
    async with _at(core) as suite:
        first = await suite.login.login("clerk.li", given, terminal_id="s001-t1")
        await suite.login.change_password(first.token, current=given, new=chosen)
        return (await suite.login.login("clerk.li", chosen, terminal_id="s001-t1")).token


def _another_recorder(audit: Installation, processes: list[Process]) -> Process:
    page = f"127.0.0.1:{free_port()}"
    processes.append(audit.start("--part", "audit", "--metrics-listen", page))
    with urllib.request.urlopen(f"http://{page}/metrics") as answer:
        assert b"infosec_audit_checkpoints" in answer.read()
    return processes[-1]


async def _allowed_of(front: Installation, token: str, count: int) -> int:
    """How many of so many checks were: the others are denied, because they could not be recorded."""
    answers = [await _asked(front, token) for _ in range(count)]
    assert {one.reason for one in answers} <= {"OK", "RECORD_UNAVAILABLE"}, answers
    return sum(one.allowed for one in answers)


@pytest.mark.rule("ID-8")
def test_a_service_role_with_a_right_too_many_is_found(
    place: Path, outside: str, database: Addresses, processes: list[Process]
) -> None:
    audit, text = _with_audit(place, outside)
    here = Installation(place=place, config_text=text)
    _set_up(here, audit, processes)
    found = {one["about"]: one for one in here.on_server("doctor").json}
    assert found["rights"]["verdict"] == found["server"]["verdict"] == found["redis"]["verdict"] == "OK"
    with sync_connection(database.postgres) as owner:
        owner.execute("grant delete on auth.staff to auth_service; grant insert on auth.break_glass to auth_service")
        owner.execute("grant delete on audit.entries to audit_service")
    found_then = [one for one in here.on_server("doctor", expect=2).json if one["verdict"] == "WRONG"]
    assert sorted(one["text"].rpartition(": ")[2] for one in found_then) == [
        "DELETE on audit.entries",
        "DELETE on auth.staff",
        "INSERT on auth.break_glass",
    ]


def _at(installation: Installation) -> Connection:
    tls = installation.data / "tls"
    return connect(
        f"127.0.0.1:{installation.port}",
        ca=tls / "ca.pem",
        cert=tls / "system-cli.pem",
        key=tls / "system-cli.key",
        locale="en",
    )


async def _asked(front: Installation, token: str):  # type: ignore[no-untyped-def]
    async with _at(front) as suite:
        return await suite.check.check(Secret(token), "1302", store_id="s001", terminal_id="s001-t1", customer=CUSTOMER)


async def _answers_in_the_end(front: Installation, token: str, *, allowed: bool) -> bool:
    """Asks until it is answered so; the staleness bound is what it may take, the test's own patience is longer."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if (await _asked(front, token)).allowed is allowed:
            return True
    return False
