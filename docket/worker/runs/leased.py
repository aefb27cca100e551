"""Retries an action on the server for as long as the lease of a claim can be trusted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...clock import monotonic
from ...standins import redis_errors
from ...store import is_about_a_key
from ..roster import Running
from ..upkeep.outages import Outages

__all__ = ["LeaseOver", "retry_while_leased"]

T = TypeVar("T")


class LeaseOver(Exception):
    """Redis stayed away until the lease could no longer be trusted."""


async def retry_while_leased(outages: Outages, running: Running, act: Callable[[], Awaitable[T]]) -> T:
    """Return what ``act()`` returns; repeat it, with back-off, while Redis is away and the lease can be trusted.

    Raises: LeaseOver; RedisError - it is no disruption; whatever else ``act`` raises.
    """
    attempt, doubted = 0, False
    while True:
        try:
            done = await act()
        except redis_errors.RedisError as error:
            if (outage := await outages.outage_behind(error)) is None:
                if is_about_a_key(error) and not doubted:
                    doubted = True  # the key that is to blame may have been removed since
                    continue
                outages.forget(running)
                raise
            outages.failed(running, outage)
            if monotonic() >= running.trusted_until:
                outages.forget(running)
                raise LeaseOver from error
            attempt += 1
            try:
                await outages.back_off(attempt)
            except BaseException:  # it is cancelled
                outages.forget(running)
                raise
        except BaseException:
            outages.forget(running)
            raise
        else:
            if attempt:
                outages.recovered(running)
            return done
