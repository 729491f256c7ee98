"""A progress bar for rows, with their rate and the time left; on stderr, for people alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from infosec.cli.invocation import Invocation
from infosec.cli.output import Output

Tell = Callable[[int, int], None]
"""Rows so far, and of how many; 0 where that is not known."""


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}")


@contextmanager
def row_progress(desk: Invocation, zh: str, en: str) -> Iterator[Tell | None]:
    """Yields what is to be told of the rows; None where nobody is looking."""
    if desk.settings.is_quiet or desk.settings.output is not Output.TABLE or not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(desk.say("行/秒", "rows/s")),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(desk.say(zh, en), total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total or None)
