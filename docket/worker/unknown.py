"""What a worker does about tasks that it does not know: puts them back for one that does, for some time."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ..clock import monotonic
from ..rules import PassOn, delay_until_known
from ..store import PassedOn
from .roster import Running
from .settling import Settling

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Unknown"]

logger = logging.getLogger("docket.worker")

#: Names of tasks that are remembered; who is sent more of them is sent nonsense, and may be told so again.
MOST_NAMES = 1000


@attrs.define(eq=False)
class Unknown:
    """Decides about claims of tasks that nobody registered here and for which no fallback task was given.

    ``patience`` is for how long such a task is put back, all its pauses together; with zero it is not.
    """

    docket: Docket
    worker: str
    settling: Settling
    patience: timedelta
    #: By the name of a task: when its workers were last asked for (loop time), and whether there was one.
    _elsewhere: dict[str, tuple[float, bool]] = attrs.field(init=False, factory=dict[str, tuple[float, bool]])

    async def verdict(self, running: Running) -> PassOn | None:
        """What is to be done with the claim of an unknown task; None: patience is over, let it fail.

        Raises: LeaseOver - Redis stayed away.
        """
        delivery = running.delivery
        before = delivery.message.passed_on or PassedOn(timedelta(0))
        left = self.patience - before.waited
        if left <= timedelta(0):
            return None
        elsewhere = await self._is_known_elsewhere(running)
        wait = min(delay_until_known(before.waited, elsewhere=elsewhere, luck=random.random()), left)
        # Whoever knows it counts with these: its workers may have died of it (`max_deliveries`).
        return PassOn(wait, waited=before.waited + wait, deliveries=delivery.deliveries - 1)

    async def _is_known_elsewhere(self, running: Running) -> bool:
        name, now = running.execution.function_name, monotonic()
        asked = self._elsewhere.get(name)
        # Workers come and go with their heartbeats.
        if asked is not None and now - asked[0] < self.docket.heartbeat_interval.total_seconds():
            return asked[1]
        liveness = self.docket.liveness
        elsewhere = await self.settling.insist(running, lambda: liveness.is_known(name, but_to=self.worker))
        if asked is None:
            self._say(name, elsewhere=elsewhere)
        if len(self._elsewhere) >= MOST_NAMES:
            self._elsewhere.clear()
        self._elsewhere[name] = (now, elsewhere)
        return elsewhere

    def _say(self, name: str, *, elsewhere: bool) -> None:
        if elsewhere:
            logger.info("Unknown task %r received - putting it back for a worker that knows it", name)
            return
        logger.warning(
            "Unknown task %r received, which no live worker knows - putting it back for up to %s. Register it with "
            "docket.register(function), or docket.register_collection('module:collection') "
            "(`--tasks module:collection` on the command line), before the worker runs",
            name,
            self.patience,
        )
