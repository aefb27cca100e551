"""Runs that take too long."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from anyio import get_cancelled_exc_class

from docket import Docket, ExecutionCancelled, ExecutionState, Retry, Timeout, Worker, clock
from docket.errors import UsageError
from tests.durations import ms, s
from tests.where import virtual_time
from tests.worker.conftest import drained, working

pytestmark = pytest.mark.anyio


async def test_a_run_that_takes_too_long_fails_and_is_retried(docket: Docket) -> None:
    ran: list[int] = []

    async def slow(timeout: Timeout = Timeout(ms(20)), retry: Retry = Retry(2, on=TimeoutError)) -> None:
        ran.append(retry.attempt)
        await anyio.sleep_forever()

    execution = await drained(docket, await docket.add(slow, key="k")())
    assert ran == [1, 2]
    assert execution.error == "TimeoutError: Docket task k exceeded timeout of 0.02s"
    with pytest.raises(TimeoutError):
        await execution.get_result()


async def test_a_run_in_time_returns(docket: Docket) -> None:
    async def quick(timeout: Timeout = Timeout(s(30))) -> int:
        assert not timeout.expired()
        assert s(29) < timeout.remaining() <= s(30)
        await anyio.sleep(0)
        return 7

    assert await (await drained(docket, await docket.add(quick)())).get_result() == 7


async def test_a_body_that_swallows_its_cancellation_is_cancelled_again_at_each_await(docket: Docket) -> None:
    swallowed: list[bool] = []

    async def stubborn(timeout: Timeout = Timeout(ms(20))) -> str:
        for _ in range(3):
            try:
                await anyio.sleep_forever()
            except get_cancelled_exc_class():
                swallowed.append(timeout.expired())
        return "lost"

    execution = await drained(docket, await docket.add(stubborn)())
    assert swallowed == [True] * 3
    assert str(execution.error).startswith("TimeoutError")


async def test_what_a_body_raises_as_it_cleans_up_is_what_it_failed_with(docket: Docket) -> None:
    async def clumsy(timeout: Timeout = Timeout(ms(20))) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("spilled")

    assert (await drained(docket, await docket.add(clumsy)())).error == "ValueError: spilled"


async def test_a_timeout_error_of_the_body_itself_is_an_error_like_any_other(docket: Docket) -> None:
    async def own(timeout: Timeout = Timeout(s(30))) -> None:
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()

    async def raised(timeout: Timeout = Timeout(s(30))) -> None:
        raise TimeoutError("mine")

    assert (await drained(docket, await docket.add(own)())).error == "TimeoutError: "
    assert (await drained(docket, await docket.add(raised)())).error == "TimeoutError: mine"


async def test_a_body_that_blocks_the_loop_fails_when_it_returns(docket: Docket) -> None:
    async def blocking(timeout: Timeout = Timeout(ms(20))) -> str:
        time.sleep(0.05)
        return "late"

    def plain(timeout: Timeout = Timeout(ms(20))) -> str:
        time.sleep(0.05)
        return "late"

    for task in (blocking, plain):
        assert str((await drained(docket, await docket.add(task)())).error).startswith("TimeoutError")  # type: ignore[arg-type]


async def test_a_plain_function_may_ask_for_its_time_and_extend_it(docket: Docket) -> None:
    def plain(timeout: Timeout = Timeout(ms(500))) -> bool:
        timeout.extend(s(30))
        time.sleep(0.6)
        assert s(20) < timeout.remaining() < s(30)
        return timeout.expired()

    assert await (await drained(docket, await docket.add(plain)())).get_result() is False  # type: ignore[arg-type]


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancellation_stays_one(docket: Docket, late: bool) -> None:
    """Also if the time is up while the body cleans up after it."""
    begun, cleaned = anyio.Event(), anyio.Event()

    async def long(timeout: Timeout = Timeout(ms(500) if late else s(30))) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                while late and not timeout.expired():
                    await anyio.sleep(0.01)  # until a moment, not for an event
            cleaned.set()

    async with working(Worker(docket)):
        execution = await docket.add(long, key="k")()
        await begun.wait()
        await docket.cancel("k")
        await cleaned.wait()
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_a_body_with_task_groups_of_its_own_is_stopped_as_a_whole(docket: Docket) -> None:
    stopped: list[int] = []

    async def child(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(number)

    async def family(timeout: Timeout = Timeout(ms(30))) -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(child, number)
            with anyio.move_on_after(0.005):
                await anyio.sleep_forever()

    execution = await drained(docket, await docket.add(family)())
    assert sorted(stopped) == [0, 1, 2]
    assert str(execution.error).startswith("TimeoutError")


class TestInVirtualTime:
    pytestmark = virtual_time

    async def test_a_run_may_extend_its_time(self, memory_url: str) -> None:
        lasted: list[float] = []

        async def long(timeout: Timeout = Timeout(s(10))) -> None:
            start = clock.monotonic()
            await anyio.sleep(8)
            timeout.extend()
            await anyio.sleep(8)
            timeout.extend(s(5))
            assert timeout.remaining() == pytest.approx(s(9), abs=s(0.1))
            try:
                await anyio.sleep_forever()
            finally:
                lasted.append(clock.monotonic() - start)
                timeout.extend(s(3600))  # too late
                assert timeout.expired()

        async with Docket("extend", memory_url) as docket:
            execution = await docket.add(long, key="k")()
            await Worker(docket).run_until_finished()
            await execution.sync()
        assert lasted == [pytest.approx(25, abs=0.1)]
        assert execution.error == "TimeoutError: Docket task k exceeded timeout of 25.0s"

    async def test_every_run_has_the_whole_time(self, memory_url: str) -> None:
        lasted: list[float] = []

        async def task(timeout: Timeout = Timeout(s(10)), retry: Retry = Retry(3)) -> None:
            start = clock.monotonic()
            timeout.extend(s(retry.attempt))
            try:
                await anyio.sleep_forever()
            finally:
                lasted.append(clock.monotonic() - start)

        async with Docket("whole", memory_url) as docket:
            await docket.add(task)()
            await Worker(docket).run_until_finished()
        assert lasted == [pytest.approx(seconds, abs=0.1) for seconds in (11, 12, 13)]

    async def test_outside_of_a_run_it_is_a_stopwatch(self) -> None:
        timeout = Timeout(s(10))
        assert timeout.remaining() == s(10)
        timeout.extend(s(5))
        assert timeout.remaining() == s(15)
        timeout.start()
        await anyio.sleep(20)
        assert timeout.expired()
        assert timeout.remaining() == pytest.approx(s(-5), abs=s(0.1))


def test_one_that_has_not_begun_needs_no_loop() -> None:
    timeout = Timeout(s(10))
    timeout.extend(s(5))
    assert (timeout.remaining(), timeout.expired()) == (s(15), False)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Timeout(s(0)), UsageError, "Timeout takes a duration above zero, not 0:00:00"),
        (lambda: Timeout(s(-1)), UsageError, "above zero"),
        (lambda: Timeout(5), TypeError, "Timeout takes a timedelta, not int: 5"),  # type: ignore[arg-type]
        (lambda: Timeout(s(1)).extend(s(-1)), UsageError, "extend takes a duration from zero"),
    ],
)
def test_bad_settings_are_refused_where_they_are_made(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()
