"""The command line against a running server: from the first administrator to a clerk's check. Real processes throughout."""

from __future__ import annotations

import copy
import json
import urllib.request
from dataclasses import replace

import pytest

from tests.sim.installation import Installation, Opened, first_password, staffed_store

Office = tuple[Installation, Opened]


@pytest.mark.rule("ID-1", "CI-2")
def test_a_store_is_set_up_and_its_clerk_works_in_it(office: Office) -> None:
    here, _people = office
    staffed_store(here, "south", "s001", [("clerk.li", "李营业", "13900001111")])
    password = first_password(here, "1111")
    desk = "s001-t1"
    login = here.run("login", "clerk.li", "--password-stdin", terminal=desk, stdin=f"{password}\n").json
    assert (login["duties"], login["last_login"]) == (["CHANGE_PASSWORD"], None)
    assert password not in json.dumps(login) and "token" not in login
    refused = here.run("check", "one", "1302", "--customer", terminal=desk, stdin="13800138000\n", expect=None)
    assert refused.code == 4
    here.run("password", "change", "--password-stdin", terminal=desk, stdin=f"{password}\nwillow.Spoon-53\n")
    allowed = here.run("check", "one", "1302", "--customer", terminal=desk, stdin="13800138000\n")
    assert allowed.json["allowed"] is True
    unknown = here.run("check", "one", "1507", "--customer", terminal=desk, stdin="13800138000\n", expect=4)
    assert unknown.json["allowed"] is False
    elsewhere = here.run(
        "check", "one", "1302", "--store", "carrier-hq", "--customer", terminal=desk, stdin="13800138000\n", expect=4
    )
    assert elsewhere.json["allowed"] is False
    here.run("logout", terminal=desk)
    assert "Not logged in" in here.run("check", "one", "1302", terminal=desk, expect=4).err


@pytest.mark.rule("ID-8")
def test_two_peoples_codes_let_an_administrator_in_and_everybody_hears_of_it(office: Office) -> None:
    here, people = office
    second = people.administrators[1]
    first_code, second_code = people.codes
    words = ("break-glass", second.staff_id, "--reason", "both authenticators drowned", "--codes-stdin")
    alone = here.on_server(*words, stdin=f"{first_code}\n{first_code}\n", expect=4)
    assert "break-glass refused" in alone.err and first_code not in alone.err
    broken = here.on_server(*words, stdin=f"{second_code.lower()}\n{first_code.replace('-', ' ')}\n")
    shown = broken.json
    assert "break-glass used" in broken.err and shown["password"] not in broken.err
    assert sorted(one["holder"] for one in shown["break_glass"]) == sorted(("孙一", "李二"))
    here.on_server(*words, stdin=f"{first_code}\n{second_code}\n", expect=4)  # used up
    # In a session folder of their own: the first administrator stays logged in here.
    at_home = copy.copy(here)
    at_home.environment = {**here.environment, "XDG_STATE_HOME": str(here.place / "at-home")}
    back = replace(second, installation=at_home, password=shown["password"])
    assert back.log_in()["duties"] == ["CHANGE_PASSWORD"]
    for phone in ("0001", "0002"):
        told = [one["text"] for one in here.run("sms", "--phone-ends", phone).json]
        assert any("both authenticators drowned" in text for text in told), told


@pytest.mark.rule("ID-8")
def test_an_installation_is_set_up_once(office: Office) -> None:
    here, people = office
    again = here.on_server("init", expect=6)
    assert json.loads(again.err)["reason"] == "ALREADY_INITIALISED"
    assert people.administrators[0].staff_id not in again.out


def test_the_doctor_finds_a_running_installation_well(office: Office) -> None:
    here, _people = office
    found = {one["about"]: one["verdict"] for one in here.on_server("doctor").json}
    assert found["server"] == found["rights"] == found["administrators"] == found["postgres.auth_service"] == "OK"
    assert found["audit.checkpoints"] == found["audit.erasures"] == found["audit.spool"] == found["audit.jobs"] == "OK"
    assert found["notify"] == "WARNING"


def test_the_doctor_says_which_key_file_others_can_read(office: Office) -> None:
    here, _people = office
    key = here.data / "keys" / "session.json"
    key.chmod(0o644)
    try:
        found = here.on_server("doctor", expect=2).json
    finally:
        key.chmod(0o600)
    keys = next(one for one in found if one["about"] == "keys")
    assert keys["verdict"] == "WRONG" and str(key) in keys["text"] and "chmod 600" in keys["text"]


def test_a_store_system_gets_a_certificate_and_is_known_by_it(office: Office) -> None:
    here, _people = office
    made = here.on_server("cert", "issue", "billing-front").json
    assert made["certificate"] == str(here.data / "tls" / "system-billing-front.pem")
    # Known, and not allowed what is for the command line.
    refused = here.run("--system", "billing-front", "sms", expect=4)
    assert "billing" not in refused.out


def test_what_is_measured_can_be_read_on_loopback(office: Office, metrics_port: int) -> None:
    here, _people = office
    assert here.run("whoami").json["session"] == "OPEN"
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as page:
        text = page.read().decode()
    assert "infosec_snapshot_fresh 1.0" in text
    assert 'infosec_certificate_end_seconds{file="service-suite.pem"}' in text
    assert "adm01" not in text
