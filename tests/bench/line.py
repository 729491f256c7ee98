"""One measured line: a ratio to a peer or a limit, as one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`ours` and `peer` in `unit`; the ratio is the median of the rounds' ratios."""

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    at_least: float

    @classmethod
    def of(cls, name: str, rounds: list[tuple[float, float]], *, unit: str, at_least: float) -> Line:
        """From (ours, peer) of each round."""
        return cls(
            name=name,
            ours=round(median(ours for ours, _ in rounds), 1),
            peer=round(median(peer for _, peer in rounds), 1),
            unit=unit,
            ratio=round(median(ours / peer for ours, peer in rounds), 3),
            at_least=at_least,
        )

    @property
    def met(self) -> bool:
        return self.ratio >= self.at_least

    def __str__(self) -> str:
        return json.dumps({**asdict(self), "met": self.met})
