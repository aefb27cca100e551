"""A picture of a docket at one moment."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import attrs

from .. import clock
from ..execution import Execution
from ..store import DocketStore, WorkerInfo
from ..text import checked_name
from .key_names import KeyNames

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["DocketSnapshot", "DocketSnapshotMixin", "RunningExecution", "WorkerInfo"]


class RunningExecution(Execution[Any]):
    """An execution that a worker has right now."""

    __slots__ = ("started",)

    worker: str | None
    started: datetime | None

    def __init__(self, execution: Execution[Any], worker: str | None, started: datetime | None) -> None:
        super().__init__(
            execution.docket, execution.function, (), {}, execution.key, execution.when, execution.attempt, None,
            execution.redelivered, execution.function_name, execution.generation, execution.message_id,
        )  # fmt: skip
        self.call_as(execution)
        self.state = execution.state
        self.worker = worker
        self.started = self.started_at = started


@attrs.define
class DocketSnapshot:
    """``future`` waits (also what is due and not yet taken), ``running`` runs, ``total_tasks`` counts both."""

    taken: datetime
    total_tasks: int
    future: Sequence[Execution[Any]]
    running: Sequence[RunningExecution]
    workers: Collection[WorkerInfo]


class DocketSnapshotMixin(KeyNames):
    """What a docket shows of the moment."""

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore:
        """Everything that reads and writes the docket."""

    async def snapshot(self) -> DocketSnapshot:
        """Everything that waits and runs, and the live workers, at about this moment."""
        taken = clock.now()
        picture = await self.store.records.picture()
        docket = cast("Docket", self)
        future = [Execution.of_entry(docket, entry) for entry in picture.waiting]
        running = [
            RunningExecution(Execution.of_entry(docket, entry), entry.worker, entry.started_at)
            for entry in picture.running
        ]
        return DocketSnapshot(taken, len(future) + len(running), future, running, await self.workers())

    async def workers(self) -> Collection[WorkerInfo]:
        """The live workers of this docket."""
        return await self.store.liveness.workers()

    async def task_workers(self, task_name: str) -> Collection[WorkerInfo]:
        """The live workers that can run a task."""
        return await self.store.liveness.workers(checked_name(task_name, "the name of a task"))
