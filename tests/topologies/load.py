"""A load on a docket that lasts while its servers change, and a ledger of what became of every task."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio
import attrs
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from docket import Docket, TaskKey, Worker
from docket.clock import perf_counter
from docket.worker.upkeep.outages import is_disruption

__all__ = ["Load", "insist", "loaded"]

T = TypeVar("T")

PATIENCE = 40


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """Do something again that may be refused while the servers change, as a program would that cares."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await act()
            except RedisError as error:
                if not is_disruption(error):
                    raise
                await anyio.sleep(0.02)


@attrs.define(eq=False)
class Load:
    """Adds tasks one after the other, every second one for a moment later, and writes down when each ran."""

    docket: Docket
    added: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    """Keys of which the server has said that they are scheduled, and when."""
    safe: set[str] = attrs.field(init=False, factory=set[str])
    """Those of them of which a replica has said that it has them."""
    began: dict[str, list[float]] = attrs.field(init=False, factory=dict[str, list[float]])
    """When each key ran."""
    _replicated: bool = attrs.field(init=False, default=True)
    _stopping: bool = attrs.field(init=False, default=False)

    async def task(self, key: str = TaskKey()) -> None:
        self.began.setdefault(key, []).append(perf_counter())
        await anyio.sleep(0.002)

    async def produce(self) -> None:
        number = 0
        while not self._stopping:
            key, when = f"k{number}", datetime.now(UTC) + timedelta(milliseconds=100 * (number % 2))
            await insist(lambda key=key, when=when: self.docket.add(self.task, when=when, key=key)())
            self.added[key] = perf_counter()
            if self._replicated:
                await self._note_whether_safe(key)
            number += 1
            await anyio.sleep(0.005)

    async def _note_whether_safe(self, key: str) -> None:
        try:
            self._replicated = bool(await self.docket.client.call("WAIT", 1, 100))
        except (ConnectionError, TimeoutError, ResponseError):
            self._replicated = False  # from the fault on there is nobody who waits for the replica
        else:
            if self._replicated:
                self.safe.add(key)

    def stop(self) -> None:
        self._stopping = True

    async def until(self, count: int) -> None:
        """Wait until so many more tasks have run."""
        wanted = len(self.began) + count
        with anyio.fail_after(PATIENCE):
            while len(self.began) < wanted:
                await anyio.sleep(0.005)  # several workers, one condition: not worth an event of its own

    def lost(self) -> set[str]:
        return self.added.keys() - self.began.keys()

    def repeated(self) -> dict[str, list[float]]:
        return {key: began for key, began in self.began.items() if len(began) > 1}

    def missing_between(self, start: float = -math.inf, end: float = math.inf) -> set[str]:
        """What was added then and never ran."""
        return {key for key in self.lost() if start <= self.added[key] < end}


@asynccontextmanager
async def loaded(url: str, *, name: str = "load", workers: int = 2) -> AsyncGenerator[Load]:
    """A producer and workers at work, each with connections of its own; left when all that was added has run.

    What is not there any more is not waited for: a server that was lost had not replicated it.
    """
    async with AsyncExitStack() as stack:
        dockets = [await stack.enter_async_context(Docket(name, url)) for _ in range(workers + 1)]
        load = Load(dockets[0])
        for docket in dockets:
            docket.register(load.task)
        with anyio.fail_after(2 * PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(load.produce)
                running = [
                    Worker(docket, f"w{number}", reconnection_delay=timedelta(milliseconds=100))
                    for number, docket in enumerate(dockets[1:])
                ]
                for worker in running:
                    group.start_soon(worker.run_forever)
                yield load
                load.stop()
                while (await insist(dockets[0].snapshot)).total_tasks:
                    await anyio.sleep(0.02)
                for worker in running:
                    worker.stop()
