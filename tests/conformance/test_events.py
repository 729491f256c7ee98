"""The catalogue of audit events is whole, says the same everywhere, and is what the docs print."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infosec.events.catalogue import CATALOGUE
from infosec.events.facts import FACTS
from infosec.events.kinds import JUDGES, FactKind
from infosec.events.spec import EventSpec
from infosec.events.types import EventType
from infosec.messages import Text
from tests.conformance.test_house import ROOT, python, text_of, tree_of

EVERY = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.type.value)
CHINESE = re.compile("[\u4e00-\u9fff]")
TOLD_BY_SYSTEMS = {"customer.visited", "code.sent", "code.confirmed", "order.completed", "order.reversed"}
THEIR_GUARDS_TELL = {"check.decided"}


def is_in_both(words: Text) -> bool:
    return CHINESE.search(words.zh) is not None and words.en != "" and CHINESE.search(words.en) is None


def test_every_type_is_in_the_catalogue_and_every_kind_has_its_judge() -> None:
    assert set(CATALOGUE) == set(EventType)
    assert all(type is spec.type for type, spec in CATALOGUE.items())
    assert set(JUDGES) == set(FactKind)


@EVERY
def test_a_type_says_what_it_means_in_both_languages(spec: EventSpec) -> None:
    assert is_in_both(spec.summary)
    assert spec.version >= 1


@EVERY
def test_nothing_is_kept_for_less_than_six_months(spec: EventSpec) -> None:
    assert spec.term >= timedelta(days=184)


@EVERY
@pytest.mark.rule("CI-8")
def test_what_tells_who_a_customer_is_stands_where_their_key_can_seal_it(spec: EventSpec) -> None:
    telling = {name for name, fact in spec.facts.items() if fact.kind in (FactKind.ORDER, FactKind.WORK_ORDER)}
    assert spec.sealed == telling
    assert spec.touches_customer is ("customer" in spec.facts)


@pytest.mark.rule("CI-7")
def test_store_systems_tell_what_odd_patterns_need_and_nothing_else() -> None:
    told = {type.value for type, spec in CATALOGUE.items() if spec.recordable_by_systems}
    assert told == TOLD_BY_SYSTEMS | THEIR_GUARDS_TELL


@pytest.mark.rule("CI-1", "CI-4")
def test_a_check_records_who_asked_where_for_whom_and_why() -> None:
    facts = CATALOGUE[EventType.CHECK_DECIDED].facts
    who = {"staff_id", "role_id", "session_id"}
    where = {"store_id", "terminal_id", "system_id"}
    what = {"operation", "operation_class", "customer", "purpose", "work_order", "order_id"}
    answer = {"decision", "mode", "reason", "revision", "trace_id", "withdraws"}
    flood = {"count", "first", "last"}
    assert facts.keys() == who | where | what | answer | flood


def test_a_fact_has_one_meaning_and_is_used() -> None:
    used = {name for spec in CATALOGUE.values() for name in spec.facts}
    assert used == FACTS.keys()
    assert [name for name, meaning in FACTS.items() if not is_in_both(meaning.words)] == []


def types_named() -> Iterator[tuple[str, str]]:
    for name in python("authsvc", "services", "auditsvc"):
        for node in ast.walk(tree_of(name)):
            match node:
                case ast.Attribute(value=ast.Name(id="EventType"), attr=member):
                    yield member, name


def test_code_names_only_types_that_there_are() -> None:
    named = list(types_named())
    assert named
    assert [(member, name) for member, name in named if member not in EventType.__members__] == []


def test_the_page_is_what_the_catalogue_prints() -> None:
    printed = subprocess.run([sys.executable, "-m", "infosec.events"], cwd=ROOT, capture_output=True, check=True)
    assert text_of("docs/events.md") == printed.stdout.decode(), "python -m infosec.events > docs/events.md"
