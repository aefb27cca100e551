"""Writes what running tasks have reported of their progress while Redis was away."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs
from redis.exceptions import RedisError

from ...client.progress import ExecutionProgress, keepers
from ..roster import Notification
from .outages import is_disruption

__all__ = ["LateProgress"]

logger = logging.getLogger("docket.worker")


@attrs.define(eq=False)
class LateProgress:
    """Keeps whose reports are late; each has kept the latest itself. A run that ends is forgotten with the next write.

    Progress is advice: a body is not failed by what keeps it from being written, and waits for it only shortly.
    """

    _late: dict[ExecutionProgress, None] = attrs.field(init=False, factory=dict[ExecutionProgress, None])
    _came: Notification = attrs.field(init=False, factory=Notification)

    def share(self) -> None:
        """Be the keeper of the tasks that are started from here on (a matter of context variables)."""
        keepers.set(self)

    def takes(self, error: RedisError) -> bool:
        return is_disruption(error)

    def has(self, progress: ExecutionProgress) -> bool:
        return progress in self._late

    def keep(self, progress: ExecutionProgress) -> None:
        self._late[progress] = None
        self._came.notify()

    async def run(self, answered: Callable[[], None]) -> None:
        while True:
            while not self._late:
                await self._came.wait()
            await self._write(next(iter(self._late)))
            answered()

    async def _write(self, progress: ExecutionProgress) -> None:
        try:
            await progress.write()
            self._late.pop(progress, None)  # from here on the task reports for itself, if it still does
            while not progress.is_written:
                await progress.write()
        except RedisError as error:
            if is_disruption(error):
                self._late[progress] = None
                raise
            self._late.pop(progress, None)
            logger.warning("The progress of %r cannot be written: %s", progress.key, error)
