"""What keeps a worker's claims and its name alive: lease refresher, heartbeat, listener."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from datetime import timedelta

import anyio
import attrs
from redis.exceptions import RedisError

from ..clock import monotonic
from ..rules import StopReason
from ..store import Claims, Liveness
from .intake import Scheduler, Sweep
from .outage import is_disruption
from .roster import Condition, Roster

__all__ = ["Heartbeat", "Leases", "Listener"]

logger = logging.getLogger("docket.worker")

#: A lease is trusted until this part of it has passed since the last successful renewal began.
TRUSTED = 0.9

#: For how many seconds a cancellation is remembered that was heard before the claim it is meant for.
REMEMBERED = 10.0


@attrs.define(eq=False)
class Leases:
    """Renews every held lease each quarter of ``timeout``; stops bodies whose lease is lost (I3, I4)."""

    claims: Claims
    roster: Roster
    timeout: timedelta

    def trusted_from(self, moment: float) -> float:
        return moment + self.timeout.total_seconds() * TRUSTED

    async def run(self) -> None:
        interval = self.timeout.total_seconds() / 4
        while True:
            await self.roster.wait_nonempty()
            await anyio.sleep(interval)
            await self._renew()

    async def _renew(self) -> None:
        held, began = self.roster.ids(), monotonic()
        try:
            lost = await self.claims.renew(held)
        except RedisError as error:
            if is_disruption(error):
                self._stop_untrusted()
            raise
        for message_id in held:
            running = self.roster.get(message_id)
            if running is None:
                continue
            if message_id in lost:
                logger.warning("The lease of %r was lost to another worker", running.execution)
                running.stop(StopReason.LOST)
            else:
                running.trusted_until = self.trusted_from(began)

    def _stop_untrusted(self) -> None:
        now = monotonic()
        for running in self.roster:
            if running.trusted_until < now:
                logger.warning("The lease of %r could not be renewed in time", running.execution)
                running.stop(StopReason.LOST)


@attrs.define(eq=False)
class Heartbeat:
    """Says every ``interval`` that the worker lives, and every other time for which tasks."""

    liveness: Liveness
    worker: str
    tasks: Callable[[], Collection[str]]
    interval: timedelta
    scheduler: Scheduler
    _advertised: frozenset[str] = attrs.field(init=False, default=frozenset())

    async def run(self) -> None:
        beats = 0
        while True:
            tasks = frozenset(self.tasks())
            # The sets of tasks outlive several beats; refreshing them at every other one is a quarter of the cost.
            refresh = beats % 2 == 0 or tasks != self._advertised
            first = await self.liveness.beat(self.worker, tasks, tasks_too=refresh)
            self._advertised |= tasks
            self.scheduler.saw_first(first)
            beats += 1
            await anyio.sleep(math.inf if self.liveness.client.is_memory else self.interval.total_seconds())

    async def leave(self) -> None:
        """Take the worker off the lists; a server that is away forgets it by itself."""
        try:
            await self.liveness.leave(self.worker, self._advertised)
        except RedisError as error:
            logger.debug("Could not take worker %s off the list: %s", self.worker, error)


@attrs.define(eq=False)
class Listener:
    """Hears cancellation requests and wake-ups."""

    claims: Claims
    roster: Roster
    scheduler: Scheduler
    sweep: Sweep
    finished: Condition = attrs.field(init=False, factory=Condition)
    """Notified when somebody has finished the docket's last task."""
    _unclaimed: dict[str, float] = attrs.field(init=False, factory=dict[str, float])

    async def run(self) -> None:
        keys = self.claims.keys
        async with self.claims.client.pubsub() as pubsub:
            await pubsub.subscribe(keys.wake)
            await pubsub.psubscribe(keys.cancellations)
            # What was said before we listened:
            self.scheduler.wake()
            self.sweep.foreign_claim.notify()
            await self._stop_requested([running.delivery.message.key for running in self.roster])
            while True:
                message = await pubsub.receive()
                if message.pattern is not None:
                    self._cancellation(message.payload.decode())
                else:
                    self._wake_up(message.payload.decode())

    def _cancellation(self, key: str) -> None:
        found = self.roster.under(key)
        for running in found:
            running.stop(StopReason.ASKED)
        if not found:
            oldest = monotonic() - REMEMBERED
            self._unclaimed = {key: heard for key, heard in self._unclaimed.items() if heard > oldest}
            self._unclaimed[key] = monotonic()

    async def recheck(self, key: str) -> None:
        """A claim has begun: stop it if its cancellation was heard before it was ours."""
        if self._unclaimed.pop(key, None) is not None:
            await self._stop_requested([key])

    async def _stop_requested(self, keys: list[str]) -> None:
        if not keys:
            return
        for key, generation in zip(keys, await self.claims.cancel_requested(keys), strict=True):
            for running in self.roster.under(key):
                if generation == running.delivery.message.generation:
                    running.stop(StopReason.ASKED)

    def _wake_up(self, text: str) -> None:
        word, _, value = text.partition(" ")
        match word:
            case "due":
                self.scheduler.announced(float(value))
            case "claimed":
                if value != self.claims.worker:
                    self.sweep.foreign_claim.notify()
            case "finished":
                self.finished.notify()
            case _:
                pass  # of a later version
