"""``Worker.run``: what the command line calls. Each test starts a process and sends it signals."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from docket import Docket, Worker
from docket.errors import BadSetting
from docket.execution import ExecutionState
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

TASKS = """
    import time, anyio
    async def slow(seconds: float) -> str:
        print("begun", flush=True)
        await anyio.sleep(seconds)
        print("ended", flush=True)
        return "finished"
    async def fallback(*args, **kwargs) -> str:
        return "fallback"
    async def blocks() -> None:
        print("blocks", flush=True)
        time.sleep(5)
    tasks = [slow, blocks]
"""

MAIN = """
    import logging, sys, anyio
    from docket import Worker
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    async def main():
        await Worker.run("run", sys.argv[1], "worker", tasks=["run_tasks:tasks"], fallback_task="run_tasks:fallback")
    anyio.run(main, backend=sys.argv[2])
    print("over", flush=True)
"""


BY_HAND = """
    import anyio, logging, sys
    from docket import Docket, Worker
    from run_tasks import tasks
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    async def main():
        async with Docket("run", sys.argv[1]) as docket:
            for task in tasks:
                docket.register(task)
            await Worker(docket).run_forever()
    try:
        anyio.run(main, backend=sys.argv[2])
    except KeyboardInterrupt:
        print("over", flush=True)
"""


@contextlib.contextmanager
def process(tmp_path: Path, url: str, backend: str, main: str = MAIN) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "run_tasks.py").write_text(textwrap.dedent(TASKS))
    (tmp_path / "main.py").write_text(textwrap.dedent(main))
    command = [sys.executable, str(tmp_path / "main.py"), url, backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


async def said(child: subprocess.Popen[str], *, until: str) -> list[str]:
    def read() -> list[str]:
        assert child.stdout is not None
        lines: list[str] = []
        for line in child.stdout:
            lines.append(line.strip())
            if until in line:
                return lines
        raise AssertionError(f"ended without saying {until!r}: {lines}")

    return await anyio.to_thread.run_sync(read)


async def slow(seconds: float) -> str:
    raise AssertionError("runs in the process")


async def test_sigterm_finishes_running_tasks_and_exits_normally(
    redis_url: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    async with Docket("run", redis_url) as docket, at_most():
        execution = await docket.add(slow)(0.3)
        with process(tmp_path, redis_url, anyio_backend_name) as child:
            await said(child, until="begun")
            child.send_signal(signal.SIGTERM)
            lines = await said(child, until="over")
            assert child.wait(5) == 0
        assert "Received SIGTERM, initiating graceful shutdown" in lines
        assert "ended" in lines
        assert await execution.get_result() == "finished"


async def test_a_second_signal_hands_back_at_once(
    redis_url: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    async with Docket("run", redis_url) as docket, at_most():
        execution = await docket.add(slow)(3600)
        with process(tmp_path, redis_url, anyio_backend_name) as child:
            await said(child, until="begun")
            child.send_signal(signal.SIGINT)
            await said(child, until="initiating graceful shutdown")
            child.send_signal(signal.SIGTERM)
            await said(child, until="over")
            assert child.wait(5) == 0
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED


async def blocks() -> None:
    raise AssertionError("runs in the process")


@pytest.mark.parametrize("what", ["begun", "blocks"])
async def test_a_second_ctrl_c_in_a_program_of_ones_own_hands_back_running_tasks(
    redis_url: str, tmp_path: Path, anyio_backend_name: str, what: str
) -> None:
    """Under asyncio.run, trio.run and anyio.run, even in the middle of a body."""
    async with Docket("run", redis_url) as docket, at_most():
        executions = [await docket.add(slow)(3600)]
        with process(tmp_path, redis_url, anyio_backend_name, BY_HAND) as child:
            await said(child, until="begun")
            if what == "blocks":
                executions.append(await docket.add(blocks)())
                await said(child, until="blocks")
            else:
                await anyio.sleep(0.2)  # trio raises it in the code that runs, unless all waits
            child.send_signal(signal.SIGINT)
            if what == "begun":
                await said(child, until="Shutdown requested")
            # That a blocked loop has received the first notifies nobody; and the second is raised wherever Python is,
            # also in the midst of an exit of anyio's, which then fails: people come while all waits.
            await anyio.sleep(0.3)
            child.send_signal(signal.SIGINT)
            await said(child, until="over")
        for execution in executions:
            await execution.sync()
            assert execution.state is ExecutionState.QUEUED


async def test_an_unknown_task_goes_to_the_named_fallback(
    redis_url: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    async def mystery(number: int) -> str:
        return "runs in the process"

    async with Docket("run", redis_url) as docket, at_most():
        execution = await docket.add(mystery)(1)
        with process(tmp_path, redis_url, anyio_backend_name):
            assert await execution.get_result() == "fallback"


@pytest.mark.parametrize("path", ["nowhere", "os:", ":name", "os:sep"])
async def test_a_fallback_that_names_no_function_is_refused(memory_url: str, path: str) -> None:
    with pytest.raises(BadSetting, match="fallback_task"):
        await Worker.run("run", memory_url, tasks=[], fallback_task=path)


async def test_run_until_finished_returns_by_itself(memory_url: str) -> None:
    async def task() -> int:
        return 1

    async with Docket("run", memory_url) as docket, at_most():
        docket.register(task)
        await Worker.run("run", memory_url, tasks=[], until_finished=True)
