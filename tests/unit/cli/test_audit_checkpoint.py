"""Watching a log from outside: what was rolled back, forked or rewritten is noticed, and told in words."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infosec.cli.failures import ExitCode
from infosec.errors import InvalidInput, NotFound, Reason
from tests.sim.audit_log import SimLog, entry, log_of, witness
from tests.unit.cli.fakes import Console

GOOD = ("audit", "checkpoint")


@pytest.fixture
def log() -> SimLog:
    return log_of(5)


@pytest.fixture
def outside(console: Console, log: SimLog) -> Console:
    """Somebody without a login, who may connect."""
    console.suite.audit_read.logs_shown = [log]
    return console


def key(log: SimLog) -> str:
    return log.signer.key.vkey()


def grow(log: SimLog, by: int) -> None:
    log.entries += [entry(number) for number in range(len(log.entries), len(log.entries) + by)]


def watch(outside: Console, log: SimLog, file: Path, *more: str) -> tuple[int, str]:
    done = outside.run("audit", "checkpoint", "--store", str(file), "--key", key(log), *more)
    return done.exit_code, done.output


def test_a_log_that_grows_is_proved_to_be_the_one_seen_before(outside: Console, log: SimLog, tmp_path: Path) -> None:
    file = tmp_path / "east.note"
    code, told = watch(outside, log, file)
    assert (code, "first sight" in told) == (ExitCode.OK, True)
    assert "is as it was" in watch(outside, log, file)[1]
    grow(log, 300)
    code, told = watch(outside, log, file)
    assert (code, "300 entries more" in told) == (ExitCode.OK, True)
    assert b"\n305\n" in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["east.note"]


def test_a_log_that_was_rolled_back_is_named_and_both_checkpoints_are_kept(
    outside: Console, log: SimLog, tmp_path: Path
) -> None:
    file = tmp_path / "east.note"
    watch(outside, log, file)
    before = file.read_bytes()
    del log.entries[3:]
    code, told = watch(outside, log, file)
    assert code == ExitCode.NOT_VERIFIED
    assert "ROLLED BACK: it had 5 entries when it was seen before, and has 3 now" in told
    assert file.read_bytes() == before
    (evidence,) = tmp_path.glob("east.note.refused-3-*")
    assert b"\n3\n" in evidence.read_bytes()


def test_a_fork_of_the_same_size_is_named(outside: Console, log: SimLog, tmp_path: Path) -> None:
    file = tmp_path / "east.note"
    watch(outside, log, file)
    log.entries[2] = entry(99)
    code, told = watch(outside, log, file, "--output", "json")
    assert code == ExitCode.NOT_VERIFIED
    assert json.loads(told)["violations"] == ["FORKED"]
    assert "another one than was seen before" in json.loads(told)["message"]


@pytest.mark.parametrize("by", [1, 3, 11])
def test_a_log_that_grew_over_a_rewritten_entry_is_named(
    outside: Console, log: SimLog, tmp_path: Path, by: int
) -> None:
    file = tmp_path / "east.note"
    watch(outside, log, file)
    log.entries[1] = entry(77)
    grow(log, by)
    code, told = watch(outside, log, file)
    assert code == ExitCode.NOT_VERIFIED
    assert "does not continue the one that was seen before" in told
    assert len(list(tmp_path.glob("*refused*"))) == 1


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (NotFound(Reason.NOT_FOUND), "gone by retention"),
        (InvalidInput(Reason.INVALID_ARGUMENT), "may have been rolled back"),
    ],
)
def test_what_is_not_proved_is_no_success_and_replaces_nothing(
    outside: Console, log: SimLog, tmp_path: Path, refusal: Exception, words: str
) -> None:
    file = tmp_path / "east.note"
    watch(outside, log, file)
    before = file.read_bytes()
    grow(log, 4)
    outside.suite.audit_read.proof_refusal = refusal
    code, told = watch(outside, log, file)
    assert (code, words in told) == (ExitCode.NOT_VERIFIED, True)
    assert file.read_bytes() == before


def test_a_checkpoint_of_another_key_or_log_is_refused(outside: Console, log: SimLog, tmp_path: Path) -> None:
    west = log_of(5, "west")
    outside.suite.audit_read.checkpoints = [west.note(), log.note().replace(b"\n5\n", b"\n6\n"), b"nonsense"]
    file = tmp_path / "east.note"
    told = [watch(outside, log, file, "--locale", "en") for _ in range(3)]
    assert {code for code, _ in told} == {ExitCode.NOT_VERIFIED}
    assert "another log" in told[0][1]
    assert "does not hold" in told[1][1]
    assert "cannot be read" in told[2][1]
    foreign = outside.run("audit", "checkpoint", "east", "--key", key(west))
    assert (foreign.exit_code, "not signed by any key" in foreign.stderr) == (ExitCode.NOT_VERIFIED, True)
    assert not file.exists()


def test_a_kept_file_that_was_changed_is_not_trusted(outside: Console, log: SimLog, tmp_path: Path) -> None:
    file = tmp_path / "east.note"
    watch(outside, log, file)
    file.write_bytes(file.read_bytes().replace(b"\n5\n", b"\n4\n"))
    code, told = watch(outside, log, file)
    assert (code, "give the old one too" in told) == (ExitCode.NOT_VERIFIED, True)
    file.write_bytes(b"")
    assert watch(outside, log, file)[0] == ExitCode.NOT_VERIFIED


def test_enough_witnesses_are_required_and_waited_for(outside: Console, log: SimLog, tmp_path: Path) -> None:
    first, second = witness("w1.example"), witness("w2.example")
    keys = ["--witness", first.key.vkey(), "--witness", second.key.vkey()]
    log.witnesses = (first,)
    file = tmp_path / "east.note"
    code, told = watch(outside, log, file, *keys, "--wait", "0")
    assert (code, "Cosigned by 1 of the witnesses; 2 are required" in told) == (ExitCode.NOT_VERIFIED, True)
    assert not file.exists()
    assert watch(outside, log, file, *keys, "--require-witnesses", "1", "--wait", "0")[0] == ExitCode.OK
    outside.suite.audit_read.checkpoints = [log.note(at=datetime.now(UTC))]
    log.witnesses = (first, second)
    done = outside.run("audit", "checkpoint", "--key", key(log), *keys, "--wait", "1", "--output", "json")
    assert json.loads(done.stdout)["witnesses"] == ["w1.example", "w2.example"]


def test_a_cosignature_from_the_future_says_which_clock_to_look_at(outside: Console, log: SimLog) -> None:
    log.witnesses = (witness("w1.example"),)
    outside.suite.audit_read.checkpoints = [log.note(at=datetime.now(UTC) + timedelta(days=1))]
    done = outside.run("audit", "checkpoint", "--key", key(log), "--witness", witness("w1.example").key.vkey())
    assert (done.exit_code, "Check the clock" in done.stderr) == (ExitCode.NOT_VERIFIED, True)


def test_without_a_key_nothing_is_verified_and_nothing_kept(outside: Console, tmp_path: Path) -> None:
    done = outside.run("audit", "checkpoint", "--output", "json")
    assert (done.exit_code, json.loads(done.stdout)["is_verified"]) == (ExitCode.OK, False)
    assert "NOT VERIFIED" in outside.run("audit", "checkpoint").stderr
    refused = outside.run("audit", "checkpoint", "--store", str(tmp_path / "x"))
    assert (refused.exit_code, "infosec audit logs" in refused.stderr) == (ExitCode.USAGE, True)


def test_more_witnesses_than_keys_are_never_there(outside: Console, log: SimLog) -> None:
    done = outside.run("audit", "checkpoint", "--key", key(log), "--require-witnesses", "1")
    assert (done.exit_code, "witnesses' keys" in done.stderr) == (ExitCode.USAGE, True)


def test_which_log_is_told_by_argument_file_or_key(outside: Console, log: SimLog, tmp_path: Path) -> None:
    west = log_of(2, "west")
    outside.suite.audit_read.logs_shown.append(west)
    unsaid = outside.run("audit", "checkpoint")
    assert (unsaid.exit_code, "east, west" in unsaid.stderr) == (ExitCode.USAGE, True)
    keys = tmp_path / "keys"
    keys.write_text(outside.run("audit", "logs", "--keys", "--quiet").stdout)
    for name in ("east", "west"):
        done = outside.run(*GOOD, name, "--key", str(keys), "--store", str(tmp_path / name), "--output", "json")
        assert json.loads(done.stdout)["log"] == name
    again = outside.run(*GOOD, "--key", str(keys), "--store", str(tmp_path / "west"), "--output", "json")
    assert json.loads(again.stdout)["log"] == "west"
    other = outside.run(*GOOD, "west", "--key", str(keys), "--store", str(tmp_path / "east"))
    assert other.exit_code == ExitCode.NOT_VERIFIED
    nowhere = outside.run(*GOOD, "north", "--key", str(keys))
    assert (nowhere.exit_code, "infosec audit logs" in nowhere.stderr) == (ExitCode.NOT_FOUND, True)


def test_a_place_that_cannot_be_written_is_said(outside: Console, log: SimLog, tmp_path: Path) -> None:
    code, told = watch(outside, log, tmp_path / "no" / "such" / "folder")
    assert (code, "Cannot write" in told) == (ExitCode.USAGE, True)


def test_logs_are_listed_with_keys_that_are_to_be_compared(outside: Console, log: SimLog) -> None:
    listed = outside.run("audit", "logs", "--output", "json")
    (found,) = json.loads(listed.stdout)
    assert (found["log"], found["size"], found["verifier_keys"]) == ("east", 5, [key(log)])
    assert "compare them" in outside.run("audit", "logs").stderr
    assert "over another way" in outside.run("audit", "logs", "--help").stdout
    assert outside.run("audit", "logs", "--keys", "--output", "json").exit_code == ExitCode.USAGE
