"""The status of a watched task, as its events add up, and how it is printed line by line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TextIO, TypeAlias

import attrs

from .. import clock
from ..execution import Execution, ExecutionState
from ..moments import read_moment
from ..operating import Tree, TreeRun
from ..store import ProgressEvent, StateEvent
from ..text import printable
from ..values import define
from .json_output import print_json
from .remarks import remarks_of
from .tables import relative, span
from .trees import lines_of, said_of

__all__ = ["JsonView", "LineView", "TaskStatus", "View", "What"]

BAR = 20
"""How many characters a full progress bar has."""


@define(eq=False)
class TaskStatus:
    """The sum of the events so far. ``state`` is None before the first one."""

    title: str
    state: ExecutionState | None = None
    when: datetime | None = None
    worker: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    current: int | None = None
    total: int = 100
    message: str | None = None
    has_progress: bool = False
    """Whether the task has reported its progress."""
    remarks: Sequence[str] = ()
    """What no event tells: see `remarks_of`."""
    tried: str | None = None
    """The error of the attempt before, where it is tried again."""
    tree: Tree | None = None
    """What is below it, once there is anything."""

    def note(self, execution: Execution[Any] | None) -> bool:
        """Take over what the record says beside the events; whether that is anything new."""
        before = self.remarks, self.tried
        if execution is not None and execution.state is self.state:
            self.remarks = remarks_of(execution)
            self.tried = execution.last_error if execution.error is None else None
        return (self.remarks, self.tried) != before

    def update(self, event: StateEvent | ProgressEvent) -> None:
        if event["type"] == "progress":
            self.current, self.total, self.message = event["current"], event["total"], event["message"]
            self.has_progress = bool(self.current or self.message or event["updated_at"])
            return
        self.state = ExecutionState(event["state"])
        if self.state in {
            ExecutionState.SCHEDULED,
            ExecutionState.QUEUED,
        }:  # another run: it has nothing of the last one
            self.worker = self.started_at = self.completed_at = self.error = None
            self.current, self.message, self.has_progress = None, None, False
        self.remarks, self.tried = (), None
        self.when = read_moment(event["when"]) or self.when
        self.worker = event["worker"] or self.worker
        self.started_at = read_moment(event["started_at"]) or self.started_at
        self.completed_at = read_moment(event["completed_at"]) or self.completed_at
        self.error = event["error"] or self.error

    @property
    def share(self) -> float:
        """How much of the work is done, from 0 to 1."""
        return min(max((self.current or 0) / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    def duration(self, now: datetime) -> timedelta | None:
        """How long it has run so far, or ran in all; None before its start."""
        return None if self.started_at is None else (self.completed_at or now) - self.started_at

    def state_line(self, now: datetime) -> str:
        """The state with its details, as one line."""
        words = [self.state.value if self.state is not None else ""]
        duration = self.duration(now)
        if self.state is ExecutionState.SCHEDULED and self.when is not None:
            words.append(f"for {self.when.isoformat(' ')}, {relative(self.when, now)}")
        if self.worker is not None:
            words.append(f"on {self.worker}")
        if duration is not None:
            words.append(f"{'for' if self.completed_at is None else 'after'} {span(duration)}")
        line = ", ".join([" ".join(words), *self.remarks])
        if self.tried is not None:
            line = f"{line}, after {self.tried}"
        return printable(line if self.error is None else f"{line}: {self.error}")

    def progress_line(self) -> str:
        """The progress, as one line."""
        done = int(self.share * BAR)
        bar = "#" * done + "-" * (BAR - done)
        line = f"[{bar}] {self.share:.0%} {self.current or 0}/{self.total} {self.message or ''}"
        return printable(line.rstrip())


What: TypeAlias = Literal["state", "progress", "tree"]


class View(Protocol):
    """Shows the status of one task."""

    def begin(self, status: TaskStatus) -> None: ...

    def show(self, status: TaskStatus, what: What) -> None:
        """Show what has changed."""
        ...


@define(eq=False)
class LineView:
    """Prints a line for each event; a tree once as it is drawn, then a line for each run in it that has changed."""

    out: TextIO
    _told: dict[str, tuple[object, ...]] = attrs.field(init=False, factory=dict[str, "tuple[object, ...]"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def begin(self, status: TaskStatus) -> None:
        self._print(printable(status.title))

    def show(self, status: TaskStatus, what: What) -> None:
        if what == "state":
            self._print(status.state_line(clock.now()))
        elif what == "tree":
            self._show_tree(status.tree)
        elif status.has_progress:
            self._print(status.progress_line())

    def _show_tree(self, tree: Tree | None) -> None:
        if tree is None:
            return
        now, is_new = clock.now(), not self._told
        below = [run for run in tree.runs() if run is not tree.run]
        changed = [run for run in below if self._told.get(run.key) != _seen(run)]
        self._told |= {run.key: _seen(run) for run in changed}
        for line in lines_of(tree, now) if is_new else ():
            self._print(str(line))
        for run in () if is_new else changed:
            name = f"{run.function or '(nothing recorded)'}{{{run.key}}}"
            self._print(printable(f"{name} {said_of(run, now)}"))

    def _print(self, line: str) -> None:
        print(line, file=self.out, flush=True)


def _seen(run: TreeRun) -> tuple[object, ...]:
    """What of a run is told when it changes."""
    return (
        run.state,
        run.attempt,
        run.worker,
        run.waits_for,
        run.waits_for_turn,
        run.paused,
        run.cancel_requested,
        run.priority,
        run.runs_once_more,
    )


@define(eq=False)
class JsonView:
    """Prints an object for each event, a line each: what `docket show` has of the task, as the events add up.

    For each change of its tree one with that.
    """

    docket: str
    key: str
    out: TextIO

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def begin(self, status: TaskStatus) -> None: ...

    def show(self, status: TaskStatus, what: What) -> None:
        if what == "tree":
            print_json(self.docket, key=self.key, event=what, tree=status.tree)
            self.out.flush()
            return
        progress = {"current": status.current, "total": status.total, "message": status.message}
        print_json(
            self.docket,
            key=self.key,
            event=what,
            state=status.state,
            when=status.when,
            worker=status.worker,
            started_at=status.started_at,
            completed_at=status.completed_at,
            progress=progress if status.has_progress else None,
            error=status.error or status.tried,
            remarks=status.remarks,
        )
        self.out.flush()
