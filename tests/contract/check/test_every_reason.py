"""Every reason of the closed list, as a caller reads it: made by a real CheckService, over mutual TLS, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infosec.client.check import question
from infosec.decision.check import denied_unasked
from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason, reason_text, required_text
from infosec.decision.reasons import RequiredKind as Needed
from infosec.decision.session import SessionHandle, issue_token, open_token
from infosec.errors import Reason, Unavailable
from infosec.events.event import Event
from infosec.ids import SessionId
from infosec.keys import SigningKind
from infosec.messages import Locale
from infosec.rpc import decision_codec
from tests.sim.check_nodes import PAY, READ, check_node, served
from tests.sim.login_nodes import login_node
from tests.sim.world import INSTALLATION, World

HERE = {"operation": PAY, "store_id": "e1", "terminal_id": "e1-t1", "customer": "13911112222"}
LI = "where staff_id = 'li.na'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """li.na is logged in at e1-t1, by crm. Then something is changed, and crm asks whether she may take a payment."""

    sql: str = ""
    """What is changed before this node reads the database for the first time; %(now)s is the world's time."""
    minutes_later: float = 0
    minutes_after_reading: float = 0
    claims: Callable[[SessionHandle, int], SessionHandle] | None = None
    """Other claims than those of the token that she was given, signed by the installation; with its time in seconds."""
    token_suffix: str = ""
    asks: dict[str, Any] | None = None
    """What is asked otherwise than HERE."""
    ahead: bool = False
    """The caller has seen a revision that this node has not."""
    has_read: bool = True
    """The node has read the database."""
    records: bool = True
    """Accesses can be recorded."""


CASES = {
    DenyReason.SNAPSHOT_STALE: Case(has_read=False),
    DenyReason.REVISION_BEHIND: Case(ahead=True),
    DenyReason.RECORD_UNAVAILABLE: Case(asks={"operation": READ, "purpose": Purpose.ORDER}, records=False),
    DenyReason.TOKEN_INVALID: Case(token_suffix="x"),
    DenyReason.TOKEN_EXPIRED: Case(claims=lambda handle, now_s: replace(handle, expires_s=now_s)),
    DenyReason.TOKEN_MISMATCH: Case(asks={"terminal_id": "e1-t2"}),
    DenyReason.SYSTEM_NOT_REGISTERED: Case(sql="update auth.systems set is_retired = true where system_id = 'crm'"),
    DenyReason.SESSION_UNKNOWN: Case(claims=lambda handle, _: replace(handle, session_id=SessionId("another"))),
    DenyReason.SESSION_ENDED: Case(sql=f"update auth.staff set epoch = epoch + 1 {LI}"),
    DenyReason.SHIFT_OVER: Case(
        # What is over when a node reads it first is unknown to it.
        sql=f"update auth.sessions set ends_at = %(now)s + interval '1 minute' {LI}",
        minutes_after_reading=1,
    ),
    DenyReason.STAFF_NOT_ACTIVE: Case(sql=f"update auth.staff set state = 'SUSPENDED' {LI}"),
    DenyReason.PASSWORD_ENDED: Case(sql=f"update auth.credentials set ends_at = %(now)s {LI}"),
    DenyReason.SESSION_LOCKED: Case(sql=f"update auth.sessions set is_locked = true {LI}"),
    DenyReason.SESSION_RESTRICTED: Case(sql=f"update auth.sessions set must_change = true {LI}"),
    DenyReason.SESSION_IDLE: Case(minutes_later=18),
    DenyReason.TERMINAL_OUT_OF_PLACE: Case(asks={"store_id": "e2"}),
    DenyReason.STORE_CLOSED: Case(sql="update auth.stores set is_closed = true where store_id = 'e1'"),
    DenyReason.OUT_OF_SCOPE: Case(sql=f"update auth.staff set store_id = 'e2' {LI}"),
    DenyReason.OUT_OF_HOURS: Case(sql="update auth.stores set hours = '[]' where store_id = 'e1'"),
    DenyReason.OPERATION_UNKNOWN: Case(asks={"operation": "1507"}),
    DenyReason.OPERATION_NOT_PERMITTED: Case(asks={"operation": "x005"}),
    DenyReason.PURPOSE_NOT_ALLOWED: Case(
        sql=f"update auth.staff set role_id = 'receptionist' {LI}",
        asks={"operation": READ, "purpose": Purpose.ORDER},
    ),
    DenyReason.CUSTOMER_NOT_ASSIGNED: Case(
        sql=f"update auth.staff set role_id = 'service-agent' {LI}",
        asks={"operation": READ, "purpose": Purpose.COMPLAINT},
    ),
    DenyReason.CUSTOMER_NOT_LISTED: Case(
        sql=f"update auth.staff set role_id = 'partner-agent', is_partner = true {LI}", asks={"operation": "1333"}
    ),
    DenyReason.GRANT_INVALID: Case(asks={"grants": ["grant-consent.x.y"]}),
    DenyReason.REQUIREMENTS_MISSING: Case(asks={"operation": "1121"}),
}
NEVER_DENIES = {DenyReason.OK: "an answer that allows carries no text: there is nothing to explain"}


class NoRecorder:
    """Accesses that cannot be recorded."""

    async def record(self, event: Event) -> str:
        raise Unavailable(Reason.RECORD_UNAVAILABLE)


def test_no_reason_is_left_out() -> None:
    assert CASES.keys() | NEVER_DENIES.keys() == set(DenyReason)
    assert not CASES.keys() & NEVER_DENIES.keys()


@pytest.mark.parametrize("locale", Locale)
def test_what_allows_has_no_text(locale: Locale) -> None:
    """Made by the codec: the text of OK is for whoever shows a reason without an answer."""
    allowed = decision_codec.response(replace(denied_unasked(DenyReason.TOKEN_INVALID), reason=DenyReason.OK), locale)
    assert (allowed.allowed, allowed.reason, allowed.text) == (True, "OK", "")


@pytest.mark.rule("CI-2")
@pytest.mark.parametrize("reason", CASES)
async def test_a_denial_says_why_in_the_callers_language(world: World, tmp_path: Path, reason: DenyReason) -> None:
    case = CASES[reason]
    token = await (await login_node(world)).token("li.na")
    world.advance(minutes=case.minutes_later)
    if case.sql:
        world.rows(case.sql.replace("%(now)s", "timestamptz '" + world.clock.now().isoformat() + "'"))
    if case.claims is not None:
        keys = world.keys.signing[SigningKind.SESSION]
        handle = open_token(token, keys.public_keys(), INSTALLATION)
        token = issue_token(case.claims(handle, int(world.clock.now().timestamp())), keys)
    node = await check_node(
        world,
        runs=False,
        staleness_s=600,
        wait=timedelta(milliseconds=20),
        recorder=None if case.records else NoRecorder(),
    )
    if case.has_read:
        await node.feeder.refresh()
    world.advance(minutes=case.minutes_after_reading)
    asked = question(token + case.token_suffix, **(HERE | (case.asks or {})))
    if case.ahead:
        asked.at_least.add(region_id="east", number=10_000)
    async with served(node, tmp_path) as wire:
        for locale in Locale:
            async with wire.connection(locale=locale.value) as crm:
                answer = await crm.check.ask(asked)
            assert (answer.allowed, answer.reason) == (False, reason.value)
            text = reason_text(reason, locale)
            if reason is DenyReason.REQUIREMENTS_MISSING:
                assert answer.text.startswith(text)
                assert all(
                    required_text(need, locale) in answer.text for need in (Needed.IDENTITY, Needed.SECOND_PERSON)
                )
            else:
                assert answer.text == text
            assert answer.text.isascii() is (locale is Locale.EN)
