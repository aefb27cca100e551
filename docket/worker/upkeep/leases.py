"""The lease refresher: renews what is held, stops what was lost."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ...clock import monotonic
from ...dependencies import LEASE_RENEWAL_FACTOR
from ...rules import StopReason
from ...store import Claims
from ..roster import Roster

logger = logging.getLogger("docket.worker")

__all__ = ["Leases"]

#: A lease is trusted until this part of it has passed since the last successful renewal began.
TRUSTED = 0.9


@attrs.define(eq=False)
class Leases:
    """Renews every held lease each quarter of ``timeout``; stops bodies whose lease is lost (I3, I4)."""

    claims: Claims
    roster: Roster
    timeout: timedelta
    #: Two threads may renew at a time (`BlockedLoopRenewal`).
    _renewed: threading.Lock = attrs.field(init=False, factory=threading.Lock)

    def trusted_from(self, moment: float) -> float:
        """Until when a lease is ours that was renewed at ``moment`` (loop times)."""
        return moment + self.timeout.total_seconds() * TRUSTED

    async def run(self, answered: Callable[[], None]) -> None:
        interval = self.timeout.total_seconds() / LEASE_RENEWAL_FACTOR
        while True:
            if self.roster:
                await self.renew(self.claims, monotonic)  # also at once after an outage
                self._stop_distrusted()
                answered()
            await self.roster.wait_nonempty()
            await anyio.sleep(interval)

    async def renew(self, claims: Claims, now: Callable[[], float]) -> None:
        """Renew what is held, through ``claims``, and note until when that can be trusted. In any thread.

        ``now`` tells the time of the loop in which the bodies run.
        """
        held, began = list(self.roster), now()
        lost = await claims.renew([running.delivery.message_id for running in held])
        await claims.admissions.renew(self.roster.holdings())
        until, answered = self.trusted_from(began), now()
        with self._renewed:
            for running in held:
                if running.delivery.message_id in lost:
                    running.trusted_until = -math.inf
                elif running.trusted_until > answered:  # else somebody may have had it meanwhile
                    running.trusted_until = max(running.trusted_until, until)

    def _stop_distrusted(self) -> None:
        now = monotonic()
        for running in self.roster:
            if running.trusted_until <= now and running.is_active:
                if running.trusted_until == -math.inf:
                    logger.warning(
                        "The lease of %r was lost: another worker has it, or the server forgot it",
                        running.execution,
                    )
                else:
                    logger.warning("The lease of %r could not be renewed in time", running.execution)
                running.stop(StopReason.LOST)

    async def watch(self) -> None:
        """Stop bodies whose lease could not be renewed in time, whatever keeps the renewals from succeeding."""
        while True:
            await self.roster.wait_nonempty()
            # A claim that is added meanwhile is trusted for longer than this.
            first = min(self.roster.first_to_distrust(), monotonic() + self.timeout.total_seconds() / 2)
            await anyio.sleep_until(first)
            self._stop_distrusted()
