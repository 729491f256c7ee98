"""No path forgets the lock: every way in, for every way to be out, over the wire (ID-5, ID-7, ID-8, ID-9).

Whoever is out learns nothing from it: a login is refused in the same words as for anybody, a session has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from authsvc.hashing import Target
from infosec.api.auth.v1 import requests_pb2 as rpb
from infosec.client.guard import Guard
from infosec.decision.operations import Purpose
from tests.sim.patience import PATIENCE_S
from tests.sim.suite import Suite
from tests.sim.world import PASSWORD, Hire

PHONE = "13900007777"
NEW = "Quiet#river8"
WHO, AT = "matrix.clerk", "e2-t1"


@dataclass(kw_only=True)
class Case:
    """Somebody with a session, a locked one beside it in time, a second factor and a Guard; then they are put out."""

    suite: Suite
    token: str
    guard: Guard

    async def outcomes(self) -> dict[str, str]:
        """What every path answers, asked with the right password and the right code."""
        return {name: await self.outcome(name) for name in PATHS}

    async def outcome(self, name: str) -> str:
        """What one path answers; a code is never asked for twice, and stale is no answer."""
        suite = self.suite
        suite.world.advance(seconds=31)
        await suite.fresh()
        deadline = time.monotonic() + PATIENCE_S
        while (told := await suite.reason(PATHS[name](self, suite.world.code(WHO)))) == "SNAPSHOT_STALE":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        return told


def _login(case: Case, code: str) -> Awaitable[object]:
    return case.suite.login(WHO, at=AT, code=code)


def _reset(case: Case, _: str) -> Awaitable[object]:
    kind = rpb.REQUEST_KIND_REISSUE_PASSWORD
    return case.suite.as_system().requests.submit(kind, WHO, reason="forgot", token=case.token)


def _guard(case: Case, _: str) -> Awaitable[object]:
    return case.guard.check(case.token, "1302", store_id="e2", terminal_id=AT, customer="13911112222")


PATHS: dict[str, Callable[[Case, str], Awaitable[object]]] = {
    "login": _login,
    "step-up": lambda case, code: case.suite.as_system().login.step_up(case.token, code),
    "change": lambda case, _: case.suite.as_system().login.change_password(case.token, current=PASSWORD, new=NEW),
    "lock": lambda case, _: case.suite.as_system().login.lock_session(case.token),
    "resume": lambda case, _: case.suite.as_system().login.resume_session(case.token, PASSWORD),
    "reset": _reset,
    "issue-token": lambda case, _: case.suite.as_system().login.issue_token(case.token, system_id="pos"),
    "assert": lambda case, _: case.suite.as_system().login.issue_assertion(case.token),
    "enrol": lambda case, code: case.suite.as_system().login.enroll_totp(case.token, PASSWORD, totp_code=code),
    "activate": lambda case, code: case.suite.as_system().login.activate_totp(case.token, code),
    "check": lambda case, _: case.suite.check(case.token, at=AT),
    "read": lambda case, _: case.suite.check(case.token, "1500", at=AT, purpose=Purpose.ORDER),
    "guard": _guard,
}
IN_SESSION = ("step-up", "change", "lock", "resume", "reset", "issue-token", "assert", "enrol", "activate")
ASKED = ("check", "read", "guard")


def guard_of(suite: Suite, folder: Path) -> Guard:
    sdk = suite.as_system()
    return Guard(sdk.check, sdk.audit, spool_dir=folder / "guard", now=suite.world.clock.now, report_every_s=3600)


async def _lock(suite: Suite) -> None:
    for _ in range(5):
        assert await suite.reason(suite.login(WHO, "wrong", at=AT)) == "LOGIN_REFUSED"


async def _blacklist(suite: Suite) -> None:
    suite.world.rows("update auth.credentials set ends_at = %s where staff_id = %s", suite.world.clock.now(), WHO)
    await suite.tell_of(WHO)


async def _suspend(suite: Suite) -> None:
    token = await suite.session("xu.qiang", system="cli")
    await suite.as_system("cli").staff.suspend(token, WHO, reason="on leave")


async def _close(suite: Suite) -> None:
    token = await suite.session("xu.qiang", system="cli")
    await suite.as_system("cli").staff.close(token, WHO, reason="left")


OUT = {"LOCKED": _lock, "BLACKLISTED": _blacklist, "SUSPENDED": _suspend, "CLOSED": _close}

ENDED = {"BLACKLISTED": "PASSWORD_ENDED"}


@pytest.mark.rule("ID-4", "ID-5", "ID-7", "ID-8", "ID-9", "ID-10")
@pytest.mark.parametrize("state", OUT)
async def test_nothing_passes_for_who_is_out_and_no_answer_says_why(suite: Suite, state: str, tmp_path: Path) -> None:
    await suite.hire(Hire(staff_id=WHO, store="e2", phone=PHONE, totp=True))
    suite.world.advance(minutes=2)
    token = (await suite.login(WHO, at=AT, code=suite.world.code(WHO))).token
    await suite.fresh()
    guard = guard_of(suite, tmp_path)
    async with guard.running():
        case = Case(suite=suite, token=token, guard=guard)
        assert {await case.outcome(name) for name in ("check", "read", "guard")} == {"OK"}
        await OUT[state](suite)
        await suite.app.work_once()
        own = suite.verified[Target.OWN]
        told = await case.outcomes()
    assert told["login"] == "LOGIN_REFUSED"
    assert {told[name] for name in IN_SESSION} == {"SESSION_ENDED"}, told
    # Whoever holds a token proved the password with it: a check may tell them that it has ended since.
    assert {told[name] for name in ASKED} <= {"SESSION_ENDED", "SESSION_UNKNOWN", ENDED.get(state)}, told
    assert suite.verified[Target.OWN] == own
    assert suite.world.live_sessions(WHO) == []
    shown = " ".join(suite.refusals).upper()
    for word in (*OUT, "CLOSE", "BLACKLIST", "SUSPEN"):
        assert word not in shown.replace("AFTER FIVE FAILURES", "")


@pytest.mark.rule("ID-7", "RQ-1")
@pytest.mark.parametrize("state", OUT)
async def test_why_is_told_only_after_the_phone_was_proved_and_to_nobody_for_a_closed_one(
    suite: Suite, state: str
) -> None:
    await suite.hire(Hire(staff_id=WHO, store="e2", phone=PHONE))
    suite.world.advance(minutes=2)
    await OUT[state](suite)
    sdk = suite.as_system().requests
    challenge = await sdk.send_code(WHO, terminal_id=AT)
    code = await suite.message(PHONE, r"^\d{6}$") if state != "CLOSED" else ""
    wrong = await suite.reason(sdk.prove_identity(WHO, terminal_id=AT, challenge_id=challenge, code="00000x"))
    assert wrong == "PROOF_REFUSED"
    if state == "CLOSED":
        await suite.app.work_once()
        assert not any("\n" in one.text.reveal() for one in suite.sink.newest(100))
        return
    proved = await sdk.prove_identity(WHO, terminal_id=AT, challenge_id=challenge, code=code)
    assert proved.staff_state == state
    assert await suite.reason(suite.login(WHO, at=AT)) == "LOGIN_REFUSED"


@pytest.mark.rule("ID-1", "ID-7")
async def test_a_first_password_opens_one_login_that_serves_only_to_replace_it(suite: Suite, tmp_path: Path) -> None:
    await suite.hire(Hire(staff_id=WHO, store="e2", phone=PHONE, first=True, totp=True))
    suite.world.advance(minutes=2)
    token = (await suite.login(WHO, at=AT, code=suite.world.code(WHO))).token
    await suite.fresh()
    guard = guard_of(suite, tmp_path)
    async with guard.running():
        case = Case(suite=suite, token=token, guard=guard)
        tried = ("login", "step-up", "reset", "issue-token", "assert", "check", "read", "guard")
        told = {name: await case.outcome(name) for name in tried}
        assert told["login"] == "LOGIN_REFUSED", told
        assert told.pop("issue-token") == "OK"  # which is as restricted as the session
        assert set(told.values()) == {"LOGIN_REFUSED", "SESSION_RESTRICTED"}, told
        other = await suite.as_system().login.issue_token(token, system_id="pos")
        asked = suite.as_system("pos").check.check(other, "1302", store_id="e2", terminal_id=AT, customer="1")
        assert await suite.reason(asked) == "SESSION_RESTRICTED"
        assert await suite.reason(PATHS["change"](case, "")) == "OK"
        await suite.fresh()
        assert await suite.reason(PATHS["check"](case, "")) == "OK"
        assert await suite.reason(suite.login(WHO, PASSWORD, at=AT, code="x")) == "LOGIN_REFUSED"


@pytest.mark.rule("ID-1", "ID-7")
async def test_a_first_password_that_ran_out_opens_nothing_used_or_not(suite: Suite, tmp_path: Path) -> None:
    await suite.hire(
        Hire(staff_id=WHO, store="e2", phone=PHONE, first=True, totp=True),
        Hire(staff_id="never.used", store="e2", first=True),
    )
    suite.world.advance(hours=23, minutes=58)
    token = (await suite.login(WHO, at=AT, code=suite.world.code(WHO))).token
    await suite.fresh()
    guard = guard_of(suite, tmp_path)
    async with guard.running():
        suite.world.advance(minutes=3)
        await suite.app.work_once()
        own = suite.verified[Target.OWN]
        told = await Case(suite=suite, token=token, guard=guard).outcomes()
        told["never used"] = await suite.reason(suite.login("never.used", at="e2-t2"))
    assert told.pop("login") == told.pop("never used") == "LOGIN_REFUSED"
    assert {told[name] for name in IN_SESSION} == {"SESSION_ENDED"}, told
    assert {told[name] for name in ASKED} <= {"SESSION_ENDED", "SESSION_UNKNOWN"}, told
    assert suite.verified[Target.OWN] == own
