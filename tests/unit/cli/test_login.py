"""Logging in and out at the command line: where the token rests, what is asked, and that no secret is shown."""

import json

import pytest

from infosec.api.auth.v1 import login_pb2 as pb
from infosec.cli.failures import ExitCode
from tests.unit.cli.fakes import CODE, NEW_PASSWORD, PASSWORD, SEED, TOKEN, Console


@pytest.mark.rule("ID-9")
def test_the_token_rests_in_a_private_file_until_logout(console: Console) -> None:
    console.log_in()
    assert console.modes() == {0o600}
    assert (console.home / "state" / "infosec").stat().st_mode & 0o777 == 0o700
    assert TOKEN in console.files()[0].read_text()
    assert console.run("logout").exit_code == ExitCode.OK
    assert console.files() == []


def test_each_terminal_and_address_has_a_session_of_its_own(console: Console) -> None:
    console.log_in()
    elsewhere = console.run("whoami", "--terminal", "console-2")
    assert elsewhere.exit_code == ExitCode.DENIED
    assert "infosec login" in elsewhere.stderr
    assert console.run("whoami").exit_code == ExitCode.OK


@pytest.mark.rule("ID-9")
def test_a_session_that_the_server_ended_is_forgotten(console: Console) -> None:
    console.log_in()
    console.suite.ended = True
    assert console.run("staff", "list").exit_code == ExitCode.DENIED
    assert console.files() == []
    assert console.run("logout").exit_code == ExitCode.DENIED


def test_a_login_answers_with_the_last_one_and_what_must_be_done(console: Console) -> None:
    console.suite.duties = [pb.DUTY_CHANGE_PASSWORD]
    answer = console.run("login", "C1", "--password-stdin", "--output", "json", input=f"{PASSWORD}\n")
    told = json.loads(answer.stdout)
    assert told["last_login"]["terminal_id"] == "t-9"
    assert (told["failures_since"], told["password_days_left"], told["duties"]) == (2, 13, ["CHANGE_PASSWORD"])
    assert "token" not in told


def test_the_code_is_asked_of_everybody_at_a_terminal_and_may_be_empty(console: Console) -> None:
    console.person.here = True
    console.person.answers = [PASSWORD, ""]
    assert console.run("login", "C1").exit_code == ExitCode.OK
    assert console.person.asked == ["Password", "TOTP code (Enter if none)"]
    console.person.answers = [PASSWORD, CODE]
    assert console.run("login", "C1").exit_code == ExitCode.OK


def test_in_a_pipe_the_second_line_is_the_code(console: Console) -> None:
    assert console.run("login", "C1", "--password-stdin", "--totp", input=f"{PASSWORD}\n{CODE}\n").exit_code == 0
    assert console.run("login", "C1", "--password-stdin", "--totp", input=f"{PASSWORD}\n").exit_code == ExitCode.USAGE


@pytest.mark.rule("ID-2")
def test_duties_are_offered_at_once_and_all_unmet_requirements_shown(console: Console) -> None:
    console.suite.duties = [pb.DUTY_CHANGE_PASSWORD, pb.DUTY_ENROLL_TOTP]
    console.person.here = True
    console.person.answers = [PASSWORD, "", "short", "short", NEW_PASSWORD, "other", NEW_PASSWORD, NEW_PASSWORD, CODE]
    answer = console.run("login", "C1")
    assert answer.exit_code == ExitCode.OK
    assert "- at least 8 characters" in answer.stderr
    assert "- two classes" in answer.stderr
    assert "JBSW Y3DP EHPK 3PXP" in answer.stderr
    assert SEED not in answer.stdout
    assert console.person.answers == []


@pytest.mark.rule("ID-7")
def test_a_refused_login_has_one_answer_and_leaves_nothing(console: Console) -> None:
    refused = console.run("login", "C1", "--password-stdin", input="wrong-marker\n")
    assert refused.exit_code == ExitCode.DENIED
    assert refused.stderr.startswith("wrong, or not allowed to log in; after five failures ask for an unlock\n")
    assert console.files() == []


@pytest.mark.rule("ID-7")
def test_no_secret_is_written_by_any_of_these(console: Console) -> None:
    console.log_in()
    console.run("password", "change", "--password-stdin", input=f"{PASSWORD}\n{NEW_PASSWORD}\n")
    console.run("step-up", "--code-stdin", input=f"{CODE}\n")
    console.run("session", "lock")
    console.run("session", "resume", "--password-stdin", input=f"{PASSWORD}\n")
    console.run("whoami", "--output", "json")
    assert not any(secret in console.written for secret in (PASSWORD, NEW_PASSWORD, CODE, TOKEN))


def test_where_nobody_can_be_asked_the_command_says_how_else(console: Console) -> None:
    refused = console.run("login", "C1")
    assert refused.exit_code == ExitCode.USAGE
    assert "--password-stdin" in refused.stderr


def test_a_file_that_others_may_read_is_not_trusted(console: Console) -> None:
    console.log_in()
    console.files()[0].chmod(0o644)
    refused = console.run("whoami")
    assert refused.exit_code == ExitCode.SERVER
    assert "chmod 600" in refused.stderr
