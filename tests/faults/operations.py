"""The operations that are interrupted: each brings a carrier to where it can be done, and answers what a victim is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from authsvc.requests import Kind
from tests.sim.login_nodes import CRM, REFUSED
from tests.sim.request_desk import Desk
from tests.sim.world import PASSWORD, Hire

STAFF = "li.na"
NEW, OTHER_NEW = "Quiet#river8", "Brass.lantern-4"
ORDER, OTHER_ORDER = "order-1", "order-2"
_RETRY = str(UUID(int=5))

Told = Mapping[str, Any]


async def right_login(desk: Desk) -> Told:
    """The count stands at three, and will be reset."""
    await _wrong(desk, 3)
    return _login(PASSWORD)


async def wrong_login(desk: Desk) -> Told:
    """The first of a row."""
    return _login("wrong")


async def fifth_wrong_login(desk: Desk) -> Told:
    """The one that locks, and ends a session elsewhere."""
    await desk.node.login(STAFF, at="e1-t2")
    await _wrong(desk, 4)
    return _login("wrong")


async def password_change(desk: Desk) -> Told:
    """From PASSWORD to NEW."""
    token = await desk.node.token(STAFF)
    return {"act": "change_password", "token": token, "password": PASSWORD, "new": NEW}


async def approval(desk: Desk) -> Told:
    """A regional manager approves the unlocking of somebody who has a session still."""
    await desk.node.login(STAFF, at="e1-t2")
    desk.lock(STAFF)
    request = await desk.submit(await desk.actor("chen.jing"), STAFF, Kind.UNLOCK)
    return {"act": "approve", "token": await _stepped_up(desk, "zhao.lei"), "request": str(request.id), "retry": _RETRY}


async def redemption(desk: Desk) -> Told:
    """A grant is bound to ORDER."""
    desk.world.hire(Hire(staff_id="shift.boss", role="duty-manager", totp=True))
    clerk = await desk.actor(STAFF)
    asked = await desk.ask_second(clerk, "1121")
    boss = await desk.node.actors.of(await _stepped_up(desk, "shift.boss", is_asked_at_login=False), CRM)
    await desk.approve(boss, asked, approvals=True)
    seen = await desk.approvals.get(clerk, str(asked.request.id))
    return {"act": "redeem", "grant": seen.grant, "order": ORDER}


OPERATIONS = (right_login, wrong_login, fifth_wrong_login, password_change, approval, redemption)
LOGINS = (right_login, wrong_login, fifth_wrong_login)


def _login(password: str) -> Told:
    return {"act": "log_in", "staff": STAFF, "password": password, "at": "e1-t1"}


async def _wrong(desk: Desk, times: int) -> None:
    for _ in range(times):
        assert await desk.node.try_login(STAFF, "wrong") == REFUSED


async def _stepped_up(desk: Desk, staff: str, *, is_asked_at_login: bool = True) -> str:
    desk.world.advance(seconds=90)
    code = desk.world.code(staff) if is_asked_at_login else ""
    token = await desk.node.token(staff, at="e1-t5", code=desk.world.code(staff) or code)
    desk.world.advance(seconds=30)
    await desk.node.step_up(token, desk.world.code(staff))
    return token
