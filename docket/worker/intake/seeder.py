"""The seeder: schedules automatic tasks when a worker starts, and again when their chain of runs has ended."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from ... import clock
from ...client import automatic, check_arguments
from ...clock import monotonic, wait_for_ever
from ...execution import Execution
from ...moments import check_moment
from ...notification import Notification
from ...rules import FINAL
from ...store import about_key, chains, check_expires, is_shared, read_event, unreadable
from ...text import text_of
from ...values import define

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = [
    "AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS",
    "AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS",
    "Seeder",
]

logger = logging.getLogger("docket.worker")

AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS = 10
AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS = 60


@define(eq=False)
class Seeder:
    """Schedules automatic tasks under their names; looks every ``interval`` seconds for those that are not scheduled.

    One worker of the fleet looks at a time, pydocket's workers included. On memory:// nothing polls (I10): the seeder
    is notified of the end of a chain, and looks an ``interval`` later. ``limits`` says how often some keys may still
    run; a key that may not is left alone. ``recovered`` is notified after an outage: the server may have lost all.
    """

    docket: Docket
    limits: Mapping[str, int] = attrs.field(factory=dict[str, int])
    recovered: Notification = attrs.field(factory=Notification)
    interval: float = AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS
    _seeded: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    _refused: set[str] = attrs.field(init=False, factory=set[str])
    _recoveries_seen: int = attrs.field(init=False, default=0)

    async def run(self, answered: Callable[[], None]) -> None:
        """Seed at each interval, until cancelled or until Redis is lost."""
        if self.docket.client.is_memory:
            await self._run_without_polling(answered)
        while True:
            await self._seed_locked()
            answered()
            await anyio.sleep(self.interval)

    async def seed_after_outages(self, answered: Callable[[], None]) -> None:
        """Seed after each outage, until cancelled or until Redis is lost."""
        while True:
            await self.recovered.wait_past(self._recoveries_seen)
            seen = self.recovered.count
            await self._seed_locked()
            self._recoveries_seen = seen
            answered()

    async def wait_seeded(self) -> None:
        """Wait until the seeder has looked once. Cancel: safe."""
        await self._seeded.wait()

    async def _run_without_polling(self, answered: Callable[[], None]) -> None:
        async with self.docket.client.pubsub() as pubsub:
            while True:
                channels = [self.docket.keys.state_channel(name) for name in self._automatic()]
                if channels:
                    await pubsub.subscribe(
                        *channels
                    )  # before the look, which would miss a chain that ends after it
                await self._seed_locked()
                answered()
                if not channels:
                    await wait_for_ever()
                look_at = math.inf
                while (left := look_at - monotonic()) > 0:
                    with anyio.move_on_after(left):
                        event = read_event((await pubsub.receive()).payload)
                        if event is not None and event["type"] == "state" and event["state"] in FINAL:
                            look_at = min(look_at, monotonic() + self.interval)

    async def _seed_locked(self) -> None:
        """Seed while this worker has the lock. Another worker's turn does not count: it may know other tasks."""
        if self._automatic():
            name = self.docket.keys.perpetual_lock
            await check_expires(self.docket.client, name)  # nobody should wait for a key that never expires
            lock = self.docket.client.lock(
                name,
                timeout=AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS,
                raise_on_release_error=False,
            )
            async with lock:
                await self._seed()
        self._seeded.set()

    async def _seed(self) -> None:
        wanted = self._automatic()
        found = await chains(self.docket.client, self.docket.keys, list(wanted))
        for (name, when), chain in zip(wanted.items(), found, strict=True):
            if chain.is_live:
                continue
            try:
                if not chain.is_record:
                    raise about_key(self.docket.keys.run(name), "hash")
                function = self.docket.tasks[name]
                check_arguments(function, name, (), {})
                due = when or clock.now()
                execution: Execution[Any] = Execution(
                    self.docket, function, (), {}, name, due, 1, function_name=name
                )
                if (level := self.docket.own_level(name, function, (), {})) is not None:
                    execution.prioritize(level)
                # A record of this generation may say that it waits, which is wrong. A newer generation is alive.
                await execution.schedule(replace=chain.generation > 0, expected_generation=chain.generation)
            except TypeError as error:  # registered past `Docket.register`, which refuses it
                self._refuse(name, error)
            except unreadable.UnreadableKey as error:
                if is_shared(self.docket.keys, error):
                    raise
                self._refuse(name, error)

    def _automatic(self) -> dict[str, datetime | None]:
        """The automatic tasks by name, each with the time of its first run (None: at once)."""
        found: dict[str, datetime | None] = {}
        for name, function in list(self.docket.tasks.items()):
            if self.limits.get(name) == 0 or (perpetual := automatic(function)) is None:
                continue
            try:
                when = perpetual.initial_when
                found[name] = None if when is None else check_moment("initial_when", when)
            except Exception as error:  # noqa: BLE001 - a class of the user's may do anything (I9)
                self._refuse(name, error)
        return found

    def _refuse(self, name: str, error: Exception) -> None:
        """Log once that a task cannot be scheduled; the others are."""
        if name not in self._refused:
            self._refused.add(name)
            logger.error("Automatic task %r cannot be scheduled: %s", name, text_of(error))
