"""The sample drawn again from an exported file (CI-6): the same people as the server's, or a reason why the file will not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from infosec.errors import InvalidInput
from infosec.evidence.formats import FormatName, format_of
from infosec.evidence.manifest import Manifest
from infosec.evidence.rendering import Order, render
from infosec.review.offline import as_fields, check_answer, redraw
from infosec.review.sampling import Population, Sample, Week, draw
from infosec.review.seen import seen
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.ranges import EMPTY
from tests.sim.audit_log import SimLog, Wanted, entry
from tests.unit.evidence.exports import NOW, verified

WEEK = Week(monday=date(2026, 3, 2))
STORE = "e1"


def a_log(*, before: int = 3, people: int = 9, after: int = 2) -> SimLog:
    """Some entries of the week before, a week's work, some of the week after."""
    log = SimLog()

    def add(at: object, **facts: str | int | bool) -> None:
        plain: dict[str, str | int | bool] = {"store_id": STORE, "operation": "1500", "decision": "ALLOWED"}
        log.entries.append(entry(len(log.entries), facts={**plain, **facts}, at=at))  # type: ignore[arg-type]

    for n in range(before):
        add(WEEK.begins - timedelta(hours=before - n), staff_id="early.1")
    for n in range(people * 13):
        add(WEEK.begins + timedelta(minutes=n), staff_id=f"clerk.{n % people:02}")
    add(WEEK.ends - timedelta(hours=1), staff_id="other.1", store_id="e2")
    for n in range(after):
        add(WEEK.ends + timedelta(hours=n), staff_id="late.1")
    return log


def by_the_server(log: SimLog) -> Sample:
    """What the service does, over the same entries."""
    population = Population(store=STORE)
    closing = 0
    for position, body in enumerate(log.entries):
        one = seen(position, body)
        if WEEK.begins <= one.recorded < WEEK.ends:
            population.tell(one)
        elif one.recorded >= WEEK.ends and not closing:
            closing = position
    tree, _ = EMPTY.extend(leaf_hash(body) for body in log.entries[: closing + 1])
    return draw(population, replace(log.checkpoint(), size=closing + 1, root=tree.root()), WEEK)


def exported(
    folder: Path,
    log: SimLog,
    *,
    start: int = 0,
    end: int | None = None,
    wanted: Wanted | None = None,
    format: FormatName = FormatName.JSONL,
) -> tuple[Path, Manifest]:
    file = folder / f"export.{format.value}"
    order = Order(format=format_of(format), export_id="e", filter={}, now=NOW + timedelta(days=30))
    return file, render(log.parts(start=start, end=end, wanted=wanted), file, order)


@pytest.mark.rule("CI-6")
@pytest.mark.parametrize("people", [0, 1, 5, 6, 21, 400])
def test_a_file_draws_the_sample_of_the_server(tmp_path: Path, people: int) -> None:
    log = a_log(people=people)
    file, manifest = exported(tmp_path, log)
    verified(file, log)
    drawn = redraw(file, manifest, log_id="east", store=STORE, week=WEEK)
    assert drawn.sample == by_the_server(log)
    assert drawn.without_payload == 0


@pytest.mark.rule("CI-6")
def test_a_part_of_the_log_does_as_long_as_it_shows_where_the_week_begins_and_ends(tmp_path: Path) -> None:
    log = a_log()
    file, manifest = exported(tmp_path, log, start=2, end=len(log.entries) - 1)
    assert redraw(file, manifest, log_id="east", store=STORE, week=WEEK).sample == by_the_server(log)


@pytest.mark.rule("CI-6")
def test_a_changed_entry_before_the_week_draws_otherwise(tmp_path: Path) -> None:
    log = a_log()
    before = by_the_server(log)
    log.entries[0] = entry(0, facts={"staff_id": "early.2"}, at=WEEK.begins - timedelta(hours=3))
    file, manifest = exported(tmp_path, log)
    assert redraw(file, manifest, log_id="east", store=STORE, week=WEEK).sample.seed != before.seed


@pytest.mark.rule("CI-6")
def test_what_is_past_its_term_is_told(tmp_path: Path) -> None:
    log = a_log()
    log.emptied = {0, 5}
    file, manifest = exported(tmp_path, log)
    assert redraw(file, manifest, log_id="east", store=STORE, week=WEEK).without_payload == 1


@pytest.mark.rule("CI-6")
@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"start": 3}, "a day earlier"),
        ({"start": 40}, "a day earlier"),
        ({"end": 120}, "a day later"),
        ({"wanted": lambda index, _: index % 2 == 0}, "filtered"),
        ({"format": FormatName.CSV}, "JSONL"),
    ],
)
def test_a_file_that_does_not_show_the_whole_week_is_refused(tmp_path: Path, part: dict[str, object], why: str) -> None:
    file, manifest = exported(tmp_path, a_log(), **part)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=why):
        redraw(file, manifest, log_id="east", store=STORE, week=WEEK)


def test_a_file_of_another_log_is_refused(tmp_path: Path) -> None:
    file, manifest = exported(tmp_path, a_log())
    with pytest.raises(InvalidInput, match="nothing of this log"):
        redraw(file, manifest, log_id="west", store=STORE, week=WEEK)


@pytest.mark.rule("CI-6")
def test_an_answer_that_was_chosen_by_hand_contradicts_itself() -> None:
    sample = by_the_server(a_log())
    people = [one.staff for one in sample.drawn]
    spared = next(one for one in sample.population if one not in people)

    def wrong(seed: bytes, drawn: list[str]) -> tuple[str, ...]:
        return check_answer(sample.checkpoint, seed, sample.population, drawn, store=STORE, week=WEEK)

    assert wrong(sample.seed, people) == ()
    assert wrong(sample.seed, [spared, *people[1:]]) == ("drawn",)
    assert wrong(sample.seed, people[:-1]) == ("drawn",)
    assert wrong(b"\7" * 32, people)[0] == "seed"
    assert as_fields(sample)["seed"] == sample.seed.hex()
