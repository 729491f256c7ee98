"""The draw of spot checks (CI-6): the handbook's share, and a chance that nobody chooses and everybody can repeat."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.errors import InvalidInput
from infosec.review.sampling import ACCESSES, Population, Sample, Week, draw, seed, share
from infosec.review.seen import Seen
from infosec.transparency.checkpoints import Checkpoint

WEEK = Week(monday=date(2026, 11, 16))
ORIGIN = "carrier.example/audit/7e57ab1e/east"
STORE = "e1"


def tree(root: bytes = b"\x01" * 32, size: int = 100) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=root)


def looked(position: int, staff: str, **facts: object) -> Seen:
    """An operation in the store, a read by a clerk where nothing else is said."""
    at = WEEK.begins + timedelta(minutes=position)
    plain = Seen(
        position=position,
        event_id=f"event-{position}",
        type="check.decided",
        at=at,
        recorded=at,
        staff=staff,
        role="clerk",
        store=STORE,
        terminal="t1",
        operation="1500",
        subject="s",
        decision="ALLOWED",
        reason="OK",
        purpose="ORDER",
        withdraws="",
        by="service/suite",
        code="",
        times=1,
    )
    return plain._replace(**facts)


def sample(entries: list[Seen], checkpoint: Checkpoint | None = None, store: str = STORE) -> Sample:
    population = Population(store=store)
    for entry in entries:
        population.tell(entry)
    return draw(population, checkpoint or tree(), WEEK)


def hall(people: int, each: int = 3) -> list[Seen]:
    return [looked(number * each + n, f"clerk.{number:02}") for number in range(people) for n in range(each)]


@pytest.mark.rule("CI-6")
@pytest.mark.parametrize(
    ("people", "drawn"),
    [(0, 0), (1, 1), (4, 4), (5, 5), (6, 3), (7, 4), (19, 10), (20, 10), (21, 7), (23, 7), (24, 8), (30, 9), (100, 30)],
)
def test_the_share_is_the_handbooks(people: int, drawn: int) -> None:
    assert share(people) == drawn
    found = sample(hall(people))
    assert (len(found.population), len(found.drawn)) == (people, drawn)


@pytest.mark.rule("CI-6")
@given(st.integers(min_value=0, max_value=60), st.randoms(use_true_random=False))
def test_the_order_of_entries_changes_nothing(people: int, chance: object) -> None:
    entries = hall(people)
    shuffled = list(entries)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sample(shuffled) == sample(entries)


@pytest.mark.rule("CI-6")
@given(st.binary(min_size=32, max_size=32))
def test_the_same_root_draws_the_same_and_only_people_who_served(root: bytes) -> None:
    first, again = sample(hall(30, 12), tree(root)), sample(hall(30, 12), tree(root))
    assert first == again
    assert len({one.staff for one in first.drawn}) == 9
    for one in first.drawn:
        mine = range(int(one.staff[-2:]) * 12, int(one.staff[-2:]) * 12 + 12)
        assert len(set(one.indices)) == ACCESSES
        assert set(one.indices) <= set(mine)


@pytest.mark.rule("CI-6")
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=12, max_size=12, unique=True))
def test_another_root_is_another_seed_and_sooner_or_later_other_people(roots: list[bytes]) -> None:
    drawn = [sample(hall(40), tree(root)) for root in roots]
    assert len({one.seed for one in drawn}) == len(roots)
    assert len({tuple(person.staff for person in one.drawn) for one in drawn}) > 1


@pytest.mark.rule("CI-6")
def test_everything_that_tells_one_draw_from_another_is_in_the_seed() -> None:
    seeds = {
        seed(tree(), store=STORE, week=WEEK),
        seed(tree(b"\x02" * 32), store=STORE, week=WEEK),
        seed(tree(size=101), store=STORE, week=WEEK),
        seed(Checkpoint(origin="other.example/audit", size=100, root=b"\x01" * 32), store=STORE, week=WEEK),
        seed(tree(), store="e2", week=WEEK),
        seed(tree(), store=STORE, week=Week(monday=date(2026, 11, 23))),
    }
    assert len(seeds) == 6


@pytest.mark.rule("CI-6")
def test_anybody_repeats_the_draw_with_a_hash_and_a_sort() -> None:
    # Written out by hand, from docs/security.md: no code of ours.
    root = base64.b64encode(b"\x01" * 32).decode()
    chance = hashlib.sha256(f"infosec/sample/v1\n{ORIGIN}\n100\n{root}\n{STORE}\n2026-11-16\n".encode()).digest()
    people = [f"clerk.{number:02}" for number in range(8)]
    first = sorted(people, key=lambda staff: hashlib.sha256(chance + staff.encode()).digest())[:4]
    found = sample(hall(8, 15))
    assert found.seed == chance
    assert [one.staff for one in found.drawn] == first
    for one in found.drawn:
        begin = int(one.staff[-2:]) * 15
        mine = sorted(
            range(begin, begin + 15), key=lambda n: hashlib.sha256(chance + f"{one.staff}/{n}".encode()).digest()
        )
        assert list(one.indices) == sorted(mine[:10])


@pytest.mark.rule("CI-6")
@pytest.mark.parametrize(
    "entry",
    [
        looked(9, "other", store="e2"),
        looked(9, "other", role="store-manager"),
        looked(9, "other", role=""),
        looked(9, "other", decision="DENIED", reason="OUT_OF_SCOPE"),
        looked(9, "other", type="audit.queried"),
    ],
)
def test_who_did_not_serve_there_as_a_clerk_is_not_in_the_population(entry: Seen) -> None:
    assert sample([*hall(2), entry]).population == ("clerk.00", "clerk.01")


@pytest.mark.rule("CI-6")
def test_who_served_without_reading_is_in_the_population_and_has_nothing_to_look_at() -> None:
    (person,) = sample([looked(1, "payer", operation="1302")]).drawn
    assert (person.staff, person.indices) == ("payer", ())


@pytest.mark.rule("CI-6")
def test_a_read_that_was_withdrawn_is_no_access_and_no_service() -> None:
    denial = looked(5, "clerk.09", decision="DENIED", reason="RECORD_UNAVAILABLE", withdraws="event-4")
    found = sample([looked(3, "clerk.00"), looked(4, "clerk.09"), denial])
    assert found.population == ("clerk.00",)
    both = sample([looked(3, "clerk.09"), looked(4, "clerk.09"), denial])
    assert both.drawn[0].indices == (3,)


@pytest.mark.rule("CI-6")
def test_an_operation_that_the_catalogue_does_not_know_counts_as_a_look() -> None:
    assert sample([looked(1, "clerk.00", operation="zz99")]).drawn[0].indices == (1,)


@pytest.mark.rule("CI-6")
def test_a_week_is_from_monday_to_monday_by_carrier_time() -> None:
    assert WEEK.begins == datetime(2026, 11, 15, 16, tzinfo=UTC)
    assert WEEK.ends == datetime(2026, 11, 22, 16, tzinfo=UTC)
    assert WEEK.name == "2026-W47"
    assert Week.before(datetime(2026, 11, 22, 15, 59, tzinfo=UTC)) == Week(monday=date(2026, 11, 9))
    assert Week.before(datetime(2026, 11, 22, 16, 0, tzinfo=UTC)) == WEEK


@pytest.mark.parametrize(
    "text", ["", "2026-11-17", "2026-W47", "20261116", "16.11.2026", "2026-11-16T00:00", "1999-12-27"]
)
def test_what_is_no_monday_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Week.parse(text)
