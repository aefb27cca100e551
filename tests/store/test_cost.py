"""What the hot paths cost the server: commands per task, those inside of scripts counted, and time per step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket.docket import CLEAR_BATCH
from docket.store import Delivery, Ended, Liveness
from docket.store.levels import LANES
from docket.transport import Client
from tests.store.conftest import FUTURE, Store, message

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with Client.from_url(redis_url) as client:
        yield Store(client)


class Meter:
    """Counts the commands that the server executes."""

    def __init__(self, store: Store) -> None:
        self._store, self._seen = store, 0

    async def commands(self) -> int:
        """How many since the last look."""
        stats: Any = await self._store.client.info("stats")
        before, self._seen = self._seen, stats["total_commands_processed"]
        return self._seen - before - 1  # the last look itself


async def test_the_life_of_a_task_takes_fourteen_commands(store: Store) -> None:
    """One to call each script; placing: 4 in it; claiming: 4; reading ten at once: 2 for the ten, 1 asks for pauses, 1
    for strikes, and 1 deletes what progress there is. Settling: 8 alone; 4 with a read, and 2 acknowledge all of them,
    1 deletes their progress, 1 asks whether anything is left."""
    meter, claims, count = Meter(store), store.claims(), 100
    await store.running("warm up")  # loads the scripts
    await claims.settle(await store.running("w2"), Ended("completed"))
    await meter.commands()
    await store.schedule.place_many([message(f"{n}") for n in range(count)], replace=False, strikes=b"")
    assert await meter.commands() == 5 * count
    taken: list[Delivery] = []
    for _ in range(count // 10):
        taken += [delivery for delivery in await claims.take(10) if isinstance(delivery, Delivery)]
    assert await meter.commands() == 4 * count + 5 * (count // 10)
    for delivery in taken[10:]:
        await claims.settle(delivery, Ended("completed"))
    assert await meter.commands() == 9 * (count - 10)
    await claims.take_settling(1, [(delivery, Ended("completed")) for delivery in taken[:10]])
    assert await meter.commands() == 4 * 10 + 7


async def test_a_child_of_a_group_takes_four_commands_more(store: Store) -> None:
    """Two to be placed: is the group open, and it is added; two to end: it is marked, and is anybody under way?"""
    meter, claims, count = Meter(store), store.claims(), 100
    group = await store.groups.open("", "1", None, look_after=timedelta(seconds=30))
    await store.schedule.place(message("warm up"), replace=False, strikes=b"", child_of=group.id)
    await claims.take_settling(1, [(await store.claimed(), Ended("completed"))])
    await meter.commands()
    messages = [message(f"{n}") for n in range(count)]
    await store.schedule.place_many(messages, replace=False, strikes=b"", child_of=group.id)
    assert await meter.commands() == (5 + 2) * count
    taken: list[Delivery] = []
    for _ in range(count // 10):
        taken += [delivery for delivery in await claims.take(10) if isinstance(delivery, Delivery)]
    assert await meter.commands() == 4 * count + 5 * (count // 10)
    await claims.take_settling(1, [(delivery, Ended("completed")) for delivery in taken[:10]])
    assert await meter.commands() == (4 + 2) * 10 + 7


async def test_to_run_once_more_takes_eleven_commands_to_be_kept_and_eight_to_be_placed(store: Store) -> None:
    meter = Meter(store)
    for key in "warm up", "k":
        delivery = await store.running(key)
        await meter.commands()
        assert await store.schedule.place(message(key), replace=False, once_more=True)
        kept = await meter.commands()
        await store.claims().settle(delivery, Ended("completed"))
        placed = await meter.commands()
        await store.claims().settle(await store.claimed(), Ended("completed"))
    assert (kept, placed) == (11, 9 + 8)


async def test_the_depths_are_noted_without_a_command_about_rows_where_nobody_waits_in_one(
    store: Store,
) -> None:
    """Where somebody has waited, all lanes are looked for, and one of them is counted."""
    meter, turns, others = Meter(store), {"docket:share": "1 t:a"}, len(LANES) - 1
    liveness = Liveness(store.client, store.keys, timedelta(minutes=1), depths_too=True)

    async def note() -> int:
        await store.client.delete("d:ops:depths-turn")
        await meter.commands()
        await liveness.beat("w", [], tasks_too=False)
        return await meter.commands()

    await note()  # loads the script
    without = await note()
    await store.schedule.place(message("k", **turns), replace=False)
    claims = store.claims()
    await claims.create_group()
    (delivery,) = await claims.take(1)
    assert isinstance(delivery, Delivery)
    await claims.settle(delivery, Ended("completed"))
    assert await note() - without == others + 2
    for number in range(3):  # one has its turn at once, two wait
        await store.schedule.place(message(f"{number}", **turns), replace=False)
    assert await note() - without == others + 2 + 2


async def test_moving_a_due_task_takes_six_commands(store: Store) -> None:
    count = 100
    await store.schedule.place_many([message(f"{n}", FUTURE) for n in range(count)], replace=False)
    await store.client.zadd("d:queue", {f"{n}": 1 for n in range(count)})
    await store.due.move(1)
    meter = Meter(store)
    await meter.commands()
    assert (await store.due.move(count)).count == count - 1
    assert await meter.commands() <= 6 * (count - 1) + 6


@pytest.mark.chaos
async def test_a_hundred_thousand_due_tasks_keep_the_server_for_ten_milliseconds_at_most(
    store: Store,
) -> None:
    """Real time: of what the server does, and only where nothing else disturbs it."""
    count = 100_000
    for start in range(0, count, 5000):
        keys = [f"{n}" for n in range(start, start + 5000)]
        await store.schedule.place_many([message(key, FUTURE) for key in keys], replace=False)
        await store.client.zadd("d:queue", dict.fromkeys(keys, 1))
    await store.client.config_set("slowlog-log-slower-than", 10_000)
    await store.client.slowlog_reset()
    with anyio.fail_after(120):
        while (await store.due.move(250)).count:
            pass
        assert await store.schedule.clear(CLEAR_BATCH) == count
    slow: Any = await store.client.slowlog_get()
    assert len(slow) <= 3  # of 1400 steps; the machine may have had something else to do
    assert await store.claims().unfinished() == 0
