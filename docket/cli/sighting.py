"""What has been seen of a task that is being watched, and how it is told in lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self, TextIO

import attrs

from .. import clock
from ..execution import ExecutionState
from ..moments import read_moment
from ..store import ProgressEvent, StateEvent
from ..text import printable
from .telling import relative, span

__all__ = ["Face", "Lines", "Sighting"]

BAR = 20
"""How many characters a full progress bar has."""


@attrs.define(eq=False)
class Sighting:
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
    reported: bool = False
    """Whether the task has said how far it is."""

    def take_over(self, event: StateEvent | ProgressEvent) -> None:
        if event["type"] == "progress":
            self.current, self.total, self.message = event["current"], event["total"], event["message"]
            self.reported = bool(self.current or self.message or event["updated_at"])
            return
        self.state = ExecutionState(event["state"])
        if self.state in {
            ExecutionState.SCHEDULED,
            ExecutionState.QUEUED,
        }:  # another run: nothing of the last one holds
            self.worker = self.started_at = self.completed_at = self.error = None
            self.current, self.message, self.reported = None, None, False
        self.when = read_moment(event["when"]) or self.when
        self.worker = event["worker"] or self.worker
        self.started_at = read_moment(event["started_at"]) or self.started_at
        self.completed_at = read_moment(event["completed_at"]) or self.completed_at
        self.error = event["error"] or self.error

    @property
    def share(self) -> float:
        """How much of the work is done, from 0 to 1."""
        return min(max((self.current or 0) / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    def lasted(self, now: datetime) -> timedelta | None:
        """How long it has been running, or ran; None before its start."""
        return None if self.started_at is None else (self.completed_at or now) - self.started_at

    def story(self, now: datetime) -> str:
        """The state with what belongs to it, as one line."""
        words = [self.state.value if self.state is not None else ""]
        lasted = self.lasted(now)
        if self.state is ExecutionState.SCHEDULED and self.when is not None:
            words.append(f"for {self.when.isoformat(' ')}, {relative(self.when, now)}")
        if self.worker is not None:
            words.append(f"on {self.worker}")
        if lasted is not None:
            words.append(f"{'for' if self.completed_at is None else 'after'} {span(lasted)}")
        line = " ".join(words)
        return printable(line if self.error is None else f"{line}: {self.error}")

    def advance(self) -> str:
        """How far it is, as one line."""
        done = int(self.share * BAR)
        bar = "#" * done + "-" * (BAR - done)
        said = f"[{bar}] {self.share:.0%} {self.current or 0}/{self.total} {self.message or ''}"
        return printable(said.rstrip())


class Face(Protocol):
    """What shows a sighting."""

    def begin(self, sighting: Sighting) -> None: ...

    def show(self, sighting: Sighting, event: StateEvent | ProgressEvent) -> None: ...


@attrs.define(eq=False)
class Lines:
    """A line for each event."""

    out: TextIO

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def begin(self, sighting: Sighting) -> None:
        self._say(printable(sighting.title))

    def show(self, sighting: Sighting, event: StateEvent | ProgressEvent) -> None:
        if event["type"] == "state":
            self._say(sighting.story(clock.now()))
        elif sighting.reported:
            self._say(sighting.advance())

    def _say(self, line: str) -> None:
        print(line, file=self.out, flush=True)
