"""What a docket for threads without an event loop says about runs that have ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from ..client import TaskFunction
from ..operating import Depth, Ended, Interval
from ..rules import ExecutionState
from .loop import LoopThread

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["SyncHistory"]


class SyncHistory:
    """The part of `SyncDocket` that reads the history, as `Docket` does."""

    docket: Docket
    _loop: LoopThread

    def history(
        self,
        task: TaskFunction | str | None = None,
        *,
        key: str | None = None,
        state: ExecutionState | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        before: Ended | None = None,
    ) -> list[Ended]:
        """How runs have ended, the latest first. See `Docket.history`."""
        asked = partial(
            self.docket.history,
            task,
            key=key,
            state=state,
            since=since,
            until=until,
            limit=limit,
            before=before,
        )
        return self._loop.call(asked)

    def throughput(
        self,
        task: TaskFunction | str | None = None,
        *,
        since: timedelta = timedelta(hours=1),
        per: Literal["minute", "hour"] = "minute",
    ) -> list[Interval]:
        """What each minute or hour saw of a task, or of all. See `Docket.throughput`."""
        return self._loop.call(partial(self.docket.throughput, task, since=since, per=per))

    def busiest(self, *, limit: int = 10) -> dict[str, list[Interval]]:
        """The tasks of which most runs ended in the last hour. See `Docket.busiest`."""
        return self._loop.call(partial(self.docket.busiest, limit=limit))

    def depths(self, *, since: timedelta = timedelta(hours=1)) -> list[Depth]:
        """How many tasks were due, waited for later and ran. See `Docket.depths`."""
        return self._loop.call(partial(self.docket.depths, since=since))
