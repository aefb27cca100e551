"""Outages of Redis: which errors are one, one log line for each, and restarts with back-off."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import anyio

from ...clock import monotonic
from ...signals import signals, suppress_errors
from ...standins import redis_errors
from ...store import is_about_a_key, unreadable
from ...transport import faults, is_outage, is_wrong_user

__all__ = ["Loop", "Outages", "is_disruption", "is_wrong_user"]

logger = logging.getLogger("docket.worker")

#: A caller that finds its connection lost within so many seconds after an outage belongs to that outage, and is
#: logged only if it stays cut off for longer than this.
AFTERMATH = 1.0

#: The same for a caller whose last answer is older than the end of the outage. Hardly any wait for an answer takes
#: longer.
LAGGARDS = 120.0

Loop: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""A loop that talks to the server. It calls its argument whenever the server has answered."""

Misused: TypeAlias = "Callable[[bool], Awaitable[unreadable.UnreadableKey | None]]"
"""Looks for a misused key of the docket; its argument is described in `Outages`."""


def is_disruption(error: BaseException) -> bool:
    """Whether trying again may help: the server is lost or refuses, or a key is misused. False for a bug of ours."""
    return isinstance(error, unreadable.UnreadableKey) or is_outage(error)


class Outages:
    """Restarts the loops of one worker while Redis is away, and logs each outage once.

    An outage begins with the first caller that cannot reach the server. It ends when every caller that could not
    reaches the server again. A caller is any object: a loop, or a claim that is being settled. ``delay`` is the
    longest pause between two attempts, ``address`` the server's address for people, ``labels`` the names of the docket
    and the worker. ``misused`` looks for a key of the docket that holds a value of another type: among the keys that
    every task needs, or with True among all that the worker touches.
    """

    def __init__(
        self, delay: timedelta, address: str, labels: tuple[str, str], misused: Misused | None = None
    ) -> None:
        self._delay = delay.total_seconds()
        self._address, self._labels, self._misused = address, labels, misused
        self._began: float | None = None
        self._ended = -math.inf
        self.last_answer: float | None = None
        """The loop time at which the server last answered one of the loops."""
        self._is_logged = self._is_provider_logged = False
        self._logged_keys: set[str] = set()
        self._cut_off: set[object] = set()

    @property
    def began(self) -> float | None:
        """The loop time at which the outage began that lasts; None where there is none."""
        return self._began

    def failed(self, caller: object, error: redis_errors.RedisError, last_answer: float = math.inf) -> None:
        """Note that ``caller`` cannot reach the server, and log it if this outage is not logged yet.

        ``last_answer`` is the loop time at which the server last answered this caller.
        """
        self._cut_off.add(caller)
        for each in signals.subscribers:
            with suppress_errors:
                each.disrupted(*self._labels)
        now = monotonic()
        if self._began is None:
            self._began = now
        if isinstance(error, unreadable.UnreadableKey):
            self._log_misused(error)
            return
        if self._logged_keys and is_about_a_key(error):
            return  # the key was removed before anybody could look at it
        if isinstance(error, faults.ProviderRefused | faults.ProviderFailed):
            self._log_provider(error)
            return
        rested = now - self._ended
        is_aftermath = rested < (LAGGARDS if last_answer < self._ended else AFTERMATH)
        if not self._is_logged and (now - self._began >= AFTERMATH or not is_aftermath):
            self._is_logged = True
            if isinstance(error, redis_errors.OutOfMemoryError):
                text = (
                    "Redis at %s is unavailable: it refuses writes, since its memory is full (%s); trying again until "
                    "there is room"
                )
            else:
                text = "Redis at %s is unavailable: %s; trying again until it is back"
            logger.warning(text, self._address, error)

    def _log_provider(self, error: redis_errors.RedisError) -> None:
        """Log once in an outage that it lasts for want of credentials, also where it began in another way."""
        if not self._is_provider_logged:
            self._is_logged = self._is_provider_logged = True
            logger.warning(
                "Redis at %s cannot be used without other credentials: %s; asking the credential_provider again until "
                "they are accepted",
                self._address,
                error,
            )

    def _log_misused(self, error: unreadable.UnreadableKey) -> None:
        """Log once which key is misused: somebody has to remove it."""
        key = error.key or str(error)
        if key not in self._logged_keys:
            self._logged_keys.add(key)
            logger.warning("Redis at %s: %s; trying again until it is removed", self._address, error)

    def recovered(self, caller: object) -> None:
        """Note that ``caller`` has reached the server, and log the end of the outage if it was the last one cut off."""
        if self._began is None:
            return
        self._cut_off.discard(caller)
        if not self._cut_off:
            now = monotonic()
            if self._is_logged:
                logger.warning("Redis at %s is back after %.1f s", self._address, now - self._began)
            elif self._logged_keys:
                logger.warning("Redis at %s can be used again after %.1f s", self._address, now - self._began)
            self._began, self._ended = None, now
            self._is_logged = self._is_provider_logged = False
            self._logged_keys.clear()

    def forget(self, caller: object) -> None:
        """Do not wait for ``caller`` any longer: it does not try again."""
        self._cut_off.discard(caller)

    async def back_off(self, attempt: int) -> None:
        """Sleep before the ``attempt``-th new attempt, from 1: exponential, jittered, at most ``delay``."""
        longest = min(self._delay, 0.05 * 2 ** min(attempt, 20))
        await anyio.sleep(longest * random.uniform(0.1, 1.0))

    async def outage_behind(
        self, error: redis_errors.RedisError, *, in_loop: bool = False
    ) -> redis_errors.RedisError | None:
        """The error to log for the outage that ``error`` belongs to; None if it concerns one task, or is a bug of ours.

        A loop of the worker serves no single task, so every misused key that it meets is an outage.
        """
        disruption = error if is_disruption(error) else None
        if self._misused is None or not (
            isinstance(error, unreadable.UnreadableKey) or is_about_a_key(error)
        ):
            return disruption
        try:
            found = await self._misused(in_loop)
        except redis_errors.NoPermissionError:
            found = None  # the key cannot be named
        except redis_errors.RedisError as lost:
            return lost if is_disruption(lost) else disruption
        return found or disruption or (error if in_loop else None)

    async def supervise(self, loop: Loop) -> None:
        """Run ``loop``, again after each disruption. Everything else comes out (I6, I7)."""
        caller, attempt, last_answer = object(), 0, monotonic()

        def answered() -> None:
            nonlocal attempt, last_answer
            attempt, last_answer = 0, monotonic()
            self.last_answer = last_answer
            self.recovered(caller)

        try:
            while True:
                try:
                    await loop(answered)
                except redis_errors.RedisError as error:
                    if (outage := await self.outage_behind(error, in_loop=True)) is None:
                        raise
                    self.failed(caller, outage, last_answer)
                else:
                    return self.recovered(caller)
                attempt += 1
                await self.back_off(attempt)
        finally:
            self.forget(caller)
