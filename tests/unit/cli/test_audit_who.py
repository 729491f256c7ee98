"""A customer asks who looked at their data (CI-8)."""

import json

import pytest
from rich.cells import cell_len

from infosec.cli.failures import ExitCode
from tests.sim.audit_log import entry
from tests.unit.cli.fake_audit import NUMBER, entry_of
from tests.unit.cli.fakes import Console

LOOKED = {"operation": "1500", "purpose": "WALK_IN", "decision": "ALLOWED", "staff_id": "li.na", "store_id": "e1"}


@pytest.fixture
def book(console: Console) -> Console:
    """Three accesses to one customer's data, and an auditor logged in."""
    console.suite.audit_read.entries = [
        entry_of(entry(number, facts=LOOKED | {"operation": code}), number)  # type: ignore[arg-type]
        for number, code in enumerate(["1500", "1522", "zz99"])
    ]
    console.log_in()
    return console


@pytest.mark.rule("CI-8")
def test_who_when_where_and_why_in_plain_words(book: Console) -> None:
    told = book.run("audit", "who", "--customer-stdin", input=f"{NUMBER}\n")
    assert told.exit_code == ExitCode.OK
    heading, *lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert heading[:7] == ["When", "Staff ID", "Role", "Store", "Terminal", "What", "Why"]
    assert lines[0][1:7] == ["li.na", "Clerk", "e1", "east-0", "Full customer view", "walk-in"]
    assert lines[2][5] == "zz99"
    assert lines[0][0] == "2026-03-02 08:59:59"
    assert [customer for customer, _ in book.suite.audit_read.asked] == [NUMBER, NUMBER]
    assert NUMBER not in book.written


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ["Clerk, staff ID li.na", "store e1", "Full customer view (1500)", "Why:    walk-in", "3"]),
        ("zh-CN", ["营业员，工号 li.na", "营业厅 e1", "综合信息查询（1500）", "目的：客户到厅", "查看次数：3"]),
    ],
)
def test_the_letter_can_be_printed_and_handed_over(book: Console, locale: str, words: list[str]) -> None:
    told = book.run(
        "audit", "who", "--customer-stdin", "--letter", "--since", "30d", "--locale", locale, input=f"{NUMBER}\n"
    )
    assert told.exit_code == ExitCode.OK
    for word in words:
        assert word in told.stdout
    assert max(cell_len(line) for line in told.stdout.splitlines()) <= 110
    assert told.stderr == ""
    assert NUMBER not in book.written


@pytest.mark.rule("CI-8")
def test_nobody_on_record_is_an_answer_too(book: Console) -> None:
    book.suite.audit_read.entries = []
    book.person.here, book.person.answers = True, [NUMBER, NUMBER]
    assert "Nobody is on record" in book.run("audit", "who").stderr
    assert "Nobody is on record" in book.run("audit", "who", "--letter").stdout


def test_programs_get_codes_and_people_words(book: Console) -> None:
    told = book.run("audit", "who", "--customer-stdin", "--output", "json", input=f"{NUMBER}\n")
    first = json.loads(told.stdout)[0]
    assert (first["operation"], first["purpose"], first["role_id"]) == ("1500", "WALK_IN", "clerk")


@pytest.mark.parametrize("more", [["--letter", "--output", "json"], ["--letter", "--fields", "at"], []])
def test_what_makes_no_sense_together_is_refused_before_anything_is_asked(book: Console, more: list[str]) -> None:
    assert book.run("audit", "who", *more).exit_code == ExitCode.USAGE
    assert book.run("audit", "who", "--customer-stdin", input="\n").exit_code == ExitCode.USAGE
    assert book.suite.audit_read.asked == []
