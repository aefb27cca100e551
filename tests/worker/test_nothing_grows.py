"""After a load of every kind nothing stays that does not end by itself: each key has a TTL, or is one of a few.

Tasks that complete, fail, retry, repeat until they are cancelled, wait for slots, are rate-limited, cooled down,
debounced, struck, that report progress, log arguments and return results; messages that name an unknown task or cannot
be read; tasks that are cancelled before they run and while they run, replaced, and cleared; a worker that dies.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Docket,
    ExecutionCancelled,
    Logged,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    TaskLogger,
    Worker,
)
from docket.execution import ExecutionFailed, ExecutionState
from docket.store import dump
from tests.durations import ms
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most, nothing_recorded

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

LATER = datetime(2065, 1, 24, 5, 20, tzinfo=UTC)


async def plain(number: int) -> int:
    return number


async def failing() -> None:
    raise ValueError("on purpose")


async def retrying(retry: Retry = Retry(attempts=3, delay=ms(5))) -> None:
    raise ValueError(f"attempt {retry.attempt}")


async def limited(customer: int, slots: ConcurrencyLimit = ConcurrencyLimit("customer", 1)) -> None:
    await anyio.sleep(0)


async def rated(rate: RateLimit = RateLimit(3, per=ms(40))) -> None: ...


async def dropped(rate: RateLimit = RateLimit(1, per=ms(40), drop=True)) -> None: ...


async def cooled(rest: Cooldown = Cooldown(ms(40))) -> None: ...


async def bounced(burst: Debounce = Debounce(ms(20))) -> None: ...


async def reporting(name: Annotated[str, Logged], progress: Progress = Progress()) -> str:
    await progress.set_total(3)
    await progress.increment()
    await progress.set_message(name)
    return name


TASKS = [plain, failing, retrying, limited, rated, dropped, cooled, bounced, reporting]


async def load(docket: Docket, stopped: list[str]) -> None:
    """Do everything that can be done with a docket; return when all of it has ended."""
    running, beats = anyio.Event(), anyio.Event()

    async def endless() -> None:
        running.set()
        await anyio.Event().wait()  # a cancelled timer without end would stay in the loop, with its context

    async def repeating(again: Perpetual = Perpetual(every=ms(5))) -> None:
        stopped.append("beat")
        if len(stopped) > 3:
            beats.set()

    ended = [await docket.add(plain)(number) for number in range(20)]
    ended += [await docket.add(failing)() for _ in range(3)] + [await docket.add(retrying)()]
    ended += [await docket.add(limited)(number % 3) for number in range(12)]
    for task in rated, dropped, cooled, bounced:
        ended += [await docket.add(task)() for _ in range(5)]
    ended += [await docket.add(reporting)("named")]
    # cancelled before it runs, replaced, cleared
    await docket.add(plain, when=LATER, key="cancelled")(1)
    await docket.cancel("cancelled")
    await docket.add(plain, when=LATER, key="replaced")(1)
    ended.append(await docket.replace(plain, datetime.now(UTC), "replaced")(2))
    # cancelled while it runs, and a chain that is ended so
    for task, begun in (endless, running), (repeating, beats):
        ended.append(await docket.add(task, key=task.__name__)())
        await begun.wait()
        await docket.cancel(task.__name__)
    # struck while it waits
    await docket.strike("plain", "number", "==", 99)
    ended.append(await docket.add(plain)(99))
    await docket.restore("plain", "number", "==", 99)
    await odd_messages(docket)
    for execution in ended:
        if execution.disposition.value == "scheduled":
            await end_of(execution.get_result)
    await docket.add(plain, when=LATER, key="cleared")(1)
    await docket.add(plain, when=LATER, key="runs:x")(1)
    await docket.clear()


async def odd_messages(docket: Docket) -> None:
    """A task that no worker knows, a message without fields, one with broken arguments."""
    good = {"when": "2026-01-01T00:00:00+00:00", "args": dump(()), "kwargs": dump({}), "attempt": 1}
    async with docket.redis() as redis:
        for key, fields in {
            "unknown": {**good, "function": "nobody knows"},
            "broken": {**good, "function": "plain", "args": b"junk"},
        }.items():
            record = {"state": "queued", "known": "1", "generation": 1, "stream_id": "0-0"}
            await redis.hset(docket.runs_key(key), mapping=record)
            message: Any = {**fields, "key": key, "generation": 1}
            entry = await redis.xadd(docket.stream_key, message)
            await redis.hset(docket.runs_key(key), "stream_id", entry)
        await redis.xadd(docket.stream_key, {"nothing": "we know"})


async def end_of(result: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(ValueError, ExecutionCancelled, ExecutionFailed):
        await result()


async def without_end(docket: Docket) -> dict[str, str]:
    """Name and type of every key that has no TTL."""
    async with docket.redis() as redis:
        names = await redis.keys("*")
        return {
            name.decode(): (await redis.type(name)).decode() for name in names if await redis.pttl(name) == -1
        }


async def test_every_key_ends_or_is_small(docket: Docket) -> None:
    for task in TASKS:
        docket.register(task)
    dead = docket.store.claims("dead")
    await dead.create_group()
    crashed = await docket.add(plain, key="crashed")(0)
    assert len(await dead.take(1)) == 1
    await docket.store.liveness.beat("dead", ["only the dead one knew it"], tasks_too=True)

    workers = [
        Worker(docket, name, redelivery_timeout=ms(300), minimum_check_interval=ms(20))
        for name in ("one", "two")
    ]
    async with at_most(), anyio.create_task_group() as group:
        for worker in workers:
            group.start_soon(worker.run_forever)
        await load(docket, [])
        assert await crashed.get_result() == 0
        while await docket.store.claims("w").unfinished():
            await anyio.sleep(0.01)  # what is set aside ends unheard
        for worker in workers:
            worker.stop()

    left, prefix = await without_end(docket), docket.name
    expected = {f"{prefix}:stream": "stream", f"{prefix}:strikes": "stream", f"{prefix}:workers": "zset"}
    if docket.client.is_memory:  # its process ends with the worker's: what a dead one left there is not seen
        expected |= {
            f"{prefix}:worker-tasks:dead": "set",
            f"{prefix}:task-workers:only the dead one knew it": "zset",
        }
    assert left == expected
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 0
        assert (await redis.xpending(docket.stream_key, "docket-workers"))["pending"] == 0
        assert await redis.xlen(docket.keys.strikes) <= 2
        assert await redis.zrange(docket.workers_set, 0, -1) == [b"dead"]
        assert {one["name"] for one in await redis.xinfo_consumers(docket.stream_key, "docket-workers")} == {
            b"dead", b"one", b"two",
        }  # fmt: skip
    execution = await docket.get_execution("crashed")
    assert execution is not None
    assert execution.state is ExecutionState.COMPLETED


# In the process ----------------------------------------------------------------------------------------------


#: asyncio keeps up to a hundred timers that were cancelled, each with the context of its waiter; trio up to a
#: thousand deadlines of scopes that were left.
OF_THE_LOOP = ["asyncio.events.TimerHandle", "_contextvars.Context", "trio.CancelScope"]


def census() -> Counter[str]:
    """How many objects there are of each type, and what else a process has."""
    gc.collect()
    found: Counter[str] = (
        Counter()
    )  # of an iterable it would ask each kind of Mapping, and these keep the answer
    for one in gc.get_objects():
        found[f"{type(one).__module__}.{type(one).__qualname__}"] += 1
    found["threads"] = threading.active_count()
    found["loggers"] = len(logging.root.manager.loggerDict)
    found["files"] = len(os.listdir("/proc/self/fd"))
    return found


async def settled(docket: Docket) -> Counter[str]:
    async with docket.redis() as redis:
        connections = len(await redis.client_list())
        channels = len(await redis.pubsub_channels()) + await redis.pubsub_numpat()
    found = census()
    found["connections"], found["subscriptions"] = connections, channels
    return found


@pytest.mark.slow
async def test_a_worker_that_goes_on_keeps_nothing_of_what_it_has_done(redis_url: str) -> None:
    rounds, stopped = 6, list[str]()
    async with Docket("long", redis_url, heartbeat_interval=ms(100)) as docket:
        for task in TASKS:
            docket.register(task)
        worker = Worker(
            docket, "one", redelivery_timeout=ms(300), minimum_check_interval=ms(20), fallback_task=anything
        )
        with nothing_recorded():
            async with at_most(60), anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                for _ in range(3):
                    await one_round(docket, stopped)
                before = await settled(docket)
                grown = await goes_on_growing(docket, stopped, before, rounds)
                if grown:  # what is made once, as late as now, does not come again
                    before = await settled(docket)
                    again = await goes_on_growing(docket, stopped, before, rounds)
                    grown = {what: again[what] for what in grown if what in again}
                worker.stop()
    assert grown == {}


async def goes_on_growing(
    docket: Docket, stopped: list[str], before: Counter[str], rounds: int
) -> dict[str, tuple[int, int]]:
    """What has grown after so many ``rounds``, and stays so while the worker has nothing to do."""
    for _ in range(rounds):
        await one_round(docket, stopped)
    grown = await growth(docket, before, rounds)
    with anyio.move_on_after(5):
        while grown:  # what has just ended may be on its way out, and the idle worker goes on
            await anyio.sleep(0.1)
            again = await growth(docket, before, rounds)
            grown = {what: again[what] for what in grown if what in again}
    return grown


async def growth(docket: Docket, before: Counter[str], rounds: int) -> dict[str, tuple[int, int]]:
    """Of what there is one more for each round, at least: how much there was, and is."""
    after = await settled(docket)
    of_the_loop = set(OF_THE_LOOP)
    if before["trio.CancelScope"] or after["trio.CancelScope"]:
        of_the_loop.add("builtins.tuple")  # there each deadline is one, also one that was put off
    return {
        what: (before[what], after[what])
        for what in after
        if after[what] - before[what] >= rounds and what not in of_the_loop
    }


async def anything(*args: Any, logger: Any = TaskLogger(), **kwargs: Any) -> None:
    """What runs where nobody knows a task."""


async def one_round(docket: Docket, stopped: list[str]) -> None:
    stopped.clear()
    await load(docket, stopped)
    good: dict[str, Any] = {
        "when": "2026-01-01T00:00:00+00:00", "args": dump(()), "kwargs": dump({}), "attempt": 1, "generation": 0,
    }  # fmt: skip
    async with docket.redis() as redis:
        for number in range(5):  # names that nobody will hear of again
            name = uuid4().hex
            await redis.publish(docket.keys.cancel_channel(name), name)
            await redis.publish(docket.keys.wake, f"limit {docket.name}:concurrency:{name}")
            await redis.xadd(docket.stream_key, {**good, "key": f"{name}{number}", "function": name})
    for _ in range(3):  # who listens, and does not wait for the end
        execution = await docket.add(plain)(1)
        async with contextlib.aclosing(execution.subscribe()) as events:
            await anext(events)
        await execution.get_result()
    while await docket.store.claims("w").unfinished():
        await anyio.sleep(0.01)
