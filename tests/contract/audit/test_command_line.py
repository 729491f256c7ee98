"""Auditors at the command line, over the whole suite: what they see, what takes two of them, and what watches them all."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infosec.cli.app import app
from infosec.cli.failures import ExitCode
from infosec.cli.invocation import Ports
from infosec.client.connection import connect
from infosec.decision.operations import Purpose
from tests.sim.suite import Suite
from tests.sim.world import PASSWORD, Hire
from tests.unit.cli.fakes import FakePerson

NUMBER = "13911112222"
FIRST, SECOND = "hu.bin", "an.jing"


@dataclass(kw_only=True)
class Desk:
    """A terminal at headquarters with one auditor's session. Commands run in a thread, with connections of their own."""

    suite: Suite
    staff_id: str
    terminal: str
    home: Path
    written: str = ""

    async def run(self, *words: str, input: str | None = None) -> Result:
        result = await asyncio.to_thread(self._run, words, input)
        self.written += result.output
        return result

    async def log_in(self) -> None:
        self.suite.world.advance(seconds=90)
        code = self.suite.world.code(self.staff_id)
        done = await self.run("login", self.staff_id, "--password-stdin", "--totp", input=f"{PASSWORD}\n{code}\n")
        assert done.exit_code == ExitCode.OK, done.output

    def code(self) -> str:
        """One that was never used."""
        self.suite.world.advance(seconds=30)
        return self.suite.world.code(self.staff_id)

    def _run(self, words: tuple[str, ...], input: str | None) -> Result:
        files = self.suite.files("cli")
        ports = Ports(
            connect=lambda settings: connect(
                settings.address, ca=files.ca, cert=files.certificate, key=files.key, locale="en"
            ),
            person=FakePerson(here=False),
            environment={"XDG_STATE_HOME": str(self.home), "INFOSEC_ADDRESS": self.suite.address},
        )
        options = ["--locale", "en", "--terminal", self.terminal]
        return CliRunner().invoke(app, [*options, *words], obj=ports, input=input)


@pytest.fixture
async def desks(suite: Suite, tmp_path: Path) -> tuple[Desk, Desk]:
    """Two auditors; a clerk has looked at a customer's data before, once allowed and once not."""
    await suite.hire(Hire(staff_id=SECOND, name="安静", role="auditor", store="hq", phone="13800000099"))
    suite.world.rows("insert into auth.terminals (terminal_id, store_id, name) values ('hq-t9', 'hq', '9')")
    await suite.fresh()
    clerk = await suite.session("li.na")
    allowed = await suite.check(clerk, "1500", customer=NUMBER, purpose=Purpose.COMPLAINT)
    assert allowed.allowed, allowed
    assert not (await suite.check(clerk, "1500", customer=NUMBER)).allowed
    made = [
        Desk(suite=suite, staff_id=staff_id, terminal=terminal, home=tmp_path / staff_id)
        for staff_id, terminal in ((FIRST, "hq-t1"), (SECOND, "hq-t9"))
    ]
    for desk in made:
        await desk.log_in()
    return made[0], made[1]


@pytest.mark.rule("CI-1", "CI-8")
async def test_an_auditor_looks_things_up_answers_a_customer_and_is_on_record_for_it(
    desks: tuple[Desk, Desk],
) -> None:
    desk, _ = desks
    asked = await desk.run(
        *("audit", "query", "--type", "check.decided", "--decision", "allowed", "--customer-stdin"),
        *("--output", "json"),
        input=f"{NUMBER}\n",
    )
    (entry,) = json.loads(asked.stdout)
    assert (entry["staff_id"], entry["operation"], entry["purpose"]) == ("li.na", "1500", "COMPLAINT")
    who = await desk.run("audit", "who", "--customer-stdin", "--letter", input=f"{NUMBER}\n")
    assert "Clerk, staff ID li.na" in who.stdout
    assert "Times looked at: 1" in who.stdout
    trail = await desk.run("audit", "query", "--staff", FIRST, "--output", "ndjson")
    types = {json.loads(line)["type"] for line in trail.stdout.splitlines()}
    assert {"audit.queried", "audit.who-accessed"} <= types
    found = await desk.run("audit", "finding", entry["log"], str(entry["index"]), "in-order")
    assert found.exit_code == ExitCode.OK, found.output
    assert NUMBER not in desk.written


@pytest.mark.rule("CI-8")
async def test_erasing_takes_two_auditors_and_a_hold_keeps_it_off(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    held = await first.run(
        *("audit", "hold", "place", "--reason", "a lawsuit", "--customer-stdin", "--output", "json"),
        input=f"{NUMBER}\n",
    )
    assert held.exit_code == ExitCode.OK, held.output
    erase = ("audit", "erase", "--reason", "asked in writing", "--customer-stdin", "--yes", "--output", "json")
    refused = await first.run(*erase, "--code-stdin", input=f"{NUMBER}\n{first.code()}\n")
    assert refused.exit_code == ExitCode.CONFLICT, refused.output
    hold = json.loads(held.stdout)["hold_id"][:8]
    lifted = await first.run("audit", "hold", "release", hold, "--reason", "over")
    assert lifted.exit_code == ExitCode.PENDING, lifted.output
    await _confirmed(second, await _only_open(second))
    proposed = await first.run(*erase, input=f"{NUMBER}\n")
    assert proposed.exit_code == ExitCode.PENDING, proposed.output
    act = await _only_open(second)
    assert (await first.run("audit", "acts", "confirm", act, "--yes")).exit_code == ExitCode.DENIED
    await _confirmed(second, act)
    who = await first.run("audit", "who", "--customer-stdin", "--output", "json", input=f"{NUMBER}\n")
    assert json.loads(who.stdout) == []
    unknown = await first.run(*erase, input=f"{NUMBER}\n")
    assert unknown.exit_code == ExitCode.NOT_FOUND, unknown.output
    assert NUMBER not in first.written + second.written


async def test_retention_is_counted_or_proposed_and_withdrawn(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    counted = await first.run("audit", "retention", "--dry-run", "--output", "json")
    assert json.loads(counted.stdout) == {"payloads": 0, "entries": 0, "held": 0}
    assert (await first.run("audit", "retention", "--reason", "r")).exit_code == ExitCode.DENIED
    proposed = await first.run("audit", "retention", "--reason", "r", "--code-stdin", input=f"{first.code()}\n")
    assert proposed.exit_code == ExitCode.PENDING, proposed.output
    act = await _only_open(second)
    withdrawn = await second.run("audit", "acts", "withdraw", act, "--reason", "not yet")
    assert withdrawn.exit_code == ExitCode.OK, withdrawn.output
    assert (await second.run("audit", "acts", "confirm", act, "--yes")).exit_code != ExitCode.OK


async def test_a_log_is_watched_from_outside_without_a_login(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    desk, _ = desks
    outside = Desk(suite=desk.suite, staff_id="", terminal="nowhere", home=tmp_path / "outside")
    await desk.run(
        "audit", "query"
    )  # which puts itself on record: there is a log now, whatever else is still on its way
    await desk.suite.audit.signer.sign_due()
    keys, kept = tmp_path / "keys", tmp_path / "kept"
    keys.write_text((await outside.run("audit", "logs", "--keys")).stdout)
    watch = ("audit", "checkpoint", "carrier", "--key", str(keys), "--store", str(kept), "--output", "json")
    first = await outside.run(*watch)
    assert first.exit_code == ExitCode.OK, first.output
    await desk.run("audit", "query")
    desk.suite.world.advance(seconds=5)
    await desk.suite.audit.signer.sign_due()
    second = await outside.run(*watch)
    assert second.exit_code == ExitCode.OK, second.output
    shown = json.loads(second.stdout)
    assert shown["size"] > shown["previous_size"] == json.loads(first.stdout)["size"]


async def test_who_is_no_auditor_reads_nothing(suite: Suite, tmp_path: Path) -> None:
    clerk = Desk(suite=suite, staff_id="li.na", terminal="e1-t1", home=tmp_path / "clerk")
    done = await clerk.run("login", "li.na", "--password-stdin", "--no-totp", input=f"{PASSWORD}\n")
    assert done.exit_code == ExitCode.OK, done.output
    for words in (["query"], ["who", "--customer-stdin"], ["acts", "list"], ["hold", "list"]):
        refused = await clerk.run("audit", *words, input=f"{NUMBER}\n")
        assert refused.exit_code == ExitCode.DENIED, refused.output
        assert "may not" in refused.stderr


async def _only_open(desk: Desk) -> str:
    listed = await desk.run("audit", "acts", "list", "--open", "--output", "json")
    (act,) = json.loads(listed.stdout)
    return str(act["act_id"])


async def _confirmed(desk: Desk, act: str) -> None:
    done = await desk.run("audit", "acts", "confirm", act[:8], "--yes", "--code-stdin", input=f"{desk.code()}\n")
    assert done.exit_code == ExitCode.OK, done.output
