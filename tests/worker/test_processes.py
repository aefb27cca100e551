"""Worker.run with forked processes, and outside of the main thread."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("error")

PATIENCE = 30

FORKS = """
    import multiprocessing, os, signal, sys, time, anyio
    from docket import Docket, Worker

    async def by_hand() -> list[int]:
        said, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(say, b"here")
            time.sleep(60)
            os._exit(0)
        os.read(said, 4)
        os.kill(child, signal.SIGTERM)
        status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        return [-os.waitstatus_to_exitcode(status[1])]

    def sleep(say) -> None:
        say.send("here")
        time.sleep(60)

    def in_a_pool() -> list[int]:
        context = multiprocessing.get_context("fork")
        said, say = context.Pipe()
        child = context.Process(target=sleep, args=(say,))
        child.start()
        said.recv()
        child.terminate()
        child.join()
        return [-child.exitcode]

    async def after() -> str:
        return "still at work"

    tasks = [by_hand, in_a_pool, after]

    async def main() -> None:
        name, url = "forks", sys.argv[1]
        async with Docket(name, url) as docket, anyio.create_task_group() as group:
            for task in tasks:
                docket.register(task)
            worker = Worker(docket)
            group.start_soon(worker.run_with_signals)
            for task in tasks[:2]:
                print(await (await docket.add(task)()).get_result())
            await anyio.sleep(0.1)
            print(await (await docket.add(after)()).get_result())
            os.kill(os.getpid(), signal.SIGTERM)
        print("over")
"""

ELSEWHERE = """
    import logging, sys, threading, anyio
    from docket import Docket, Worker

    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")

    def in_thread() -> None:
        anyio.run(lambda: Worker.run("elsewhere", sys.argv[1], until_finished=True), **RUN)

    async def main() -> None:
        async with Docket("elsewhere", sys.argv[1]) as docket:
            from docket.tasks import trace
            execution = await docket.add(trace)("hello")
            thread = threading.Thread(target=in_thread)
            thread.start()
            await execution.get_result()
            await anyio.to_thread.run_sync(thread.join)
        print("over")
"""

IMPORTS = """
    import os, sys, threading, anyio
    from docket import Docket, Worker

    begun, go_on = threading.Event(), threading.Event()

    def slowly(frame, event, arg):
        if frame.f_code.co_filename.endswith(os.path.join("trio", "_core", "__init__.py")):
            begun.set()
            go_on.wait()

    def first() -> None:
        sys.settrace(slowly)
        import trio, trio.testing
        sys.settrace(None)
        trio.run(trio.sleep, 0)

    async def task() -> str:
        return "done"

    async def main() -> None:
        assert "trio" not in sys.modules
        thread = threading.Thread(target=first)
        thread.start()
        begun.wait()
        async with Docket("imports", sys.argv[1]) as docket:
            docket.register(task)
            execution = await docket.add(task)()
            await Worker(docket).run_until_finished()
            print(await execution.get_result())
        go_on.set()
        thread.join()
        print("over")
"""


def said(script: str, url: str, backend: Any, tmp_path: Path) -> list[str]:
    """Run ``main`` on an event loop in a program of its own; return what that prints."""
    name, options = backend
    run = f"RUN = {{'backend': {name!r}, 'backend_options': {options!r}}}\n"
    path = tmp_path / "program.py"
    path.write_text(
        f"{run}{textwrap.dedent(script)}\nif __name__ == '__main__':\n    anyio.run(main, **RUN)\n"
    )
    done = subprocess.run(
        [sys.executable, str(path), url], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_process_that_a_task_forks_ends_by_sigterm_and_the_worker_continues(
    redis_url: str, anyio_backend: Any, tmp_path: Path
) -> None:
    assert said(FORKS, redis_url, anyio_backend, tmp_path) == ["[15]", "[15]", "still at work", "over"]


def test_a_worker_outside_of_the_main_thread_runs_and_logs_that_signals_do_not_stop_it(
    redis_url: str, anyio_backend: Any, tmp_path: Path
) -> None:
    lines = said(ELSEWHERE, redis_url, anyio_backend, tmp_path)
    assert "over" in lines
    assert sum("signals do not stop this worker" in line for line in lines) == 1


@pytest.mark.parametrize(("kind", "uvloop"), [("redis", False), ("memory", True)])
def test_another_thread_may_import_trio_for_the_first_time(
    request: pytest.FixtureRequest, kind: str, uvloop: bool, tmp_path: Path
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    assert said(IMPORTS, url, ("asyncio", {"use_uvloop": uvloop}), tmp_path) == ["done", "over"]
