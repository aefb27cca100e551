"""A docket for threads without an event loop."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket import (
    Agenda,
    Cancellation,
    CurrentExecution,
    Disposition,
    Docket,
    Execution,
    ExecutionCancelled,
    ExecutionState,
    Progress,
    Worker,
)
from docket.errors import Untrusted
from docket.execution import ExecutionProgress
from docket.synchronous import SyncDocket, SyncExecution, SyncProgress
from tests.docket.conftest import add, later, nothing, refuse
from tests.kinds import KINDS
from tests.trust.traps import KEY, OTHER
from tests.where import slow

SECOND = timedelta(seconds=1)


@pytest.fixture(params=["asyncio", "trio"])
def docket(request: pytest.FixtureRequest, url: str) -> Iterator[SyncDocket]:
    with Docket("d", url).sync(backend=request.param) as docket:
        yield docket


def work(docket: SyncDocket) -> None:
    """Run everything that is due, in the docket's own loop."""
    docket.run(Worker(docket.docket).run_until_finished)


def test_a_call_is_added_and_its_result_awaited(docket: SyncDocket) -> None:
    execution = docket.add(add)(1, b=2)
    assert (execution.state, execution.disposition) == (ExecutionState.QUEUED, Disposition.SCHEDULED)
    assert (execution.args, execution.kwargs, execution.function) == ((1,), {"b": 2}, add)
    work(docket)
    assert execution.get_result() == 3
    execution.sync()
    assert execution.state is ExecutionState.COMPLETED
    assert "completed" in repr(execution)


def test_errors_come_out_as_they_are(docket: SyncDocket) -> None:
    failed, waiting = docket.add(refuse)("no reason"), docket.add(nothing, when=later(), key="k")()
    wrong: Any = docket.add(add)
    with pytest.raises(TypeError, match="missing a required argument"):
        wrong()
    with pytest.raises(TimeoutError):
        waiting.get_result(timeout=timedelta(0))
    assert docket.cancel("k") is Cancellation.CANCELLED
    work(docket)
    with pytest.raises(ValueError, match="no reason"):
        failed.get_result()
    with pytest.raises(ExecutionCancelled):
        waiting.get_result()


def test_everything_that_a_docket_does_can_be_done(docket: SyncDocket) -> None:
    docket.register(add)
    docket.replace(add, later(), "k")(1)
    replaced = docket.replace("add", datetime.now(UTC), "k")(2)
    many = docket.add_many(docket.call(add)(number) for number in range(3))
    assert [each.disposition for each in docket.replace_many([docket.call(add, key="k")(3)])] == [
        Disposition.SCHEDULED
    ]
    agenda = Agenda()
    agenda.add(nothing)()
    [scattered] = docket.scatter(agenda, timedelta(days=2), later())
    by_hand = Execution(docket.docket, nothing, (), {}, "h", later(), 1)
    docket.schedule(by_hand)
    found = docket.get_execution("k")
    assert found is not None
    assert (found.function_name, found.args, found.generation) == ("add", (3,), 3)
    assert replaced.is_superseded()
    assert docket.get_execution("another") is None
    seen = docket.snapshot()
    assert (seen.total_tasks, len(seen.running)) == (6, 0)
    assert {each.key for each in seen.future} >= {"k", "h", scattered.key}
    docket.strike(add, "a", "==", 13)
    assert docket.add(add)(13).disposition is Disposition.STRUCK
    assert len(docket.strikes()) == 1
    docket.restore(add, "a", "==", 13)
    docket.wait_for_strikes_loaded()
    assert docket.strikes() == []
    assert (list(docket.workers()), list(docket.task_workers("add")), docket.concurrency()) == ([], [], [])
    assert docket.clear() == 6
    assert many[0].state is ExecutionState.QUEUED


def test_a_task_is_paused_and_resumed(docket: SyncDocket) -> None:
    docket.add(add, key="k")(1, 3)
    assert docket.pause(add, reason="why", by="who")
    assert [(pause.task, pause.reason, pause.by) for pause in docket.pauses()] == [("add", "why", "who")]
    execution = docket.get_execution("k")
    assert execution is not None
    assert execution.is_paused
    assert docket.resume("add") == 0
    work(docket)
    assert execution.get_result() == 4


def test_events_are_iterated_and_left_with_break(docket: SyncDocket) -> None:
    async def importing(progress: ExecutionProgress = Progress()) -> None:
        await progress.set_total(3)
        await progress.increment(2)

    execution = docket.add(importing)()
    for event in execution.subscribe():
        assert (event["type"], execution.state) == ("state", ExecutionState.QUEUED)
        break
    with ThreadPoolExecutor() as threads:
        done = threads.submit(work, docket)
        events = [*execution.subscribe()]
        done.result()
    assert [event["state"] for event in events if event["type"] == "state"][-1] == "completed"
    progress = execution.progress  # as of the last event: the record of it is gone with the end
    assert (progress.current, progress.total, progress.key) == (2, 3, execution.key)


def test_progress_is_reported_by_hand(docket: SyncDocket) -> None:
    progress = docket.add(nothing, when=later())().progress
    progress.set_total(7)
    progress.increment(3)
    progress.set_message("half")
    progress.sync()
    assert (progress.current, progress.total, progress.message) == (3, 7, "half")


def test_many_threads_share_one(docket: SyncDocket) -> None:
    with ThreadPoolExecutor(20) as threads:
        executions = [*threads.map(lambda number: docket.add(add)(number, 1), range(100))]
        threads.submit(work, docket)
        results = [*threads.map(lambda execution: execution.get_result(), executions)]
    assert results == [*range(1, 101)]
    assert sum(thread.name == "docket d" for thread in threading.enumerate()) == 1


def test_it_starts_when_it_is_used_and_ends_when_it_is_closed(url: str) -> None:
    def threads() -> int:
        return sum(thread.name == "docket d" for thread in threading.enumerate())

    docket = Docket("d", url).sync()
    assert threads() == 0
    docket.add(nothing)()
    assert threads() == 1
    docket.close()
    docket.close()
    assert threads() == 0
    with pytest.raises(RuntimeError, match="'d' is closed: use `with docket:`"):
        docket.add(nothing)()
    with docket, docket:
        docket.add(nothing)()
    assert threads() == 0
    with pytest.raises(RuntimeError, match="not connected"):
        _ = docket.docket.store


def test_closing_ends_what_other_threads_wait_for(docket: SyncDocket) -> None:
    waiting: Callable[[], object] = docket.add(nothing, when=later())().get_result
    follow = docket.add(nothing, when=later())().subscribe()
    next(follow), next(follow)  # where it stands, and its progress
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(waiting), threads.submit(next, follow)]
        docket.run(anyio.wait_all_tasks_blocked)
        docket.close()
        for call in calls:
            with pytest.raises(RuntimeError, match="closed by another thread during this call"):
                call.result(10)


def test_a_thread_whose_event_loop_it_would_block_is_refused(docket: SyncDocket) -> None:
    async def blocks() -> None:
        for call in (docket.clear, docket.close):
            with pytest.raises(RuntimeError, match="an event loop runs in this thread"):
                call()
        assert await anyio.to_thread.run_sync(docket.clear) == 0  # another thread may

    anyio.run(blocks)
    docket.run(blocks)


def test_a_plain_task_may_use_it(docket: SyncDocket) -> None:
    def task(execution: Execution = CurrentExecution()) -> str:
        return docket.add(nothing, key=f"{execution.key}/next")().key

    execution = docket.add(task, key="k")()
    work(docket)
    assert execution.get_result() == "k/next"


def test_ctrl_c_cancels_the_call_and_nothing_else(docket: SyncDocket) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.fail("only the main thread gets signals")
    execution = docket.add(add)(1)
    cancelled = threading.Event()

    async def waits() -> None:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        docket.run(waits)
    assert cancelled.wait(10)
    work(docket)
    assert execution.get_result() == 1


def test_a_server_that_cannot_be_reached_is_an_error() -> None:
    with Docket("d", "redis://127.0.0.1:1").sync() as docket, pytest.raises(ConnectionError):
        docket.add(nothing)()


FORK = """
import os, sys
from docket import Docket, Worker

async def add(a: int, b: int) -> int:
    return a + b

docket = Docket("d", sys.argv[1]).sync(backend=sys.argv[2])
if used := sys.argv[3] == "used":
    docket.add(add)(0, 0)
for child in range(2):
    if os.fork() == 0:  # as a server of web applications does
        execution = docket.add(add)(1, child)
        docket.run(Worker(docket.docket).run_until_finished)
        print(execution.get_result(), flush=True)
        sys.exit()
    assert os.waitpid(-1, 0)[1] == 0
execution = docket.add(add)(1, 2)
docket.run(Worker(docket.docket).run_until_finished)
print(execution.get_result())
"""


def fork(url: str, backend: str, used: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", FORK, url, backend, used]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@slow
@pytest.mark.parametrize(("backend", "used"), [("asyncio", "used"), ("trio", "used"), ("asyncio", "unused")])
def test_processes_that_are_forked_start_their_own(redis_url: str, backend: str, used: str) -> None:
    done = fork(redis_url, backend, used)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["1", "2", "3"], "", 0)


@slow
def test_a_fork_has_no_part_in_the_memory_of_its_parent() -> None:
    assert "memory://x lives in the process that had used it" in fork("memory://x", "asyncio", "used").stderr
    assert fork("memory://x", "asyncio", "unused").stdout.split() == ["1", "2", "3"]


@slow
def test_the_end_of_the_process_ends_it() -> None:
    script = FORK.partition("for child")[0].replace("if used", "docket.add(add)(1, 2)\nif used")
    command = [sys.executable, "-W", "always", "-c", script, "memory://x", "asyncio", "unused"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


#: What has no counterpart: a client is for the event loop alone, and runs of workers are the workers' matter.
ASYNCHRONOUS_ONLY = {
    "redis", "aclose", "from_message", "refresh", "claim", "mark_as_cancelled", "mark_as_completed",
    "mark_as_failed", "create", "write",
}  # fmt: skip


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [(SyncDocket, Docket), (SyncExecution, Execution), (SyncProgress, ExecutionProgress)],
)
def test_each_method_that_waits_has_a_counterpart_with_the_same_parameters(
    sync: type, asynchronous: type
) -> None:
    for name, method in inspect.getmembers(asynchronous, inspect.isfunction):
        waits = inspect.iscoroutinefunction(method) or "Coroutine" in str(
            method.__annotations__.get("return")
        )
        if waits and not name.startswith("_") and name not in ASYNCHRONOUS_ONLY:
            ours = inspect.signature(getattr(sync, name)).parameters
            theirs = inspect.signature(method).parameters
            if (asynchronous, name) == (Execution, "schedule"):  # its other parameters are a worker's
                continue
            shape = [(each.name, each.kind, each.default) for each in ours.values()]
            assert shape == [(each.name, each.kind, each.default) for each in theirs.values()], name


def test_it_registers_a_collection_by_more_names(memory_url: str) -> None:
    with Docket("names", memory_url).sync() as docket:
        docket.register_collection("docket.tasks:standard_tasks", names={"sleep": ["sleep", "nap"]})
        assert docket.docket.tasks["nap"] is docket.docket.tasks["sleep"]


async def refuse_to(number: int) -> int:
    raise LookupError(number)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_works_whatever_a_docket_writes(url: str, kind: str, backend: str) -> None:
    settings, words = KINDS[kind]
    with Docket("d", url, **settings).sync(backend=backend) as docket:
        execution, failing = docket.add(add)(1, b=2), docket.add(refuse_to)(7)
        read = docket.get_execution(execution.key)
        assert read is not None
        assert [read.written.words, execution.written.words] == [words, words]
        work(docket)
        assert execution.get_result() == 3
        with pytest.raises(LookupError, match="7"):
            failing.get_result()


def test_a_result_that_nobody_known_has_signed_is_not_handed_out(url: str) -> None:
    with (
        Docket("d", url, signing_keys=[KEY]).sync() as docket,
        Docket("d", url, signing_keys=[OTHER]).sync() as other,
    ):
        execution = docket.add(add)(1, b=2)
        work(docket)
        read = other.get_execution(execution.key)
        assert read is not None
        assert read.signed_by == execution.signed_by
        with pytest.raises(Untrusted, match="signed"):
            read.get_result(timeout=30 * SECOND)
        assert execution.get_result() == 3
