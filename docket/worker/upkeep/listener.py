"""The listener: receives cancellation requests and wake-ups that are published on the docket's channels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import anyio
import attrs

from ...clock import monotonic
from ...notification import Notification
from ...parenthood import Tell
from ...rules import LEVELS, StopReason
from ...standins import redis_errors
from ...store import EVERY_TASK, Claims
from ...transport import Published, PubSub, is_outage
from ...values import define
from ..intake.expiry import Expiry
from ..intake.scheduler import Scheduler
from ..intake.sweep import Sweep
from ..roster import Roster, Running
from .orphans import Orphans

__all__ = ["Listener"]

logger = logging.getLogger("docket.worker")

#: For how many seconds a cancellation is remembered that comes before the claim it is meant for.
REMEMBERED = 10.0


@define(eq=False)
class Listener:
    """Stops claims whose cancellation is requested; wakes the scheduler, the sweep and other loops.

    Besides, it follows channels for tasks that run here.
    """

    claims: Claims
    roster: Roster
    scheduler: Scheduler
    sweep: Sweep
    orphans: Orphans
    expiry: Expiry
    finished: Notification
    """Notified when the last task of the docket may have been finished, here or elsewhere."""
    _unclaimed: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    """Keys of cancellations for which no claim was there, each with its loop time; the oldest is first."""
    _listening_since: float = attrs.field(init=False, default=math.inf)
    _followed: dict[bytes, dict[object, Tell]] = attrs.field(
        init=False, factory=dict[bytes, dict[object, Tell]]
    )
    """By channel and by who follows it: a run that was lost may still do so when its next delivery begins here."""
    _pubsub: PubSub | None = attrs.field(init=False, default=None)
    """What `run` receives from, while it does."""

    async def run(self, answered: Callable[[], None]) -> None:
        """Listen until cancelled or until Redis is lost."""
        keys = self.claims.keys
        async with self.claims.client.pubsub() as pubsub:
            self._pubsub = pubsub
            try:
                await pubsub.subscribe(keys.wake, *self._followed)
                await pubsub.psubscribe(keys.cancellations)
                self._listening_since = monotonic()
                await self._catch_up()
                answered()
                while True:
                    await self._heard(await pubsub.receive())
            finally:
                self._pubsub = None

    async def _heard(self, message: Published) -> None:
        if message.pattern is not None:
            self._cancel(message.payload.decode(errors="replace"))
        elif message.channel in self._followed:
            for tell in list(self._followed[message.channel].values()):
                await _tell(tell, message.payload)
        else:
            await self._wake_up(message.payload.decode(errors="replace"))

    async def _catch_up(self) -> None:
        """Act as if everything had been published that may have been before the worker listened.

        A run that was claimed before now is on the roster, or re-checks its own cancellation (`must_recheck`).
        """
        self.scheduler.wake()
        self.expiry.look_again()
        self.sweep.look_again()
        self.finished.notify()
        self.sweep.reader.go_on()
        self.orphans.look_again()
        if await self.claims.sees_new_lane():
            await self.sweep.reader.look_at_lanes()
        await self._stop_requested([running.delivery.message.key for running in self.roster])
        await _tell_all([tell for followers in self._followed.values() for tell in followers.values()])

    def _cancel(self, key: str) -> None:
        found = self.roster.under(key)
        for running in found:
            if running.reason is not StopReason.ASKED:
                logger.info("Cancelling running task %r", key)
            running.stop(StopReason.ASKED)
        if not found:
            now = monotonic()
            self._unclaimed.pop(key, None)
            self._unclaimed[key] = now  # last, so that the dictionary stays in the order of time
            while self._unclaimed[oldest := next(iter(self._unclaimed))] < now - REMEMBERED:
                del self._unclaimed[oldest]

    async def _wake_up(self, text: str) -> None:
        word, _, value = text.partition(" ")
        match word:
            case "due":
                self.scheduler.announce(value)
            case "expires":
                self.expiry.announce(value)
            case "claimed":
                if value != self.claims.worker:
                    self.sweep.look_again()
            case "finished":
                self.finished.notify()
            case "paused":
                if value == EVERY_TASK:
                    await self.sweep.reader.look_at_pauses()
            case "resumed":
                self.sweep.look_again()  # whoever resumes may be cut off half way
                self.sweep.reader.go_on()
            case "group":
                self.orphans.look_again()
            case "lane" | "turns" | "limit":
                await self._look_after(word, value)
            case _:
                pass  # of a later version

    async def _look_after(self, word: str, name: str) -> None:
        if word == "limit":
            await self.claims.admissions.look_after(name)
        elif word == "turns":
            if name in {level.value for level in LEVELS}:
                await self.claims.look_after_turns(name)
        elif name not in self.claims.lanes.there:
            await self.sweep.reader.look_at_lanes()

    # for claims ------------------------------------------------------------------------------------------

    def must_recheck(self, running: Running) -> bool:
        """Whether the cancellation of a claim that begins may have been requested before it was on the roster."""
        return (
            running.began < self._listening_since
            or running.delivery.redelivered
            or self._unclaimed.pop(running.delivery.message.key, None) is not None
        )

    async def recheck(self, running: Running) -> None:
        """Stop a claim whose cancellation was requested already. Raises: RedisError."""
        await self._stop_requested([running.delivery.message.key])

    async def follow(self, channel: str, owner: object, tell: Tell) -> None:
        """Tell what is published on a channel. See `docket.parenthood.Parent.follow`. Raises: ResponseError."""
        name = channel.encode()
        self._followed.setdefault(name, {})[owner] = tell
        pubsub = self._pubsub
        if pubsub is None:
            return  # `run` follows it with the others, and tells that something may have been missed
        before = pubsub.connection
        try:
            await pubsub.subscribe(name)
        except (redis_errors.ConnectionError, redis_errors.TimeoutError):
            return  # the same
        except BaseException:
            self.unfollow(channel, owner)
            raise
        if before is not None and pubsub.connection is not before:
            await self._catch_up_for(pubsub)

    async def _catch_up_for(self, pubsub: PubSub) -> None:
        """Catch up, since its connection was found lost, and `run` may not see that. If not all of it, `run` does."""
        try:
            await self._catch_up()
        except BaseException as error:  # the server is lost again, or whoever follows a channel is stopped
            pubsub.lose("what was published meanwhile is still to be found out")
            if not isinstance(error, redis_errors.RedisError):
                raise
            logger.debug("What was published meanwhile is asked for again: %s", error)

    def unfollow(self, channel: str, owner: object) -> None:
        """Tell it no more. Never suspends; idempotent."""
        name = channel.encode()
        followers = self._followed.get(name, {})
        followers.pop(owner, None)
        if not followers and self._followed.pop(name, None) is not None and self._pubsub is not None:
            self._pubsub.give_up([name])

    async def _stop_requested(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        for key, generation in zip(keys, await self.claims.cancel_requested(keys), strict=True):
            for running in self.roster.under(key):
                if generation == running.delivery.message.generation:
                    running.stop(StopReason.ASKED)


async def _tell(tell: Tell, said: bytes | None) -> None:
    """Raises: RedisError - the server is lost, and all are to be told again."""
    try:
        await tell(said)
    except redis_errors.RedisError as error:
        if is_outage(error):
            raise
        logger.warning(
            "What a task waits for cannot be looked at: %s", error
        )  # it harms that task alone (I9)


async def _tell_all(tells: Sequence[Tell]) -> None:
    """Tell that something may have been missed. Raises: RedisError."""
    lost: list[redis_errors.RedisError] = []

    async def tell_one(tell: Tell) -> None:
        try:
            await _tell(tell, None)
        except redis_errors.RedisError as error:
            lost.append(error)

    if tells:
        async with anyio.create_task_group() as group:
            for tell in tells:
                group.start_soon(tell_one, tell)
    if lost:
        raise lost[0]
