"""`infosec audit export` and `verify`: a file in hand, proved without a server; and a customer's number nowhere."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infosec.cli.audit_words import _FLAWS, told
from infosec.cli.failures import ExitCode
from infosec.clock import ManualClock
from infosec.errors import DeadlineExceeded, Reason
from infosec.evidence.faults import Finding, Flaw
from infosec.evidence.manifest import manifest_path
from infosec.secret import Secret
from tests.sim.audit_log import NOW, ExportFeed, log_of, witness
from tests.unit.cli.fakes import Console

CUSTOMER = "13900005678"
WITNESS = witness("witness.example/one")
LOG = log_of(300, witnesses=(WITNESS,))
WEST = log_of(12, "west", witnesses=(WITNESS,))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("audit_export", "audit_verify"):
        monkeypatch.setattr(f"infosec.cli.{module}.SystemClock", lambda: ManualClock(NOW))


def serving(console: Console, feed: ExportFeed) -> ExportFeed:
    """The suite answers exports from this feed."""

    async def issue_assertion(token: Secret) -> Any:
        console.suite.admit(token)
        return SimpleNamespace(text=Secret("assertion"))

    console.suite.login.issue_assertion = issue_assertion  # type: ignore[attr-defined]
    console.suite.audit_read = feed  # type: ignore[attr-defined]
    console.log_in()
    return feed


@pytest.fixture
def feed(console: Console) -> ExportFeed:
    return serving(console, ExportFeed([LOG, WEST]))


def keys(folder: Path) -> str:
    path = folder / "keys"
    path.write_text(f"# logs\n{LOG.signer.key.vkey()}\n{WEST.signer.key.vkey()}\n")
    return str(path)


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.xlsx", "a.parquet", "a.ocsf"])
def test_what_was_exported_is_proved_with_nothing_but_the_keys(
    console: Console, feed: ExportFeed, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    exported = console.run("audit", "export", str(file), "--output", "json")
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["rows"] == 312

    console.connect = lambda _settings: pytest.fail("a server was asked")
    checked = console.run("audit", "verify", str(file), "--key", keys(tmp_path), "--output", "json")

    assert checked.exit_code == 0, checked.output
    assert [(one["log"], one["rows"], one["is_complete"]) for one in json.loads(checked.stdout)] == [
        ("east", 300, True),
        ("west", 12, True),
    ]
    assert not list(tmp_path.glob("*.part"))


def test_the_filter_is_asked_of_the_server_and_told_in_the_manifest(
    console: Console, feed: ExportFeed, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    options = ["--since", "2026-03-02", "--staff", "clerk1", "--staff", "clerk2", "--type", "check.decided"]
    assert console.run("audit", "export", str(file), *options, "--store", "s1", "--log", "east").exit_code == 0

    asked = feed.asked[0].filter

    assert asked.since.ToJsonString() == "2026-03-01T16:00:00Z"
    assert list(asked.staff_ids) == ["clerk1", "clerk2"]
    assert json.loads(manifest_path(file).read_text())["filter"] == {
        "since": "2026-03-01T16:00:00Z",
        "types": ["check.decided"],
        "store_ids": ["s1"],
        "staff_ids": ["clerk1", "clerk2"],
        "log_ids": ["east"],
    }


@pytest.mark.rule("CI-5")
def test_a_customers_number_is_read_and_kept_nowhere(console: Console, feed: ExportFeed, tmp_path: Path) -> None:
    feed.breaks_after = [3]
    file = tmp_path / "a.jsonl"

    assert console.run("audit", "export", str(file), "--customer", input=f"{CUSTOMER}\n").exit_code == 0

    assert feed.asked[0].filter.customer == CUSTOMER
    assert json.loads(manifest_path(file).read_text())["filter"] == {"customer": True}
    assert all(CUSTOMER.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert CUSTOMER not in console.written


def broken(console: Console, feed: ExportFeed, *arguments: str, **more: str) -> None:
    """An export that ends in the middle, with what is not tried again at once."""
    feed.breaks_after, feed.failure = [4], DeadlineExceeded(Reason.DEADLINE_EXCEEDED)
    assert console.run("audit", "export", *arguments, **more).exit_code == ExitCode.SERVER


def test_an_export_that_was_given_up_goes_on_when_it_is_run_again(
    console: Console, feed: ExportFeed, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    broken(console, feed, str(file))
    assert not file.exists()

    again = console.run("audit", "export", str(file))

    assert again.exit_code == 0, again.output
    assert feed.asked[-1].resume[0].next_index == 21
    assert feed.asked[-1].export_id == feed.asked[0].export_id
    assert console.run("audit", "verify", str(file), "--key", keys(tmp_path)).exit_code == 0


def test_what_was_begun_for_other_conditions_is_not_mixed_in(
    console: Console, feed: ExportFeed, tmp_path: Path
) -> None:
    file = str(tmp_path / "a.jsonl")
    broken(console, feed, file, "--customer", input=f"{CUSTOMER}\n")

    assert console.run("audit", "export", file).exit_code == ExitCode.CONFLICT
    assert console.run("audit", "export", file, "--customer", input="13900009999\n").exit_code == ExitCode.CONFLICT
    assert console.run("audit", "export", file, "--customer", input=f"{CUSTOMER}\n").exit_code == 0


def test_what_was_begun_is_dropped_on_request(console: Console, feed: ExportFeed, tmp_path: Path) -> None:
    file = str(tmp_path / "a.jsonl")
    broken(console, feed, file)

    assert console.run("audit", "export", file, "--store", "s1", "--restart").exit_code == 0
    assert not feed.asked[-1].resume


def test_a_file_that_exists_is_not_written_over(console: Console, feed: ExportFeed, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine")

    assert console.run("audit", "export", str(tmp_path / "a.jsonl")).exit_code == ExitCode.CONFLICT
    assert (tmp_path / "a.jsonl").read_text() == "mine"


@pytest.fixture
def file(console: Console, feed: ExportFeed, tmp_path: Path) -> Path:
    assert console.run("audit", "export", str(tmp_path / "a.jsonl")).exit_code == 0
    return tmp_path / "a.jsonl"


def test_a_changed_entry_is_named_to_people_and_to_machines(console: Console, file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"revision":137,', b'"revision":731,'))

    told_people = console.run("audit", "verify", str(file), "--key", keys(tmp_path))
    told_machine = console.run("audit", "verify", str(file), "--key", keys(tmp_path), "--output", "json")

    assert told_people.exit_code == told_machine.exit_code == ExitCode.NOT_VERIFIED == 7
    assert "log east, index 137" in told_people.stdout
    (found,) = json.loads(told_machine.stdout)
    assert (found["flaw"], found["log"], found["index"], found["row"]) == ("ENTRY_CHANGED", "east", 137, 138)
    assert json.loads(told_machine.stderr)["reason"] == "FILE_REJECTED"


def test_a_wrong_key_and_too_few_witnesses_are_told(console: Console, file: Path, tmp_path: Path) -> None:
    other = log_of(1, "other").signer.key.vkey()
    key = console.run("audit", "verify", str(file), "--key", other, "--output", "json")
    assert {one["flaw"] for one in json.loads(key.stdout)} == {"NO_KEY"}

    strange = ["--witness", WITNESS.key.vkey(), "--witness", witness("witness.example/two").key.vkey()]
    few = console.run("audit", "verify", str(file), "--key", keys(tmp_path), *strange, "--output", "json")
    assert {one["flaw"] for one in json.loads(few.stdout)} == {"TOO_FEW_WITNESSES"}

    enough = console.run("audit", "verify", str(file), "--key", keys(tmp_path), *strange, "--require-witnesses", "1")
    assert enough.exit_code == 0, enough.output


def test_keys_come_on_stdin_too(console: Console, file: Path, tmp_path: Path) -> None:
    text = Path(keys(tmp_path)).read_text()

    assert console.run("audit", "verify", str(file), "--key", "-", input=text).exit_code == 0


def test_the_export_before_is_continued(console: Console, file: Path, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(LOG.note(100))
    (tmp_path / "forked").write_bytes(log_of(99, "east").note(50).replace(b"\n50\n", b"\n51\n"))
    verify = ("audit", "verify", str(file), "--key", keys(tmp_path), "--output", "json")

    good = console.run(*verify, "--previous", str(tmp_path / "before"))
    assert json.loads(good.stdout)[0]["continues"] == [100]
    assert console.run(*verify, "--previous", str(manifest_path(file))).exit_code == 0
    assert console.run(*verify, "--previous", str(tmp_path / "forked")).exit_code == ExitCode.NOT_VERIFIED


def test_a_file_that_is_not_there_is_a_usage_error(console: Console, file: Path, tmp_path: Path) -> None:
    assert console.run("audit", "verify", "nowhere", "--key", keys(tmp_path)).exit_code == ExitCode.USAGE
    assert console.run("audit", "verify", str(file), "--key", "nothing").exit_code == ExitCode.USAGE
    assert console.run("audit", "export", "x", "--since", "yesterday").exit_code == ExitCode.USAGE


def test_every_flaw_has_words_in_both_languages() -> None:
    assert set(_FLAWS) == set(Flaw)
    for flaw in Flaw:
        text = told(Finding(flaw=flaw, log="east", index=3, end=9, row=4, column="reason"))
        assert "east" in text.zh and "east" in text.en and text.zh != text.en
