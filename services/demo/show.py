"""How the day is shown: scenes with the time of day, each step with what came of it, in zh-CN or en. Knows no suite."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text as Line

from infosec.clock import CARRIER_ZONE
from infosec.messages import Locale, Text

_WEEKDAYS = (
    Text("周一", "Mon"),
    Text("周二", "Tue"),
    Text("周三", "Wed"),
    Text("周四", "Thu"),
    Text("周五", "Fri"),
    Text("周六", "Sat"),
    Text("周日", "Sun"),
)


class Programme:
    """Prints as it happens, and counts."""

    def __init__(self, console: Console, locale: Locale) -> None:
        self._console = console
        self.locale = locale
        self.steps = 0
        self.as_expected = 0

    def scene(self, title: Text, now: datetime) -> None:
        """A new scene, with carrier time."""
        here = now.astimezone(CARRIER_ZONE)
        when = f"{here:%Y-%m-%d} {_WEEKDAYS[here.weekday()].in_(self.locale)} {here:%H:%M}"
        self._console.print()
        self._console.print(Line.assemble((title.in_(self.locale), "bold"), ("  " + when, "dim")))

    def step(self, title: Text, *, expected: str, actual: str, told: str) -> None:
        """One step: as expected where both are the same word."""
        good = expected == actual
        self.steps += 1
        self.as_expected += good
        result = [Line(told or actual)]
        if not good:
            wanted = Text(f"应为 {expected}，实为 {actual}", f"expected {expected}, was {actual}")
            result.append(Line(wanted.in_(self.locale), style="bold red"))
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=6, justify="right", no_wrap=True)
        row.add_column(ratio=5, overflow="fold")
        row.add_column(ratio=6, overflow="fold")
        mark = Line.assemble((f"{self.steps:>3} ", "dim"), ("✓" if good else "✗", "green" if good else "bold red"))
        row.add_row(mark, Line(title.in_(self.locale)), Line("\n").join(result))
        self._console.print(row)

    def end(self) -> bool:
        """The last line; whether every step was as expected."""
        self._console.print()
        line = Text(
            f"演示：{self.steps} 步，{self.as_expected} 步符合预期",
            f"demo: {self.steps} steps, {self.as_expected} as expected",
        )
        good = self.steps > 0 and self.as_expected == self.steps
        self._console.print(Line(line.in_(self.locale), style="bold green" if good else "bold red"))
        return good
