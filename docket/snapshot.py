"""A picture of a docket at one moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import attrs

from .execution import Execution
from .store import WorkerInfo

__all__ = ["DocketSnapshot", "RunningExecution", "WorkerInfo"]


class RunningExecution(Execution[Any]):
    """An execution that a worker has right now."""

    __slots__ = ("started",)

    worker: str | None
    started: datetime | None

    def __init__(self, execution: Execution[Any], worker: str | None, started: datetime | None) -> None:
        super().__init__(
            execution.docket, execution.function, execution.args, execution.kwargs, execution.key, execution.when,
            execution.attempt, None, execution.redelivered, execution.function_name, execution.generation,
            execution.message_id,
        )  # fmt: skip
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
