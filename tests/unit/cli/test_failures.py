"""Exit codes, and errors for people and for programs."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from infosec import errors
from infosec.cli.extensions import command_of, installed
from infosec.cli.failures import ExitCode, exit_code
from infosec.errors import Reason
from tests.unit.cli.fakes import Console


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput(Reason.INVALID_ARGUMENT), 1),
        (errors.Unavailable(Reason.PEER_UNAVAILABLE), 2),
        (errors.DeadlineExceeded(Reason.DEADLINE_EXCEEDED), 2),
        (errors.Internal(Reason.INTERNAL), 2),
        (errors.Unimplemented(Reason.UNIMPLEMENTED), 2),
        (errors.ResourceExhausted(Reason.RATE_LIMITED), 2),
        (errors.Aborted(Reason.ATTEMPT_DISCARDED), 2),
        (errors.Misconfigured(Reason.CONFIGURATION), 2),
        (errors.NotFound(Reason.NOT_FOUND), 3),
        (errors.Unauthenticated(Reason.LOGIN_REFUSED), 4),
        (errors.PermissionDenied(Reason.NOT_PERMITTED), 4),
        (errors.AlreadyExists(Reason.ALREADY_EXISTS), 6),
        (errors.FailedPrecondition(Reason.STATE_CONFLICT), 6),
        (errors.Aborted(Reason.REQUEST_CLOSED), 6),
        (errors.Misconfigured(Reason.ALREADY_RUNNING), 6),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: errors.InfosecError, code: int) -> None:
    assert exit_code(error) == code


def test_errors_are_json_on_stderr_when_json_is_asked_for(console: Console) -> None:
    console.log_in()

    def overloaded(_settings: object) -> None:
        raise errors.ResourceExhausted(Reason.OVERLOADED, retry_after=timedelta(seconds=3), field="x")

    console.connect = overloaded  # type: ignore[assignment]
    refused = console.run("staff", "list", "--output", "json")
    assert refused.stdout == ""
    assert json.loads(refused.stderr) == {
        "reason": "OVERLOADED",
        "message": "The server is busy and has done nothing. Try again in 3 s.",
        "details": {"field": "x"},
        "retry_after_s": 3.0,
        "violations": [],
    }


def test_what_is_not_found_ends_with_3_and_says_so(console: Console) -> None:
    console.log_in()
    missing = console.run("staff", "show", "nobody")
    assert missing.exit_code == ExitCode.NOT_FOUND
    assert "Not found: staff_id" in missing.stderr


@pytest.mark.parametrize(
    "wrong", [["staff", "lst"], ["staff", "list", "--bogus"], ["staff", "show"], ["--output", "x"]]
)
def test_wrong_usage_ends_with_1_and_says_where_to_look(console: Console, wrong: list[str]) -> None:
    refused = console.run(*wrong)
    assert refused.exit_code == ExitCode.USAGE
    assert "--help" in refused.stderr
    as_json = console.run(*wrong, "--output=json")
    assert json.loads(as_json.stderr)["reason"] == "INVALID_ARGUMENT"


def test_a_fault_of_ours_shows_no_traceback(console: Console) -> None:
    console.log_in()
    console.connect = lambda _settings: 1 // 0  # type: ignore[return-value, assignment]
    failed = console.run("staff", "list")
    assert failed.exit_code == ExitCode.SERVER
    assert "Traceback" not in failed.output
    assert "ZeroDivisionError" in failed.stderr


def test_an_interrupt_is_quiet(console: Console) -> None:
    def interrupted(_settings: object) -> None:
        raise KeyboardInterrupt

    console.log_in()
    console.connect = interrupted  # type: ignore[assignment]
    stopped = console.run("staff", "list")
    assert (stopped.exit_code, stopped.output) == (ExitCode.INTERRUPTED, "")


def test_global_options_may_stand_anywhere(console: Console) -> None:
    console.log_in()
    before = console.run("--output", "json", "--terminal=console-1", "staff", "list")
    after = console.run("staff", "list", "--terminal=console-1", "--output", "json")
    assert before.stdout == after.stdout == "[]\n"


def test_a_command_keeps_options_that_it_defines_itself(console: Console) -> None:
    console.log_in()
    put = console.run("directory", "store", "put", "s-9", "--region", "north", "--name", "N", "--output", "json")
    assert json.loads(put.stdout) == {"region_id": "north", "number": 3}


def test_messages_come_in_chinese_too(console: Console) -> None:
    refused = console.run("whoami", "--locale", "zh-CN")
    assert "尚未登录" in refused.stderr


class _Point:
    name, module = "serve", "services.commands.serve"

    def __init__(self, missing: str) -> None:
        self._missing = missing

    def load(self) -> None:
        raise ModuleNotFoundError(f"No module named {self._missing!r}", name=self._missing)


@pytest.mark.parametrize("missing", ["psycopg", "services", "services.commands", "services.commands.serve"])
def test_a_server_command_is_absent_where_its_dependencies_are(missing: str) -> None:
    assert command_of(_Point(missing)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["authsvc.nothing", "services.serving"])
def test_a_broken_server_is_not_taken_for_an_absent_one(missing: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        command_of(_Point(missing))  # type: ignore[arg-type]


def test_a_server_command_costs_the_import_of_no_other() -> None:
    script = """
import sys
from infosec.cli.app import app
from typer.main import get_command
root = get_command(app)
assert root.get_command(None, "staff").name == "staff"
assert not [name for name in sys.modules if name.split(".")[0] in ("authsvc", "auditsvc", "services")]
assert root.get_command(None, "cert").name == "cert"
assert not {"services.commands.serve", "services.serving", "authsvc.app"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_server_command_is_suggested_for_one_that_there_is_not(console: Console) -> None:
    assert "'serve'" in console.run("sevre").stderr


@pytest.mark.parametrize("name", installed())
def test_every_entry_point_brings_the_command_that_it_is_named_like(name: str) -> None:
    assert command_of(installed()[name]).name == name
