"""No log line gives away a secret or a person (ID-7): a marker is planted, and every line searched."""

import asyncio
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import structlog

from infosec import logging as logs
from infosec.errors import InvalidInput, Reason
from infosec.ids import new_incident
from infosec.keys import SigningKeys
from infosec.redaction import is_secret_key, safe_text
from infosec.secret import Secret
from infosec.signed import sign

MARKER = "marker9f2c"
TOKEN = sign("session", {"sid": "s-1"}, SigningKeys.generate("session", now=datetime(2026, 3, 1, tzinfo=UTC)))
GRANT = sign("grant-approval", {"g": 1}, SigningKeys.generate("grant-approval", now=datetime(2026, 3, 1, tzinfo=UTC)))


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, sys.unraisablehook
    written = io.StringIO()
    logs.configure("debug", written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class DriverError(psycopg.errors.UniqueViolation):
    """As the driver raises it: the values stand in DETAIL and in the text."""

    @property
    def diag(self) -> Any:
        return SimpleNamespace(message_primary='duplicate key value violates unique constraint "staff_pkey"')


def driver_error() -> DriverError:
    return DriverError(f'duplicate key value violates "staff_pkey"\nDETAIL:  Key (phone)=({MARKER}) already exists.')


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    logs.get("authsvc.login").info("login refused", terminal="t-1", attempts=3, reason=Reason.LOGIN_REFUSED)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "login refused",
        "level": "info",
        "logger": "authsvc.login",
        "terminal": "t-1",
        "attempts": 3,
        "reason": "LOGIN_REFUSED",
    }


@dataclass
class Carrier:
    password: str = MARKER

    def __str__(self) -> str:
        return MARKER


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize(
    "facts",
    [
        {"password": MARKER},
        {"new_password": MARKER},
        {"newPassword": MARKER},
        {"Session-Token": MARKER},
        {"code": MARKER},
        {"otp": MARKER},
        {"phone": MARKER},
        {"bound_phone": MARKER},
        {"id_number": MARKER},
        {"full_name": MARKER},
        {"name": MARKER},
        {"secret": MARKER},
        {"outer": {"inner": [{"password": MARKER}]}},
        {"value": Secret(MARKER)},
        {"value": [Secret(MARKER)]},
        {"value": Carrier()},
        {"value": MARKER.encode()},
        {"value": ValueError(MARKER)},
        {"value": driver_error()},
        {"note": f"password={MARKER}"},
        {"note": f"host=db password='{MARKER}' port=1"},
        {"note": f"redis://user:{MARKER}@host/0"},
        {"note": f"您的密码为：{MARKER}，请登录"},
        {"note": f"$argon2id$v=19$m=19456,t=2,p=1${MARKER}${MARKER}"},
        {"note": f"otpauth://totp/x?secret={MARKER}"},
        {"note": f"-----BEGIN PRIVATE KEY-----\n{MARKER}\n"},
    ],
)
def test_structured_facts_are_redacted(stream: io.StringIO, facts: dict[str, Any]) -> None:
    logs.get("x").warning("event", **facts)
    assert len(lines(stream)) == 1
    assert MARKER not in stream.getvalue()


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize(
    "person",
    [
        TOKEN,
        GRANT,
        TOKEN[:60],
        TOKEN.partition(".")[2],
        "13800138000",
        "+86 138 0013 8000",
        "8613800138000",
        "138-0013-8000",
        "１３８００１３８０００",
        "11010519491231002X",
        "110105194912310021",
        "110105 19491231 002x",
        "110105491231002",
    ],
    ids=range(13),
)
def test_handles_and_people_are_taken_out_of_free_text(stream: io.StringIO, person: str) -> None:
    logs.get("x").info(f"sent to {person}.", note=f"值{person}值", items=[person])
    logging.getLogger("grpc").error("peer said %s", person)
    assert len(lines(stream)) == 2
    assert person not in stream.getvalue()


def test_numbers_that_are_people_are_hidden_and_others_stay(stream: io.StringIO) -> None:
    logs.get("x").info("e", subject=13800138000, at_ms=1767225600000, took=0.25, revision=17)
    (line,) = lines(stream)
    assert line["subject"] == "[phone]"
    assert (line["at_ms"], line["took"], line["revision"]) == (1767225600000, 0.25, 17)


@pytest.mark.rule("ID-7")
def test_exceptions_show_where_and_why_but_no_values(stream: io.StringIO) -> None:
    password = MARKER
    try:
        try:
            int(password)
        except ValueError:
            raise driver_error() from InvalidInput(Reason.INVALID_ARGUMENT, field="staff_id")
    except psycopg.Error:
        logs.get("x").exception("write failed")
        logging.getLogger("psycopg.pool").exception("write failed")
    ours, theirs = lines(stream)
    assert MARKER not in stream.getvalue()
    assert ours["exception"] == theirs["exception"]
    assert ours["exception"]["error"].endswith("DriverError: 23505: duplicate key value violates unique constraint …")
    assert ours["exception"]["causes"][0]["error"] == "InvalidInput: INVALID_ARGUMENT (field=staff_id)"
    assert any("test_exceptions_show_where" in frame for frame in ours["exception"]["at"])


def test_our_own_errors_give_their_reason(stream: io.StringIO) -> None:
    try:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="staff_id")
    except InvalidInput:
        logs.get("x").exception("refused")
    assert lines(stream)[0]["exception"]["reason"] == "INVALID_ARGUMENT"


@pytest.mark.rule("ID-7")
def test_a_real_driver_error_loses_the_value(stream: io.StringIO) -> None:
    error = psycopg.errors.InvalidTextRepresentation(f'invalid input syntax for type integer: "{MARKER}"')
    logging.getLogger("psycopg.pool").error("error in %r: %s", "pool-1", error)
    logs.get("x").warning("failed", error=error)
    logs.get("x").warning(f"failed: x\nDETAIL:  Key (id)=({MARKER}) exists\nand {MARKER}")
    assert len(lines(stream)) == 3
    assert MARKER not in stream.getvalue()


@pytest.mark.rule("ID-7")
def test_lines_of_other_libraries_are_redacted(stream: io.StringIO) -> None:
    foreign = logging.getLogger("some.library")
    foreign.error("with an object %s and %r", Carrier(), Secret(MARKER))
    foreign.error("by name %(password)s", {"password": MARKER})
    foreign.error({"password": MARKER})
    foreign.error(ValueError(MARKER))
    warnings.warn(f"token={MARKER}", stacklevel=1)
    assert len(lines(stream)) == 5
    assert MARKER not in stream.getvalue()


@pytest.mark.rule("ID-7")
def test_a_line_that_cannot_be_written_tells_only_where(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    (handler,) = (h for h in logging.getLogger().handlers if isinstance(h, logs._Handler))
    handler.handle(logging.LogRecord("some.library", logging.ERROR, "f", 1, "wrong %d", (MARKER,), None))
    assert lines(stream) == [{"event": "a log line failed", "level": "error", "logger": "some.library"}]
    assert MARKER not in capsys.readouterr().err


@pytest.mark.rule("ID-7")
async def test_a_task_that_nobody_awaited_tells_no_values(stream: io.StringIO) -> None:
    async def fails() -> None:
        raise ValueError(MARKER)

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    context = {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    asyncio.get_running_loop().default_exception_handler(context)
    assert lines(stream)[-1]["exception"]["error"] == "ValueError"
    assert MARKER not in stream.getvalue()


@pytest.mark.rule("ID-7")
def test_uncaught_exceptions_end_in_the_log_redacted(stream: io.StringIO) -> None:
    logs.log_uncaught()
    error = ExceptionGroup(MARKER, [ValueError(MARKER), driver_error()])
    sys.excepthook(type(error), error, None)
    (line,) = lines(stream)
    assert line["level"] == "critical"
    assert line["exception"]["members"][0] == "ValueError"
    assert MARKER not in stream.getvalue()


def test_the_level_holds_for_everybody(stream: io.StringIO) -> None:
    logs.configure("warning", stream)
    logs.get("x").info("quiet")
    logging.getLogger("y").info("quiet")
    logs.get("x").warning("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_long_text_is_cut(stream: io.StringIO) -> None:
    logs.get("x").info("e", note="长" * 100_000)
    assert len(stream.getvalue()) < 10_000


@pytest.mark.parametrize("text", ["revision 17 of gd-gz at 2026-03-01T00:00:00Z", "port 7443", "operation 1104 denied"])
def test_plain_text_stays(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    "key", ["operation_code", "status_code", "terminal", "store", "region", "staff_id", "revision"]
)
def test_public_keys_stay(key: str) -> None:
    assert not is_secret_key(key)


def test_an_incident_stands_in_the_log_as_it_was_told() -> None:
    """A number of an incident whose digits were somebody's could not be found again."""
    told = {new_incident() for _ in range(1000)}
    assert len(told) == 1000
    assert {safe_text(incident) for incident in told} == told
    assert not any(character.isdigit() for incident in told for character in incident)
