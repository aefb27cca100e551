"""A worker in a process of its own, from its start to its exit status, on every event loop."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from docket import Docket
from docket.instrumentation import healthcheck_server
from tests.servers import Server

BIN = Path(sys.executable).parent

TASKS = """
import sys
import anyio

async def hello(name):
    print("hello", name, flush=True)

async def linger(path):
    print("lingering", flush=True)
    while not await anyio.Path(path).exists():
        await anyio.sleep(0.01)
    print("lingered", flush=True)

async def stay():
    print("staying", flush=True)
    await anyio.sleep_forever()

every = [hello, linger, stay]
"""


class Process:
    """``docket-worker`` in a folder with the tasks above; what it prints and logs goes to one pipe.

    Where the folder has other tasks by then, these.
    """

    command: Sequence[str] = (str(BIN / "docket-worker"),)

    def __init__(self, folder: Path, url: str, *options: str) -> None:
        if not (folder / "tasks_of_a_shell.py").exists():
            (folder / "tasks_of_a_shell.py").write_text(TASKS)
        command = [*self.command, "--url", url, "--tasks", "tasks_of_a_shell:every", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.watchdog = threading.Timer(60, self.process.kill)  # so that no reader of its pipe waits for ever
        self.watchdog.start()

    def wait_for(self, text: str) -> None:
        """Read on until a line has the text."""
        self.read_until(re.escape(text))

    def read_until(self, pattern: str, times: int = 1) -> list[str]:
        """Read on until so many lines have matched; return their last groups."""
        found: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(pattern, line):
                found.append(match[match.re.groups])
                if len(found) == times:
                    return found
        raise AssertionError(f"ended before {pattern!r} came {times} times:\n{''.join(self.lines)}")

    def ended(self) -> int:
        """The exit status; what was printed until then is in ``lines``."""
        rest, _ = self.process.communicate(timeout=20)
        self.lines += rest.splitlines(keepends=True)
        return self.process.returncode

    def close(self) -> None:
        self.watchdog.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def started(tmp_path: Path, redis_url: str, backend: str) -> Iterator[Any]:
    running: list[Process] = []

    def start(*options: str) -> Process:
        running.append(Process(tmp_path, redis_url, "--backend", backend, *options))
        return running[-1]

    yield start
    for process in running:
        process.close()


def add(url: str, function: str, *args: object) -> None:
    """Put a task of the worker's on its docket, from this process, which has not got the function."""

    async def schedule() -> None:
        async with Docket(url=url) as docket:
            docket.register(_stand_in(function))
            await docket.add(function)(*args)

    anyio.run(schedule)


def _stand_in(name: str) -> Any:
    async def function(*args: object) -> None: ...

    function.__name__ = name
    return function


def test_until_finished_runs_what_is_there_and_exits_0(started: Any, redis_url: str) -> None:
    add(redis_url, "hello", "Jane")
    worker = started("--until-finished")
    worker.wait_for("hello Jane")
    assert worker.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_exit_status_is_0(
    started: Any, redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    add(redis_url, "linger", str(tmp_path / "go"))
    worker = started("--logging-format", "json")
    worker.wait_for("lingering")
    worker.process.send_signal(number)
    worker.wait_for(f"Received {number.name}, initiating graceful shutdown")
    (tmp_path / "go").touch()
    assert worker.ended() == 0
    assert "lingered\n" in worker.lines
    logged = [json.loads(line) for line in worker.lines if line.startswith("{")]
    assert logged
    for record in logged:
        assert {"name", "levelname", "message", "exc_info", "asctime"} <= set(record)


def port_of(worker: Process, what: str) -> int:
    """The port on which the worker has said that it serves something, whatever else it serves before."""
    text = f"Serving {what} on port "
    if not any(text in line for line in worker.lines):
        worker.wait_for(text)
    [line] = [line for line in worker.lines if text in line]
    return int(line.partition(" on port ")[2].split()[0])


def fetched(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_while_it_runs_it_serves_health_checks_and_metrics(started: Any, redis_url: str) -> None:
    worker = started("--healthcheck-port", "0", "--metrics-port", "0", "--name", "served")
    health, metrics = port_of(worker, "health checks"), port_of(worker, "metrics")
    assert fetched(health) == "OK"
    add(redis_url, "stay")
    worker.wait_for("staying")
    running = 'docket_tasks_running{docket_name="docket",docket_task="stay",docket_worker="served"} 1.0'
    assert running in fetched(metrics).splitlines()


def test_a_port_that_is_in_use_ends_the_worker_with_one_line(tmp_path: Path) -> None:
    with healthcheck_server("0.0.0.0", 0) as port:
        worker = Process(tmp_path, "memory://", "--healthcheck-port", str(port))
        assert worker.ended() == 2
    assert len(worker.lines) == 1
    assert worker.lines[0].startswith(f"docket-worker: health checks cannot be served on port {port}")
    worker.close()


def test_after_the_shutdown_timeout_a_task_is_handed_back(started: Any, redis_url: str) -> None:
    add(redis_url, "stay")
    first = started("--shutdown-timeout", "0")
    first.wait_for("staying")
    first.process.send_signal(signal.SIGTERM)
    assert first.ended() == 0
    second = started()
    second.wait_for("staying")  # at once, long before any redelivery timeout


def test_a_wrong_password_ends_the_worker_with_one_line_after_that_of_its_log(
    tmp_path: Path, backend: str
) -> None:
    with Server("--requirepass", "secret") as server:
        url = server.url.replace("redis://", "redis://:wrong@")
        worker = Process(tmp_path, url, "--backend", backend, "--logging-level", "error")
        assert worker.ended() == 2
        logged, line = worker.lines
        assert re.match(r"\[.*\] ERROR docket.worker: Worker '.*' ends: AuthenticationError: ", logged)
        assert line.startswith("docket-worker: --url: the server refuses the user or the password")
        assert "wrong@" not in logged + line
        worker.close()
