"""Looking things up in the record at the command line."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from infosec.cli.audit_person import RENEW_AFTER_S, Asserting
from infosec.cli.audit_query import _COLUMNS
from infosec.cli.audit_rows import entry_rows
from infosec.cli.audit_types import _ZH, TYPES, completed
from infosec.cli.failures import ExitCode, Told
from infosec.cli.moments import moment_or_ago
from infosec.cli.output import Output, Writer
from infosec.errors import Reason, Unavailable
from infosec.events.types import EventType
from infosec.messages import Locale, Text
from infosec.secret import Secret
from tests.sim.audit_log import entry
from tests.unit.cli.fake_audit import NUMBER, entry_of
from tests.unit.cli.fakes import PASSWORD, Console

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


@pytest.fixture
def book(console: Console) -> Console:
    """A log with five entries, and somebody logged in."""
    console.suite.audit_read.entries = [entry_of(entry(number), number) for number in range(5)]
    console.log_in()
    return console


def test_every_filter_reaches_the_service(book: Console) -> None:
    found = book.run(
        *(
            "audit",
            "query",
            "--since",
            "2026-03-01",
            "--until",
            "2026-03-02T08:00:00",
            "--store",
            "e1",
            "--store",
            "e2",
        ),
        *("--staff", "li.na", "--operation", "1500", "--type", "check.decided", "--decision", "denied"),
        *("--log", "east", "--limit", "1", "--oldest"),
    )
    assert found.exit_code == ExitCode.OK
    ((wanted, given),) = book.suite.audit_read.asked
    assert wanted.since.ToDatetime(UTC) == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert wanted.until.ToDatetime(UTC) == datetime(2026, 3, 2, tzinfo=UTC)
    assert (list(wanted.store_ids), list(wanted.staff_ids), list(wanted.operations)) == (
        ["e1", "e2"],
        ["li.na"],
        ["1500"],
    )
    assert (list(wanted.types), wanted.decision, list(wanted.log_ids)) == (["check.decided"], "DENIED", ["east"])
    assert (given["oldest_first"], given["page_size"]) == (True, 1)
    assert not wanted.customer


def test_pages_are_followed_up_to_the_limit_and_more_is_told(book: Console) -> None:
    some = book.run("audit", "query", "--limit", "3")
    assert len(some.stdout.splitlines()) == 1 + 3
    assert "there are more" in some.stderr
    everything = book.run("audit", "query", "--output", "ndjson")
    assert [json.loads(line)["index"] for line in everything.stdout.splitlines()] == [0, 1, 2, 3, 4]
    assert everything.stderr == ""


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize(
    "words", [["query"], ["who"], ["erase", "--reason", "r", "--yes"], ["hold", "place", "--reason", "r"]]
)
def test_a_number_on_the_command_line_is_refused_and_not_repeated(book: Console, words: list[str]) -> None:
    refused = book.run("audit", *words, NUMBER, "--customer-stdin", input=f"{NUMBER}\n")
    assert refused.exit_code == ExitCode.USAGE
    assert "history" in refused.stderr
    assert NUMBER not in refused.output
    assert "extra" not in book.run("audit", *words[:2], "--help").stdout.lower()


def test_a_row_has_what_the_entry_says_and_every_row_the_same_names(book: Console) -> None:
    book.suite.audit_read.entries = [entry_of(entry(1), 1), entry_of(b"", 2), entry_of(b"\x00no entry", 3)]
    first, gone, strange = json.loads(book.run("audit", "query", "--output", "json").stdout)
    assert (first["staff_id"], first["operation"], first["recorded"]) == (
        "clerk1",
        "1121",
        "2026-03-02T01:00:00.250000Z",
    )
    assert first["facts"] == {"revision": 1}
    assert json.loads(first["entry"])["id"] == first["event_id"]
    assert first.keys() == gone.keys() == strange.keys()
    assert (gone["index"], gone["type"], gone["entry"]) == (2, None, None)


def test_csv_cells_run_no_formula_and_fields_choose_columns(book: Console) -> None:
    book.suite.audit_read.entries = [entry_of(entry(1, facts={"trace_id": "=HYPERLINK(1)"}), 1)]
    table = book.run("audit", "query", "--output", "csv", "--fields", "index,trace_id,facts.revision")
    assert list(csv.reader(io.StringIO(table.stdout))) == [
        ["index", "trace_id", "facts.revision"],
        ["1", "'=HYPERLINK(1)", "1"],
    ]
    unknown = book.run("audit", "query", "--fields", "nonsense")
    assert unknown.exit_code == ExitCode.USAGE
    assert "staff_id" in unknown.stderr


@pytest.mark.rule("CI-8")
def test_a_customers_number_is_asked_for_unseen_or_comes_by_pipe_or_file(book: Console) -> None:
    assert book.run("audit", "query", "--customer").exit_code == ExitCode.USAGE
    book.person.here, book.person.answers = True, [f" {NUMBER} "]
    assert book.run("audit", "query", "--customer").exit_code == ExitCode.OK
    assert book.run("audit", "query", "--customer-stdin", input=f"{NUMBER}\n").exit_code == ExitCode.OK
    file = book.home / "number"
    file.write_text(f"{NUMBER}\n")
    file.chmod(0o644)
    refused = book.run("audit", "query", "--customer-file", str(file))
    assert refused.exit_code == ExitCode.USAGE
    assert "chmod 600" in refused.stderr
    file.chmod(0o600)
    assert book.run("audit", "query", "--customer-file", str(file)).exit_code == ExitCode.OK
    assert [wanted.customer for wanted, given in book.suite.audit_read.asked if not given["page_token"]] == [NUMBER] * 3
    both = book.run("audit", "query", "--customer-file", str(file), "--customer-stdin", input=f"{NUMBER}\n")
    assert both.exit_code == ExitCode.USAGE
    assert NUMBER not in book.written
    assert "marker-assertion" not in book.written


@pytest.mark.parametrize(("given", "told"), [("check.decide", "check.decided"), ("login", "login.failed")])
def test_an_unknown_type_of_event_is_refused_with_those_near_to_it(book: Console, given: str, told: str) -> None:
    refused = book.run("audit", "query", "--type", given)
    assert refused.exit_code == ExitCode.USAGE
    assert told in refused.stderr
    assert book.suite.audit_read.asked == []


def test_every_event_has_a_short_name_of_its_own_that_type_takes(book: Console) -> None:
    assert set(_ZH) == set(EventType)
    assert len({words.zh for words in TYPES.values()}) == len(TYPES)
    assert book.run("audit", "query", "--type", "登录失败", "--type", "check decided").exit_code == ExitCode.OK
    assert list(book.suite.audit_read.asked[0][0].types) == ["login.failed", "check.decided"]
    assert completed("login.") == ["login.succeeded", "login.failed", "login.refused"]


def test_times_may_be_so_long_ago() -> None:
    assert moment_or_ago("2h", "--since", now=NOW) == NOW - timedelta(hours=2)
    assert moment_or_ago("7d", "--since", now=NOW) == NOW - timedelta(days=7)
    assert moment_or_ago("", "--since", now=NOW) is None
    assert moment_or_ago("2026-03-02", "--since", now=NOW) == datetime(2026, 3, 1, 16, tzinfo=UTC)
    for wrong in ("0h", "7y", "-1d", "999999w", "yesterday", "7٣d"):
        with pytest.raises(Told):
            moment_or_ago(wrong, "--since", now=NOW)


async def test_an_assertion_is_renewed_before_it_is_old(console: Console) -> None:
    made: list[str] = []

    class Login:
        async def issue_assertion(self, _token: Secret) -> object:
            made.append("one")
            return type("Made", (), {"text": Secret(str(len(made)))})

    at = [0.0]
    console.suite.login = Login()  # type: ignore[assignment]
    asserting = Asserting(console.suite, Secret("token"), seconds=lambda: at[0])  # type: ignore[arg-type]
    assert [(await asserting()).reveal(), (await asserting()).reveal()] == ["1", "1"]
    at[0] = RENEW_AFTER_S
    assert (await asserting()).reveal() == "2"


@pytest.mark.rule("CI-1")
def test_what_cannot_be_put_on_record_is_not_shown_and_the_words_say_what_to_do(book: Console) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Unavailable(Reason.RECORD_UNAVAILABLE)

    book.suite.audit_read.query = refuse  # type: ignore[method-assign, assignment]
    refused = book.run("audit", "query")
    assert refused.exit_code == ExitCode.SERVER
    assert (refused.stdout, "Try again later" in refused.stderr) == ("", True)


def test_nobody_reads_without_a_session(console: Console) -> None:
    refused = console.run("audit", "query")
    assert refused.exit_code == ExitCode.DENIED
    assert "infosec login" in refused.stderr
    assert PASSWORD not in console.written


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("locale", Locale)
def test_the_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int, locale: Locale) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = Terminal()
    writer = Writer(Output.TABLE, locale=locale, fields=(), is_quiet=False, stdout=out, stderr=io.StringIO())
    long = {"staff_id": "ouyang.xue-chengdong", "store_id": "guangzhou-tianhe-01", "reason": "REQUIREMENTS_MISSING"}
    bodies = [entry(1_234_567), entry(1_234_568, facts=dict(long)), b""]
    writer.rows(
        entry_rows(entry_of(body, 1_234_567 + at) for at, body in enumerate(bodies)), _COLUMNS, empty=Text("", "")
    )
    table = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(cell_len(line) for line in table.splitlines()) <= width
    assert "1234567" in table
    assert re.search(r"2026-03-\d\d \d\d:\d\d:\d\d", table)
