"""Tasks that schedule themselves again, after a while or by the clock on the wall."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from cronsim import CronSimError

from docket import (
    Cooldown,
    Cron,
    CurrentExecution,
    Docket,
    Execution,
    ExecutionCancelled,
    ExecutionState,
    Perpetual,
    Retry,
    Worker,
    clock,
)
from docket.dependencies import TaskOutcome
from docket.dependencies.perpetual import perpetual_is_live
from docket.errors import UsageError
from tests.durations import ms, s
from tests.where import virtual_time
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio

EVERY_MS = ms(1)


async def run(docket: Docket) -> None:
    async with at_most():
        await Worker(docket).run_until_finished()


async def test_arguments_change_from_run_to_run_however_they_are_changed(docket: Docket) -> None:
    ran: list[tuple[list[int], str]] = []

    async def task(
        items: list[int], text: str = "", perpetual: Perpetual = Perpetual(every=EVERY_MS)
    ) -> None:
        ran.append((list(items), text))
        match len(ran):
            case 1:
                perpetual.perpetuate([1], text="a")
            case 2:
                perpetual.args = ([2],)
            case 3:
                perpetual.kwargs["text"] = "b"
            case 4:
                items.append(3)
            case 5:
                perpetual.cancel()

    await docket.add(task, key="k")([0])
    await run(docket)
    assert ran == [([0], ""), ([1], "a"), ([2], "a"), ([2], "b"), ([2, 3], "b")]


async def test_arguments_that_do_not_fit_are_refused_where_they_are_given_and_the_chain_goes_on(
    docket: Docket,
) -> None:
    ran: list[int] = []
    refused: list[str] = []

    async def task(number: int, perpetual: Perpetual = Perpetual(every=EVERY_MS)) -> None:
        ran.append(number)
        if len(ran) == 3:
            perpetual.cancel()
        elif len(ran) == 1:
            try:
                perpetual.perpetuate(1, 2, 3)
            except TypeError as error:
                refused.append(str(error))
                raise

    await docket.add(task, key="k")(1)
    await run(docket)
    assert ran == [1, 1, 1]
    assert "task 'task' cannot be called so: too many positional arguments" in refused[0]


async def test_cancelling_the_key_while_it_runs_ends_the_chain(docket: Docket) -> None:
    begun = anyio.Event()

    async def task(perpetual: Perpetual = Perpetual()) -> None:
        begun.set()
        await anyio.sleep_forever()

    async with at_most(), anyio.create_task_group() as group:
        execution = await docket.add(task, key="k")()
        group.start_soon(Worker(docket).run_until_finished)
        await begun.wait()
        await docket.cancel("k")
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_a_body_that_returns_although_it_was_cancelled_ends_the_chain(docket: Docket) -> None:
    """It may have been about to return when it was cancelled: what was asked for holds."""
    ran: list[int] = []

    async def task(perpetual: Perpetual = Perpetual()) -> None:
        ran.append(1)
        try:
            await docket.cancel("k")
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return

    execution = await docket.add(task, key="k")()
    await run(docket)
    await execution.sync()
    assert (execution.state, ran) == (ExecutionState.CANCELLED, [1])


async def test_a_cancellation_that_nobody_heard_of_in_time_ends_the_chain(docket: Docket) -> None:
    """The worker's connection was lost when it was told."""

    async def task(
        perpetual: Perpetual = Perpetual(), execution: Execution[None] = CurrentExecution()
    ) -> None:
        record = docket.keys.run("k")
        await docket.client.call("HSET", record, "cancel_requested", execution.generation)

    execution = await docket.add(task, key="k")()
    await run(docket)
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


@pytest.mark.parametrize("ending", ["goes on", "cancels"])
async def test_a_run_that_was_replaced_leaves_what_replaced_it(docket: Docket, ending: str) -> None:
    """I2."""
    begun, replaced, done = anyio.Event(), anyio.Event(), anyio.Event()
    ran: list[str] = []

    async def task(text: str, perpetual: Perpetual = Perpetual(every=s(3600))) -> None:
        ran.append(text)
        if text == "old":
            begun.set()
            await replaced.wait()
            if ending == "cancels":
                perpetual.cancel()
            done.set()
        else:
            perpetual.cancel()

    async with working(Worker(docket)):
        await docket.add(task, key="k")("old")
        await begun.wait()
        new = await docket.replace(task, clock.now() + ms(100), "k")("new")
        replaced.set()
        await done.wait()
        await new.get_result()
    assert ran == ["old", "new"]


async def test_cancel_lets_a_failing_run_fail_and_a_retry_come_first(docket: Docket) -> None:
    ran: list[int] = []

    async def task(retry: Retry = Retry(3), perpetual: Perpetual = Perpetual()) -> None:
        ran.append(retry.attempt)
        perpetual.cancel()
        raise ValueError("no")

    execution = await docket.add(task, key="k")()
    await run(docket)
    await execution.sync()
    assert ran == [1, 2, 3]
    assert (execution.state, execution.error) == (ExecutionState.FAILED, "ValueError: no")


async def states(execution: Execution[Any]) -> list[str]:
    return [event["state"] async for event in execution.subscribe() if event["type"] == "state"]


async def test_whoever_follows_one_run_of_a_chain_gets_its_end_and_its_result(docket: Docket) -> None:
    async def task(number: int, perpetual: Perpetual = Perpetual(every=s(3600))) -> int:
        perpetual.perpetuate(number + 1)
        return number

    execution = await docket.add(task, key="k")(1)
    async with at_most(), anyio.create_task_group() as group:
        seen, results = list[list[str]](), list[int]()

        async def follow() -> None:
            seen.append(await states(execution))

        async def wait() -> None:
            results.append(await execution.get_result())

        group.start_soon(follow)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        worker = Worker(docket)
        group.start_soon(worker.run_forever)
        assert await execution.get_result() == 1  # whoever comes later, too
        while not (seen and results):
            await anyio.sleep(0.001)
        worker.stop()
    assert seen[0] == ["queued", "running", "scheduled", "completed"]
    assert results == [1]
    present = await docket.get_execution("k")
    assert present is not None
    assert (present.state, present.args) == (ExecutionState.SCHEDULED, (2,))


async def test_a_run_of_a_chain_that_failed_says_so_after_its_last_attempt(docket: Docket) -> None:
    ran: list[int] = []

    async def task(retry: Retry = Retry(2), perpetual: Perpetual = Perpetual(every=s(3600))) -> None:
        ran.append(retry.attempt)
        raise LookupError(f"attempt {retry.attempt}")

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket)):
        with pytest.raises(LookupError, match="attempt 2"):
            await execution.get_result()
    assert ran == [1, 2]
    assert (execution.state, execution.error) == (ExecutionState.FAILED, "LookupError: attempt 2")


async def test_a_result_that_cannot_be_kept_does_not_end_the_chain(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def task(perpetual: Perpetual = Perpetual(every=s(3600))) -> Any:
        return threading.Lock()

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket)):
        assert await execution.get_result() is None
    await execution.sync()
    assert execution.state is ExecutionState.SCHEDULED
    assert "cannot be pickled" in caplog.text


async def test_a_run_of_a_chain_that_was_not_admitted_is_cancelled(docket: Docket) -> None:
    async def task(
        perpetual: Perpetual = Perpetual(every=s(3600)), cooldown: Cooldown = Cooldown(s(3600))
    ) -> None: ...

    async with working(Worker(docket)):
        await (await docket.add(task, key="k")()).get_result()
        dropped = await docket.replace(task, clock.now(), "k")()
        with pytest.raises(ExecutionCancelled):
            await dropped.get_result()
    await dropped.sync()
    assert dropped.state is ExecutionState.SCHEDULED


async def test_a_result_of_a_chain_is_kept_until_the_next_run_has_ended(docket: Docket) -> None:
    async def task(number: int, perpetual: Perpetual = Perpetual(every=EVERY_MS)) -> int | None:
        perpetual.perpetuate(number + 1)
        if number == 5:
            perpetual.cancel()
        return number if number < 4 else None

    execution = await docket.add(task, key="k")(1)
    await run(docket)
    await execution.sync()
    assert (execution.state, await execution.get_result()) == (ExecutionState.COMPLETED, None)
    async with docket.redis() as redis:
        kept = [name async for name in redis.scan_iter("*results*")]
    assert len(kept) <= 1


class Limited(Perpetual):
    """Ends after some runs, as only a class of one's own can."""

    def __init__(self, every: timedelta, runs: int) -> None:
        super().__init__(every)
        self.outcomes: list[Any] = []
        self.runs = runs

    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        self.outcomes.append(outcome.result)
        return len(self.outcomes) < self.runs and await super().on_complete(execution, outcome)


async def test_a_perpetual_of_ones_own_is_awaited(docket: Docket) -> None:
    limited = Limited(EVERY_MS, runs=3)
    ran: list[int] = []

    async def task(perpetual: Perpetual = limited) -> int:
        ran.append(len(ran))
        return ran[-1]

    execution = await docket.add(task, key="k")()
    await run(docket)
    assert limited.outcomes == ran == [0, 1, 2]
    assert await execution.get_result() == 2


async def test_whether_a_chain_is_live(docket: Docket) -> None:
    async def task(perpetual: Perpetual = Perpetual()) -> None: ...

    async with docket.redis() as redis:
        assert not await perpetual_is_live(docket, redis, "k")
        await docket.add(task, key="k", when=clock.now() + s(60))()
        assert await perpetual_is_live(docket, redis, "k")
        await docket.cancel("k")
        assert not await perpetual_is_live(docket, redis, "k")


class TestInVirtualTime:
    pytestmark = virtual_time

    async def times(self, url: str, perpetual: Perpetual, body: Callable[[int, Any], Any]) -> list[float]:
        """When the runs of a chain begin, in seconds; ``body`` gets their number."""
        ran: list[datetime] = []

        async def task(perpetual: Any = perpetual) -> None:
            ran.append(clock.now())
            if (waiting := body(len(ran), perpetual)) is not None:
                await waiting

        async with Docket("times", url) as docket:
            start = clock.now()
            await docket.add(task, key="k")()
            await Worker(docket, schedule_automatic_tasks=False).run_until_finished()
        return [round((at - start).total_seconds(), 1) for at in ran]

    async def test_the_interval_is_counted_from_the_beginning_of_a_run(self, memory_url: str) -> None:
        def body(number: int, perpetual: Perpetual) -> Any:
            if number == 4:
                perpetual.cancel()
            return anyio.sleep({1: 0, 2: 4, 3: 25}.get(number, 0))

        assert await self.times(memory_url, Perpetual(every=s(10)), body) == [0, 10, 20, 45]

    async def test_one_interval_may_be_another(self, memory_url: str) -> None:
        def body(number: int, perpetual: Perpetual) -> None:
            match number:
                case 1:
                    perpetual.every = s(3)
                case 2:
                    perpetual.after(s(5))
                case 3:
                    perpetual.at(clock.now() + s(7))
                case 4:
                    perpetual.at(clock.now() - s(3600))
                case 6:
                    perpetual.cancel()
                case _:
                    raise ValueError("a failure changes nothing")

        assert await self.times(memory_url, Perpetual(every=s(60)), body) == [0, 3, 8, 15, 15, 75]

    async def test_retries_come_before_the_next_run(self, memory_url: str) -> None:
        ran: list[tuple[float, int]] = []

        async def task(
            retry: Retry = Retry(3, delay=s(1)), perpetual: Perpetual = Perpetual(every=s(60))
        ) -> None:
            ran.append((round((clock.now() - start).total_seconds()), retry.attempt))
            if len(ran) == 7:
                perpetual.cancel()
                return
            raise ValueError

        async with Docket("retries", memory_url) as docket:
            start = clock.now()
            await docket.add(task, key="k")()
            await Worker(docket).run_until_finished()
        assert ran == [(0, 1), (1, 2), (2, 3), (62, 1), (63, 2), (64, 3), (124, 1)]

    async def test_a_year_of_nights_has_one_run_each(self, memory_url: str, anyio_backend_name: str) -> None:
        """Through both changes of the clocks; on each loop those of another zone."""
        zone = {"asyncio": "America/New_York", "trio": "Europe/Berlin"}[anyio_backend_name]
        tz, ran = ZoneInfo(zone), list[datetime]()

        async def nightly(cron: Cron = Cron("30 2 * 3,10,11 *", tz=tz)) -> None:
            ran.append(clock.now().astimezone(tz))

        async with Docket("year", memory_url) as docket:
            docket.register(nightly)
            async with anyio.create_task_group() as group:
                worker = Worker(docket)
                group.start_soon(worker.run_forever)
                await anyio.sleep(timedelta(days=370).total_seconds())
                worker.hand_back()
        first, last = ran[0].date(), ran[-1].date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        assert [moment.date() for moment in ran] == [day for day in days if day.month in (3, 10, 11)]
        assert len(ran) > 90
        shown = [moment.strftime("%H:%M") for moment in ran]
        assert shown.count("03:00") in (1, 2)  # after the gap; the year has some days more
        assert set(shown) == {"02:30", "03:00"}

    async def test_a_line_is_left_once_for_another_time_and_then_gone_on_with(self, memory_url: str) -> None:
        shown: list[str] = []

        def body(number: int, cron: Cron) -> None:
            shown.append(clock.now().strftime("%M:%S"))
            match number:
                case 2:
                    cron.after(s(20))
                case 4:
                    cron.cancel()
                case _:
                    pass

        await self.times(memory_url, Cron("* * * * *", automatic=False), body)
        assert shown[1].endswith(":00")
        assert shown[2].endswith(":20")
        assert shown[3].endswith(":00")


async def test_a_worker_whose_clock_is_behind_does_not_run_a_time_twice(docket: Docket) -> None:
    """The next time is later than the one that this run was for, whatever the clock says."""
    due = clock.now().replace(microsecond=0) + s(3600)
    seen: list[datetime] = []

    async def task(cron: Cron = Cron("0 * * * *", automatic=False)) -> None:
        seen.append(cron.next_time())
        cron.cancel()

    at = due.replace(minute=0, second=0)
    execution = await docket.add(task, key="k", when=at)()
    # As a worker moves it to the stream whose clock is ahead of ours.
    await docket.client.zadd(docket.queue_key, {"k": 0})
    await run(docket)
    assert seen == [at + s(3600)]
    assert execution.when == at


def test_what_a_line_says_of_itself() -> None:
    cron = Cron("@daily", tz=ZoneInfo("Europe/Berlin"))
    assert (cron.expression, cron.automatic, cron.tz) == ("0 0 * * *", True, ZoneInfo("Europe/Berlin"))
    first = cron.initial_when
    assert first is not None
    assert first.tzinfo == ZoneInfo("Europe/Berlin")
    assert (first.hour, first.minute) == (0, 0)
    assert clock.now() < first.astimezone(UTC) <= clock.now() + timedelta(days=1, hours=1)
    assert cron.next_time() == cron.next_time() == cron.initial_when


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Perpetual(every=s(-1)), UsageError, "every takes a duration from zero"),
        (lambda: Perpetual(every=5), TypeError, "every takes a timedelta, not int"),  # type: ignore[arg-type]
        (lambda: setattr(Perpetual(), "every", s(-1)), UsageError, "every"),
        (lambda: Perpetual().after(s(-1)), UsageError, "delay takes a duration from zero"),
        (
            lambda: Perpetual().at(datetime(2020, 1, 1)),
            UsageError,
            "when=2020-01-01T00:00:00 has no time zone",
        ),
        (lambda: Cron("bad"), CronSimError, "cron line 'bad' cannot be read"),
        (lambda: Cron("0 0 30 2 *"), CronSimError, "never fires"),
        (lambda: Cron("0 0 30 2 *"), UsageError, "never fires"),
        (lambda: Cron(5), TypeError, "Cron takes a line of cron as text, not int"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", tz="UTC"), TypeError, r"tz takes a tzinfo, such as zoneinfo.ZoneInfo"),  # type: ignore[arg-type]
    ],
)
def test_bad_settings_are_refused_where_they_are_made(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()
