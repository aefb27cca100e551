"""Worker processes are killed while calls of all kinds wait: none is lost, and what runs once more keeps its order."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import Disposition, Docket, Execution, FairShare, Priority
from docket.client import remote_task
from docket.errors import ExecutionCancelled, ExecutionExpired
from tests.servers import Server
from tests.where import one_loop, slow
from tests.worker.leftovers import assert_nothing_is_left

pytestmark = [pytest.mark.anyio, one_loop, slow]

KEYS, ADDS, KILLS, PLACES = 3, 200, 4, 4

PROGRAM = """
    import random, sys, anyio
    from datetime import timedelta
    from docket import Docket, FairShare, Retry, TaskKey, Worker

    async def main(url: str) -> None:
        async with Docket("killed", url) as docket, docket.redis() as redis:

            async def index(number: int, key: str = TaskKey(), retry: Retry = Retry(attempts=3)) -> int:
                await redis.rpush(f"log:{key}", f"begin {number}")
                await anyio.sleep(random.uniform(0, 0.05))
                await redis.rpush(f"log:{key}", f"end {number}")
                if random.random() < 0.2:
                    raise ValueError(number)
                return number

            async def once(number: int, key: str = TaskKey()) -> int:
                await redis.rpush(f"log:{key}", f"begin {number}")
                await anyio.sleep(random.uniform(0, 0.05))
                return number

            async def shared(
                tenant: str, number: int, key: str = TaskKey(), share: FairShare = FairShare("tenant")
            ) -> int:
                return await once(number, key)

            for task in (index, once, shared):
                docket.register(task)
            await Worker(docket, concurrency=4, redelivery_timeout=timedelta(seconds=1)).run_forever()

    anyio.run(main, sys.argv[1])
"""


class Fleet:
    """Two worker processes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.processes = [self._started(), self._started()]

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), self.url],
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.DEVNULL,
        )

    def kill_one(self, chance: random.Random) -> None:
        at = chance.randrange(len(self.processes))
        self._end(self.processes[at])
        self.processes[at] = self._started()

    def close(self) -> None:
        for process in self.processes:
            self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()


class Calls:
    """What is added, and what becomes of it."""

    def __init__(self, docket: Docket, chance: random.Random) -> None:
        self.docket, self.chance = docket, chance
        self.last: dict[str, Execution[int]] = {}
        """Of each key that runs once more, the last call."""
        self.others: list[Execution[int]] = []
        self.cancelled: set[str] = set()
        self.placed: Counter[Disposition] = Counter()

        async def shared(tenant: str, number: int, share: FairShare = FairShare("tenant")) -> int:
            raise NotImplementedError

        docket.register(shared)

    async def add(self, number: int) -> None:
        chance, docket = self.chance, self.docket
        level: Any = chance.choice(list(Priority))
        if chance.random() < 0.5:
            key = f"k{chance.randrange(KEYS)}"
            more = docket.add(remote_task("index"), key=key, if_running="once_more", priority=level)
            self.last[key] = await more(number)
            self.placed[self.last[key].disposition] += 1
            return
        how: dict[str, Any] = {"key": f"own{number}", "priority": level}
        if chance.random() < 0.4:
            how["expires"] = timedelta(seconds=chance.choice([0.01, 0.5, 100]))
        if chance.random() < 0.6:
            placed = await docket.add("shared", **how)(chance.choice("abcd"), number)
        else:
            placed = await docket.add(remote_task("once"), **how)(number)
        self.others.append(placed)
        if chance.random() < 0.1:
            await docket.cancel(placed.key)
            self.cancelled.add(placed.key)

    async def log(self, key: str) -> list[tuple[str, int]]:
        entries = await self.docket.client.lrange(f"log:{key}", 0, -1)
        return [(word, int(number)) for word, number in (entry.decode().split() for entry in entries)]

    async def assert_each_ended_as_it_is_to(self) -> None:
        again = 0
        for execution in self.others:
            log = await self.log(execution.key)
            try:
                assert await execution.get_result() == execution.args[-1]
            except ExecutionExpired:
                assert log == []
            except ExecutionCancelled:
                assert execution.key in self.cancelled
            else:
                assert log
            again += max(0, len(log) - 1)
        assert again <= KILLS * PLACES  # those that ran as their worker was killed

    async def assert_the_last_ran_last(self) -> None:
        for key, execution in self.last.items():
            assert await _outcome(execution) == execution.args[0]
            log = await self.log(key)
            assert_in_order(log)
            assert log[-1] == ("end", execution.args[0])


async def _outcome(execution: Execution[int]) -> int:
    """The number of the run that it waited for, whether that has come through or not."""
    try:
        return await execution.get_result()
    except ValueError as failed:
        return int(failed.args[0])


def assert_in_order(log: list[tuple[str, int]]) -> None:
    """No run begins within another one, but for the same again where its worker was killed; none comes back."""
    begun, ended = 0, True
    for word, number in log:
        if word == "begin":
            assert number >= begun
            assert ended or number == begun
            begun, ended = number, False
        else:
            assert number == begun
            ended = True


@pytest.mark.parametrize("seed", range(2))
async def test_each_call_ends_as_it_is_to_and_the_last_of_a_key_runs_last(seed: int) -> None:
    chance = random.Random(seed)
    with Server() as server:
        fleet = Fleet(server.url)
        try:
            async with Docket("killed", server.url) as docket:
                calls = Calls(docket, chance)
                await (
                    await docket.add(remote_task("once"), key="up")(0)
                ).get_result()  # both are about to work
                for number in range(1, ADDS + 1):
                    await calls.add(number)
                    if number % (ADDS // KILLS) == 0:
                        await anyio.sleep(chance.uniform(0.5, 1))  # until processes are at work
                        await anyio.to_thread.run_sync(fleet.kill_one, chance)
                    await anyio.sleep(chance.uniform(0, 0.02))
                assert {*calls.placed} == {Disposition.SCHEDULED, Disposition.ONCE_MORE}
                with anyio.fail_after(60):
                    await calls.assert_the_last_ran_last()
                    await calls.assert_each_ended_as_it_is_to()
                await assert_nothing_is_left(docket)
        finally:
            fleet.close()
