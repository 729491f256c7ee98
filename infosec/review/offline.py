"""The draw of spot checks again, from a verified export and nothing of ours (CI-6). Whoever can draw again need not believe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from infosec.errors import InvalidInput, Reason
from infosec.evidence.formats import FormatName
from infosec.evidence.manifest import LogPart, Manifest
from infosec.review.sampling import Population, Sample, Week, closes, draw, people_drawn, seed
from infosec.review.seen import Seen, seen_in
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.ranges import CompactRange

_BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """What was drawn from a file."""

    sample: Sample
    without_payload: int
    """Entries of the week of which the hash alone is left; none of them was a check if the file is younger than the
    term of checks."""


class _Row(NamedTuple):
    leaf_hash: bytes
    entry: Seen | None


def redraw(file: Path, manifest: Manifest, *, log_id: str, store: str, week: Week) -> Redrawn:
    """The sample by this file, which was verified with this manifest.

    Raises InvalidInput for a file that does not show the whole week: it is unfiltered JSONL, begins before the week (or
    with the log) and goes on to the first check after it.
    """
    log = _part(manifest, log_id)
    tree, leaves = CompactRange(begin=0, end=log.start, hashes=log.left), list[bytes]()
    population, gone = Population(store=store), 0
    begins_before = log.start == 0
    for row in _rows(file, log_id):
        leaves.append(row.leaf_hash)
        if len(leaves) == _BLOCK:
            (tree, _), leaves = tree.extend(leaves), []
        entry = row.entry
        if entry is None:
            gone += 1
        elif entry.recorded < week.begins:
            begins_before, gone = True, 0
        elif entry.recorded < week.ends:
            population.tell(entry)
        elif closes(entry):
            if not begins_before:
                raise _wrong("it begins within the week, or right at it: export from a day earlier")
            tree, _ = tree.extend(leaves)
            fixed = Checkpoint(origin=log.origin, size=tree.end, root=tree.root())
            return Redrawn(sample=draw(population, fixed, week), without_payload=gone)
    raise _wrong("it ends before the first check after the week: export up to a day later")


def as_fields(sample: Sample) -> dict[str, Any]:
    """A sample as plain values, in the order in which people read them."""
    return {
        "store_id": sample.store,
        "week": sample.week.monday.isoformat(),
        "origin": sample.checkpoint.origin,
        "tree_size": sample.checkpoint.size,
        "root": sample.checkpoint.root.hex(),
        "seed": sample.seed.hex(),
        "population": list(sample.population),
        "drawn": [{"staff_id": one.staff, "indices": list(one.indices)} for one in sample.drawn],
    }


def check_answer(
    note: Checkpoint, given_seed: bytes, population: Sequence[str], drawn: Sequence[str], *, store: str, week: Week
) -> tuple[str, ...]:
    """What in a server's answer contradicts itself: the seed against the tree, the people against the seed."""
    wrong = []
    if seed(note, store=store, week=week) != given_seed:
        wrong.append("seed")
    if people_drawn(given_seed, population) != list(drawn):
        wrong.append("drawn")
    return tuple(wrong)


def _part(manifest: Manifest, log_id: str) -> LogPart:
    if manifest.format != FormatName.JSONL.value:
        raise _wrong("only an export in JSONL has the entries as they stand in the log")
    part = next((one for one in manifest.logs if one.log_id == log_id), None)
    if part is None:
        raise _wrong("it has nothing of this log")
    if not part.is_complete:
        raise _wrong("it is filtered: only a whole range shows who could have been drawn")
    return part


def _rows(file: Path, log_id: str) -> Iterator[_Row]:
    try:
        with file.open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                if row["log"] == log_id:
                    entry = row.get("entry")
                    told = None if entry is None else seen_in(int(row["index"]), entry)
                    yield _Row(bytes.fromhex(row["leaf_hash"]), told)
    except (ValueError, KeyError, TypeError, RecursionError, NotVerified):
        raise _wrong("a line that is no row") from None


def _wrong(detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field="from", detail=detail)
