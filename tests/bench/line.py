"""One measured line: a ratio to a peer or a limit, as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`ours` and `peer` in `unit`; the ratio is the median of the rounds' ratios.

    Met is a ratio of at least `at_least` and at most `at_most`; with neither it is only reported.
    """

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None
    p50: float | None = None
    p95: float | None = None
    """Beside `ours`, where that is the 99th percentile."""

    @classmethod
    def of(cls, name: str, rounds: Sequence[tuple[float, float]], *, unit: str, at_least: float | None = None) -> Line:
        """From (ours, peer) of each round."""
        return cls(
            name=name,
            ours=_short(median(ours for ours, _ in rounds)),
            peer=_short(median(peer for _, peer in rounds)),
            unit=unit,
            ratio=round(median(ours / peer for ours, peer in rounds), 3),
            at_least=at_least,
        )

    @classmethod
    def of_times(cls, name: str, times_ms: Sequence[float], *, limit_ms: float, at_most: float | None = None) -> Line:
        """From single times: `ours` is the 99th percentile, to a limit or to another time."""
        ours = percentile(times_ms, 99)
        return cls(
            name=name,
            ours=_short(ours),
            peer=_short(limit_ms),
            unit="ms",
            ratio=round(ours / limit_ms, 3),
            at_most=at_most,
            p50=_short(percentile(times_ms, 50)),
            p95=_short(percentile(times_ms, 95)),
        )

    @property
    def met(self) -> bool:
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    def __str__(self) -> str:
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(told if self.at_least is None and self.at_most is None else {**told, "met": self.met})


def percentile(values: Sequence[float], percent: int) -> float:
    """By nearest rank: one of the values; of fewer than a hundred, the 99th is the greatest."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def _short(value: float) -> float:
    return round(value, 1 if value >= 100 else 2)
