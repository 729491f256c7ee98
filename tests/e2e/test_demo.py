"""The demo is a test: the whole day through the real API, and demo data that is seeded once."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from authsvc.profile import TELECOM_HALL
from authsvc.totp import SECRET_BYTES, accepted_step, provisioning_uri
from infosec.clock import SystemClock
from infosec.config import Address, Config
from infosec.errors import Misconfigured
from infosec.ids import StaffId
from infosec.messages import Locale, Text
from infosec.secret import Secret, SecretBytes
from services.demo.data import seed_demo_data
from services.demo.day import play
from services.demo.office import connected
from services.demo.people import Authenticator
from services.demo.places import COMMAND_LINE, CONSOLE, PRIVILEGED_LIST, STAFF_LIST, rows
from services.demo.show import Programme
from services.serving import Serving, serving

SECRET = SecretBytes(bytes(range(SECRET_BYTES)))


def _programme(locale: Locale, width: int = 120) -> tuple[Programme, io.StringIO]:
    shown = io.StringIO()
    return Programme(Console(file=shown, width=width, highlight=False), locale), shown


@pytest.mark.rule(
    "ID-1",
    "ID-3",
    "ID-4",
    "ID-5",
    "ID-8",
    "ID-9",
    "ID-11",
    "RQ-1",
    "RQ-2",
    "RQ-3",
    "RQ-5",
    "RQ-7",
    "CI-1",
    "CI-2",
    "CI-6",
    "CI-7",
    "CI-8",
)
@pytest.mark.parametrize("locale", list(Locale))
async def test_every_step_of_the_day_is_as_expected(locale: Locale) -> None:
    programme, shown = _programme(locale)

    good = await play(programme)

    assert good, shown.getvalue()
    assert programme.steps > 150
    last = shown.getvalue().splitlines()[-1]
    assert str(programme.steps) in last
    assert last.startswith("演示" if locale is Locale.ZH_CN else "demo:")


def test_a_step_that_is_not_as_expected_is_told_and_counted() -> None:
    programme, shown = _programme(Locale.EN, width=80)
    programme.step(Text("甲", "One"), expected="OK", actual="OK", told="done")
    programme.step(Text("乙", "Two"), expected="OK", actual="LOGIN_REFUSED", told="refused")

    assert not programme.end()
    assert "expected OK, was LOGIN_REFUSED" in shown.getvalue()
    assert "demo: 2 steps, 1 as expected" in shown.getvalue()


def test_a_day_without_a_step_is_no_success() -> None:
    assert not _programme(Locale.EN)[0].end()


@pytest.mark.parametrize(("second", "count"), [(0, 3), (19, 3), (20, 2), (29, 2)])
def test_an_authenticator_shows_no_code_twice_and_none_that_ends_on_its_way(second: int, count: int) -> None:
    shown_at = datetime(2026, 11, 22, 10, 0, second, tzinfo=UTC)
    authenticator = Authenticator(provisioning_uri(SECRET, StaffId("a"), TELECOM_HALL))

    codes = [code for code in (authenticator.code(shown_at) for _ in range(4)) if code is not None]

    assert len(codes) == count
    for late_s in (0, 9):
        last = 0
        for code in codes:
            at = shown_at + timedelta(seconds=late_s)
            step = accepted_step(SECRET, code, now=at, last_step=last, profile=TELECOM_HALL)
            assert step is not None
            last = step


def _config(directory: Path, listen: str = "127.0.0.1:0") -> Config:
    return Config.from_mapping({"server": {"data_dir": str(directory / "data"), "listen": listen}})


@pytest.mark.rule("ID-1", "ID-8")
async def test_demo_data_is_seeded_at_the_first_start_and_found_at_the_second(tmp_path: Path) -> None:
    config = _config(tmp_path)
    async with serving(config, clock=SystemClock()) as running:
        said: list[str] = []
        await seed_demo_data(running, config, said.append)
        await _administrator_can_log_in(running, config, said)
        assert running.sink is not None
        await running.auth.work_once()
        first_passwords = [kept.text.reveal() for kept in running.sink.newest(100)]
        people = rows(STAFF_LIST) + rows(PRIVILEGED_LIST)
        assert all(any(person["staff_id"] in text for text in first_passwords) for person in people)
        passwords = [text.splitlines()[1] for text in first_passwords if len(text.splitlines()) > 2]
        assert not any(password in line for password in passwords for line in said)
        assert (config.server.tls_dir / "system-pos.pem").exists()

    async with serving(config, clock=SystemClock()) as running:
        again: list[str] = []
        await seed_demo_data(running, config, again.append)
        assert len(again) == 1
        assert running.sink is not None
        assert running.sink.newest(100) == ()


async def _administrator_can_log_in(running: Serving, config: Config, said: list[str]) -> None:
    """With what was said, and nothing else."""
    password = next(line for line in said if re.search(r"  \S+-\d$", line)).split()[-1]
    uri = next(line for line in said if "otpauth://" in line).split()[-1]
    suites = connected(running, config, locale="en")
    authenticator = Authenticator(Secret(uri))
    now = SystemClock().now()
    codes = [code for code in (authenticator.code(now) for _ in range(3)) if code is not None]
    suite = suites[COMMAND_LINE]
    session = await suite.login.login("admin-1", password, terminal_id=CONSOLE, totp_code=codes[-1])
    assert not session.duties
    staff = await suite.staff.list(session.token)
    assert len(staff.staff) == len(rows(STAFF_LIST)) + len(rows(PRIVILEGED_LIST)) + 2
    for each in suites.values():
        await each.close()


async def test_demo_data_stays_on_loopback(tmp_path: Path) -> None:
    config = _config(tmp_path)
    outside = config.model_copy(
        update={"server": config.server.model_copy(update={"listen": Address(host="0.0.0.0", port=7443)})}
    )
    async with serving(config, clock=SystemClock()) as running:
        with pytest.raises(Misconfigured):
            await seed_demo_data(running, outside, print)
