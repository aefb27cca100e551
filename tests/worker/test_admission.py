"""Rate limits, cooldowns, debouncing, and dependencies that do not admit; on memory:// with a virtual clock."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    CurrentExecution,
    Debounce,
    Depends,
    Docket,
    Execution,
    ExecutionCancelled,
    Perpetual,
    RateLimit,
    Retry,
    Worker,
    clock,
)
from docket.dependencies import AdmissionBlocked, ConcurrencyBlocked, Dependency
from docket.execution import ExecutionState
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

SECOND = timedelta(seconds=1)


class Log:
    """What ran, and how many seconds after the beginning."""

    def __init__(self) -> None:
        self.start = clock.timestamp()
        self.entries: list[tuple[Any, float]] = []

    def note(self, what: Any) -> None:
        self.entries.append((what, round(clock.timestamp() - self.start, 1)))


async def test_a_run_whose_rule_cannot_be_made_fails_without_a_beginning(memory_url: str) -> None:
    class Unnameable:
        def __str__(self) -> str:
            raise ValueError("no name for you")

    runs: list[str] = []

    async def task(whom: Annotated[Any, ConcurrencyLimit(1)]) -> None:
        runs.append("run")

    async with Docket("d", memory_url) as d:
        execution = await d.add(task)(Unnameable())
        await Worker(d).run_until_finished()
        await execution.sync()
        assert execution.state is ExecutionState.FAILED
        assert "no name for you" in str(execution.error)
        assert runs == []


async def test_an_error_says_so_where_the_next_run_cannot_be_decided_either(memory_url: str) -> None:
    class Unnameable:
        def __str__(self) -> str:
            raise ValueError("no name for you")

    class Undecided(Perpetual):
        def following(self) -> Any:
            raise ArithmeticError("no time either")

    async def task(whom: Annotated[Any, ConcurrencyLimit(1)], again: Perpetual = Undecided()) -> None:
        raise AssertionError("it must not begin")

    async with Docket("d", memory_url) as d:
        execution = await d.add(task)(Unnameable())
        await Worker(d).run_until_finished()
        with pytest.raises(ValueError, match="no name for you") as raised:
            await execution.get_result()
    (note,) = [note for note in raised.value.__notes__ if "no time either" in note]
    assert "ArithmeticError" in note


async def test_runs_over_the_rate_begin_at_their_moments_in_the_order_of_arrival(memory_url: str) -> None:
    log = Log()

    async def task(number: int, rate: RateLimit = RateLimit(2, per=10 * SECOND)) -> int:
        log.note(number)
        return number

    async with Docket("d", memory_url) as d:
        executions = [await d.add(task, key=f"{number}")(number) for number in range(7)]
        await Worker(d).run_until_finished()
        assert log.entries == [(0, 0), (1, 0), (2, 10), (3, 10), (4, 20), (5, 20), (6, 30)]
        generations = [
            await d.client.hget(d.runs_key(execution.key), "generation") for execution in executions
        ]
        assert generations == [b"1", b"1", b"2", b"2", b"2", b"2", b"2"]  # each was deferred once
        assert await d.client.keys("*ratelimit*:reserved") == []


async def test_three_hundred_tasks_over_the_rate_are_deferred_about_once_each(memory_url: str) -> None:
    log = Log()

    async def task(rate: RateLimit = RateLimit(10, per=SECOND)) -> None:
        log.note("")

    async with Docket("d", memory_url) as d:
        executions = await d.add_many([d.call(task)() for _ in range(300)])
        await Worker(d).run_until_finished()
        assert len(log.entries) == 300
        assert log.entries[-1][1] == pytest.approx(29, abs=1)
        placed = [int(await d.client.hget(d.runs_key(one.key), "generation")) for one in executions]  # type: ignore[arg-type]
        assert sum(placed) <= 660


async def test_a_rate_may_be_one_of_each_value_and_may_drop(memory_url: str) -> None:
    log = Log()

    async def task(a: Annotated[str, RateLimit(1, per=SECOND, drop=True)]) -> None:
        log.note(a)

    async with Docket("d", memory_url) as d:
        for key, value in (("1", "x"), ("2", "x"), ("3", "y")):
            await d.add(task, key=key)(value)
        await Worker(d).run_until_finished()
        assert log.entries == [("x", 0), ("y", 0)]
        dropped = await d.get_execution("2")
        assert dropped is not None
        assert dropped.state is ExecutionState.CANCELLED
        with pytest.raises(ExecutionCancelled):
            await dropped.get_result()


async def test_every_attempt_counts_for_the_rate(memory_url: str) -> None:
    log = Log()

    async def task(
        rate: RateLimit = RateLimit(1, per=10 * SECOND), retry: Retry = Retry(attempts=3, delay=SECOND)
    ) -> None:
        log.note(retry.attempt)
        raise ValueError

    async with Docket("d", memory_url) as d:
        await d.add(task)()
        await Worker(d).run_until_finished()
    assert log.entries == [(1, 0), (2, 10), (3, 20)]


async def test_what_comes_during_a_cooldown_is_dropped(
    memory_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()

    async def task(name: str, pause: Cooldown = Cooldown(10 * SECOND)) -> None:
        log.note(name)

    async with Docket("d", memory_url) as d:
        for at, name in ((0, "a"), (5, "b"), (11, "c")):
            await d.add(task, when=clock.now() + at * SECOND, key=name)(name)
        with caplog.at_level(logging.DEBUG):
            await Worker(d).run_until_finished()
        assert log.entries == [("a", 0), ("c", 11)]
        dropped = await d.get_execution("b")
        assert dropped is not None
        assert dropped.state is ExecutionState.CANCELLED
    assert "⏭ Task b blocked by admission control, dropping" in caplog.messages


async def test_a_retry_goes_on_with_what_was_admitted(memory_url: str) -> None:
    """Neither a cooldown nor a debounce keeps a task from its own next attempt."""
    log = Log()

    async def cool(
        pause: Cooldown = Cooldown(10 * SECOND), retry: Retry = Retry(attempts=2, delay=SECOND)
    ) -> None:
        log.note(retry.attempt)
        raise ValueError

    async def settled(
        burst: Debounce = Debounce(5 * SECOND), retry: Retry = Retry(attempts=2, delay=SECOND)
    ) -> None:
        log.note(retry.attempt)
        raise ValueError

    async with Docket("d", memory_url) as d:
        await d.add(cool)()
        await d.add(settled)()
        await Worker(d).run_until_finished()
    assert log.entries == [(1, 0), (2, 1), (1, 5), (2, 6)]


async def test_a_task_that_repeats_itself_goes_on_after_a_run_that_was_dropped(memory_url: str) -> None:
    log = Log()

    async def task(
        pause: Cooldown = Cooldown(timedelta(seconds=2.5)), again: Perpetual = Perpetual(every=SECOND)
    ) -> None:
        log.note("")
        if len(log.entries) == 3:
            again.cancel()

    async with Docket("d", memory_url) as d:
        await d.add(task)()
        await Worker(d).run_until_finished()
    assert [at for _, at in log.entries] == [0, 3, 6]


async def test_of_a_burst_the_first_runs_when_the_burst_is_over(memory_url: str) -> None:
    log = Log()

    async def task(name: str, burst: Debounce = Debounce(5 * SECOND)) -> None:
        log.note(name)

    async with Docket("d", memory_url) as d:
        for at, name in ((0, "a"), (3, "b"), (6, "c"), (20, "d")):
            await d.add(task, when=clock.now() + at * SECOND, key=name)(name)
        await Worker(d).run_until_finished()
        assert log.entries == [("a", 11), ("d", 25)]
        states = {name: await d.get_execution(name) for name in "abcd"}
        assert [execution.state.value for execution in states.values() if execution] == [
            "completed", "cancelled", "cancelled", "completed",
        ]  # fmt: skip
        assert await d.client.keys("*debounce*") == []


async def test_rules_hold_together(memory_url: str) -> None:
    """One that has to wait for its slot has not used up its rate."""
    log = Log()

    async def task(
        name: str,
        limit: ConcurrencyLimit = ConcurrencyLimit(1),
        rate: RateLimit = RateLimit(2, per=100 * SECOND),
    ) -> None:
        log.note(name)
        await anyio.sleep(30)

    async with Docket("d", memory_url) as d:
        for name in "abc":
            await d.add(task)(name)
        await Worker(d).run_until_finished()
    assert log.entries == [("a", 0), ("b", 30), ("c", 100)]


def test_durations_and_counts_below_what_makes_sense_are_refused() -> None:
    zero, minus = timedelta(0), timedelta(seconds=-1)
    for wrong in (lambda: RateLimit(1, per=zero), lambda: RateLimit(1, per=minus)):
        with pytest.raises(ValueError, match="per takes a duration above zero, not"):
            wrong()
    with pytest.raises(ValueError, match="limit takes a whole number from 1, not 0"):
        RateLimit(0, per=SECOND)
    with pytest.raises(ValueError, match="window takes a duration above zero, not"):
        Cooldown(zero)
    with pytest.raises(ValueError, match="settle takes a duration above zero, not"):
        Debounce(minus)
    with pytest.raises(TypeError, match="window takes a timedelta, not int: 5"):
        Cooldown(5)  # type: ignore[arg-type]


async def test_a_task_has_one_debounce_at_most(memory_url: str) -> None:
    async def task(a: Debounce = Debounce(SECOND), b: Debounce = Debounce(SECOND)) -> None: ...

    async with Docket("d", memory_url) as d:
        with pytest.raises(ValueError, match="Only one Debounce dependency is allowed"):
            d.add(task)


# dependencies of one's own ---------------------------------------------------------------------------------


class Door(Dependency[None]):
    """Refuses the first ``times``, each as it is told."""

    def __init__(self, times: int, **how: Any) -> None:
        self.times, self.how, self.asked = times, how, 0

    async def __aenter__(self) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise AdmissionBlocked(self.execution.get(), "a closed door", **self.how)


async def test_a_dependency_may_say_not_now(memory_url: str, caplog: pytest.LogCaptureFixture) -> None:
    log, closed = Log(), list[str]()

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        yield
        closed.append("closed")

    async def task(
        it: object = Depends(opened),
        door: None = Door(3),  # type: ignore[assignment]
        execution: Execution[Any] = CurrentExecution(),
    ) -> None:
        log.note(execution.attempt)

    async with Docket("d", memory_url) as d:
        await d.add(task, key="k")()
        with caplog.at_level(logging.DEBUG):
            await Worker(d).run_until_finished()
    assert log.entries == [(1, 0.3)]
    assert len(closed) == 4
    assert caplog.messages.count("⏳ Task k blocked by admission control, rescheduling") == 3
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_is_put_off_by_a_dependency_of_its_own_does_not_meet_its_own_cooldown(
    memory_url: str,
) -> None:
    log = Log()

    async def task(
        pause: Cooldown = Cooldown(100 * SECOND),
        rate: RateLimit = RateLimit(1, per=100 * SECOND),
        door: None = Door(2),  # type: ignore[assignment]
    ) -> None:
        log.note("")

    async with Docket("d", memory_url) as d:
        await d.add(task)()
        await Worker(d).run_until_finished()
    assert log.entries == [("", 0.2)]


async def test_what_is_handed_back_does_not_meet_its_own_cooldown(memory_url: str) -> None:
    log = Log()

    async def task(pause: Cooldown = Cooldown(100 * SECOND)) -> None:
        log.note("")
        if len(log.entries) == 1:
            worker.hand_back()
            await anyio.sleep_forever()

    async with Docket("d", memory_url) as d:
        await d.add(task)()
        worker = Worker(d)
        await worker.run_forever()
        await Worker(d).run_until_finished()
    assert len(log.entries) == 2


async def test_and_when_to_ask_again(memory_url: str) -> None:
    log = Log()

    async def task(door: None = Door(2, retry_delay=10 * SECOND)) -> None:  # type: ignore[assignment]
        log.note("")

    async with Docket("d", memory_url) as d:
        await d.add(task)()
        await Worker(d).run_until_finished()
    assert log.entries == [("", 20)]


async def test_or_never(memory_url: str) -> None:
    async def task(door: None = Door(1, reschedule=False)) -> None:  # type: ignore[assignment]
        raise AssertionError("it was let in")

    async with Docket("d", memory_url) as d:
        execution = await d.add(task)()
        await Worker(d).run_until_finished()
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED


async def test_or_that_it_has_taken_care(memory_url: str) -> None:
    """Nothing is written; the delivery is redelivered when its lease has run out."""
    log = Log()

    async def task(door: None = Door(1, handled=True)) -> None:  # type: ignore[assignment]
        log.note("")

    async with Docket("d", memory_url) as d:
        execution = await d.add(task)()
        async with anyio.create_task_group() as group:
            worker, heir = (
                Worker(d, name, redelivery_timeout=10 * SECOND, concurrency=1) for name in ("one", "two")
            )
            group.start_soon(worker.run_forever)
            group.start_soon(heir.run_forever)
            await execution.get_result()
            worker.stop()
            heir.stop()
    assert [at for _, at in log.entries] == [pytest.approx(10, abs=0.2)]


async def test_run_at_most_counts_only_what_has_run(memory_url: str) -> None:
    log = Log()

    async def task(door: None = Door(2)) -> None:  # type: ignore[assignment]
        log.note("")

    async with Docket("d", memory_url) as d:
        await d.add(task, key="k")()
        await Worker(d).run_at_most({"k": 1})
    assert len(log.entries) == 1


async def test_what_blocked_says(memory_url: str) -> None:
    async def task() -> None: ...

    async with Docket("d", memory_url) as d:
        execution = await d.add(task, key="k")()
        blocked = AdmissionBlocked(execution)
        assert (blocked.reason, blocked.handled, blocked.reschedule, blocked.retry_delay) == (
            "admission control", False, True, None,
        )  # fmt: skip
        limit = ConcurrencyBlocked(execution, "d:concurrency:a:1", 2)
        assert isinstance(limit, AdmissionBlocked)
        assert (limit.execution, limit.concurrency_key, limit.max_concurrent) == (
            execution, "d:concurrency:a:1", 2,
        )  # fmt: skip
        assert "k" in str(limit)
