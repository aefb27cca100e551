"""What a docket for threads without an event loop says about its tasks and their schedules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..client import TaskFunction
from ..operating import KnownTask, SchedulePage, TaskPage
from .loop import LoopThread

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["SyncCatalogue"]


class SyncCatalogue:
    """The part of `SyncDocket` that lists tasks and schedules, as `Docket` does."""

    docket: Docket
    _loop: LoopThread

    def known_tasks(
        self, *, contains: str | None = None, limit: int = 50, after: str | None = None
    ) -> TaskPage:
        """The tasks that workers know, or have known lately. See `Docket.known_tasks`."""
        return self._loop.call(partial(self.docket.known_tasks, contains=contains, limit=limit, after=after))

    def known_task(self, task: TaskFunction | str) -> KnownTask | None:
        """One task, as `known_tasks` has it. See `Docket.known_task`."""
        return self._loop.call(partial(self.docket.known_task, task))

    def schedules(
        self,
        task: TaskFunction | str | None = None,
        *,
        contains: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> SchedulePage:
        """The chains of perpetual and cron tasks. See `Docket.schedules`."""
        asked = partial(self.docket.schedules, task, contains=contains, limit=limit, after=after)
        return self._loop.call(asked)
