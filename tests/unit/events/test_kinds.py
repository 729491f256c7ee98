"""Each kind of fact takes what it should, and nothing else."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec import ids
from infosec.canonical import MAX_INT
from infosec.errors import InvalidInput
from infosec.events.event import Fact
from infosec.events.kinds import JUDGES, MAX_TEXT, FactKind, as_text

UUID = str(uuid.UUID(int=7))
DIGEST = "0a" * 32
NODES = (FactKind.ROLE, FactKind.STORE, FactKind.REGION, FactKind.TERMINAL, FactKind.SYSTEM, FactKind.ENTITY)
UUIDS = (FactKind.SESSION, FactKind.SUBJECT, FactKind.EVENT, FactKind.REQUEST, FactKind.GRANT)
DIGESTS = (FactKind.CUSTOMER, FactKind.DIGEST)
NUMBERS = (FactKind.ORDER, FactKind.WORK_ORDER)
NO_TEXT: tuple[Fact, ...] = (None, 0, 1, -1, True, False)

GOOD: dict[FactKind, tuple[Fact, ...]] = {
    FactKind.STAFF: ("li.na", "abc", "a" * 32),
    **dict.fromkeys(NODES, ("e1", "e1-t1", "x", "a" * 63)),
    **dict.fromkeys(UUIDS, (UUID,)),
    **dict.fromkeys(DIGESTS, (DIGEST,)),
    **dict.fromkeys(NUMBERS, ("o-1", "订单 7", "x" * 64)),
    FactKind.OPERATION: ("1302", "x004"),
    FactKind.CODE: ("OK", "terminal-retired", "WALK_IN", "2026-W47", "a" * 64),
    FactKind.CODES: ("OK", "name,birthday", "A,b-c,D_E"),
    FactKind.COUNT: (0, 1, MAX_INT),
    FactKind.FLAG: (True, False),
    FactKind.MOMENT: ("2026-11-22T08:30:00Z", "2026-11-22T08:30:00.123456+00:00", "2026-11-22T16:30:00+08:00"),
    FactKind.TEXT: ("投诉 No. 7", "x" * MAX_TEXT, "長" * MAX_TEXT),
}
SPELT_WRONG = ("", " ", "a\n", "a\x00", "é", "ａ", "a/b", "a b")
BAD: dict[FactKind, tuple[Fact, ...]] = {
    FactKind.STAFF: (*NO_TEXT, *SPELT_WRONG, "ab", "Li.Na", ".li", "li.", "a" * 33),
    **dict.fromkeys(NODES, (*NO_TEXT, *SPELT_WRONG, "E1", "-e1", "a" * 64)),
    **dict.fromkeys(
        UUIDS, (*NO_TEXT, *SPELT_WRONG, UUID.upper() + "A", UUID.replace("-", ""), "{" + UUID + "}", UUID[:-1])
    ),
    **dict.fromkeys(DIGESTS, (*NO_TEXT, *SPELT_WRONG, DIGEST[:-1], DIGEST + "0", DIGEST.upper(), "13911112222")),
    **dict.fromkeys(NUMBERS, (*NO_TEXT, "", "a\n", "a\x1b", "a\x85", "\ud800", "x" * 65)),
    FactKind.OPERATION: (*NO_TEXT, *SPELT_WRONG, "130", "13022", "X004"),
    FactKind.CODE: (*NO_TEXT, *SPELT_WRONG, "-a", "a,b", "原因", "a" * 65),
    FactKind.CODES: (*NO_TEXT, *SPELT_WRONG, ",", "a,", ",a", "a,,b", "a, b"),
    FactKind.COUNT: (None, True, False, -1, MAX_INT + 1, "1", ""),
    FactKind.FLAG: (None, 0, 1, "", "true"),
    FactKind.MOMENT: (
        *NO_TEXT,
        *SPELT_WRONG,
        "2026-11-22",
        "2026-11-22T08:30:00",
        "2026-11-22 08:30:00Z",
        "20261122T083000Z",
        "2026-02-30T08:30:00Z",
        "2026-11-22T25:30:00Z",
        "2026-11-22T08:30:00.1234567Z",
        "2026-11-22T08:30:00z",
        "٢026-11-22T08:30:00Z",
    ),
    FactKind.TEXT: (*NO_TEXT, "", "a\nb", "a\tb", "a\x00", "a\x7f", "a\x9f", "\ud800", "x" * (MAX_TEXT + 1)),
}


def test_every_kind_is_tried_both_ways() -> None:
    assert set(GOOD) == set(BAD) == set(FactKind)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_a_kind_takes_what_it_should(kind: FactKind, value: Fact) -> None:
    assert JUDGES[kind](value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_a_kind_refuses_everything_else(kind: FactKind, value: Fact) -> None:
    assert not JUDGES[kind](value)


@given(st.text())
def test_a_staff_id_and_an_operation_are_facts_in_their_one_spelling_alone(raw: str) -> None:
    for kind, spelled in ((FactKind.STAFF, ids.staff_id), (FactKind.OPERATION, ids.operation_code)):
        try:
            is_spelled_so = spelled(raw) == raw
        except InvalidInput:
            is_spelled_so = False
        assert JUDGES[kind](raw) is is_spelled_so


@given(st.text(max_size=3 * MAX_TEXT))
def test_any_text_can_be_made_a_fact(raw: str) -> None:
    made = as_text(raw)
    assert made is None or JUDGES[FactKind.TEXT](made)


def test_a_text_that_is_cut_says_so_and_lines_become_one() -> None:
    assert as_text("x" * 501) == "x" * 499 + "…"
    assert as_text("a\r\n\tb\n") == "a b"
    assert as_text(" \n ") is None
