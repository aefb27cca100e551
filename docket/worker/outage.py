"""What a worker does about a Redis that is lost or refuses: one log line, and again with jittered back-off."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from .. import clock
from ..clock import monotonic

__all__ = ["Outages", "is_disruption"]

logger = logging.getLogger("docket.worker")

#: Error replies by which a server says that it cannot now, not that the command was wrong.
_REFUSALS = (
    "BUSY ", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOGROUP", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN",
    "UNBLOCKED", "max number of clients",
)  # fmt: skip


def is_disruption(error: BaseException) -> bool:
    """Whether trying again may help: a lost or refusing server, not a mistake of ours (I7)."""
    if isinstance(error, AuthenticationError | AuthorizationError):
        return False
    if isinstance(error, ConnectionError | TimeoutError | ReadOnlyError | OutOfMemoryError):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_REFUSALS)


class Outages:
    """Restarts the loops of one worker while Redis is away; knows when that began.

    ``delay`` is the longest pause between two tries.
    """

    def __init__(self, delay: timedelta, where: str) -> None:
        self._delay = delay.total_seconds()
        self._where = where
        self._since: float | None = None

    def noted(self, error: RedisError) -> None:
        """Say once that Redis is away."""
        if self._since is None:
            self._since = monotonic()
            logger.warning("Redis at %s is unavailable: %s; trying again until it is back", self._where, error)

    def over(self) -> None:
        """Say once that it is back."""
        if self._since is not None:
            logger.warning("Redis at %s is back after %.1f s", self._where, clock.monotonic() - self._since)
            self._since = None

    async def pause(self, attempt: int) -> None:
        """Wait before the ``attempt``-th new try, from 1: exponential with full jitter, at least a tenth of it."""
        longest = min(self._delay, 0.05 * 2 ** min(attempt, 20))
        await anyio.sleep(longest * random.uniform(0.1, 1.0))

    async def supervise(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run ``loop``, again each time it ends by a disruption; everything else comes out (I6, I7)."""
        attempt = 0
        while True:
            began = monotonic()
            try:
                return await loop()
            except RedisError as error:
                if not is_disruption(error):
                    raise
                self.noted(error)
            attempt = 1 if monotonic() - began > self._delay else attempt + 1
            await self.pause(attempt)
