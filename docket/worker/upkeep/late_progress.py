"""Late progress: writes what running tasks have reported while Redis was away."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs

from ...client import ExecutionProgress, keepers
from ...notification import Notification
from ...standins import redis_errors
from ...values import define
from .outages import is_disruption

__all__ = ["LateProgress"]

logger = logging.getLogger("docket.worker")


@define(eq=False)
class LateProgress:
    """The reports that are still to be written. Each `ExecutionProgress` keeps only its latest values.

    Progress is advice: no body fails because a report cannot be written, and it waits for that only briefly. The late
    report of a run that has ended is dropped when it is written next.
    """

    _late: dict[ExecutionProgress, None] = attrs.field(init=False, factory=dict[ExecutionProgress, None])
    _added: Notification = attrs.field(init=False, factory=Notification)

    def share(self) -> None:
        """Keep the reports of all tasks that are started from here on (through a context variable)."""
        keepers.set(self)

    def takes(self, error: redis_errors.RedisError) -> bool:
        return is_disruption(error)

    def has(self, progress: ExecutionProgress) -> bool:
        return progress in self._late

    def keep(self, progress: ExecutionProgress) -> None:
        self._late[progress] = None
        self._added.notify()

    async def run(self, answered: Callable[[], None]) -> None:
        """Write late reports until cancelled or until Redis is lost."""
        while True:
            while not self._late:
                await self._added.wait()
            await self._write(next(iter(self._late)))
            answered()

    async def _write(self, progress: ExecutionProgress) -> None:
        try:
            await progress.write()
            self._late.pop(progress, None)  # from here on the task writes its own reports, if there are more
            while not progress.is_written:
                await progress.write()
        except redis_errors.RedisError as error:
            if is_disruption(error):
                self._late[progress] = None
                raise
            self._late.pop(progress, None)
            logger.warning("The progress of %r cannot be written: %s", progress.key, error)
