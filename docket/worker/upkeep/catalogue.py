"""The catalogue: publishes what the worker's tasks are, for programs that have none of their code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import anyio
import attrs

from ...client import TaskFunction, described
from ...clock import wait_for_ever
from ...notification import Notification
from ...standins import redis_errors
from ...store import Catalogue as Store
from ...transport import is_outage
from ...values import define

__all__ = ["Catalogue"]

logger = logging.getLogger("docket.worker")

#: How many seconds pass before all tasks are described again, so that those that nobody knows any more can go.
AGAIN_SECONDS = 3600.0


@define(eq=False)
class Catalogue:
    """Describes all tasks of a worker when it begins, when they have ``changed``, and each hour.

    It is a service: it ends no worker. A server that refuses to take it switches it off, with a warning.
    """

    store: Store
    worker: str
    tasks: Callable[[], Mapping[str, TaskFunction]]
    changed: Notification = attrs.field(init=False, factory=Notification)
    _is_off: bool = attrs.field(init=False, default=False)

    async def run(self, answered: Callable[[], None]) -> None:
        """Publish until cancelled or until Redis is lost."""
        seen = 0  # after an outage, too: the server may have lost all
        await self.changed.wait_past(seen)
        while not self._is_off:
            seen = self.changed.count
            await self._write(answered)
            with anyio.move_on_after(None if self.store.client.is_memory else AGAIN_SECONDS):
                await self.changed.wait_past(seen)
        await wait_for_ever()

    async def _write(self, answered: Callable[[], None]) -> None:
        try:
            tasks = list(self.tasks().items())
            await self.store.write({name: described(function) for name, function in tasks})
        except redis_errors.RedisError as error:
            if is_outage(error):
                raise
            self._is_off = True
            logger.warning("Worker %r does not say which tasks it knows: %s", self.worker, error)
        else:
            answered()
