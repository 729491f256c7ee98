"""decide() against a plain oracle: all inputs drawn at random, biased to just inside and just outside of what is allowed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infosec.decision.check import MASK_ALL, MASK_NOTHING, Decision
from infosec.decision.decide import decide
from infosec.decision.operations import CATALOGUE
from infosec.decision.reasons import BEFORE_DECIDING, DenyReason, RequiredKind
from infosec.decision.roles import ROLES
from tests.unit.decision.oracle import Answer, answer
from tests.unit.decision.world import SPOILS, Case, case_of

PERMITTED = [(role_id, code) for role_id, role in ROLES.items() for code in sorted(role.permissions)]
ANY_PAIR = [(role_id, code) for role_id in ROLES for code in CATALOGUE]

pairs = st.one_of(st.sampled_from(PERMITTED), st.sampled_from(PERMITTED), st.sampled_from(ANY_PAIR))
spoils = st.lists(st.sampled_from(sorted(SPOILS)), max_size=5)


def spoilt(pair: tuple[str, str], names: list[str]) -> Case:
    case = case_of(*pair)
    for name in names:
        SPOILS[name](case)
    return case


def decided(case: Case) -> Decision:
    return decide(case.snapshot(), case.handle, case.request, case.now)


def same(decision: Decision, expected: Answer) -> bool:
    """Every part that the oracle speaks of."""
    missing = [
        (need.kind.value, [str(value) for value in need.accepted], need.fault and need.fault.value)
        for need in decision.required
    ]
    assert decision.reason.value == expected.reason
    assert missing == expected.missing
    assert (decision.cls and decision.cls.value) == expected.cls
    assert decision.masking == (MASK_NOTHING if expected.unmasked else MASK_ALL)
    assert list(decision.grants_used) == (expected.grants or [])
    if expected.holds_until_s is not None:
        assert decision.holds_until_s == pytest.approx(expected.holds_until_s, abs=1e-5)
    return decision.allowed


@pytest.mark.rule("CI-2", "ID-4", "ID-9", "RQ-7")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pair=pairs, names=spoils)
def test_decide_and_oracle_agree_on_random_cases(pair: tuple[str, str], names: list[str]) -> None:
    case = spoilt(pair, names)
    same(decided(case), answer(case))


@pytest.mark.rule("CI-2", "ID-4", "ID-9", "RQ-7")
@pytest.mark.parametrize("name", sorted(SPOILS))
def test_decide_and_oracle_agree_on_every_spoil_for_every_kind_of_act(name: str) -> None:
    acts = [
        ("clerk", "1104"),
        ("clerk", "1121"),
        ("clerk", "1302"),
        ("clerk", "1500"),
        ("clerk", "x001"),
        ("duty-manager", "x004"),
        ("store-manager", "b083"),
        ("store-manager", "x004"),
        ("concierge", "1500"),
        ("community-manager", "1500"),
        ("community-manager", "1267"),
        ("service-agent", "1500"),
        ("partner-agent", "1104"),
        ("partner-agent", "1333"),
        ("auditor", "x005"),
    ]
    for act in acts:
        case = spoilt(act, [name])
        same(decided(case), answer(case))


def test_random_cases_meet_both_answers_and_every_reason() -> None:
    """The generator is worth something only if it goes everywhere: counted over all roles' acts, and every single spoil."""
    met: Counter[str] = Counter()
    for pair in PERMITTED:
        met[answer(case_of(*pair)).reason] += 1
    for name in SPOILS:
        for act in (("clerk", "1104"), ("concierge", "1500"), ("service-agent", "1500"), ("partner-agent", "1104")):
            met[answer(spoilt(act, [name])).reason] += 1
    assert set(met) == {reason.value for reason in set(DenyReason) - BEFORE_DECIDING}
    assert 0.3 < met["OK"] / met.total() < 0.8


@pytest.mark.rule("CI-2")
@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_with_all_that_is_needed_may_do_what_is_listed_and_nothing_else(role: str) -> None:
    for code in CATALOGUE:
        decision = decided(case_of(role, code))
        assert decision.allowed == (code in ROLES[role].permissions), (role, code, decision)


@settings(max_examples=200, deadline=None)
@given(pair=st.sampled_from(PERMITTED), names=spoils, fraction=st.floats(0, 1), later=st.floats(0.001, 10_000))
def test_an_allowed_answer_holds_until_it_says_and_not_after(
    pair: tuple[str, str], names: list[str], fraction: float, later: float
) -> None:
    case = spoilt(pair, names)
    snapshot, decision = case.snapshot(), decided(case)
    if not decision.allowed:
        assert decision.holds_until_s == case.now_s
        return
    left = decision.holds_until_s - case.now_s
    within = case.now + timedelta(seconds=max(0.0, left * fraction - 0.0001))
    after = case.now + timedelta(seconds=left + later)
    assert decide(snapshot, case.handle, case.request, within).allowed
    assert not decide(snapshot, case.handle, case.request, after).allowed


@pytest.mark.rule("RQ-7")
@settings(max_examples=200, deadline=None)
@given(pair=st.sampled_from(PERMITTED), names=spoils)
def test_what_is_required_is_all_that_is_required(pair: tuple[str, str], names: list[str]) -> None:
    """No grant taken away ever helps, and nothing that is asked for twice is asked for one after the other."""
    case = spoilt(pair, names)
    bare = replace(case.request, grants=())
    before, after = decided(case), decide(case.snapshot(), case.handle, bare, case.now)
    assert {need.kind for need in before.required} <= {need.kind for need in after.required}
    if before.allowed and before.grants_used:
        assert not after.allowed
        assert len(after.required) == len(before.grants_used)
    assert len({need.kind for need in after.required}) == len(after.required)
    assert all(isinstance(need.kind, RequiredKind) for need in after.required)
