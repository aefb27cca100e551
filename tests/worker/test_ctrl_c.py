"""Ctrl-C wherever a program is: in the first step of a body, and while ends of others leave with the next take."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import Docket, ExecutionState, Worker
from docket.store import GROUP
from tests.where import on_asyncio, slow
from tests.worker.conftest import at_most

pytestmark = pytest.mark.anyio

TIMES = 12

PROGRAM = """
    import asyncio, signal, sys, anyio
    from docket import Docket, Worker

    async def quick(number):
        print(f"ran {number}\\n", end="", flush=True)
        return "first"

    async def first_step(number):
        print(f"ran {number}\\n", end="", flush=True)
        for _ in range(int(sys.argv[4])):
            signal.raise_signal(signal.SIGINT)
        return "first"

    def in_a_thread(number):
        print(f"ran {number}\\n", end="", flush=True)
        for _ in range(int(sys.argv[4])):
            signal.raise_signal(signal.SIGINT)
        return "first"

    async def main():
        if "eager" in sys.argv:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            for task in (quick, first_step, in_a_thread):
                docket.register(task)
            await Worker(docket, "first", 5).run_forever()

    backend, _, uvloop = sys.argv[3].partition("+")
    try:
        anyio.run(main, backend=backend, backend_options={"use_uvloop": True} if uvloop else {})
    except KeyboardInterrupt:
        print("over", flush=True)
"""


async def interrupted(url: str, backend: str, body: str, times: int, *more: str) -> None:
    """A program is interrupted by a body in the midst of others: nothing is lost, and each ends as what it was."""

    async def first_step(number: int) -> str:
        return "next"

    async def quick(number: int) -> str:
        return "next"

    def in_a_thread(number: int) -> str:
        return "next"

    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), "ctrl-c", url, backend, str(times), *more]
    async with Docket("ctrl-c", url) as docket, at_most():
        for task in first_step, quick, in_a_thread:
            docket.register(task)
        executions = await docket.add_many(
            [docket.call(body if n == 7 else "quick")(n) for n in range(TIMES)]
        )
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=15)
        )
        assert "over" in done.stdout.splitlines(), done.stderr
        ran = Counter(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("ran"))
        assert set(ran.values()) == {1}
        async with docket.redis() as redis:
            assert (await redis.xpending(docket.stream_key, GROUP))["pending"] == 0, done.stderr
        states = dict[int, ExecutionState]()
        for number, execution in enumerate(executions):
            await execution.sync()
            states[number] = execution.state
        assert set(states.values()) <= {ExecutionState.COMPLETED, ExecutionState.QUEUED}
        completed = {number for number, state in states.items() if state is ExecutionState.COMPLETED}
        assert completed <= set(ran)
        assert set(ran) - completed <= {7}, done.stderr
        await Worker(docket).run_until_finished()
        results = {number: await execution.get_result() for number, execution in enumerate(executions)}
        assert results == {n: "first" if n in completed else "next" for n in range(TIMES)}


@slow
@pytest.mark.parametrize("times", [1, 2])
async def test_in_the_first_step_of_a_body(redis_url: str, anyio_backend: Any, times: int) -> None:
    name, options = anyio_backend
    await interrupted(redis_url, f"{name}+uvloop" if options.get("use_uvloop") else name, "first_step", times)


@slow
@on_asyncio
async def test_in_the_thread_of_a_plain_function(redis_url: str, anyio_backend: Any) -> None:
    """A second one, and the first on trio, is raised wherever the main thread is."""
    _, options = anyio_backend
    backend = "asyncio+uvloop" if options.get("use_uvloop") else "asyncio"
    await interrupted(redis_url, backend, "in_a_thread", 1)


# In CI the other Pythons run only what is not slow.
@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
@on_asyncio
@pytest.mark.parametrize("times", [1, 2])
async def test_in_the_first_step_of_a_body_that_is_eager(redis_url: str, times: int) -> None:
    await interrupted(redis_url, "asyncio", "first_step", times, "eager")
