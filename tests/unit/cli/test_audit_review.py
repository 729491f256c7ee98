"""`infosec audit sample`, `patterns` and `report`, as people and scripts run them."""

from __future__ import annotations

import json
import stat
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infosec import canonical
from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli import audit_review
from infosec.errors import FailedPrecondition, Reason
from infosec.events.types import EventType
from infosec.review.offline import as_fields
from infosec.secret import Secret
from infosec.transparency.checkpoints import sign_checkpoint
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.ranges import EMPTY
from tests.sim.audit_log import SimLog
from tests.unit.cli.fakes import NOW, Console, shown, stamp
from tests.unit.review.test_offline import STORE, WEEK, a_log, by_the_server, exported

ASSERTION = "assertion.marker.sig"
MONDAY = WEEK.monday.isoformat()


class Server:
    """The reading half of the audit service, over a log in memory."""

    def __init__(self, log: SimLog) -> None:
        self.log = log
        self.not_yet = 0
        self.drawn: list[str] | None = None
        self.seed: bytes | None = None
        self.asked: list[Any] = []

    async def draw_sample(self, assertion: Secret, *, store_id: str, log_id: str, week: str) -> pb.DrawSampleResponse:
        assert (shown(assertion), store_id, log_id, week) == (ASSERTION, STORE, "east", MONDAY)
        if self.not_yet:
            self.not_yet -= 1
            raise FailedPrecondition(Reason.STATE_CONFLICT, retry_after=timedelta(0), detail="ask again")
        sample = by_the_server(self.log)
        chosen = self.drawn if self.drawn is not None else [one.staff for one in sample.drawn]
        indices = {one.staff: one.indices for one in sample.drawn}
        return pb.DrawSampleResponse(
            checkpoint=sign_checkpoint(sample.checkpoint, self.log.signer).encode().decode(),
            seed=self.seed or sample.seed,
            population=sample.population,
            drawn=[pb.SampledPerson(staff_id=staff, indices=indices.get(staff, ())) for staff in chosen],
        )

    async def patterns(self, assertion: Secret, **given: Any) -> list[pb.Pattern]:
        self.asked.append(given)
        one = pb.Pattern(
            kind="MANY_LOOKUPS",
            log_id="east",
            staff_id="clerk.01",
            store_id=STORE,
            terminal_id="e1-t1",
            first=stamp(NOW),
            last=stamp(NOW),
            count=73,
            threshold=60,
            indices=range(20),
        )
        return [one]

    async def query(self, assertion: Secret, wanted: pb.Filter, **paging: Any) -> pb.QueryResponse:
        self.asked.append(wanted)
        start = int(paging["page_token"] or 0)
        chosen = [
            (index, body) for index, body in enumerate(self.log.entries) if json.loads(body)["type"] in wanted.types
        ]
        after = start + 50  # pages are as the server likes them
        page = [pb.Entry(log_id="east", index=index, body=body) for index, body in chosen[start:after]]
        page.append(pb.Entry(log_id="east", index=10**6))  # one whose payload is gone
        return pb.QueryResponse(entries=page, next_page_token=str(after) if after < len(chosen) else "")


@pytest.fixture
def server(console: Console) -> Server:
    server = Server(a_log())
    suite: Any = console.suite

    async def issue_assertion(token: Secret) -> Any:
        suite.admit(token)
        return SimpleNamespace(text=Secret(ASSERTION))

    suite.login.issue_assertion = issue_assertion
    suite.audit_read = server
    console.log_in()
    return server


def sample(console: Console, *more: str) -> Any:
    return console.run("audit", "sample", STORE, "--log", "east", "--week", MONDAY, *more)


@pytest.mark.rule("CI-6")
def test_a_sample_is_drawn_by_the_server_and_checked_here(console: Console, server: Server) -> None:
    done = sample(console, "--output", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {name: told[name] for name in as_fields(by_the_server(server.log))} == as_fields(by_the_server(server.log))
    table = sample(console, "--key", server.log.signer.key.vkey())
    assert "5 of 9" in table.output
    assert table.exit_code == 0


@pytest.mark.rule("CI-6")
def test_a_week_that_the_question_closes_is_asked_for_again(console: Console, server: Server) -> None:
    server.not_yet = 2
    assert sample(console).exit_code == 0
    server.not_yet = 100
    refused = sample(console)
    assert (refused.exit_code, server.not_yet) == (6, 100 - audit_review.ATTEMPTS - 1)


@pytest.mark.rule("CI-6")
def test_a_sample_that_was_chosen_by_hand_is_told(console: Console, server: Server) -> None:
    server.drawn = ["clerk.00", "clerk.01", "clerk.02", "clerk.03", "clerk.04"]
    refused = sample(console)
    assert (refused.exit_code, "NOT THE SAME SAMPLE: drawn" in refused.output) == (7, True)
    server.drawn, server.seed = None, b"\7" * 32
    assert "NOT THE SAME SAMPLE: seed" in sample(console).output
    server.seed = None
    other = replace(server.log, log_id="west")
    assert sample(console, "--key", other.signer.key.vkey()).exit_code == 7


@pytest.mark.rule("CI-6")
def test_a_sample_is_drawn_again_from_a_file_without_the_server(
    console: Console, server: Server, tmp_path: Path
) -> None:
    file, _ = exported(tmp_path, server.log)
    before = tmp_path / "sample.json"
    before.write_text(sample(console, "--output", "json").stdout, encoding="utf-8")
    del console.suite.audit_read  # type: ignore[attr-defined]
    key = server.log.signer.key.vkey()
    done = sample(console, "--from", str(file), "--key", key, "--with", str(before))
    assert done.exit_code == 0, done.output
    assert "The same sample as was given" in done.output
    given = json.loads(before.read_text(encoding="utf-8"))
    given["drawn"][0]["indices"] = given["drawn"][0]["indices"][1:]
    before.write_text(json.dumps(given), encoding="utf-8")
    refused = sample(console, "--from", str(file), "--key", key, "--with", str(before))
    assert (refused.exit_code, "drawn" in refused.output) == (7, True)


@pytest.mark.rule("CI-6")
def test_a_file_that_was_changed_is_not_drawn_from(console: Console, server: Server, tmp_path: Path) -> None:
    file, _ = exported(tmp_path, server.log)
    file.write_bytes(file.read_bytes().replace(b"clerk.03", b"clerk.04", 1))
    done = sample(console, "--from", str(file), "--key", server.log.signer.key.vkey())
    assert done.exit_code == 7
    assert sample(console, "--from", str(file)).exit_code == 1
    assert sample(console, "--from", str(tmp_path / "none"), "--key", server.log.signer.key.vkey()).exit_code == 1


def test_what_is_no_week_or_no_sample_is_a_usage_error(console: Console, server: Server, tmp_path: Path) -> None:
    tuesday = console.run("audit", "sample", STORE, "--log", "east", "--week", "2026-03-03")
    assert tuesday.exit_code == 1
    no_sample = tmp_path / "x.json"
    no_sample.write_text("[]", encoding="utf-8")
    assert sample(console, "--with", str(no_sample)).exit_code == 1


@pytest.mark.rule("CI-7")
def test_odd_patterns_are_listed(console: Console, server: Server) -> None:
    done = console.run("audit", "patterns", "--since", "2026-03-01", "--until", "2026-03-03")
    assert done.exit_code == 0, done.output
    assert "many look-ups" in done.output
    assert "accuses nobody" in done.output
    # Asked for day by day, and what goes on over midnight is told once.
    assert [given["until"] - given["since"] for given in server.asked] == [timedelta(days=1)] * 2
    assert done.output.count("many look-ups") == 1
    assert console.run("audit", "patterns", "--since", "2026-03-03", "--until", "2026-03-01").exit_code == 1


def locks_in(log: SimLog) -> None:
    """A lock and its unlock, at the end of the log."""
    for number, (kind, facts) in enumerate(
        (
            (EventType.STAFF_LOCKED, {"staff": "clerk.1", "failures": 5, "terminal": "t", "store": STORE}),
            (
                EventType.REQUEST_CARRIED_OUT,
                {"subject_staff_id": "clerk.1", "request_kind": "unlock", "request_id": "r", "submitted_by": "boss.1"},
            ),
        )
    ):
        at = f"2026-03-02T0{number + 1}:00:00.000000Z"
        fields: dict[str, Any] = {"at": at, "by": "b", "facts": facts, "id": str(uuid.UUID(int=number)), "log": "east"}
        log.entries.append(canonical.encode({**fields, "recorded": at, "type": kind.value, "v": 1}))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("locks-and-unlocks", "unlocked"),
        ("stale-and-blacklisted", "two places at once"),
        ("customer-access", "Clerk"),
        ("exceptions", "Nothing"),
        ("odd-patterns", "many look-ups"),
        ("deviations", "NIST"),
    ],
)
def test_every_report_is_shown_and_written(
    console: Console, server: Server, tmp_path: Path, name: str, says: str
) -> None:
    locks_in(server.log)
    table = console.run("audit", "report", name, "--since", "2026-03-01", "--until", "2026-03-08")
    assert table.exit_code == 0, table.output
    assert says in table.output
    for form in ("html", "xlsx"):
        path = tmp_path / f"r.{form}"
        done = console.run("audit", "report", name, "--since", "2026-03-01", "--format", form, "--out", str(path))
        assert done.exit_code == 0, done.output
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert says in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.is_file()] == ["r.html", "r.xlsx"]


def test_a_report_reads_every_page(console: Console, server: Server) -> None:
    done = console.run("audit", "report", "customer-access", "--since", "2026-03-01", "--output", "json")
    rows = json.loads(done.stdout)
    assert sum(row["reads"] for row in rows) == len(server.log.entries)
    assert len(server.asked) == 3


def test_a_file_needs_a_name_and_a_table_has_none(console: Console, server: Server, tmp_path: Path) -> None:
    assert console.run("audit", "report", "exceptions", "--format", "html").exit_code == 1
    assert console.run("audit", "report", "exceptions", "--out", str(tmp_path / "r")).exit_code == 1
    nowhere = str(tmp_path / "no" / "r.html")
    for form in ("html", "xlsx"):
        assert console.run("audit", "report", "exceptions", "--format", form, "--out", nowhere).exit_code == 1


def test_the_tree_of_a_sample_is_the_one_that_the_log_had() -> None:
    log = a_log()
    checkpoint = by_the_server(log).checkpoint
    tree, _ = EMPTY.extend(leaf_hash(body) for body in log.entries[: checkpoint.size])
    assert tree.root() == checkpoint.root
