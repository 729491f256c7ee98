"""Attempts to let go of records alone: by oneself in another guise, without a second factor, by forged words, by SQL."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from auditsvc.acts import ActKind
from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.decision.assertion import issue_assertion, open_assertion
from infosec.decision.roles import ROLES
from infosec.errors import (
    FailedPrecondition,
    InfosecError,
    NotFound,
    PermissionDenied,
    Reason,
    Unauthenticated,
    Unavailable,
)
from infosec.ids import SystemId
from infosec.keys import SigningKeys, SigningKind
from tests.sim.audit import INSTALLATION, KEEPER, AuditStand
from tests.sim.audit_office import CONSOLE, NUMBER, Office, fresh, office


@pytest.fixture
async def desk(audit: AuditStand, tmp_path: Path) -> Office:
    await audit.append(*(audit.check(number) for number in range(5)))
    return office(audit, tmp_path)


def requests(assertion: str) -> dict[str, object]:
    """Every method, asked with this assertion."""
    common = {"request_id": fresh(), "assertion": assertion}
    return {
        "EraseSubject": pb.EraseSubjectRequest(**common, customer=NUMBER, reason="r"),
        "PlaceHold": pb.PlaceHoldRequest(**common, customer=NUMBER, reason="r"),
        "ReleaseHold": pb.ReleaseHoldRequest(**common, hold_id=fresh(), reason="r"),
        "ListHolds": pb.ListHoldsRequest(assertion=assertion),
        "ApplyRetention": pb.ApplyRetentionRequest(**common, reason="r"),
        "ConfirmAct": pb.ConfirmActRequest(**common, act_id=fresh()),
        "WithdrawAct": pb.WithdrawActRequest(**common, act_id=fresh(), reason="r"),
        "ListActs": pb.ListActsRequest(assertion=assertion),
        "RecordFinding": pb.RecordFindingRequest(**common, log_id="east", verdict=pb.VERDICT_UNCLEAR),
    }


def test_every_method_is_tried_below() -> None:
    assert requests("").keys() == {
        method.name for method in pb.DESCRIPTOR.services_by_name["AuditAdminService"].methods
    }


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize(
    "guise",
    [
        {},
        {"session": str(uuid.uuid4())},
        {"session": str(uuid.uuid4()), "role": "carrier-duty-officer"},
    ],
)
async def test_who_proposed_confirms_in_no_guise(desk: Office, guise: dict[str, str]) -> None:
    proposed = await desk.erase(by="ann")
    with pytest.raises(PermissionDenied) as refused:
        await desk.confirm(proposed.act_id, by="ann", **guise)
    assert refused.value.reason is Reason.SELF_DECISION
    assert desk.subjects() == 5


@pytest.mark.rule("CI-8")
async def test_a_session_that_proposed_does_not_confirm_for_somebody_else(desk: Office) -> None:
    proposed = await desk.erase(by="ann")
    session = str(uuid.uuid5(uuid.NAMESPACE_OID, "ann"))
    with pytest.raises(PermissionDenied) as refused:
        await desk.confirm(proposed.act_id, by="bea", session=session)
    assert refused.value.reason is Reason.SELF_DECISION


async def test_the_request_of_another_is_not_theirs_to_repeat(desk: Office) -> None:
    proposed, same = await desk.erase(), fresh()
    await desk.confirm(proposed.act_id, by="bea", request_id=same)
    with pytest.raises(InfosecError) as refused:
        await desk.confirm(proposed.act_id, by="ann", request_id=same)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("role", sorted(ROLES.keys() - {"auditor", "carrier-duty-officer"}))
async def test_no_other_role_gets_past_the_door(desk: Office, role: str) -> None:
    for method, request in requests(desk.assertion("zoe", role=role)).items():
        with pytest.raises(PermissionDenied) as refused:
            await desk.call(method, request)
        assert refused.value.reason is Reason.NOT_PERMITTED


@pytest.mark.rule("CI-8", "RQ-3")
async def test_without_a_second_factor_nothing_is_proposed_and_nothing_confirmed(desk: Office) -> None:
    asked = requests(desk.assertion("ann", stepped_up=False))
    for method in ("EraseSubject", "ReleaseHold", "ApplyRetention", "ConfirmAct"):
        with pytest.raises(PermissionDenied) as refused:
            await desk.call(method, asked[method])
        assert refused.value.reason is Reason.STEP_UP_REQUIRED
    assert await desk.states() == []


@pytest.mark.rule("CI-8")
async def test_forged_and_misplaced_assertions_open_nothing(desk: Office) -> None:
    keys = desk.audit.keys.signing[SigningKind.ASSERTION]
    now = desk.audit.clock.now()
    good = open_assertion(desk.assertion("ann"), keys.public_keys(), installation=INSTALLATION, system=CONSOLE, now=now)
    stranger = SigningKeys.generate(SigningKind.ASSERTION, now=now)
    forged = [
        "",
        "x",
        desk.assertion("ann", system="crm"),
        issue_assertion(good, stranger),
        issue_assertion(replace(good, installation="another"), keys),
        issue_assertion(replace(good, issued_s=good.issued_s - 300, expires_s=good.issued_s), keys),
        ".".join((*desk.assertion("ann").split(".")[:2], desk.assertion("bea").split(".")[2])),
    ]
    for assertion in forged:
        for method, request in requests(assertion).items():
            with pytest.raises(Unauthenticated) as refused:
                await desk.call(method, request)
            assert refused.value.reason is Reason.TOKEN_INVALID
    with pytest.raises(Unauthenticated):
        await desk.call("ListActs", pb.ListActsRequest(assertion=desk.assertion("ann")), system=SystemId("crm"))


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("decider", ["'ann'", "null"])
@pytest.mark.parametrize("state", ["CONFIRMED", "DONE", "BLOCKED"])
async def test_the_database_knows_no_act_of_one_person(desk: Office, state: str, decider: str) -> None:
    await desk.erase(by="ann")
    with desk.audit.connected(KEEPER) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"update audit.acts set state = '{state}', decided_by = {decider}")  # type: ignore[call-overload]


@pytest.mark.rule("CI-8")
async def test_a_confirmation_that_the_log_does_not_tell_of_is_not_acted_upon(desk: Office) -> None:
    hold = await desk.hold(number="13800000004")
    acts = {
        ActKind.ERASE_SUBJECT: (await desk.erase()).act_id,
        ActKind.RELEASE_HOLD: (await desk.release(hold.hold_id)).act_id,
        ActKind.APPLY_RETENTION: (await desk.retain()).act.act_id,
    }
    desk.log.is_away = True
    for act_id in acts.values():
        with pytest.raises(Unavailable):
            await desk.confirm(act_id)
    for kind, act_id in acts.items():
        with pytest.raises(Unavailable) as refused:
            await desk.deeds[kind].carry_out(uuid.UUID(act_id), in_call=False)
        assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    assert desk.subjects() == 5
    assert await desk.states() == [pb.ACT_STATE_CONFIRMED] * 3


async def _open(desk: Office) -> list[str]:
    request = pb.ListActsRequest(assertion=desk.assertion("ann"), open_only=True)
    return [act.act_id for act in (await desk.call("ListActs", request)).acts]


async def test_withdrawing_and_confirming_at_once_end_in_one_of_the_two(desk: Office) -> None:
    for number in range(5):
        proposed = await desk.erase(number=f"1380000000{number}")
        outcomes = await asyncio.gather(
            desk.withdraw(proposed.act_id), desk.confirm(proposed.act_id), return_exceptions=True
        )
        refused = [one for one in outcomes if isinstance(one, BaseException)]
        assert [type(one) for one in refused] == [FailedPrecondition]
        gone = desk.audit.rows("select 1 from audit.subjects where subject_id = %s", proposed.subject_id) == []
        assert gone is isinstance(outcomes[0], FailedPrecondition)


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_done_in_whatever_order_agrees_with_a_plain_model(desk: Office, seed: int) -> None:
    draw = random.Random(seed)
    model = Model(desk)
    for _ in range(60):
        await draw.choice((model.erase, model.hold, model.release, model.confirm, model.confirm, model.pass_time))(draw)
        await model.compare()


class Model:
    """Customers, holds and acts in three dictionaries."""

    def __init__(self, desk: Office) -> None:
        self.desk = desk
        self.known = {f"1380000000{number}" for number in range(5)}
        self.held: dict[str, str] = {}
        self.acts: dict[str, tuple[str, str, float]] = {}
        """Open ones: by whom, on which customer or hold, until when."""

    def _now(self) -> float:
        return self.desk.audit.clock.now().timestamp()

    def _is_held(self, customer: str) -> bool:
        return customer in self.held.values()

    async def erase(self, draw: random.Random) -> None:
        customer, by = f"1380000000{draw.randrange(5)}", draw.choice(("ann", "bea"))
        if customer not in self.known or self._is_held(customer):
            with pytest.raises(NotFound if customer not in self.known else FailedPrecondition):
                await self.desk.erase(by, customer)
            return
        act = await self.desk.erase(by, customer)
        self.acts[act.act_id] = by, customer, self._now() + 24 * 3600

    async def hold(self, draw: random.Random) -> None:
        customer = f"1380000000{draw.randrange(5)}"
        if customer not in self.known:
            with pytest.raises(NotFound):
                await self.desk.hold(number=customer)
            return
        if draw.random() < 0.5:
            self.held[(await self.desk.hold(number=customer)).hold_id] = customer

    async def release(self, draw: random.Random) -> None:
        if self.held:
            hold_id, by = draw.choice(sorted(self.held)), draw.choice(("ann", "bea"))
            act = await self.desk.release(hold_id, by)
            self.acts[act.act_id] = by, hold_id, self._now() + 24 * 3600

    async def confirm(self, draw: random.Random) -> None:
        if not self.acts:
            return
        act_id, by = draw.choice(sorted(self.acts)), draw.choice(("ann", "bea"))
        proposed_by, what, until = self.acts[act_id]
        if by == proposed_by:
            with pytest.raises(PermissionDenied):
                await self.desk.confirm(act_id, by)
        elif until <= self._now() or self._is_held(what) or (len(what) > 11 and what not in self.held):
            with pytest.raises(FailedPrecondition):
                await self.desk.confirm(act_id, by)
        else:
            assert (await self.desk.confirm(act_id, by)).state == pb.ACT_STATE_DONE
            del self.acts[act_id]
            self.held.pop(what, None)
            self.known.discard(what)

    async def pass_time(self, draw: random.Random) -> None:
        self.desk.audit.advance(hours=draw.randrange(10))
        if draw.random() < 0.5:
            await self.desk.work()

    async def compare(self) -> None:
        assert self.desk.subjects() == len(self.known)
        active = pb.ListHoldsRequest(assertion=self.desk.assertion("ann"), active_only=True, page_size=500)
        assert {hold.hold_id for hold in (await self.desk.call("ListHolds", active)).holds} == self.held.keys()
        now = self._now()
        assert set(await _open(self.desk)) == {act_id for act_id, (_, _, until) in self.acts.items() if until > now}
