"""What takes two people, holds, retention and findings at the command line (CI-6, CI-8)."""

import json

import pytest

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.cli.failures import ExitCode
from tests.unit.cli.fake_audit import NUMBER, SUBJECT
from tests.unit.cli.fakes import CODE, PASSWORD, Console

FIRST = "ac700000-0000-4000-8000-000000000000"
ERASE = ("audit", "erase", "--reason", "asked for it")


@pytest.fixture
def office(console: Console) -> Console:
    """An auditor, logged in."""
    console.log_in("hu.bin")
    return console


def erased(office: Console) -> None:
    done = office.run(*ERASE, "--customer-stdin", "--yes", "--code-stdin", input=f"{NUMBER}\n{CODE}\n")
    assert done.exit_code == ExitCode.PENDING, done.output


@pytest.mark.rule("CI-8")
def test_erasing_proposes_and_says_what_the_second_person_does(office: Console) -> None:
    proposed = office.run(*ERASE, "--customer-stdin", "--yes", "--code-stdin", input=f"{NUMBER}\n{CODE}\n")
    assert proposed.exit_code == ExitCode.PENDING
    assert f"infosec audit acts confirm {FIRST}" in proposed.stderr
    assert "waits for another" in proposed.stdout
    assert office.suite.audit_admin.customers == [NUMBER]
    assert NUMBER not in office.written


@pytest.mark.rule("CI-8")
def test_at_a_terminal_the_number_is_typed_twice_and_the_code_is_asked_for_last(office: Console) -> None:
    office.person.here = True
    office.person.answers = [NUMBER, "13900000000", NUMBER, NUMBER, "y", CODE]
    proposed = office.run(*ERASE, "--output", "json")
    assert proposed.exit_code == ExitCode.PENDING
    assert json.loads(proposed.stdout)["subject_id"] == SUBJECT
    assert "cannot be undone" in office.person.asked[4]
    assert office.person.asked[5] == "Code of your authenticator"
    assert NUMBER not in office.written + "".join(office.person.asked)


@pytest.mark.rule("CI-8")
def test_who_does_not_agree_changes_nothing(office: Console) -> None:
    assert office.run(*ERASE, "--customer-stdin", input=f"{NUMBER}\n").exit_code == ExitCode.USAGE
    office.person.here = True
    office.person.answers = [NUMBER, NUMBER, "n"]
    assert office.run(*ERASE).exit_code == ExitCode.USAGE
    assert office.run(*ERASE, "--customer-stdin", "--yes", input="\n").exit_code == ExitCode.USAGE
    assert office.suite.audit_admin.acts_kept == []


@pytest.mark.rule("CI-8")
def test_the_second_person_is_told_what_will_happen_and_confirms(office: Console) -> None:
    erased(office)
    own = office.run("audit", "acts", "confirm", "ac70", "--yes")
    assert own.exit_code == ExitCode.DENIED
    office.suite.stepped_up = False
    office.log_in("wu.fang")
    office.person.here = True
    office.person.answers = ["n", "y", CODE]
    assert office.run("audit", "acts", "confirm", "ac70").exit_code == ExitCode.USAGE
    done = office.run("audit", "acts", "confirm", "ac70")
    assert done.exit_code == ExitCode.OK, done.output
    assert "hu.bin proposed it: asked for it" in office.person.asked[-2]
    assert "cannot be undone" in office.person.asked[-2]
    assert "Decided by\twu.fang" in done.stdout
    again = office.run("audit", "acts", "confirm", "ac70", "--yes")
    assert again.exit_code == ExitCode.CONFLICT


@pytest.mark.rule("CI-8")
def test_an_act_that_a_hold_blocked_is_no_success(office: Console) -> None:
    erased(office)
    office.log_in("wu.fang")
    office.suite.audit_admin.ends = pb.ACT_STATE_BLOCKED
    blocked = office.run("audit", "acts", "confirm", FIRST, "--yes")
    assert blocked.exit_code == ExitCode.CONFLICT
    assert "infosec audit hold list" in blocked.stderr


def test_a_long_act_that_goes_on_says_so(office: Console) -> None:
    erased(office)
    office.log_in("wu.fang")
    office.suite.audit_admin.ends = pb.ACT_STATE_CONFIRMED
    going_on = office.run("audit", "acts", "confirm", FIRST, "--yes")
    assert going_on.exit_code == ExitCode.OK
    assert "being carried out" in going_on.stderr


def test_in_a_pipe_confirming_takes_yes_and_a_code(office: Console) -> None:
    erased(office)
    office.suite.stepped_up = False
    office.log_in("wu.fang")
    assert office.run("audit", "acts", "confirm", FIRST).exit_code == ExitCode.USAGE
    refused = office.run("audit", "acts", "confirm", FIRST, "--yes")
    assert refused.exit_code == ExitCode.DENIED
    assert "infosec step-up" in refused.stderr
    done = office.run("audit", "acts", "confirm", FIRST, "--yes", "--code-stdin", input=f"{CODE}\n")
    assert done.exit_code == ExitCode.OK


def test_what_steers_a_terminal_is_not_shown_in_the_question(office: Console) -> None:
    erased(office)
    office.suite.audit_admin.acts_kept[0].reason = "a\x1b[2Kb\nc"
    office.log_in("wu.fang")
    office.person.here, office.person.answers = True, ["n"]
    office.run("audit", "acts", "confirm", FIRST)
    assert "a [2Kb c" in office.person.asked[-1]


def test_acts_are_listed_and_withdrawn(office: Console) -> None:
    assert "No acts." in office.run("audit", "acts", "list").stderr
    erased(office)
    listed = office.run("audit", "acts", "list", "--open")
    assert "erase a customer\twaits for another\thu.bin" in listed.stdout
    withdrawn = office.run("audit", "acts", "withdraw", "ac70", "--reason", "a mistake")
    assert withdrawn.exit_code == ExitCode.OK
    assert office.run("audit", "acts", "list", "--open", "--output", "json").stdout == "[]\n"
    assert office.run("audit", "acts", "withdraw", "9999", "--reason", "r").exit_code == ExitCode.NOT_FOUND


@pytest.mark.rule("CI-8")
def test_a_hold_is_placed_at_once_and_lifted_by_two(office: Console) -> None:
    placed = office.run("audit", "hold", "place", "--reason", "lawsuit", "--customer-stdin", input=f"{NUMBER}\n")
    assert placed.exit_code == ExitCode.OK
    assert "4b0c0000" in office.run("audit", "hold", "list", "--active").stdout
    lifted = office.run("audit", "hold", "release", "4b0c", "--reason", "over", "--code-stdin", input=f"{CODE}\n")
    assert lifted.exit_code == ExitCode.PENDING
    (act,) = office.suite.audit_admin.acts_kept
    assert act.hold_id == office.suite.audit_admin.holds_kept[0].hold_id
    assert NUMBER not in office.written


@pytest.mark.rule("CI-8")
def test_retention_counts_or_is_proposed(office: Console) -> None:
    counted = office.run("audit", "retention", "--dry-run", "--output", "json")
    assert json.loads(counted.stdout) == {"payloads": 300, "entries": 256, "held": 2}
    assert office.suite.audit_admin.acts_kept == []
    assert office.run("audit", "retention").exit_code == ExitCode.USAGE
    proposed = office.run("audit", "retention", "--reason", "yearly", "--code-stdin", input=f"{CODE}\n")
    assert proposed.exit_code == ExitCode.PENDING
    office.log_in("wu.fang")
    office.person.here, office.person.answers = True, ["y"]
    assert office.run("audit", "acts", "confirm", "ac70").exit_code == ExitCode.OK
    assert "lose their content: 300" in office.person.asked[-1]


@pytest.mark.rule("CI-6")
def test_a_finding_goes_on_record(office: Console) -> None:
    done = office.run("audit", "finding", "east", "12", "violation", "--note", "no work order", "--output", "json")
    assert json.loads(done.stdout) == {"event_id": "e-1", "log": "east", "index": 12, "verdict": "violation"}
    ((person, given),) = office.suite.audit_admin.findings
    assert (person, given["verdict"], given["index"]) == ("hu.bin", pb.VERDICT_VIOLATION, 12)
    assert office.run("audit", "finding", "east", "-1", "violation").exit_code == ExitCode.USAGE
    assert office.run("audit", "finding", "east", "1", "guilty").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "words",
    [
        ["erase", "--reason", "r", "--customer-stdin", "--yes"],
        ["hold", "place", "--reason", "r", "--customer-stdin"],
        ["acts", "list"],
        ["hold", "list"],
        ["retention", "--dry-run"],
    ],
)
def test_all_of_it_takes_a_session(console: Console, words: list[str]) -> None:
    refused = console.run("audit", *words, input=f"{NUMBER}\n")
    assert refused.exit_code == ExitCode.DENIED
    assert "infosec login" in refused.stderr
    assert NUMBER not in console.written
    assert PASSWORD not in console.written
