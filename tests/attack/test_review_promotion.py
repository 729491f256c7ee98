"""An administrator who knows an ordinary person's password has them made an approver, to act as that approver (ID-8)."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from authsvc.requests import Kind
from authsvc.sessions import Duty
from infosec.ids import RoleId
from tests.sim.login_nodes import REFUSED
from tests.sim.request_desk import Desk, request_desk
from tests.sim.world import PASSWORD, World, first_password_in, totp_code


@pytest.fixture
async def desk(world: World) -> Desk:
    return await request_desk(world)


@pytest.mark.rule("ID-8", "ID-1")
@pytest.mark.parametrize("role", ["regional-manager", "carrier-duty-officer", "auditor", "administrator"])
async def test_who_knew_the_clerks_password_and_enrolled_a_device_is_not_the_approver(desk: Desk, role: str) -> None:
    node, world = desk.node, desk.world
    token = await node.token("li.na")  # by the administrator who imported her with a hash of a password that they know
    uri = await node.enroll(token)
    device = base64.b32decode(parse_qs(urlsplit(uri).query)["secret"][0])
    await node.activate(token, totp_code(device, world.clock.now()))
    request = await desk.submit(await desk.actor("xu.qiang"), "li.na", Kind.CHANGE_ROLE, role_id=RoleId(role))
    await desk.approve(await desk.actor("ma.li"), request)

    place = "e1-t1"
    world.advance(minutes=1)
    code = totp_code(device, world.clock.now())
    assert await node.try_login("li.na", PASSWORD, at=place, code=code) == REFUSED
    assert await node.try_login("li.na", PASSWORD, at=place) == REFUSED
    (first,) = world.messages("FIRST_PASSWORD")
    assert first.phone == "13800000001"
    opened = (await node.login("li.na", first_password_in(first.text), at=place)).opened
    assert opened.role_id == role
    assert opened.duties == (Duty.CHANGE_PASSWORD, Duty.ENROLL_TOTP)


@pytest.mark.rule("ID-8")
async def test_a_change_between_ordinary_roles_leaves_password_and_device(desk: Desk) -> None:
    before = desk.world.credentials("li.na")["hash"]
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.CHANGE_ROLE, role_id=RoleId("vip-clerk"))
    await desk.approve(await desk.actor("zhao.lei"), request)
    assert desk.world.credentials("li.na")["hash"] == before
    assert desk.world.messages("FIRST_PASSWORD") == []


@pytest.mark.rule("ID-8", "ID-5")
async def test_a_promotion_is_no_way_around_an_unlock(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("xu.qiang"), "li.na", Kind.CHANGE_ROLE, role_id=RoleId("auditor"))
    await desk.approve(await desk.actor("ma.li"), request)
    assert (desk.world.state("li.na"), desk.world.messages("FIRST_PASSWORD")) == ("LOCKED", [])
