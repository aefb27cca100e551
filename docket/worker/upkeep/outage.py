"""What a worker does about a Redis that is lost or refuses: says so once, and tries again with back-off."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import anyio
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from ...clock import monotonic
from ...signals import signals, unfailing
from ...store import UnreadableKey, is_about_a_key

__all__ = ["Loop", "Outages", "is_disruption"]

logger = logging.getLogger("docket.worker")

#: Error replies by which a server says that it cannot now, not that the command was wrong.
_REFUSALS = (
    "BUSY ", "LOADING", "MISCONF", "NOGROUP", "NOREPLICAS", "OOM", "READONLY", "UNBLOCKED", "max number of clients",
    "Script killed by user",  # it kept the server for too long, and had written nothing
    "Script attempted to access a non local key",  # of a slot on its way to another node of a cluster
    "The stream has exhausted the last possible ID",  # somebody has written an entry with that one
)  # fmt: skip

#: The same, where redis-py has classes for them, whose text lacks the first word.
_REFUSAL_TYPES = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)

#: For so many seconds after an outage, who only now finds the connection that it cost is a part of it, and not
#: said again; unless it goes on for longer than that.
TAIL = 1.0

#: For so many seconds, who had asked before the outage was over: longer than any wait for an answer usually is.
LAGGARDS = 120.0

Loop: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""A loop on the server; it calls what it is given whenever the server has answered it."""

Misused: TypeAlias = Callable[[bool], Awaitable[UnreadableKey | None]]


def is_disruption(error: BaseException) -> bool:
    """Whether trying again may help: a lost or refusing server, a misused key of the docket; no mistake of ours."""
    if isinstance(error, AuthenticationError | AuthorizationError):
        return False
    if isinstance(error, (ConnectionError, TimeoutError, UnreadableKey, *_REFUSAL_TYPES)):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_REFUSALS)


class Outages:
    """Restarts the loops of one worker while Redis is away; knows when that began.

    An outage begins with the first who cannot reach the server, and is over when everybody who could not can
    again. ``delay`` is the longest pause between two tries, ``where`` the server's address for people, ``whose``
    the names of the docket and the worker. ``misused`` looks which of the docket's own keys holds a value of another
    type: of those that every task needs, or with True of all that the worker touches.
    """

    def __init__(
        self, delay: timedelta, where: str, whose: tuple[str, str], misused: Misused | None = None
    ) -> None:
        self._delay = delay.total_seconds()
        self._where, self._whose, self._misused = where, whose, misused
        self._since: float | None = None
        self._over_at = -math.inf
        self._said = False
        self._said_of: set[str] = set()
        self._cut_off: set[object] = set()

    def noted(self, who: object, error: RedisError, asked: float = math.inf) -> None:
        """``who`` cannot reach the server; say so if nobody has. ``asked`` is when it was last known to reach it."""
        self._cut_off.add(who)
        for each in signals.subscribers:
            with unfailing:
                each.disrupted(*self._whose)
        now = monotonic()
        if self._since is None:
            self._since = now
        if isinstance(error, UnreadableKey):
            self._say_of(error)
            return
        if self._said_of and is_about_a_key(error):
            return  # it was removed before anybody could look
        rested = now - self._over_at
        is_tail = rested < (LAGGARDS if asked < self._over_at else TAIL)
        if not self._said and (now - self._since >= TAIL or not is_tail):
            self._said = True
            logger.warning(
                "Redis at %s is unavailable: %s; trying again until it is back", self._where, error
            )

    def _say_of(self, error: UnreadableKey) -> None:
        """Say once which key is misused: somebody has to remove it."""
        key = error.key or str(error)
        if key not in self._said_of:
            self._said_of.add(key)
            logger.warning("Redis at %s: %s; trying again until it is removed", self._where, error)

    def over(self, who: object) -> None:
        """``who`` has reached the server; say so if that was the last one who could not."""
        if self._since is None:
            return
        self._cut_off.discard(who)
        if not self._cut_off:
            now = monotonic()
            if self._said:
                logger.warning("Redis at %s is back after %.1f s", self._where, now - self._since)
            elif self._said_of:
                logger.warning("Redis at %s can be used again after %.1f s", self._where, now - self._since)
            self._since, self._over_at, self._said = None, now, False
            self._said_of.clear()

    def given_up(self, who: object) -> None:
        """``who`` does not try again."""
        self._cut_off.discard(who)

    async def pause(self, attempt: int) -> None:
        """Wait before the ``attempt``-th new try, from 1: exponential, jittered, at most ``delay``."""
        longest = min(self._delay, 0.05 * 2 ** min(attempt, 20))
        await anyio.sleep(longest * random.uniform(0.1, 1.0))

    async def concerns_all(self, error: RedisError, *, loop: bool = False) -> RedisError | None:
        """The error that is to be said of an outage; None where this is none, but about one task, or a mistake of ours.

        A loop of the worker is about no single task: whatever it finds misused is an outage.
        """
        known = error if is_disruption(error) else None
        if self._misused is None or not (isinstance(error, UnreadableKey) or is_about_a_key(error)):
            return known
        try:
            found = await self._misused(loop)
        except NoPermissionError:
            found = None  # then it cannot be named
        except RedisError as lost:
            return lost if is_disruption(lost) else known
        return found or known or (error if loop else None)

    async def supervise(self, loop: Loop) -> None:
        """Run ``loop``, again each time it ends by a disruption; everything else comes out (I6, I7)."""
        who, attempt, asked = object(), 0, monotonic()

        def answered() -> None:
            nonlocal attempt, asked
            attempt, asked = 0, monotonic()
            self.over(who)

        try:
            while True:
                try:
                    await loop(answered)
                except RedisError as error:
                    if (outage := await self.concerns_all(error, loop=True)) is None:
                        raise
                    self.noted(who, outage, asked)
                else:
                    return self.over(who)
                attempt += 1
                await self.pause(attempt)
        finally:
            self.given_up(who)
