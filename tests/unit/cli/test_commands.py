"""Each command does its one thing: what it answers, in JSON."""

import json
from pathlib import Path

import pytest

from infosec.cli.failures import ExitCode
from tests.unit.cli.fakes import CODE, GRANT, NEW_PASSWORD, PASSWORD, Console

ID = "3f2a9c1e-0000-4000-8000-000000000001"


def answer(console: Console, *arguments: str, input: str | None = None) -> dict[str, object]:
    done = console.run(*arguments, "--output", "json", input=input)
    assert done.exit_code == ExitCode.OK, done.output
    found = json.loads(done.stdout)
    return found[0] if isinstance(found, list) else found


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ("staff update c1 --name 韩梅梅", "name", "韩梅梅"),
        ("staff suspend c1 --reason leave", "state", "SUSPENDED"),
        ("staff findings", "kind", "TWO_PLACES"),
        (f"request show {ID}", "id", ID),
        (f"request reject {ID} --reason no", "decision_reason", "no"),
        (f"request cancel {ID}", "state", "CANCELLED"),
        ("approval show a1b2", "operation", "1121"),
        ("approval ask 1121 --reason mistake --order o-1", "state", "PENDING"),
        (f"approval approve {ID}", "state", "APPROVED"),
        (f"approval reject {ID} --reason no", "state", "REJECTED"),
        (f"approval cancel {ID}", "state", "CANCELLED"),
        ("policy operations", "name", "Itemised bill"),
        ("policy roles", "operations", ["1522"]),
        ("policy deviations", "standard", "NIST"),
        ("directory region put north --name 北区", "region_id", "north"),
        ("directory region list", "name", "北区"),
        ("directory store list --region north", "opening", "1-3=09:00-18:00, 6=09:00-18:00"),
        ("directory terminal put t-9 --store s-001 --retired", "number", 2),
        ("directory terminal list --store s-001", "terminal_id", "t-9"),
        ("directory system put crm --store s-001 --terminal-id t-9", "number", 3),
        ("directory system list", "store_ids", ["s-001"]),
        ("notify deliveries m-1", "state", "FAILED"),
        ("notify retry m-1", "state", "QUEUED"),
        ("whoami", "session", "OPEN"),
    ],
)
def test_the_answer_has_what_was_asked_for(console: Console, arguments: str, field: str, value: object) -> None:
    console.suite.stepped_up = True
    console.log_in()
    assert answer(console, *arguments.split())[field] == value
    assert GRANT not in console.written


def test_policy_changes_of_every_kind_end_pending(console: Console, tmp_path: Path) -> None:
    console.log_in()
    file = tmp_path / "operation.json"
    file.write_text(json.dumps(answer(console, "policy", "operations")))
    assert console.run("policy", "put-operation", str(file), "--reason", "r").exit_code == ExitCode.PENDING
    assert console.suite.puts[0].operation_class == 1
    assert console.run("policy", "assign-role", "c1", "concierge", "--reason", "r").exit_code == ExitCode.PENDING
    file.write_text("{")
    assert console.run("policy", "put-operation", str(file), "--reason", "r").exit_code == ExitCode.USAGE


def test_a_store_is_put_as_it_was_listed(console: Console) -> None:
    console.log_in()
    listed = answer(console, "directory", "store", "list") | {"region_id": "north"}
    put = answer(console, "directory", "store", "put", "s-002", "--file", "-", input=json.dumps(listed))
    assert put["region_id"] == "north"
    assert (console.suite.puts[0].store_id, len(console.suite.puts[0].hours)) == ("s-002", 4)


@pytest.mark.rule("RQ-7")
def test_a_grant_of_an_order_that_failed_is_freed(console: Console) -> None:
    console.suite.approval.grant = GRANT
    console.log_in()
    answer(console, "approval", "redeem", "a1b2", "--order", "o-1")
    answer(console, "approval", "release", "a1b2", "--order", "o-1")
    assert console.suite.bound == {}


def test_a_second_factor_is_enrolled_in_a_pipe(console: Console) -> None:
    console.log_in()
    made = answer(console, "totp", "enroll", "--password-stdin", "--replace", input=f"{PASSWORD}\n{CODE}\n")
    assert str(made["otpauth_uri"]).startswith("otpauth://")
    assert console.run("totp", "activate", "--code-stdin", input=f"{CODE}\n").exit_code == ExitCode.OK


def test_a_password_and_a_person_are_asked_for_at_a_terminal(console: Console) -> None:
    console.log_in()
    console.person.here = True
    console.person.answers = [PASSWORD, NEW_PASSWORD, NEW_PASSWORD]
    assert console.run("password", "change").exit_code == ExitCode.OK
    console.person.answers = ["13800000001", "1990-01-02", ""]
    made = console.run("staff", "create", "c9", "--name", "李雷", "--role", "clerk", "--store", "s-001")
    assert made.exit_code == ExitCode.OK
    assert console.suite.submitted[0].birthday == "1990-01-02"
    console.person.answers = ["1990-01-03", "110101"]
    assert console.run("staff", "update", "c9", "--birthday", "--id-number").exit_code == ExitCode.OK
    assert console.run("staff", "update", "c9").exit_code == ExitCode.USAGE


def test_customers_are_taken_away_again(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "customers.txt"
    file.write_text("100\n")
    console.log_in()
    assert answer(console, "directory", "unassign", "c1", str(file))["assigned"] == 0
    assert answer(console, "directory", "unassign", "c1", str(file), "--dry-run")["assigned"] is None
    file.write_bytes(b"\xff\xfe\x00")
    assert console.run("directory", "assign", "c1", str(file)).exit_code == ExitCode.USAGE
