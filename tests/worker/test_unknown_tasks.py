"""Tasks that a worker does not know: they go back for one that does, for some time, and fail then."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, ExecutionState, Worker, clock
from docket.errors import BadSetting, DeliveryLimitExceeded, UnknownTask
from docket.store import Depths
from tests.where import virtual_time
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio

ZERO, SECOND, HOUR = timedelta(0), timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
async def blind(docket: Docket) -> AsyncGenerator[Docket]:
    """The same docket in a program that has other tasks."""
    async with Docket(docket.name, docket.url) as blind:
        yield blind


async def mystery(*args: Any, execution: Execution[Any] = CurrentExecution()) -> int:
    return execution.attempt


async def passed_on(docket: Docket, key: str) -> list[int]:
    """How often a task was put back, for how many ms in all, how many deliveries of it were not ended."""
    async with docket.redis() as redis:
        while True:  # who puts it back says so, but who listens for that cannot know which time it was
            told = await redis.hget(docket.key(key), "docket:unknown")
            if told is not None:
                return [int(word) for word in told.split()]
            await anyio.sleep(0.005)


async def seen(docket: Docket, *workers: str) -> None:
    while {worker.name for worker in await docket.workers()} != {*workers}:
        await anyio.sleep(0.01)  # a heartbeat tells nobody


@virtual_time
async def test_it_waits_for_a_worker_that_knows_it_and_its_attempt_is_not_counted(
    memory_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        execution = await client.add(mystery, key="k")()
        with caplog.at_level(logging.INFO, "docket"):
            async with working(Worker(blind, "blind")):
                assert (await passed_on(client, "k"))[0] == 1
                await execution.sync()
                assert execution.state is ExecutionState.SCHEDULED
                assert execution.last_error == (
                    "UnknownTask: worker 'blind' does not know task 'mystery', and has put it back for one that does"
                )
                [waiting] = (await client.snapshot()).future
                assert waiting.is_put_back
                async with working(Worker(client, "knows")):
                    assert await execution.get_result() == 1
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["docket.worker"]
    said = warnings[0].message
    assert said.startswith("Unknown task 'mystery' received, which no live worker knows - putting it back")
    assert "docket.register(function)" in said
    begun = [record for record in caplog.records if "mystery(){k}" in record.message]
    assert {vars(record)["docket.worker"] for record in begun} == {"knows"}


class Elsewhere:
    """An argument of a class that this program does not have."""

    def __reduce__(self) -> Any:
        return _found_elsewhere, ()


def _found_elsewhere() -> str:
    if here:
        raise ModuleNotFoundError("No module named 'elsewhere'")
    return "found"


here: list[str] = []


@virtual_time
async def test_arguments_that_only_the_right_worker_can_read_are_not_read_by_another(memory_url: str) -> None:
    async def takes(argument: str) -> str:
        return argument

    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        here.append("no")
        try:
            execution = await client.add(takes, key="k")(Elsewhere())
            async with working(Worker(blind, "blind")):
                await passed_on(client, "k")
        finally:
            here.clear()
        async with working(Worker(client, "knows")):
            assert await execution.get_result() == "found"


async def test_a_fleet_in_which_each_knows_something_else_gets_through(docket: Docket, blind: Docket) -> None:
    ran: Counter[tuple[str, int, int]] = Counter()

    async def left(number: int, execution: Execution[Any] = CurrentExecution()) -> None:
        ran["left", number, execution.attempt] += 1

    async def right(number: int, execution: Execution[Any] = CurrentExecution()) -> None:
        ran["right", number, execution.attempt] += 1

    async with Docket(docket.name, docket.url) as client:
        docket.register(left)
        blind.register(right)
        async with working(Worker(docket, "left"), Worker(blind, "right")):
            await seen(client, "left", "right")
            calls = [client.call(task)(number) for number in range(100) for task in (left, right)]
            # Half a second where the machine has nothing else to do; without passing on at once it takes minutes.
            async with at_most(15):
                for execution in await client.add_many(calls):
                    await execution.get_result()
    assert ran == Counter((side, number, 1) for side in ("left", "right") for number in range(100))


@virtual_time
async def test_it_fails_when_nobody_has_known_it_for_as_long_as_workers_are_patient(
    memory_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        execution, began = await client.add(mystery)(), clock.now()
        async with anyio.create_task_group() as group:
            worker = Worker(blind, unknown_task_patience=HOUR)
            group.start_soon(worker.run_forever)
            with pytest.raises(UnknownTask):
                await execution.get_result()
            worker.stop()
    assert abs(clock.now() - began - HOUR) < SECOND
    assert execution.state is ExecutionState.FAILED
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["putting it back" in text for text in said] == [True, False]
    assert "Unknown task 'mystery' received - dropping" in said[-1]


@virtual_time
async def test_its_pauses_grow_up_to_a_minute(memory_url: str) -> None:
    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        await client.add(mystery, key="k")()
        async with anyio.create_task_group() as group:
            worker = Worker(blind)
            group.start_soon(worker.run_forever)
            told: list[list[int]] = []
            for after in (0.1, 3500):
                await anyio.sleep(after)
                told.append(await passed_on(client, "k"))
            worker.stop()
    (times, waited, deaths), (many, much, none) = told
    assert (times, deaths, none) == (1, 0, 0)
    assert 500 <= waited <= 1000
    assert 60 <= many <= 120
    assert much >= 3400_000


async def test_who_runs_until_finished_waits_for_nobody(docket: Docket, blind: Docket) -> None:
    for run in (
        lambda: Worker(blind).run_until_finished(),
        lambda: Worker(blind).run_at_most({"another": 1}),
        lambda: Worker(blind, unknown_task_patience=ZERO).run_until_finished(),
    ):
        execution = await docket.add(mystery)()
        async with at_most():
            await run()
        with pytest.raises(UnknownTask):
            await execution.get_result()


async def test_without_patience_it_fails_at_once(docket: Docket, blind: Docket) -> None:
    execution = await docket.add(mystery)()
    async with working(Worker(blind, unknown_task_patience=ZERO)):
        with pytest.raises(UnknownTask):
            await execution.get_result()


async def test_a_fallback_task_of_the_users_runs_at_once(docket: Docket, blind: Docket) -> None:
    async def fallback(*args: Any, **kwargs: Any) -> Any:
        return "in its place", args

    execution = await docket.add(mystery)(1, 2)
    async with working(Worker(blind, fallback_task=fallback)):
        assert await execution.get_result() == ("in its place", (1, 2))


async def test_while_it_waits_it_can_be_cancelled(docket: Docket, blind: Docket) -> None:
    execution = await docket.add(mystery, key="k")()
    async with working(Worker(blind)):
        await passed_on(docket, "k")
        await docket.cancel("k")
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED
    assert await docket.store.records.depths() == Depths(due=0, later=0, waiting={})


async def test_what_is_struck_does_not_wait(docket: Docket, blind: Docket) -> None:
    execution = await docket.add(mystery, key="k")()
    await docket.strike("mystery")
    async with working(Worker(blind)):
        async with at_most():
            while execution.state is not ExecutionState.CANCELLED:
                await execution.sync()
                await anyio.sleep(0.005)


@virtual_time
async def test_deliveries_that_were_not_ended_are_counted_whoever_took_it_in_between(memory_url: str) -> None:
    """Else what kills its workers would have all its lives again each time that another one takes it over."""
    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        execution = await client.add(mystery, key="k")()
        first, second = (client.store.claims(dead) for dead in ("first", "second"))
        await first.create_group()
        assert len(await first.take(1)) == 1
        assert (
            len(await second.take_over([one.message_id for one in await second.sweeping.look()], ZERO)) == 1
        )
        async with working(Worker(blind, redelivery_timeout=SECOND, max_deliveries=1)):
            times, _, deaths = await passed_on(client, "k")
            assert (times, deaths) == (1, 2)
            async with working(Worker(client, "knows", max_deliveries=2)):
                with pytest.raises(DeliveryLimitExceeded, match="begun 2 times"):
                    await execution.get_result()


@pytest.mark.parametrize("value", [-SECOND, 3600, None, "1h"])
async def test_a_patience_that_is_no_duration_is_refused(docket: Docket, value: Any) -> None:
    with pytest.raises(BadSetting, match="unknown_task_patience takes a"):
        Worker(docket, unknown_task_patience=value)


async def test_workers_are_patient_for_an_hour_if_nothing_is_said(docket: Docket) -> None:
    assert Worker(docket).unknown_task_patience == HOUR


@virtual_time
async def test_the_log_says_once_for_each_name_how_to_register_it_and_once_a_minute_what_fails(
    memory_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    async with Docket("other", memory_url) as client, Docket("other", memory_url) as blind:
        async with anyio.create_task_group() as group:
            worker = Worker(blind, unknown_task_patience=SECOND)
            group.start_soon(worker.run_forever)
            for _ in range(2):
                calls = await client.add_many([client.call(mystery)() for _ in range(20)])
                for each in calls:
                    with pytest.raises(UnknownTask):
                        await each.get_result()
                assert ["putting it back" in text for text in said()] == [True, False]
                await anyio.sleep(1)
            await anyio.sleep(60)
            with pytest.raises(UnknownTask):
                await (await client.add(mystery)()).get_result()
            worker.stop()
    first, dropped, again = said()
    assert "docket.register(function)" in first
    assert dropped.endswith("(names=[...])")
    assert again.endswith("; 39 more calls of it were dropped since it was last said")
