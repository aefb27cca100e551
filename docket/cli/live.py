"""The status of a watched task as one picture on a terminal. Needs rich."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .. import clock
from ..text import printable
from .status import TaskStatus, What
from .trees import can_draw, lines_of

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
        self._boxes = can_draw()  # `Live` puts something else in the place of stdout
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

    def show(self, status: TaskStatus, what: What) -> None:
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
        lines += self._tree(status)
        return Group(*lines)

    def _tree(self, status: TaskStatus) -> list[Text]:
        """The lines of its tree that there is room for."""
        if status.tree is None:
            return []
        drawn = lines_of(status.tree, clock.now(), boxes=self._boxes)
        room = max(Console().height - 6, 5)
        texts = [
            Text.assemble((line.branch, "dim"), (line.text, COLOURS.get(line.state, "")), no_wrap=True)
            for line in drawn[: room if len(drawn) <= room else room - 1]
        ]
        for text in texts:
            text.overflow = "ellipsis"
        if len(drawn) > room:
            texts.append(Text(f"{len(drawn) - len(texts)} more lines", style="dim"))
        return texts
