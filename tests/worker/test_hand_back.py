"""Tasks that a worker does not finish are queued again at once, however slow the server, and none of them twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import (
    CurrentDocket,
    CurrentExecution,
    CurrentWorker,
    Docket,
    Execution,
    ExecutionState,
    Worker,
)
from docket.store import GROUP
from docket.worker import drain
from tests.durations import ms
from tests.proxy import Proxy
from tests.servers import Server
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


class Bodies:
    """A task that runs for ever in the worker named ``leaver``, and ends at once in any other."""

    def __init__(self, count: int) -> None:
        self.count, self.all_begun = count, anyio.Event()
        self.begun: Counter[tuple[str, int]] = Counter()
        self.ended: Counter[tuple[int, int]] = Counter()
        self.last_begun = 0.0

    async def __call__(
        self,
        number: int,
        worker: Worker = CurrentWorker(),
        execution: Execution[Any] = CurrentExecution(),
    ) -> None:
        self.begun[worker.name, number] += 1
        self.last_begun = time.perf_counter()
        if worker.name == "leaver":
            if len(self.begun) == self.count:
                self.all_begun.set()
            await anyio.sleep_forever()
        self.ended[number, execution.attempt] += 1

    async def add(self, docket: Docket) -> None:
        docket.register(self, names=["body"])
        await docket.add_many([docket.call("body")(number) for number in range(self.count)])

    def assert_each_was_handed_back_and_ended_once(self) -> None:
        """In the first attempt: the interrupted one does not count."""
        for name in ("leaver", "heir"):
            assert dict.fromkeys(range(self.count), 1) == {
                number: times for (worker, number), times in self.begun.items() if worker == name
            }
        assert self.ended == Counter((number, 1) for number in range(self.count))


async def pending(docket: Docket) -> int:
    """How many deliveries of a docket are pending."""
    async with docket.redis() as redis:
        return int((await redis.xpending(docket.stream_key, GROUP))["pending"])


async def test_tasks_of_a_cancelled_worker_begin_elsewhere_at_once(
    redis_url: str,
) -> None:
    bodies = Bodies(1)
    async with Docket("work", redis_url) as docket:
        await bodies.add(docket)
        async with at_most(), anyio.create_task_group() as group:
            leaving = anyio.CancelScope()

            async def leave() -> None:
                with leaving:
                    await Worker(docket, "leaver", shutdown_timeout=ms(0)).run_forever()

            group.start_soon(leave)
            await bodies.all_begun.wait()
            async with working(heir := Worker(docket, "heir")):
                while heir.name not in {worker.name for worker in await docket.workers()}:
                    await anyio.sleep(0.01)  # a heartbeat notifies nobody
                began = time.perf_counter()
                leaving.cancel()
                while not bodies.ended:
                    await anyio.sleep(0.001)
    bodies.assert_each_was_handed_back_and_ended_once()
    # Measured: 6 to 14 ms. A failure takes far longer than a second (a redelivery 5 minutes, a reader that
    # nothing wakes 5 s), and a CI machine may pause for some tenths of one.
    assert bodies.last_begun - began < 1


async def test_the_server_has_the_script_before_a_worker_ends(redis_url: str) -> None:
    """Over a slow network there is no time to load it then."""
    from docket.store.lua import script

    async with Docket("work", redis_url) as docket, working(Worker(docket)):
        while not (await docket.client.script_exists(script("handback").sha))[0]:
            await anyio.sleep(0.005)  # the load notifies nobody


async def test_hundreds_of_tasks_are_handed_back_in_a_few_round_trips(server: Server, redis_url: str) -> None:
    bodies, delay = Bodies(300), 0.2
    async with Docket("work", redis_url) as docket:
        await bodies.add(docket)
        with Proxy(server.port) as proxy:
            async with Docket("work", proxy.url) as far, at_most(), anyio.create_task_group() as group:
                far.register(bodies, names=["body"])
                worker = Worker(far, "leaver", concurrency=bodies.count, shutdown_timeout=ms(0))
                group.start_soon(worker.run_forever)
                await bodies.all_begun.wait()
                proxy.delay(delay)
                began = time.perf_counter()
                worker.stop()
            # Two or three round trips of 0.4 s. One per task, in sequence, would take two minutes.
            assert time.perf_counter() - began < 10
        assert await pending(docket) == 0
        async with at_most():
            await Worker(docket, "heir", concurrency=100).run_until_finished()
    bodies.assert_each_was_handed_back_and_ended_once()


async def test_tasks_that_are_cut_off_as_they_wait_for_the_server_are_settled_after_that(
    server: Server, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "CLOSING", 0.2)
    monkeypatch.setattr(drain, "SETTLING", 10.0)
    bodies = Bodies(20)
    async with Docket("work", redis_url) as docket:
        await bodies.add(docket)
        with Proxy(server.port) as proxy:
            async with Docket("work", proxy.url) as far, at_most(), anyio.create_task_group() as group:
                far.register(bodies, names=["body"])
                worker = Worker(far, "leaver", concurrency=bodies.count, shutdown_timeout=ms(0))
                group.start_soon(worker.run_forever)
                await bodies.all_begun.wait()
                proxy.hang()
                worker.stop()
                await anyio.sleep(0.5)  # longer than `CLOSING`, whose end notifies nobody
                proxy.resume()
        assert await pending(docket) == 0
        async with at_most():
            await Worker(docket, "heir").run_until_finished()
    bodies.assert_each_was_handed_back_and_ended_once()


# A process of its own ---------------------------------------------------------------------------------------

TASKS = """
import anyio
from docket import CurrentDocket, CurrentExecution, Docket, Execution

async def long(number: int, docket: Docket = CurrentDocket(), execution: Execution = CurrentExecution()):
    async with docket.redis() as redis:
        await redis.hincrby("begun", number)
        await anyio.sleep_forever()

every = [long]
"""

MANY = 1000


async def long(
    number: int, docket: Docket = CurrentDocket(), execution: Execution[Any] = CurrentExecution()
) -> None:
    async with docket.redis() as redis:
        await redis.hincrby("ended", str(number))
        await redis.hincrby("attempts", str(execution.attempt))


async def test_a_signal_during_a_thousand_tasks_loses_none_and_doubles_none(
    redis_url: str, tmp_path: Path, anyio_backend: Any
) -> None:
    (tmp_path / "tasks_of_many.py").write_text(TASKS)
    name, options = anyio_backend
    command = [
        Path(sys.executable).parent / "docket-worker", "--url", redis_url, "--tasks", "tasks_of_many:every",
        "--concurrency", MANY, "--shutdown-timeout", "100ms", "--logging-level", "warning",
        "--backend", "uvloop" if options.get("use_uvloop") else name,
    ]  # fmt: skip
    async with Docket(url=redis_url) as docket, at_most(30):
        docket.register(long)
        executions = await docket.add_many([docket.call(long)(number) for number in range(MANY)])
        with subprocess.Popen([str(word) for word in command], cwd=tmp_path) as worker:
            try:
                async with docket.redis() as redis:
                    while await redis.hlen("begun") < MANY:
                        await anyio.sleep(0.02)  # a counter notifies nobody
                worker.send_signal(signal.SIGTERM)
                assert await anyio.to_thread.run_sync(lambda: worker.wait(20)) == 0
            finally:
                worker.kill()
        assert await pending(docket) == 0
        await executions[0].sync()
        assert executions[0].state is ExecutionState.QUEUED
        await Worker(docket, concurrency=100).run_until_finished()
        async with docket.redis() as redis:
            for counted in ("begun", "ended"):
                assert Counter((await redis.hgetall(counted)).values()) == {b"1": MANY}
            assert await redis.hgetall("attempts") == {b"1": b"1000"}
            assert await redis.xlen(docket.stream_key) == 0
