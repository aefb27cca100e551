"""Worker processes are killed while keys run once more: the last call is not lost, and no two runs overlap."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from docket import Disposition, Docket, Execution
from docket.client import remote_task
from tests.servers import Server
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

KEYS, ADDS, KILLS = 3, 120, 6

PROGRAM = """
    import random, sys, anyio
    from datetime import timedelta
    from docket import Docket, Retry, TaskKey, Worker

    async def main(url: str) -> None:
        async with Docket("killed", url) as docket, docket.redis() as redis:

            async def index(number: int, key: str = TaskKey(), retry: Retry = Retry(attempts=3)) -> int:
                await redis.rpush(f"log:{key}", f"begin {number}")
                await anyio.sleep(random.uniform(0, 0.05))
                await redis.rpush(f"log:{key}", f"end {number}")
                if random.random() < 0.2:
                    raise ValueError(number)
                return number

            docket.register(index)
            await Worker(docket, redelivery_timeout=timedelta(seconds=1)).run_forever()

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


async def outcome(execution: Execution[int]) -> int:
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
async def test_the_last_call_of_each_key_runs_and_no_two_runs_overlap(seed: int) -> None:
    chance = random.Random(seed)
    index = remote_task("index")
    with Server() as server:
        fleet = Fleet(server.url)
        try:
            async with Docket("killed", server.url) as docket:
                last: dict[str, Execution[int]] = {}
                placed: list[Disposition] = []
                for number in range(1, ADDS + 1):
                    key = f"k{chance.randrange(KEYS)}"
                    last[key] = await docket.add(index, key=key, if_running="once_more")(number)
                    placed.append(last[key].disposition)
                    if number % (ADDS // KILLS) == 0:
                        await anyio.sleep(chance.uniform(0.5, 1.5))  # until processes are at work
                        await anyio.to_thread.run_sync(fleet.kill_one, chance)
                    await anyio.sleep(chance.uniform(0, 0.03))
                assert {*placed} == {Disposition.SCHEDULED, Disposition.ONCE_MORE}
                with anyio.fail_after(60):
                    for execution in last.values():
                        assert await outcome(execution) == execution.args[0]
                assert not await docket.client.keys("killed:ops:successor*")
                for key, execution in last.items():
                    entries = await docket.client.lrange(f"log:{key}", 0, -1)
                    log = [
                        (word, int(number)) for word, number in (entry.decode().split() for entry in entries)
                    ]
                    assert_in_order(log)
                    assert log[-1] == ("end", execution.args[0])
        finally:
            fleet.close()
