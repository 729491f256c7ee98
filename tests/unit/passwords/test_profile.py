"""Profiles are data, and the deviation report follows from them (section H)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authsvc.deviations import Deviation, Installation, Stance, Standard, deviations
from authsvc.profile import NIST_800_63B_4, PCI_DSS_4, PROFILES, TELECOM_HALL, CharacterClass, Profile, by_name
from infosec.errors import Misconfigured

PLAIN = Installation()


def found(profile: Profile, standard: Standard, installation: Installation = PLAIN) -> dict[tuple[str, str], Deviation]:
    return {(one.clause, one.rule): one for one in deviations(profile, installation) if one.standard is standard}


@pytest.mark.rule("ID-4", "ID-5", "ID-6", "ID-9", "ID-11", "RQ-1", "RQ-4", "CI-2")
def test_the_default_profile_has_the_values_of_the_rule_book() -> None:
    p = by_name("telecom-hall")
    assert (p.min_length, p.max_length, p.min_classes) == (8, 128, 2)
    assert (p.password_life_days, p.reminder_days, p.history_depth, p.max_failures) == (90, (14, 7, 3, 1), 5, 5)
    assert (p.idle_limit, p.idle_latest, p.shift_limit) == (
        timedelta(minutes=15),
        timedelta(minutes=18),
        timedelta(hours=12),
    )
    assert (p.terminal_max_failing_ids, p.terminal_window, p.terminal_max_locked_ids) == (3, timedelta(minutes=10), 3)
    assert (p.proof_codes_per_staff_day, p.proof_codes_per_terminal_hour, p.proof_code_tries) == (3, 10, 5)
    assert (p.escalate_after, p.request_expires_after) == (timedelta(hours=2), timedelta(hours=24))
    assert (p.execute_within, p.step_up_life, p.assertion_life) == (
        timedelta(minutes=30),
        timedelta(minutes=5),
        timedelta(minutes=5),
    )
    assert (p.staleness_bound, p.revision_wait, p.max_assigned) == (
        timedelta(seconds=5),
        timedelta(milliseconds=250),
        10_000,
    )
    assert p.record_deadline == timedelta(seconds=2)
    assert (p.dormant_days, p.reciprocal_window_days, p.first_password_life) == (45, 30, timedelta(hours=24))


def test_profiles_are_found_by_name_and_unknown_names_are_refused() -> None:
    assert {by_name(name) for name in PROFILES} == set(PROFILES.values())
    with pytest.raises(Misconfigured) as refused:
        by_name("telecom")
    assert "telecom-hall" in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"min_length": 0},
        {"max_length": 7},
        {"min_classes": 4},
        {"reminder_days": (90,)},
        {"password_life_days": 0, "reminder_days": ()},
        {"max_failures": 0},
        {"history_depth": 99},
        {"idle_limit": timedelta(hours=13)},
        {"assertion_life": timedelta(0)},
        {"assertion_life": timedelta(minutes=16)},
        {"escalate_after": timedelta(days=2)},
        {"revision_wait": timedelta(seconds=9)},
        {"record_deadline": timedelta(0)},
    ],
    ids=str,
)
def test_a_profile_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Misconfigured) as refused:
        replace(TELECOM_HALL, **change)  # type: ignore[arg-type]
    assert "profile." in str(refused.value)


@pytest.mark.rule("ID-2", "ID-4")
def test_the_handbooks_rotation_and_composition_are_reported_against_nist_and_asvs() -> None:
    nist = found(TELECOM_HALL, Standard.NIST_800_63B_4)
    assert nist["3.1.1.2", "ID-4"].stance is Stance.CONTRADICTS
    assert "90" in nist["3.1.1.2", "ID-4"].what.en
    asvs = found(TELECOM_HALL, Standard.ASVS_5)
    assert {asvs["6.2.5", "ID-2"].stance, asvs["6.2.10", "ID-4"].stance} == {Stance.CONTRADICTS}
    assert ("工号安全", "ID-4") not in found(TELECOM_HALL, Standard.HANDBOOK)


@pytest.mark.rule("ID-2", "ID-4")
def test_changing_a_value_changes_the_report() -> None:
    assert "30" in found(replace(TELECOM_HALL, password_life_days=30), Standard.ASVS_5)["6.2.10", "ID-4"].what.zh
    assert (
        found(replace(TELECOM_HALL, password_life_days=30), Standard.HANDBOOK)["工号安全", "ID-4"].stance
        is Stance.STRICTER
    )
    shorter = found(replace(TELECOM_HALL, min_length=6), Standard.ASVS_5)
    assert shorter["6.2.1", "ID-2"].stance is Stance.WEAKER
    assert (
        found(replace(TELECOM_HALL, max_failures=200), Standard.NIST_800_63B_4)["3.2.2", "ID-5"].stance is Stance.WEAKER
    )
    changed = found(replace(TELECOM_HALL, idle_limit=timedelta(minutes=10), max_failures=3), Standard.HANDBOOK)
    assert {changed["工号安全", rule].stance for rule in ("ID-5", "ID-9")} == {Stance.STRICTER}
    assert "-" in found(replace(TELECOM_HALL, totp_login_roles=frozenset()), Standard.ASVS_5)["6.3.3", "RQ-3"].what.en


@pytest.mark.rule("ID-2", "ID-4", "ID-6")
def test_the_nist_profile_departs_from_the_handbook_and_from_the_gb_t_instead() -> None:
    assert ("3.1.1.2", "ID-2") not in found(NIST_800_63B_4, Standard.NIST_800_63B_4)
    handbook = found(NIST_800_63B_4, Standard.HANDBOOK)
    assert {handbook["工号安全", rule].stance for rule in ("ID-4", "ID-6")} == {Stance.WEAKER}
    assert {"ID-2", "ID-4"} <= {rule for _, rule in found(NIST_800_63B_4, Standard.GBT_22239)}


@pytest.mark.rule("ID-2")
def test_the_pci_profile_asks_for_letters_and_digits() -> None:
    assert PCI_DSS_4.required_classes == {CharacterClass.LETTERS, CharacterClass.DIGITS}
    assert "digits, letters" in found(PCI_DSS_4, Standard.ASVS_5)["6.2.5", "ID-2"].what.en
    assert found(PCI_DSS_4, Standard.HANDBOOK)["工号安全", "ID-2"].stance is Stance.STRICTER


@pytest.mark.rule("ID-1", "CI-1")
def test_what_the_installation_does_is_reported_too() -> None:
    assert ("工号安全", "ID-1") not in found(TELECOM_HALL, Standard.HANDBOOK)
    shown = found(TELECOM_HALL, Standard.HANDBOOK, Installation(shows_messages=True))
    assert "infosec sms" in shown["工号安全", "ID-1"].what.en
    assert any(rule == "CI-1" for _, rule in found(TELECOM_HALL, Standard.GBT_22239))
    logged = found(TELECOM_HALL, Standard.GBT_22239, Installation(keeps_audit_log=True))
    assert not any(rule == "CI-1" for _, rule in logged)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_deviation_has_words_in_both_languages(profile: Profile) -> None:
    for one in deviations(profile, Installation(shows_messages=True)):
        for text in (one.what, one.why):
            assert text.zh != text.en
            assert "{" not in text.zh + text.en
