"""Runs of perpetual tasks that were due while one ran, or while there was no worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import anyio
import pytest

from docket import (
    Cron,
    CurrentExecution,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    RateLimit,
    Retry,
    Worker,
    clock,
)
from docket.errors import UsageError
from tests.durations import s
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
Missed = Literal["skip", "once", "all"]


class Diary:
    """A task that notes for which times its runs are, and when they begin, in minutes after the first of them."""

    def __init__(
        self, body: Callable[[int], Awaitable[object]], runs: int, perpetual: Perpetual, **more: Any
    ) -> None:
        self.entries: list[tuple[float, float]] = []

        async def task(
            chain: Any = perpetual, execution: Execution[Any] = CurrentExecution(), **kwargs: Any
        ) -> None:
            self._note(execution)
            if len(self.entries) == runs:
                chain.cancel()
            await body(len(self.entries))

        self.task = task

    def _note(self, execution: Execution[Any]) -> None:
        moments = execution.when, clock.now()
        self.first = getattr(self, "first", None) or execution.when
        whens = [round((moment - self.first) / MINUTE, 2) for moment in moments]
        self.entries.append((whens[0], whens[1]))


async def next_minute() -> datetime:
    """The next whole hour, a moment before it has come."""
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0) + HOUR
    await anyio.sleep((hour - now).total_seconds() - 1)
    return hour


async def nothing(number: int) -> None: ...


async def long_second(number: int) -> None:
    """The second run lasts 3.5 minutes."""
    if number == 2:
        await anyio.sleep(210)


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [(0, 0), (1, 1), (2, 4.5), (5, 5), (6, 6)]),
        ("skip", [(0, 0), (1, 1), (5, 5), (6, 6), (7, 7)]),
        ("all", [(0, 0), (1, 1), (2, 4.5), (3, 4.5), (4, 4.5), (5, 5)]),
    ],
)
async def test_times_of_a_line_that_pass_while_it_runs(
    memory_url: str, missed: Missed, expected: Sequence[tuple[float, float]]
) -> None:
    diary = Diary(long_second, len(expected), Cron("* * * * *", automatic=False, missed=missed))
    async with Docket("d", memory_url) as docket:
        await docket.add(diary.task, when=await next_minute(), key="k")()
        await Worker(docket).run_until_finished()
    assert diary.entries == expected


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [(0, 3.5), (4, 4), (5, 5)]),
        ("skip", [(4, 4), (5, 5), (6, 6)]),
        ("all", [(0, 3.5), (1, 3.5), (2, 3.5), (3, 3.5), (4, 4)]),
    ],
)
async def test_times_of_a_line_that_pass_without_a_worker(
    memory_url: str, missed: Missed, expected: Sequence[tuple[float, float]]
) -> None:
    diary = Diary(nothing, len(expected), Cron("* * * * *", automatic=False, missed=missed))
    async with Docket("d", memory_url) as docket:
        diary.first = first = await next_minute()
        await docket.add(diary.task, when=first, key="k")()
        await anyio.sleep(1 + 210)
        await Worker(docket).run_until_finished()
    assert diary.entries == expected


async def test_a_run_that_was_added_for_another_time_is_not_taken_for_a_missed_one(memory_url: str) -> None:
    diary = Diary(nothing, 1, Cron("* * * * *", automatic=False, missed="skip"))
    async with Docket("d", memory_url) as docket:
        await docket.add(diary.task, when=await next_minute() + s(10), key="k")()
        await anyio.sleep(600)
        await Worker(docket).run_until_finished()
    assert len(diary.entries) == 1


async def test_of_a_month_without_a_worker_the_last_thousand_runs_are_made_up_for(
    memory_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary(nothing, 1003, Cron("* * * * *", automatic=False, missed="all"))
    async with Docket("d", memory_url) as docket:
        diary.first = first = await next_minute()
        await docket.add(diary.task, when=first, key="k")()
        await anyio.sleep(timedelta(days=30).total_seconds() + 1)
        month = 30 * 24 * 60
        await Worker(docket).run_until_finished()
    whens = [when for when, _ in diary.entries]
    assert whens[:2] == [0, month - 999]
    assert whens[1:] == [month - 999 + n for n in range(1002)]
    assert diary.entries[1000][1] == month
    assert diary.entries[1001] == (month + 1, month + 1)
    assert caplog.text.count("makes up for the last 1000 of its times only") == 1


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [(0, 0), (1, 1), (4.5, 4.5), (5.5, 5.5)]),
        ("skip", [(0, 0), (1, 1), (5, 5), (6, 6)]),
        ("all", [(0, 0), (1, 1), (2, 4.5), (3, 4.5), (4, 4.5), (5, 5)]),
    ],
)
async def test_intervals_that_pass_during_a_run(
    memory_url: str, missed: Missed, expected: Sequence[tuple[float, float]]
) -> None:
    diary = Diary(long_second, len(expected), Perpetual(MINUTE, missed=missed))
    async with Docket("d", memory_url) as docket:
        await docket.add(diary.task, key="k")()
        await Worker(docket).run_until_finished()
    assert diary.entries == expected


async def test_of_a_month_of_intervals_the_last_thousand_are_made_up_for(memory_url: str) -> None:
    diary = Diary(nothing, 1003, Perpetual(MINUTE, missed="all"))
    async with Docket("d", memory_url) as docket:
        await docket.add(diary.task, key="k")()
        await anyio.sleep(timedelta(days=30).total_seconds() + 1)
        await Worker(docket).run_until_finished()
    whens = [when for when, _ in diary.entries]
    month = 30 * 24 * 60
    assert whens[:2] == [0, month - 999]
    assert whens[1:] == [month - 999 + n for n in range(1002)]


async def test_attempts_and_limits_that_put_a_run_off_lose_no_time(memory_url: str) -> None:
    whens: list[tuple[float, int]] = []

    async def task(
        cron: Cron = Cron("* * * * *", automatic=False, missed="all"),
        retry: Retry = Retry(2, delay=s(130)),
        rate: RateLimit = RateLimit(1, per=s(90)),
        execution: Execution[Any] = CurrentExecution(),
    ) -> None:
        whens.append((round((execution.when - first) / MINUTE, 2), execution.attempt))
        if len(whens) == 1:
            raise ValueError
        if len(whens) == 5:
            cron.cancel()

    async with Docket("d", memory_url) as docket:
        first = await next_minute()
        await docket.add(task, when=first, key="k")()
        await Worker(docket).run_until_finished()
    # The first one is tried again after 2:10; each begins a minute and a half after the one before.
    assert whens == [(0, 1), (2.17, 2), (3.67, 1), (5.17, 1), (6.67, 1)]


async def test_a_line_makes_up_for_an_hour_that_comes_twice_and_skips_none_of_it(memory_url: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    seen: list[str] = []

    async def task(
        cron: Cron = Cron("*/30 * * * *", automatic=False, tz=zone, missed="all"),
        execution: Execution[Any] = CurrentExecution(),
    ) -> None:
        seen.append(execution.when.astimezone(zone).strftime("%H:%M%z"))
        if len(seen) == 7:
            cron.cancel()

    async with Docket("d", memory_url) as docket:
        year = clock.now().year + 1
        sunday = max(day for n in range(25, 32) if (day := datetime(year, 10, n, tzinfo=UTC)).weekday() == 6)
        await docket.add(task, when=sunday.replace(hour=0), key="k")()  # 02:00, the first time
        await anyio.sleep((sunday + timedelta(days=2) - clock.now()).total_seconds())
        await Worker(docket).run_until_finished()
    assert seen == [
        "02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100", "03:00+0100", "03:30+0100", "04:00+0100",
    ]  # fmt: skip


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
async def test_run_at_most_and_replace_hold_for_each(memory_url: str, missed: Missed) -> None:
    diary = Diary(long_second, 99, Cron("* * * * *", automatic=False, missed=missed))
    async with Docket("d", memory_url) as docket:
        first = await next_minute()
        execution = await docket.add(diary.task, when=first, key="k")()
        async with anyio.create_task_group() as group:
            group.start_soon(Worker(docket).run_at_most, {"k": 3})
            await anyio.sleep(120)  # the second runs
            await docket.replace(diary.task, first + 2 * HOUR, "k")()
        await execution.sync()
    assert [when for when, _ in diary.entries] == [0, 1, 120]
    assert execution.state is ExecutionState.COMPLETED


@pytest.mark.parametrize("make", [lambda: Cron("@daily", missed="never"), lambda: Perpetual(missed=1)])  # type: ignore[arg-type]
def test_another_word_is_refused(make: Callable[[], Perpetual]) -> None:
    with pytest.raises(UsageError, match='missed takes "skip", "once" or "all", not'):
        make()
