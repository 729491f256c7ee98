"""Requests, approvals, checks and changes of policy at the command line."""

import json
from pathlib import Path

import pytest

from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.api.notify.v1 import notify_pb2
from infosec.cli.failures import ExitCode
from tests.unit.cli.fakes import CODE, GRANT, NOW, Console, stamp

FIRST = "3f2a9c1e-0000-4000-8000-000000000001"
SECOND = "3f2b0000-0000-4000-8000-000000000002"
PHONE = "13812345678"


@pytest.mark.rule("RQ-3")
def test_approving_asks_for_the_code_when_the_server_does(console: Console) -> None:
    console.log_in()
    console.person.here = True
    console.person.answers = [CODE]
    done = console.run("request", "approve", FIRST, "--output", "json")
    assert json.loads(done.stdout)["state"] == "APPROVED"
    assert console.run("request", "approve", FIRST).exit_code == ExitCode.OK
    assert console.person.asked == ["Code of your authenticator"]


@pytest.mark.rule("RQ-3")
def test_in_a_pipe_the_code_comes_on_stdin_or_the_answer_is_no(console: Console) -> None:
    console.log_in()
    refused = console.run("request", "approve", FIRST)
    assert refused.exit_code == ExitCode.DENIED
    assert "infosec step-up" in refused.stderr
    assert console.run("request", "approve", FIRST, "--code-stdin", input=f"{CODE}\n").exit_code == ExitCode.OK


def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one(console: Console) -> None:
    console.suite.requests_list = [pb.StaffRequest(id=FIRST), pb.StaffRequest(id=SECOND)]
    console.suite.stepped_up = True
    console.log_in()
    assert console.run("request", "approve", "3f2a").exit_code == ExitCode.OK
    assert console.suite.submitted == [FIRST]
    assert console.run("request", "approve", "3f2").exit_code == ExitCode.USAGE
    assert console.run("request", "approve", "9999").exit_code == ExitCode.NOT_FOUND
    console.suite.requests_list.append(pb.StaffRequest(id=FIRST[:4] + "ffff-x"))
    assert console.run("request", "approve", "3f2a").exit_code == ExitCode.USAGE


@pytest.mark.rule("RQ-1")
def test_who_cannot_log_in_proves_it_by_phone_and_submits_in_one_go(console: Console) -> None:
    console.person.here = True
    console.person.answers = [CODE]
    done = console.run("request", "submit", "unlock", "c1", "--reason", "forgot it")
    assert done.exit_code == ExitCode.OK
    assert console.files() == []
    assert "marker-proof" not in done.output


@pytest.mark.rule("RQ-1")
def test_in_a_pipe_the_proof_takes_two_steps_and_rests_privately(console: Console) -> None:
    sent = console.run("request", "prove", "c1", "--output", "json")
    challenge = json.loads(sent.stdout)["challenge_id"]
    proved = console.run("request", "prove", "c1", "--challenge", challenge, "--code-stdin", input=f"{CODE}\n")
    assert proved.exit_code == ExitCode.OK
    assert console.modes() == {0o600}
    assert console.run("request", "submit", "unlock", "c1", "--reason", "r").exit_code == ExitCode.OK
    assert console.files() == []


@pytest.mark.rule("RQ-1")
def test_a_new_phone_is_never_an_argument(console: Console) -> None:
    console.log_in()
    done = console.run(
        "request",
        "submit",
        "rebind-phone",
        "c2",
        "--reason",
        "lost",
        "--phone-stdin",
        "--reset-totp",
        input=f"{PHONE}\n",
    )
    assert done.exit_code == ExitCode.OK
    _, _, given = console.suite.submitted[0]
    assert (given["change"].phone, given["change"].reset_totp) == (PHONE, True)
    assert PHONE not in done.output


@pytest.mark.parametrize(
    "wrong", [["move-store"], ["change-role"], ["unlock", "--store", "s-2"], ["unlock", "--reset-totp"]]
)
def test_each_kind_of_request_takes_what_belongs_to_it(console: Console, wrong: list[str]) -> None:
    console.log_in()
    kind, *rest = wrong
    assert console.run("request", "submit", kind, "c2", "--reason", "r", *rest).exit_code == ExitCode.USAGE


@pytest.mark.rule("RQ-7")
def test_a_grant_is_fetched_and_bound_without_being_shown(console: Console) -> None:
    console.log_in()
    waiting = console.run("approval", "redeem", "a1b2", "--order", "o-1")
    assert waiting.exit_code == ExitCode.PENDING
    console.suite.approval.grant = GRANT
    assert console.run("approval", "redeem", "a1b2", "--order", "o-1").exit_code == ExitCode.OK
    assert console.suite.bound == {"o-1": GRANT}
    console.run("approval", "show", "a1b2", "--output", "json")
    console.run("approval", "list", "--output", "csv")
    assert GRANT not in console.written


@pytest.mark.rule("CI-2")
def test_a_denied_check_is_an_answer_and_ends_with_4(console: Console) -> None:
    console.log_in()
    allowed = console.run("check", "one", "1500", "--customer", "--purpose", "complaint", input=f"{PHONE}\n")
    assert allowed.exit_code == ExitCode.OK
    _, given = console.suite.submitted[0]
    assert (given["store_id"], given["terminal_id"], given["customer"].reveal()) == ("s-001", "console-1", PHONE)
    console.suite.allowed = False
    denied = console.run("check", "one", "1104", "--output", "json")
    assert denied.exit_code == ExitCode.DENIED
    assert json.loads(denied.stdout)["missing"] == ["IDENTITY"]
    assert PHONE not in console.written


def test_a_batch_answers_each_line_in_calls_of_fifty(console: Console) -> None:
    console.log_in()
    lines = "".join(f'{{"operation": "8783", "customer": "{n}", "purpose": "walk-in"}}\n\n' for n in range(60))
    done = console.run("check", "batch", "--output", "ndjson", input=lines)
    assert done.exit_code == ExitCode.OK
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == list(range(1, 120, 2))


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"operation": 1}', '{"operation": "1500", "x": ""}', "9" * 20_000])
def test_a_batch_line_that_makes_no_sense_is_refused_by_its_number(console: Console, line: str) -> None:
    console.log_in()
    refused = console.run("check", "batch", input=f"\n{line}\n")
    assert refused.exit_code == ExitCode.USAGE
    assert "Line 2" in refused.stderr


@pytest.mark.rule("CI-2")
def test_a_change_of_policy_ends_pending(console: Console, tmp_path: Path) -> None:
    console.suite.stepped_up = True
    console.log_in()
    file = tmp_path / "role.json"
    file.write_text(
        json.dumps(
            {
                "role_id": "night-clerk",
                "name": "Night clerk",
                "name_zh": "夜班营业员",
                "place": "OWN_STORE",
                "permissions": [{"operation": "1500", "reach": "ANY", "purposes": ["COMPLAINT"]}],
            }
        )
    )
    assert console.run("policy", "put-role", str(file), "--reason", "nights").exit_code == ExitCode.PENDING
    assert console.suite.puts[0].permissions[0].purposes == [2]
    file.write_text('{"role_id": "x", "nonsense": 1}')
    assert console.run("policy", "put-role", str(file), "--reason", "r").exit_code == ExitCode.USAGE


@pytest.mark.rule("ID-8")
def test_a_privileged_staff_id_ends_pending_and_takes_no_phone_as_argument(console: Console, tmp_path: Path) -> None:
    console.log_in()
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"name": "韩梅梅", "role_id": "administrator", "store_id": "s-001", "phone": PHONE}))
    assert console.run("staff", "create", "a9", "--file", str(file), "--reason", "r").exit_code == ExitCode.PENDING
    assert console.run("staff", "create", "c9", "--file", str(file), "--role", "clerk").exit_code == ExitCode.OK
    assert [one.staff_id for one in console.suite.submitted] == ["a9", "c9"]
    assert console.run("staff", "update", "c9", "--file", str(file)).exit_code == ExitCode.USAGE
    assert PHONE not in console.written


def test_closing_for_ever_is_confirmed(console: Console) -> None:
    console.log_in()
    assert console.run("staff", "close", "c9", "--reason", "left").exit_code == ExitCode.USAGE
    console.person.here = True
    console.person.answers = ["n"]
    assert console.run("staff", "close", "c9", "--reason", "left").exit_code == ExitCode.USAGE
    assert console.run("staff", "close", "c9", "--reason", "left", "--yes").exit_code == ExitCode.OK


def test_stores_are_put_with_their_hours(console: Console) -> None:
    console.log_in()
    hours = ["--hours", "1-5=09:00-18:00", "--hours", "6=10:00-24:00", "--special", "2026-10-01=closed"]
    put = console.run("directory", "store", "put", "s-9", "--region", "north", "--name", "N", *hours)
    assert put.exit_code == ExitCode.OK
    (store,) = console.suite.puts
    assert [(day.weekday, day.opens_at_min, day.closes_at_min) for day in store.hours][-2:] == [
        (5, 540, 1080),
        (6, 600, 1440),
    ]
    assert store.special_days[0].is_closed
    for wrong in ("8=09:00-18:00", "1=18:00-09:00", "1=9-5", "5-1=09:00-18:00", "1=09:60-18:00"):
        assert (
            console.run("directory", "store", "put", "s", "--region", "r", "--name", "N", "--hours", wrong).exit_code
            == 1
        )


def test_customers_are_assigned_from_stdin_each_once(console: Console) -> None:
    console.log_in()
    dry = console.run("directory", "assign", "c1", "-", "--dry-run", "--output", "json", input="100\n101\n100\n")
    assert json.loads(dry.stdout) == {"staff_id": "c1", "given": 2, "assigned": None}
    assert console.suite.puts == []
    assert console.run("directory", "assign", "c1", "-", input="100\n101\n100\n").exit_code == ExitCode.OK
    assert console.suite.puts == [["100", "101"]]
    assert console.run("directory", "assign", "c1", "-", input="").exit_code == ExitCode.USAGE


def test_sms_are_shown_on_loopback_alone(console: Console) -> None:
    console.suite.messages = [notify_pb2.SinkMessage(phone=PHONE, text="code 1", at=stamp(NOW))]
    assert "code 1" in console.run("sms").stdout
    assert console.run("sms", "--phone-ends", "0000").stdout == ""
    refused = console.run("sms", "--address", "suite.example:7443")
    assert refused.exit_code == ExitCode.DENIED
    assert "demo" in refused.stderr


def test_an_empty_list_says_so(console: Console) -> None:
    console.log_in()
    assert "No messages were given up." in console.run("notify", "dead-letters").stderr
    assert "No requests." in console.run("request", "list").stderr
