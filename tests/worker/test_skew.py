"""Workers whose clocks are ten minutes apart: what the server can tell, its clock decides."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest

from docket import Docket
from tests.durations import ms
from tests.where import one_loop, slow
from tests.worker.skewed import RUNS, task

pytestmark = [pytest.mark.anyio, slow, one_loop]  # what clocks say is the same on every loop

FLEET = {"behind": -600, "right": 0, "ahead": 600}


@contextmanager
def fleet(url: str, backend: str) -> Iterator[dict[str, subprocess.Popen[str]]]:
    with ExitStack() as stack:
        processes: dict[str, subprocess.Popen[str]] = {}
        for name, seconds in FLEET.items():
            words = [sys.executable, "-m", "tests.worker.skewed", url, backend, name, str(seconds)]
            processes[name] = stack.enter_context(subprocess.Popen(words, text=True, stderr=subprocess.PIPE))
            stack.callback(processes[name].kill)
        yield processes


def backend_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.id).split("-")[0]


async def seen(docket: Docket) -> set[str]:
    return {worker.name for worker in await docket.workers()}


async def test_workers_whose_clocks_differ_live_beside_each_other(
    redis_url: str, request: pytest.FixtureRequest
) -> None:
    backend = backend_of(request)
    with fleet(redis_url, backend) as processes, anyio.fail_after(60):
        async with Docket("skew", redis_url, heartbeat_interval=ms(250)) as docket, docket.redis() as redis:
            while await seen(docket) != set(FLEET):
                await anyio.sleep(0.05)
            # Neither erases another one's, for more beats than a worker may miss.
            for _ in range(40):
                await anyio.sleep(0.05)
                assert await seen(docket) == set(FLEET)
                assert {worker.name for worker in await docket.task_workers("task")} == set(FLEET)
            # Nor do they take each other's tasks or slots over.
            executions = await docket.add_many([docket.call(task)(str(number)) for number in range(60)])
            for execution in executions:
                await execution.get_result()
            assert set((await redis.hgetall(RUNS)).values()) == {b"1"}
            # Who is gone is seen to be gone, whatever its clock said.
            for name in "ahead", "behind":
                processes[name].kill()
            while await seen(docket) != {"right"}:
                await anyio.sleep(0.05)
            processes["right"].terminate()
            assert await anyio.to_thread.run_sync(processes["right"].wait) is not None
