"""A picture of a docket at one moment."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from . import clock
from .client import KeyName
from .execution import Execution, RunningExecution
from .store import DocketStore, Keys, WorkerInfo, is_among
from .text import checked_name
from .values import define

__all__ = ["DocketSnapshot", "DocketSnapshotMixin", "RunningExecution", "WorkerInfo", "mark_paused"]


def mark_paused(waiting: Iterable[Execution[Any]], paused: Collection[str]) -> None:
    """Note of what waits whether its task, or all tasks, are ``paused``."""
    for execution in waiting if paused else ():
        if is_among(execution.function_name, paused):
            execution.is_paused = True


@define
class DocketSnapshot:
    """``future`` waits (also what is due and not yet taken), ``running`` runs, ``total_tasks`` counts both."""

    taken: datetime
    total_tasks: int
    future: Sequence[Execution[Any]]
    running: Sequence[RunningExecution]
    workers: Collection[WorkerInfo]


class DocketSnapshotMixin(abc.ABC):
    """The part of a `Docket` that reads what waits and runs, and which workers live."""

    workers_set = KeyName(lambda keys: keys.workers)
    """The sorted set of live workers."""

    def worker_tasks_set(self, worker_name: str) -> str:
        """The set of task names that a worker knows."""
        return self.keys.worker_tasks(worker_name)

    def task_workers_set(self, task_name: str) -> str:
        """The sorted set of live workers that know a task."""
        return self.keys.task_workers(task_name)

    @property
    @abc.abstractmethod
    def keys(self) -> Keys: ...

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore:
        """Everything that reads and writes the docket."""

    async def snapshot(self) -> DocketSnapshot:
        """Everything that waits and runs, and the live workers, at about this moment."""
        taken = clock.now()
        picture = await self.store.records.picture()
        docket: Any = self  # the Docket of which this is a part
        future = [Execution.of_entry(docket, entry) for entry in picture.waiting]
        mark_paused(future, await self.store.pauses.names())
        running = [
            RunningExecution(Execution.of_entry(docket, entry), entry.worker, entry.started_at)
            for entry in picture.running
        ]
        workers = await self.workers()
        names = {worker.name for worker in workers}
        for execution in running:
            execution.worker_is_gone = execution.worker not in names
        return DocketSnapshot(taken, len(future) + len(running), future, running, workers)

    async def workers(self) -> Collection[WorkerInfo]:
        """The live workers of this docket."""
        return await self.store.liveness.workers()

    async def task_workers(self, task_name: str) -> Collection[WorkerInfo]:
        """The live workers that can run a task."""
        return await self.store.liveness.workers(checked_name(task_name, "the name of a task"))
