"""What a worker does about tasks that it does not know: puts them back for one that does, for some time."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ...clock import monotonic
from ...rules import PassOn, delay_until_known
from ...store import PassedOn
from ..roster import Running
from .leased import retry_while_leased
from .settling import Settling

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["Unknown"]

logger = logging.getLogger("docket.worker")

#: Names of tasks that are remembered; who is sent more of them is sent nonsense, and may be told so again.
MOST_NAMES = 1000


@attrs.define(eq=False)
class Unknown:
    """Decides about claims of tasks that nobody registered here and for which no fallback task was given.

    ``patience`` is for how long such a task is put back while nobody alive knows it, all these pauses together; with
    zero it never is.
    """

    docket: Docket
    worker: str
    settling: Settling
    patience: timedelta
    #: By the name of a task: when its workers were last asked for (loop time), and their share of the fleet.
    _shares: dict[str, tuple[float, float]] = attrs.field(init=False, factory=dict[str, tuple[float, float]])

    async def verdict(self, running: Running) -> PassOn | None:
        """What is to be done with the claim of an unknown task; None: patience is over, let it fail.

        Raises: LeaseOver - Redis stayed away.
        """
        delivery = running.delivery
        before = delivery.message.passed_on or PassedOn()
        if not self.patience:
            return None
        share = await self._share(running)
        wait = delay_until_known(before.waited, before.times, share=share, luck=random.random())
        waited = before.waited
        if not share:  # else it is not unknown: those who know it are busy
            left = self.patience - waited
            if left <= timedelta(0):
                return None
            wait = min(wait, left)
            waited += wait
        # Whoever knows it counts with these deliveries: its workers may have died of it (`max_deliveries`).
        return PassOn(wait, before.times + 1, waited, delivery.deliveries - 1)

    async def _share(self, running: Running) -> float:
        """The part of the fleet that knows a task."""
        name, now = running.execution.function_name, monotonic()
        asked = self._shares.get(name)
        # Workers come and go with their heartbeats.
        if asked is not None and now - asked[0] < self.docket.heartbeat_interval.total_seconds():
            return asked[1]
        liveness = self.docket.store.liveness
        share = await retry_while_leased(
            self.settling.outages, running, lambda: liveness.share_knowing(name, but=self.worker)
        )
        if asked is None:
            self._say(name, share)
        if len(self._shares) >= MOST_NAMES:
            self._shares.clear()
        self._shares[name] = (now, share)
        return share

    def _say(self, name: str, share: float) -> None:
        if share:
            logger.info("Unknown task %r received - putting it back for a worker that knows it", name)
            return
        logger.warning(
            "Unknown task %r received, which no live worker knows - putting it back for up to %s. Register it with "
            "docket.register(function), or docket.register_collection('module:collection') "
            "(`--tasks module:collection` on the command line), before the worker runs",
            name,
            self.patience,
        )
