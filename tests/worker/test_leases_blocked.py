"""A lease is kept while its own task blocks the event loop (I3), and given up if the loop hangs (I2)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import ConcurrencyLimit, CurrentExecution, Docket, Execution, Worker
from docket.store import GROUP, Claims
from docket.worker.roster import Roster, Running
from docket.worker.upkeep import blocked_loop
from docket.worker.upkeep.leases import Leases
from tests.durations import ms
from tests.where import asyncio_and_trio
from tests.worker.conftest import PATIENCE, working

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_trio]

#: The shortest timeout in which a thread gets its turn on a busy machine.
TIMEOUT = ms(900)

_names = itertools.count()


@asynccontextmanager
async def working_elsewhere(
    docket: Docket, task: Callable[..., Any], timeout: timedelta
) -> AsyncGenerator[None]:
    """A worker of the same docket in an event loop of its own, in another thread. It has run a task already."""
    over = threading.Event()

    async def ping() -> None: ...

    async def work() -> None:
        async with Docket(docket.name, docket.url) as ours:
            ours.register(task)
            ours.register(ping)
            worker = Worker(ours, "elsewhere", redelivery_timeout=timeout)
            async with asyncio.TaskGroup() as group:
                group.create_task(worker.run_forever())
                await anyio.to_thread.run_sync(over.wait)
                worker.stop()

    async with anyio.create_task_group() as group:
        try:
            group.start_soon(anyio.to_thread.run_sync, lambda: anyio.run(work, backend="asyncio"))
            await (await docket.add(ping)()).get_result()
            yield
        finally:
            over.set()


async def test_a_task_that_blocks_the_event_loop_for_several_timeouts_runs_once_and_keeps_its_slot(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """I3. Another worker would take over the task, and the slot, if it could."""
    runs: list[tuple[str, float, float]] = []
    blocked = TIMEOUT.total_seconds() * (2 if docket.client.is_memory else 3)
    begun, others_wait = anyio.Event(), anyio.Event()
    here = threading.get_ident()

    async def block(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=1)) -> str:
        began = time.perf_counter()
        if name == "first" and threading.get_ident() == here:
            begun.set()
            await others_wait.wait()
            time.sleep(blocked)
        runs.append((name, began, time.perf_counter()))
        return name

    with caplog.at_level(logging.WARNING):
        async with working(Worker(docket, "blocked", concurrency=1, redelivery_timeout=TIMEOUT)):
            first = await docket.add(block)("first")
            await begun.wait()
            async with working_elsewhere(docket, block, TIMEOUT):
                second = await docket.add(block)("second")
                others_wait.set()
                assert await first.get_result() == "first"
                assert await second.get_result() == "second"
    assert [name for name, _, _ in runs] == ["first", "second"]
    assert runs[1][1] > runs[0][2]
    [warning] = [message for message in caplog.messages if "time.sleep(blocked)" in message]  # it shows where
    assert "The event loop of worker 'blocked' has been blocked for" in warning
    assert "docket/worker" not in warning


async def test_a_blocked_loop_is_logged_after_a_second_however_long_the_leases_are(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """With where it is blocked, while it is; and how long it was, once it goes on. A shorter block is not."""
    said: list[list[str]] = []

    async def block(seconds: float) -> None:
        time.sleep(seconds)
        said.append([message for message in caplog.messages if "event loop" in message])

    with caplog.at_level(logging.WARNING):
        async with working(Worker(docket, "blocked")):
            for seconds in 0.3, 1.6:
                await (await docket.add(block)(seconds)).get_result()
            while not any("goes on after" in message for message in caplog.messages):
                await anyio.sleep(0.01)
    assert said[0] == []
    [while_blocked] = said[1]
    assert "has been blocked for 1" in while_blocked
    assert "time.sleep(seconds)" in while_blocked
    assert "The event loop of worker 'blocked' goes on after" in caplog.messages[-1]


async def test_the_leases_of_a_loop_that_hangs_are_given_up_in_the_end(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: the worker that hung writes nothing when it continues after all."""
    monkeypatch.setattr(blocked_loop, "MOST_TIMEOUTS", 1)
    timeout = ms(400)
    begun, others_wait, taken_over = anyio.Event(), anyio.Event(), threading.Event()
    here = threading.get_ident()
    ends: list[str] = []

    async def hang() -> str:
        if threading.get_ident() != here:
            taken_over.set()
            return "elsewhere"
        begun.set()
        await others_wait.wait()
        taken_over.wait(PATIENCE)
        await anyio.sleep(1)
        ends.append("not stopped")
        return "here"

    async with Docket(f"hangs-{next(_names)}", redis_url) as docket:
        with caplog.at_level(logging.WARNING):
            async with working(Worker(docket, "hung", concurrency=1, redelivery_timeout=timeout)):
                execution = await docket.add(hang)()
                await begun.wait()
                async with working_elsewhere(docket, hang, timeout):
                    others_wait.set()
                    assert await execution.get_result() == "elsewhere"
        assert not ends
        assert any("its leases are not renewed any more" in message for message in caplog.messages)
        assert any("(lost)" in message for message in caplog.messages)
        await execution.sync()
        assert (execution.worker, await execution.get_result()) == ("elsewhere", "elsewhere")


STOPPED = """
    import sys, anyio
    from datetime import timedelta
    from docket import Docket, Worker
    async def task():
        print("begun", flush=True)
        try:
            await anyio.sleep_forever()
        finally:
            print("stopped", flush=True)
    async def main():
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(task)
            await Worker(docket, "frozen", redelivery_timeout=timedelta(seconds=0.4)).run_forever()
    anyio.run(main, backend=sys.argv[3], backend_options={"use_uvloop": True} if sys.argv[4:] else {})
"""


async def test_a_process_that_was_frozen_for_longer_stops_its_bodies_and_writes_nothing(
    redis_url: str, anyio_backend: Any
) -> None:
    """I2."""

    async def task() -> str:
        return "heir"

    name, options = anyio_backend
    uvloop = ["uvloop"] if options.get("use_uvloop") else []
    async with Docket(f"frozen-{next(_names)}", redis_url) as docket:
        execution = await docket.add(task)()
        command = [sys.executable, "-c", textwrap.dedent(STOPPED), docket.name, redis_url, name, *uvloop]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert await anyio.to_thread.run_sync(process.stdout.readline) == b"begun\n"
                process.send_signal(signal.SIGSTOP)
                async with working(Worker(docket, "heir", redelivery_timeout=ms(400))):
                    assert await execution.get_result() == "heir"
                async with docket.redis() as redis:
                    before = await redis.hgetall(docket.runs_key(execution.key))
                    process.send_signal(signal.SIGCONT)
                    assert await anyio.to_thread.run_sync(process.stdout.readline) == b"stopped\n"
                    process.send_signal(signal.SIGTERM)  # kills; nothing of the drain is needed
                    await anyio.to_thread.run_sync(process.wait)
                    assert await redis.hgetall(docket.runs_key(execution.key)) == before
                    assert await redis.xlen(docket.stream_key) == 0
            finally:
                process.kill()


@pytest.mark.parametrize("read", ["take_settling", "wait_for_tasks"])
async def test_a_body_does_not_begin_if_the_loop_was_blocked_since_its_claim(
    memory_url: str, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: another worker may hold the lease by now. Here the task comes back to the same worker, once."""
    timeout = ms(200)
    runs: list[bool] = []
    blocked: list[int] = []
    waits = anyio.Event()
    original: Any = getattr(Claims, read)

    async def read_and_block(self: Claims, *args: Any, **kwargs: Any) -> Any:
        waits.set()
        reply = await original(self, *args, **kwargs)
        taken = reply[0] if read == "take_settling" else reply
        if taken and not blocked:
            blocked.append(len(taken))
            time.sleep(timeout.total_seconds())
        return reply

    async def task(execution: Execution[Any] = CurrentExecution()) -> None:
        runs.append(execution.redelivered)

    monkeypatch.setattr(Claims, read, read_and_block)
    async with Docket("late", memory_url) as docket:
        if read == "take_settling":
            execution = await docket.add(task)()
        async with working(Worker(docket, "late", redelivery_timeout=timeout)):
            if read == "wait_for_tasks":
                await waits.wait()
                execution = await docket.add(task)()
            await execution.get_result()
    assert blocked == [1]
    assert runs == [True]


async def test_concurrent_renewals_do_not_undo_each_other_and_a_late_one_does_not_count(
    docket: Docket,
) -> None:
    """I2: a delivery that was not renewed in time may have been with another worker meanwhile, even a namesake."""

    async def task() -> None: ...

    await docket.add(task)()
    claims = docket.store.claims("worker")
    await claims.create_group()
    [delivery] = await claims.take(1)
    roster = Roster(lambda: 1)
    leases = Leases(claims, roster, timedelta(seconds=10))
    running = Running(delivery, None, None, began=0.0, trusted_until=9.0)  # type: ignore[arg-type]
    roster.add(running)

    async def renewed(began: float, answered: float) -> float:
        times = iter([began, answered])
        await leases.renew(claims, lambda: next(times))
        return running.trusted_until

    assert await renewed(5, 6) == 14
    assert await renewed(4, 7) == 14  # began earlier, ended later
    assert await renewed(13, 14.5) == 14
    async with docket.redis() as redis:
        await redis.xclaim(docket.stream_key, GROUP, "winner", 0, [delivery.message_id])  # type: ignore[union-attr]
    assert await renewed(8, 9) == float("-inf")


async def test_a_task_that_ends_during_a_renewal_is_not_logged_as_lost(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its acknowledgement may overtake the renewal."""

    async def task(number: int) -> None:
        await anyio.sleep(0)

    async with Docket(f"many-{next(_names)}", redis_url) as docket:
        await docket.add_many([docket.call(task)(number) for number in range(700)])
        with anyio.fail_after(PATIENCE), caplog.at_level(logging.WARNING):
            await Worker(docket, concurrency=100, redelivery_timeout=ms(60)).run_until_finished()
    assert not [message for message in caplog.messages if "was lost" in message]


BROKEN_OFF = """
    import asyncio, signal, sys
    from docket import Docket, Worker

    async def work():
        print("works")

    async def main():
        async with Docket("broken-off", sys.argv[1]) as docket:
            await docket.add(work)()
            async with Worker(docket) as worker:
                await worker.run_forever()

    loop = LOOP
    try:
        loop.run_until_complete(main())
    except KeyboardInterrupt:
        print("broken off")
"""


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop()", "__import__('uvloop').new_event_loop()"])
def test_a_process_whose_loop_was_ended_by_ctrl_c_waits_for_no_thread(redis_url: str, loop: str) -> None:
    program = textwrap.dedent(BROKEN_OFF).replace("LOOP", loop)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program, redis_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # asyncio complains about tasks that were not awaited
        text=True,
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "works\n"
            child.send_signal(signal.SIGINT)
            said, _ = child.communicate(timeout=10)
        finally:
            child.kill()
    assert said == "broken off\n"
