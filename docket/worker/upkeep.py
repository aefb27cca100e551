"""What keeps a worker's claims and its name alive: lease refresher, heartbeat, listener."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection
from datetime import timedelta

import anyio
import attrs
from redis.exceptions import RedisError

from ..clock import monotonic, wait_for_ever
from ..dependencies import LEASE_RENEWAL_FACTOR
from ..rules import StopReason
from ..store import Beat, Claims, Liveness
from .intake import Scheduler, Sweep
from .roster import Condition, Roster, Running

__all__ = ["Heartbeat", "Leases", "Listener"]

logger = logging.getLogger("docket.worker")

#: A lease is trusted until this part of it has passed since the last successful renewal began.
TRUSTED = 0.9

#: For how many seconds a cancellation is remembered that was heard before the claim it is meant for.
REMEMBERED = 10.0

#: How many seconds a worker that ends waits for a server that is to forget it.
LEAVING = 2.0


@attrs.define(eq=False)
class Leases:
    """Renews every held lease each quarter of ``timeout``; stops bodies whose lease is lost (I3, I4)."""

    claims: Claims
    roster: Roster
    timeout: timedelta
    #: Two threads may renew at a time (`Standby`).
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
            if running.trusted_until <= now and running.goes_on:
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


@attrs.define(eq=False)
class Heartbeat:
    """Says every ``interval`` that the worker lives, and every other time for which tasks."""

    liveness: Liveness
    worker: str
    tasks: Callable[[], Collection[str]]
    interval: timedelta
    scheduler: Scheduler
    _advertised: frozenset[str] | None = attrs.field(init=False, default=None)
    _last_beat: float | None = attrs.field(init=False, default=None)
    _warned: bool = attrs.field(init=False, default=False)
    _asked: bool = attrs.field(init=False, default=False)
    """Whether a beat was sent, and not heard to have come."""
    _complained: set[str] = attrs.field(init=False, factory=set[str])

    async def run(self, answered: Callable[[], None]) -> None:
        beats, self._last_beat = 0, None  # what was sent when the server went away is not known
        sparing = self.liveness.expiry > 3 * self.interval
        while True:
            tasks = frozenset(self.tasks())
            # The sets of tasks outlive several beats; refreshing them at every other one is half of the cost.
            refresh = not sparing or beats % 2 == 0 or tasks != self._advertised
            self._advertised = tasks | (self._advertised or frozenset())
            unsure, self._asked = self._asked, True
            beat = await self.liveness.beat(self.worker, tasks, tasks_too=refresh)
            self._asked = False
            answered()
            self._look_for_a_twin(beat, unsure=unsure)
            self._complain(beat)
            self.scheduler.saw_first(beat.first_due)
            beats += 1
            if self.liveness.client.is_memory:
                await wait_for_ever()
            await anyio.sleep(self.interval.total_seconds())

    def _look_for_a_twin(self, beat: Beat, *, unsure: bool) -> None:
        """Warn if our entry changes without us. At the first beat it may be that of the process before this one.

        ``unsure``: or that of a beat of our own that was refused half-way.
        """
        expected = self._last_beat
        if self.liveness.client.is_memory:
            foreign = beat.seen is not None and not unsure
        else:
            foreign = expected is not None and beat.seen is not None and abs(beat.seen - expected) > 1e-4
        self._last_beat = beat.at
        if foreign and not self._warned:
            self._warned = True
            logger.warning(
                "There is another worker named %r on this docket; each task still runs once, "
                "but give every worker a name of its own to tell them apart",
                self.worker,
            )

    def _complain(self, beat: Beat) -> None:
        """Say once of each task that nobody can be told who knows it."""
        for problem in map(str, beat.problems):
            if problem not in self._complained:
                self._complained.add(problem)
                logger.warning("Nobody is told that worker %r knows a task: %s", self.worker, problem)

    async def leave(self) -> None:
        """Take the worker off the lists; a server that is away forgets it by itself."""
        if self._advertised is None:
            return
        with anyio.move_on_after(LEAVING, shield=True):
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
    """Notified when somebody may have finished the docket's last task."""
    _unclaimed: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    _listening_since: float = attrs.field(init=False, default=math.inf)

    async def run(self, answered: Callable[[], None]) -> None:
        keys = self.claims.keys
        async with self.claims.client.pubsub() as pubsub:
            await pubsub.subscribe(keys.wake)
            await pubsub.psubscribe(keys.cancellations)
            # What was said before we listened. Who was asked for before now asks for himself (`recheck`).
            self._listening_since = monotonic()
            self.scheduler.wake()
            self.sweep.look.notify()
            self.finished.notify()
            await self._stop_requested([running.delivery.message.key for running in self.roster])
            answered()
            while True:
                message = await pubsub.receive()
                if message.pattern is not None:
                    self._cancellation(message.payload.decode(errors="replace"))
                else:
                    await self._wake_up(message.payload.decode(errors="replace"))

    def _cancellation(self, key: str) -> None:
        found = self.roster.under(key)
        for running in found:
            if running.reason is not StopReason.ASKED:
                logger.info("Cancelling running task %r", key)
            running.stop(StopReason.ASKED)
        if not found:
            now = monotonic()
            self._unclaimed.pop(key, None)
            self._unclaimed[key] = now  # behind all others: the dictionary is in order of time
            while self._unclaimed[oldest := next(iter(self._unclaimed))] < now - REMEMBERED:
                del self._unclaimed[oldest]

    def must_recheck(self, running: Running) -> bool:
        """Whether the cancellation of a claim that begins may have been asked for before it was on the roster."""
        return (
            running.began < self._listening_since
            or running.delivery.redelivered
            or self._unclaimed.pop(running.delivery.message.key, None) is not None
        )

    async def recheck(self, running: Running) -> None:
        """Stop a claim whose cancellation was asked for already. Raises: RedisError."""
        await self._stop_requested([running.delivery.message.key])

    async def _stop_requested(self, keys: list[str]) -> None:
        if not keys:
            return
        for key, generation in zip(keys, await self.claims.cancel_requested(keys), strict=True):
            for running in self.roster.under(key):
                if generation == running.delivery.message.generation:
                    running.stop(StopReason.ASKED)

    async def _wake_up(self, text: str) -> None:
        word, _, value = text.partition(" ")
        match word:
            case "due":
                self.scheduler.announced(value)
            case "claimed":
                if value != self.claims.worker:
                    self.sweep.look.notify()
            case "finished":
                self.finished.notify()
            case "limit":
                await self.claims.admissions.look_after(value)
            case _:
                pass  # of a later version
