"""Leases: renews those of the claims that a worker holds, and stops the bodies of those that it has lost."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ...clock import monotonic
from ...rules import StopReason, lease_trusted_until, renewal_interval
from ...store import Claims
from ...values import define
from ..roster import Roster, Running

logger = logging.getLogger("docket.worker")

__all__ = ["Leases"]


@define(eq=False)
class Leases:
    """Renews every lease that the worker holds; stops a body whose lease is lost (I3, I4). One lasts ``timeout``."""

    claims: Claims
    roster: Roster
    timeout: timedelta
    #: Two threads may renew at the same time, see `BlockedLoopRenewal`.
    _noting: threading.Lock = attrs.field(init=False, factory=threading.Lock)

    def trusted_until(self, renewed: float) -> float:
        """Until when a lease is trusted whose last renewal began at ``renewed`` (loop times)."""
        return lease_trusted_until(renewed, self.timeout)

    async def run(self, answered: Callable[[], None]) -> None:
        """Renew at each interval, and at once after an outage."""
        interval = renewal_interval(self.timeout).total_seconds()
        while True:
            if self.roster:
                await self.renew(self.claims, monotonic)
                self._stop_untrusted()
                answered()
            await self.roster.wait_nonempty()
            await anyio.sleep(interval)

    def overdue(self, now: float) -> int:
        """How many leases of active bodies are older than half a timeout: two renewals in a row are missing."""
        least = self.trusted_until(now - self.timeout.total_seconds() * 5 / 8)
        return sum(running.is_active and running.trusted_until < least for running in self.roster)

    async def renew(self, claims: Claims, now: Callable[[], float]) -> None:
        """Renew all leases and slots through ``claims``, and note until when each lease can be trusted. In any thread.

        ``now`` returns the time of the loop in which the bodies run. Raises: RedisError.
        """
        held, began = list(self.roster), now()
        lost = await claims.renew([running.delivery.message_id for running in held])
        await claims.admissions.renew(self.roster.holdings())
        until, answered = self.trusted_until(began), now()
        with self._noting:
            for running in held:
                if running.delivery.message_id in lost:
                    running.trusted_until = -math.inf
                elif running.trusted_until > answered:  # after that another worker may have held it
                    running.trusted_until = max(running.trusted_until, until)

    async def watch(self) -> None:
        """Stop each body when its lease is no longer trusted, even while a renewal waits for the server."""
        while True:
            await self.roster.wait_nonempty()
            # A claim that is added during the sleep is trusted for longer than half a timeout.
            first = min(self.roster.first_to_distrust(), monotonic() + self.timeout.total_seconds() / 2)
            await anyio.sleep_until(first)
            self._stop_untrusted()

    def _stop_untrusted(self) -> None:
        now = monotonic()
        for running in self.roster:
            if running.trusted_until <= now and running.is_active:
                _log_lost(running)
                running.stop(StopReason.LOST)


def _log_lost(running: Running) -> None:
    if running.trusted_until == -math.inf:
        logger.warning(
            "The lease of %r was lost: another worker has it, or the server forgot it", running.execution
        )
    else:
        logger.warning("The lease of %r could not be renewed in time", running.execution)
