"""The status of a watched task as one picture on a terminal. Needs rich."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .. import clock
from ..text import printable
from .status import TaskStatus

__all__ = ["LiveView"]

COLOURS = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
}


class LiveView:
    """Redrawn with each event, and a few times a second for the clock in it."""

    def __init__(self) -> None:
        self._status: TaskStatus | None = None
        self._live = Live(get_renderable=self._picture, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, status: TaskStatus) -> None:
        self._status = status

    def show(self, status: TaskStatus, what: Literal["state", "progress"]) -> None:
        self._live.refresh()

    def _picture(self) -> Group:
        status = self._status
        if status is None or status.state is None:
            return Group()
        lines: list[Text | Table] = [
            Text(printable(status.title), style="bold"),
            Text(status.state_line(clock.now()), style=COLOURS.get(status.state.value, "")),
        ]
        if status.has_progress:
            row = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=max(status.total, 1), completed=status.current or 0, width=40)
            row.add_row(bar, Text(status.progress_line().partition("] ")[2]))
            lines.append(row)
        return Group(*lines)
