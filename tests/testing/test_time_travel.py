"""In virtual time waits cost nothing, and every clock of docket agrees on how long they took."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

import docket.testing
from docket import clock
from docket.errors import UsageError
from tests.where import virtual_time

MONTH = 30 * 24 * 3600

#: What rounding seconds since the epoch to a datetime may add to or take from a difference.
MICROSECOND = timedelta(microseconds=1)

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.mark.anyio
@virtual_time
class TestWithTheFixture:
    """What the docstring of ``virtual_backend`` promises to users of anyio's pytest plugin."""

    async def test_a_month_of_sleep_takes_no_time(self) -> None:
        began = time.process_time()
        await anyio.sleep(MONTH)
        assert time.process_time() - began < 1

    async def test_the_wall_clock_follows(self) -> None:
        before = clock.now()
        await anyio.sleep(MONTH)
        assert abs(clock.now() - before - timedelta(days=30)) <= MICROSECOND

    async def test_differences_add_up(self) -> None:
        naps = [timedelta(seconds=seconds) for seconds in (0.25, 60, 3600.5, MONTH, 0.001)]
        at = [clock.now()]
        for nap in naps:
            await anyio.sleep(nap.total_seconds())
            at.append(clock.now())
        steps = [late - early for early, late in itertools.pairwise(at)]
        assert all(abs(step - nap) <= MICROSECOND for step, nap in zip(steps, naps, strict=True))
        assert abs(at[-1] - at[0] - sum(naps, timedelta())) <= MICROSECOND

    async def test_the_journey_starts_at_the_present(self) -> None:
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)

    async def test_timers_go_off_in_order(self) -> None:
        order: list[int] = []

        async def note(days: int) -> None:
            await anyio.sleep(days * 24 * 3600)
            order.append(days)

        async with anyio.create_task_group() as group:
            for days in (3, 1, 30, 2):
                group.start_soon(note, days)
        assert order == [1, 2, 3, 30]

    async def test_a_deadline_ends_a_wait_that_never_would(self) -> None:
        began = clock.now()
        with anyio.move_on_after(MONTH) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert abs(clock.now() - began - timedelta(days=30)) <= MICROSECOND

    async def test_time_stands_still_while_somebody_works(self) -> None:
        began = clock.now()
        with anyio.fail_after(0.001):
            for _ in range(2000):
                await anyio.lowlevel.checkpoint()
        assert clock.now() == began


@BACKENDS
def test_run_returns_what_the_function_returns(backend: str) -> None:
    async def double(number: int) -> int:
        await anyio.sleep(MONTH)
        return 2 * number

    assert docket.testing.run(double, 21, backend=backend) == 42


@BACKENDS
def test_years_pass_as_months_do(backend: str) -> None:
    async def journey() -> timedelta:
        began = clock.now()
        for days in (200, 400, 3650):
            await anyio.sleep(days * 24 * 3600)
        return clock.now() - began

    assert abs(docket.testing.run(journey, backend=backend) - timedelta(days=4250)) <= 10 * MICROSECOND


@BACKENDS
def test_runs_in_one_process_do_not_disturb_each_other(backend: str) -> None:
    async def journey() -> tuple[datetime, datetime]:
        began = clock.now()
        await anyio.sleep(MONTH)
        return began, clock.now()

    first, second = (docket.testing.run(journey, backend=backend) for _ in range(2))
    assert second[0] - first[0] < timedelta(seconds=5)
    for began, ended in (first, second):
        assert abs(ended - began - timedelta(days=30)) <= MICROSECOND


@BACKENDS
def test_two_runs_at_once_keep_their_own_time(backend: str) -> None:
    began: dict[float, datetime] = {}
    ended: dict[float, datetime] = {}
    gate = threading.Barrier(2)

    async def journey(days: float) -> None:
        began[days] = clock.now()
        gate.wait(timeout=10)
        await anyio.sleep(days * 24 * 3600)
        ended[days] = clock.now()

    threads = [threading.Thread(target=docket.testing.run, args=(journey, days), kwargs={"backend": backend})
               for days in (1, 30)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {days: ended[days] - began[days] for days in (1, 30)} == {
        1: timedelta(days=1),
        30: timedelta(days=30),
    }


def test_after_a_journey_a_real_loop_tells_the_real_time(anyio_backend: Any) -> None:
    docket.testing.run(anyio.sleep, MONTH)

    async def difference() -> float:
        return abs(clock.timestamp() - time.time())

    name, options = anyio_backend
    assert anyio.run(difference, backend=name, backend_options=options) < 5
    assert abs(clock.timestamp() - time.time()) < 5


def test_uvloop_does_not_travel() -> None:
    with pytest.raises(UsageError, match="'asyncio' or 'trio'"):
        docket.testing.virtual_backend("uvloop")


def test_virtual_backends_are_fresh_each_time() -> None:
    clocks = [dict(docket.testing.virtual_backends())["trio"]["clock"] for _ in range(2)]
    assert clocks[0] is not clocks[1]


class TestThreadsOfAsyncio:
    """trio's ``MockClock`` takes a thread for idle and jumps; our loop knows its threads."""

    @staticmethod
    def released_late(released: threading.Event) -> str:
        # The one real wait of this file: a thread must be seen at work for longer than a jump takes.
        time.sleep(0.05)
        released.set()
        return "done"

    def test_a_thread_in_flight_holds_the_clock(self) -> None:
        async def work(released: threading.Event) -> None:
            with anyio.fail_after(MONTH):
                assert await anyio.to_thread.run_sync(self.released_late, released) == "done"

        released = threading.Event()
        docket.testing.run(work, released)
        assert released.is_set()

    def test_a_thread_of_the_loops_executor_holds_the_clock(self) -> None:
        async def work(released: threading.Event) -> str:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(MONTH):
                return await loop.run_in_executor(None, self.released_late, released)

        assert docket.testing.run(work, threading.Event()) == "done"

    def test_time_passes_as_it_really_does_while_a_thread_works(self) -> None:
        async def work() -> timedelta:
            began = clock.now()
            await anyio.to_thread.run_sync(self.released_late, threading.Event())
            return clock.now() - began

        assert timedelta(seconds=0.04) < docket.testing.run(work) < timedelta(seconds=5)

    def test_a_thread_that_needs_a_timer_of_the_loop_gets_it(self) -> None:
        async def work() -> None:
            await anyio.to_thread.run_sync(anyio.from_thread.run, anyio.sleep, 0.01)

        docket.testing.run(work)

    def test_once_its_threads_are_idle_the_clock_jumps_again(self) -> None:
        async def work() -> timedelta:
            await anyio.to_thread.run_sync(int)
            await asyncio.to_thread(int)
            began = clock.now()
            await anyio.sleep(MONTH)
            return clock.now() - began

        assert abs(docket.testing.run(work) - timedelta(days=30)) <= MICROSECOND

    def test_an_executor_call_that_nobody_waits_for_does_not_hold_the_clock(self) -> None:
        async def work(released: threading.Event) -> None:
            call = asyncio.get_running_loop().run_in_executor(None, released.wait, 30)
            call.cancel()
            await anyio.sleep(MONTH)
            released.set()

        began = time.perf_counter()
        docket.testing.run(work, threading.Event())
        assert time.perf_counter() - began < 10


def test_without_a_timer_the_loop_waits_for_a_real_socket() -> None:
    async def work() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            threading.Timer(0.05, theirs.send, [b"hello"]).start()
            await anyio.wait_readable(ours)
            return ours.recv(5)

    assert docket.testing.run(work) == b"hello"


def test_with_a_timer_the_timer_wins_over_a_silent_socket() -> None:
    async def work() -> bool:
        ours, theirs = socket.socketpair()
        with ours, theirs, anyio.move_on_after(MONTH) as scope:
            await anyio.wait_readable(ours)
        return scope.cancelled_caught

    assert docket.testing.run(work)


def test_input_that_has_arrived_wins_over_a_timer() -> None:
    async def work() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs, anyio.fail_after(MONTH):
            theirs.send(b"hello")
            await anyio.wait_readable(ours)
            return ours.recv(5)

    assert docket.testing.run(work) == b"hello"
