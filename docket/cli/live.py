"""A task that is being watched, as one picture at a terminal. Needs rich."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .. import clock
from ..store import ProgressEvent, StateEvent
from ..text import printable
from .sighting import Sighting

__all__ = ["LiveFace"]

COLOURS = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
}


class LiveFace:
    """Drawn again with each event, and a few times a second for the clock in it."""

    def __init__(self) -> None:
        self._sighting: Sighting | None = None
        self._live = Live(get_renderable=self._picture, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, sighting: Sighting) -> None:
        self._sighting = sighting

    def show(self, sighting: Sighting, event: StateEvent | ProgressEvent) -> None:
        self._live.refresh()

    def _picture(self) -> Group:
        seen = self._sighting
        if seen is None or seen.state is None:
            return Group()
        lines: list[Text | Table] = [
            Text(printable(seen.title), style="bold"),
            Text(seen.story(clock.now()), style=COLOURS.get(seen.state.value, "")),
        ]
        if seen.reported:
            row = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=max(seen.total, 1), completed=seen.current or 0, width=40)
            row.add_row(bar, Text(seen.advance().partition("] ")[2]))
            lines.append(row)
        return Group(*lines)
