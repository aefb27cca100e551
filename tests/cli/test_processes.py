"""``docket worker --processes`` and ``--reload``: real parents and children."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_worker_process import BIN, TASKS, Process, add
from tests.servers import free_ports

Start = Callable[..., "Parent"]


class Parent(Process):
    """``docket worker``; what it and its children say comes from one pipe.

    So it has ended once nobody has the pipe any more: neither the parent nor a child. Killed, its children drain.
    """

    command = (str(BIN / "docket"), "worker")


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    started: list[Parent] = []

    def started_one(*options: str, url: str = redis_url) -> Parent:
        started.append(Parent(tmp_path, url, *options))
        return started[-1]

    yield started_one
    for parent in started:
        parent.close()


def test_the_tasks_of_a_docket_run_in_all_of_the_processes(start: Start, redis_url: str) -> None:
    for _ in range(2):
        add(redis_url, "stay")
    parent = start("--processes", "2", "--concurrency", "1", "--shutdown-timeout", "0", "--name", "w")
    parent.read_until("^staying", 2)
    parent.process.send_signal(signal.SIGTERM)
    assert parent.ended() == 0
    said = "".join(parent.lines)
    assert "Starting worker 'w-1'" in said
    assert "Starting worker 'w-2'" in said


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_one_signal_to_the_parent_drains_all_of_them(
    start: Start, redis_url: str, tmp_path: Path, backend: str
) -> None:
    add(redis_url, "linger", str(tmp_path / "go"))
    parent = start("--processes", "2", "--backend", backend)
    parent.read_until("^lingering")
    parent.process.send_signal(signal.SIGINT)
    parent.read_until("initiating graceful shutdown")
    (tmp_path / "go").touch()
    assert parent.ended() == 0
    assert "lingered\n" in parent.lines


def test_a_second_signal_hands_back(start: Start, redis_url: str) -> None:
    add(redis_url, "stay")
    parent = start("--processes", "2")
    parent.read_until("^staying")
    parent.process.send_signal(signal.SIGTERM)
    parent.read_until("initiating graceful shutdown")
    parent.process.send_signal(signal.SIGTERM)
    assert parent.ended() == 0


def test_a_child_that_dies_is_replaced_by_another_one(start: Start, redis_url: str) -> None:
    parent = start("--processes", "2")
    pids = parent.read_until(r"Worker process \d \(pid (\d+)\) has started", 2)
    os.kill(int(pids[0]), signal.SIGKILL)
    parent.read_until(rf"pid {pids[0]}\) was ended by SIGKILL; another one starts in 1 s")
    assert parent.read_until(r"Worker process \d \(pid (\d+)\) has started")[0] not in pids
    add(redis_url, "hello", "Jane")
    parent.read_until("^hello Jane")


def test_children_drain_when_their_parent_is_killed(start: Start, redis_url: str) -> None:
    add(redis_url, "hello", "Jane")
    parent = start("--processes", "2")
    parent.read_until("^hello Jane")
    parent.process.kill()
    assert parent.ended() == -signal.SIGKILL  # and nobody holds its pipe any more
    assert "".join(parent.lines).count("The parent of this worker process has gone") == 2


def test_a_wrong_setting_of_the_children_ends_all(start: Start, redis_url: str) -> None:
    parent = start("--processes", "2", url=redis_url.replace("redis://", "redis://nobody:wrong@"))
    assert parent.ended() == 2
    assert "--url: the server refuses the user or the password" in "".join(parent.lines)


def test_until_finished_ends_once_every_process_has(start: Start, redis_url: str) -> None:
    for name in "abcd":
        add(redis_url, "hello", name)
    parent = start("--processes", "2", "--until-finished")
    assert parent.ended() == 0
    assert {line for line in parent.lines if line.startswith("hello")} == {
        f"hello {name}\n" for name in "abcd"
    }


def test_each_process_serves_health_checks_on_a_port_of_its_own(start: Start) -> None:
    port = free_ports()
    parent = start("--processes", "2", "--healthcheck-port", str(port))
    served = parent.read_until(r"Serving health checks on port (\d+)", 2)
    assert {int(port) for port in served} == {port, port + 1}


def test_memory_is_refused_since_each_process_would_have_one_of_its_own(start: Start) -> None:
    parent = start("--processes", "2", url="memory://")
    assert parent.ended() == 2
    assert parent.lines[-1].startswith("docket: --processes: each process has a memory:// server of its own")


def test_a_change_of_a_source_starts_the_worker_again_with_it(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    add(redis_url, "hello", "before")
    parent = start("--reload")
    parent.read_until("^hello before")
    (tmp_path / "tasks_of_a_shell.py").write_text(TASKS.replace('"hello", name', '"welcome", name'))
    parent.read_until("tasks_of_a_shell.py changed")
    add(redis_url, "hello", "after")
    parent.read_until("^welcome after")
    parent.process.send_signal(signal.SIGTERM)
    assert parent.ended() == 0


def test_a_source_with_an_error_is_waited_for_until_it_is_mended(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "tasks_of_a_shell.py").write_text("every = [")
    parent = start("--reload")
    parent.read_until("it starts again when a source changes")
    (tmp_path / "tasks_of_a_shell.py").write_text(TASKS)
    add(redis_url, "hello", "Jane")
    parent.read_until("^hello Jane")
