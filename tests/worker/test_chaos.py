"""Long runs of faults: whatever happens to the server and to the workers, every task ends, once for all."""

from __future__ import annotations

import contextlib
import logging
import random
from collections import Counter
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket import Docket, Execution, Retry, Worker
from tests.durations import ms
from tests.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

TASKS = 400
FAULTS = 12


async def result_of(execution: Execution[int]) -> int:
    """The client meets the faults, too; it may ask again."""
    while True:
        with contextlib.suppress(ConnectionError):
            return await execution.get_result()


@pytest.mark.parametrize("seed", range(3))
async def test_no_task_is_lost_whatever_is_killed(seed: int) -> None:
    """I1, I2: at least one run of each, one result of each, nothing left behind."""
    chance = random.Random(seed)
    runs: Counter[int] = Counter()
    logging.getLogger("docket").setLevel(logging.CRITICAL)

    async def task(number: int, retry: Retry = Retry(attempts=None)) -> int:
        runs[number] += 1
        await anyio.sleep(chance.uniform(0, 0.05))
        if chance.random() < 0.05:
            raise ValueError(number)
        return number

    settings: dict[str, Any] = {
        "redelivery_timeout": ms(500),
        "reconnection_delay": ms(100),
        "concurrency": 5,
    }
    workers: dict[str, Worker] = {}
    over = False

    async def keep_working(docket: Docket, name: str) -> None:
        while not over:
            workers[name] = Worker(docket, name, **settings)
            await workers[name].run_forever()

    with Server("--appendonly", "yes", "--appendfsync", "always") as server, anyio.fail_after(120):
        async with Docket("chaos", server.url) as docket, anyio.create_task_group() as group:
            for name in ("one", "two", "three"):
                group.start_soon(keep_working, docket, name)
            calls = [docket.call(task)(number) for number in range(TASKS)]
            executions = await docket.add_many(calls)
            for _ in range(FAULTS):
                await anyio.sleep(chance.uniform(0.05, 0.4))
                match chance.randrange(4):
                    case 0:
                        server.restart()
                    case 1:
                        server.pause()
                        await anyio.sleep(chance.uniform(0.1, 0.8))  # longer than a lease, at times
                        server.resume()
                    case 2:
                        workers[chance.choice(list(workers))].hand_back()
                    case _:
                        workers[chance.choice(list(workers))].stop()
            results = [await result_of(execution) for execution in executions]
            over = True
            async with docket.redis() as redis:
                while await redis.xlen(docket.stream_key):  # an entry of a stale claim may still be pending
                    await anyio.sleep(0.1)
                assert not await redis.zcard(docket.queue_key)
            for worker in workers.values():
                worker.stop()
    assert results == list(range(TASKS))
    assert set(runs) == set(range(TASKS))
