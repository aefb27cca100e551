"""`if_running="once_more"`: after a run that has begun its key runs once more, with the last call that was added."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import (
    Agenda,
    ConcurrencyLimit,
    Disposition,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    Retry,
    Timeout,
    Worker,
    clock,
)
from docket.errors import ExecutionCancelled, ExecutionExpired, UsageError
from tests.where import virtual_time
from tests.worker.conftest import at_most, drained, working

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
_names = itertools.count()


class Job:
    """A task whose runs begin and end as a test says."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.at_once = self.most = 0
        self.begun = anyio.Event()
        self.go = anyio.Event()

    async def job(self, number: int) -> int:
        self.ran.append(number)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.begun.set()
        try:
            await self.go.wait()
            return number
        finally:
            self.at_once -= 1


async def again(docket: Docket, job: Job, number: int, **how: Any) -> Execution[int]:
    return await docket.add(job.job, key="k", if_running="once_more", **how)(number)


async def test_the_last_call_runs_once_after_the_run_and_each_is_answered(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        first = await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        following = [await again(docket, job, number) for number in range(2, 6)]
        assert {each.disposition for each in following} == {Disposition.ONCE_MORE}
        assert {each.state for each in following} == {ExecutionState.SCHEDULED}
        skipped = await docket.add(job.job, key="k")(9)
        assert skipped.disposition is Disposition.ALREADY_SCHEDULED
        job.go.set()
        assert await first.get_result() == 1
        assert [await each.get_result() for each in following] == [5, 5, 5, 5]
    assert job.ran == [1, 5]
    assert not await docket.client.keys(f"{docket.prefix}:ops:successor*")


async def test_what_follows_shows_as_long_as_it_is_to_come(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        execution = await again(docket, job, 2)
        await execution.sync()
        assert (execution.state, execution.worker) == (ExecutionState.SCHEDULED, None)
        found = await docket.get_execution("k")
        assert found is not None
        assert (found.state, found.args, found.has_successor) == (ExecutionState.RUNNING, (1,), True)
        assert found.successor is not None
        assert (found.successor.args, found.successor.generation) == ((2,), execution.generation)
        (running,) = (await docket.snapshot()).running
        assert running.has_successor
        (running,) = (await docket.executions("running")).executions
        assert running.has_successor
        job.go.set()
        await execution.get_result()
        found = await docket.get_execution("k")
        assert found is not None
        assert (found.args, found.has_successor, found.successor) == ((2,), False, None)


async def test_whoever_follows_its_events_is_told_of_its_own_run_alone(docket: Docket) -> None:
    job, ready = Job(), anyio.Event()
    states: list[tuple[str, str | None]] = []

    async def follow(execution: Execution[int]) -> None:
        async for event in execution.subscribe(ready=ready):
            if event["type"] == "state":
                states.append((event["state"], event["completed_at"]))

    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        execution = await again(docket, job, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(follow, execution)
            await ready.wait()
            job.go.set()
    assert next(state for state, _ in states) == "scheduled"
    assert [state for state, _ in states][-1] == "completed"
    assert [state for state, at in states if at is not None] == ["completed"]
    assert job.ran == [1, 2]


async def test_a_run_that_fails_for_good_is_followed(docket: Docket) -> None:
    ran: list[int] = []
    begun, go = anyio.Event(), anyio.Event()

    async def fails(number: int, retry: Retry = Retry(attempts=3)) -> int:
        ran.append(number)
        begun.set()
        await go.wait()
        if number == 1:
            raise ValueError(number)
        return number

    async with working(Worker(docket, "worker")):
        first = await docket.add(fails, key="k")(1)
        await begun.wait()
        execution = await docket.add(fails, key="k", if_running="once_more")(2)
        go.set()
        assert await execution.get_result() == 2
        with pytest.raises(ValueError, match="1"):
            await first.get_result()
    assert ran == [1, 1, 1, 2]
    assert await docket.failures() == []


async def test_a_run_that_times_out_is_followed(docket: Docket) -> None:
    begun = anyio.Event()

    async def slow(number: int, timeout: Timeout = Timeout(timedelta(milliseconds=300))) -> int:
        begun.set()
        if number == 1:
            await anyio.sleep_forever()
        return number

    async with working(Worker(docket, "worker")):
        await docket.add(slow, key="k")(1)
        await begun.wait()
        assert await (await docket.add(slow, key="k", if_running="once_more")(2)).get_result() == 2


async def test_a_cancel_stops_the_run_and_drops_what_follows(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        first = await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        execution = await again(docket, job, 2)
        assert await docket.cancel("k")
        for each in first, execution:
            with pytest.raises(ExecutionCancelled):
                await each.get_result()
    assert job.ran == [1]


async def test_whoever_waits_for_what_was_dropped_is_not_told_the_end_of_the_next(docket: Docket) -> None:
    job = Job()

    async def is_told(execution: Execution[int]) -> None:
        with pytest.raises(ExecutionCancelled, match="dropped"):
            await execution.get_result()

    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        dropped = await again(docket, job, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(is_told, dropped)
            await anyio.wait_all_tasks_blocked()
            assert await docket.clear() == 1
            following = await again(docket, job, 3)
            job.go.set()
            assert await following.get_result() == 3
        await is_told(dropped)
        assert [event["state"] async for event in dropped.subscribe() if event["type"] == "state"] == [
            "cancelled"
        ]
    assert job.ran == [1, 3]


async def test_a_replacement_takes_the_place_of_both(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        execution = await again(docket, job, 2)
        replaced = await docket.replace(job.job, clock.now(), "k")(3)
        job.go.set()
        assert await replaced.get_result() == 3
        with pytest.raises(ExecutionCancelled, match="dropped"):
            await execution.get_result()
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED
    assert 2 not in job.ran


async def test_a_chain_goes_on_from_what_follows(docket: Docket) -> None:
    job = Job()

    async def chain(number: int, perpetual: Perpetual = Perpetual(every=HOUR)) -> None:
        await job.job(number)

    async with working(Worker(docket, "worker")):
        await docket.add(chain, key="k")(1)
        await job.begun.wait()
        execution = await docket.add(chain, key="k", if_running="once_more")(2)
        job.go.set()
        await execution.get_result()
        found = await docket.get_execution("k")
        assert found is not None
        assert (found.state, found.args) == (ExecutionState.SCHEDULED, (2,))
    assert job.ran == [1, 2]


async def test_a_run_that_has_not_begun_has_the_last_arguments(docket: Docket) -> None:
    job = Job()
    job.go.set()
    first = await docket.add(job.job, key="k")(1)
    execution = await again(docket, job, 2)
    assert execution.disposition is Disposition.SCHEDULED
    await drained(docket, execution)
    assert job.ran == [2]
    assert await first.get_result() == 2


async def test_what_follows_is_waited_for_though_it_is_lined_up_at_once(docket: Docket) -> None:
    job, other = Job(), Job()
    other.go.set()
    docket.register(other.job, names=["other"])
    results: list[int] = []

    async def wait_for(execution: Execution[int]) -> None:
        results.append(await execution.get_result())

    async with working(Worker(docket, "worker")):
        first = await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        await docket.pause("job")
        async with anyio.create_task_group() as group:
            for number in (2, 3):
                group.start_soon(wait_for, await again(docket, job, number))
            await anyio.wait_all_tasks_blocked()
            job.go.set()
            assert await first.get_result() == 1
            await (await docket.add("other", key="other")(0)).get_result()  # by then the other is lined up
            assert results == []
            await docket.resume("job")
    assert results == [3, 3]


async def test_it_works_together_with_a_limit(docket: Docket) -> None:
    """The run that ends gives its slot back, and whoever waited before has it first."""
    job = Job()

    async def limited(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> int:
        return await job.job(number)

    async with working(Worker(docket, "worker")):
        await docket.add(limited, key="k")(1)
        await job.begun.wait()
        other = await docket.add(limited, key="other")(3)
        execution = await docket.add(limited, key="k", if_running="once_more")(2)
        job.go.set()
        assert await execution.get_result() == 2
        assert await other.get_result() == 3
    assert job.most == 1


async def test_many_calls_at_once_say_it_of_each(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        calls = [docket.call(job.job, key="k", if_running="once_more")(number) for number in (2, 3)]
        placed = await docket.add_many(
            [*calls, docket.call(job.job, key="k")(4), docket.call(job.job, key="l")(5)]
        )
        assert [each.disposition for each in placed] == [
            Disposition.ONCE_MORE,
            Disposition.ONCE_MORE,
            Disposition.ALREADY_SCHEDULED,
            Disposition.SCHEDULED,
        ]
        job.go.set()
        assert await placed[0].get_result() == 3


async def test_a_strike_is_judged_as_it_is_added(docket: Docket) -> None:
    job = Job()
    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        await docket.strike(job.job, "number", "==", 2)
        assert (await again(docket, job, 2)).disposition is Disposition.STRUCK
        job.go.set()


async def test_a_worker_that_runs_until_finished_runs_what_follows(docket: Docket) -> None:
    ran: list[int] = []

    async def once(number: int) -> None:
        ran.append(number)
        if number == 1:
            await docket.add(once, key="k", if_running="once_more")(2)

    docket.register(once)
    async with at_most():
        await docket.add(once, key="k")(1)
        await Worker(docket, "worker").run_until_finished()
    assert ran == [1, 2]


@virtual_time
async def test_it_is_due_no_earlier_than_it_says_and_expires_as_it_says(
    memory_url: str, anyio_backend: Any
) -> None:
    async with Docket(f"once-{next(_names)}", memory_url, execution_ttl=timedelta(days=30)) as docket:
        begun: list[tuple[int, timedelta]] = []
        start = clock.now()

        async def hour(number: int) -> None:
            begun.append((number, clock.now() - start))
            await anyio.sleep(HOUR.total_seconds())

        docket.register(hour)
        async with anyio.create_task_group() as group:
            group.start_soon(Worker(docket, "worker").run_forever)
            for key, how in {
                "when": {"when": start + 3 * HOUR},
                "past": {"when": start},
                "in time": {"expires": 2 * HOUR},
                "too late": {"expires": HOUR / 2},
            }.items():
                await docket.add(hour, key=key)(1)
                await anyio.sleep(1)
                execution = await docket.add(hour, key=key, if_running="once_more", **how)(2)
                assert execution.disposition is Disposition.ONCE_MORE
                if key == "too late":
                    with pytest.raises(ExecutionExpired):
                        await execution.get_result()
                    continue
                await execution.get_result()
            group.cancel_scope.cancel()
        late = [round(at / HOUR) for number, at in begun if number == 2]
        assert late == [3, 5, 7]


async def test_an_agenda_and_a_single_run_of_a_chain_take_it_too(docket: Docket) -> None:
    job = Job()

    async def chain(number: int, perpetual: Perpetual = Perpetual(every=HOUR)) -> None:
        await job.job(number)

    async with working(Worker(docket, "worker")):
        await docket.add(job.job, key="k")(1)
        await job.begun.wait()
        agenda = Agenda()
        agenda.add(job.job, key="k", if_running="once_more")(2)
        (scattered,) = await agenda.scatter(docket, timedelta(milliseconds=2))
        assert scattered.disposition is Disposition.ONCE_MORE
        last = await docket.run_once(chain, key="k", if_running="once_more")(3)
        assert last.disposition is Disposition.ONCE_MORE
        job.go.set()
        await last.get_result()
        await last.sync()
        assert last.state is ExecutionState.COMPLETED  # no chain
    assert job.ran == [1, 3]


async def test_a_group_refuses_an_agenda_with_such_a_call(docket: Docket) -> None:
    agenda = Agenda()
    agenda.add(Job().job, key="k", if_running="once_more")(1)
    async with docket.task_group() as group:
        with pytest.raises(UsageError, match="is for a docket"):
            await agenda.scatter(group, HOUR)


@pytest.mark.parametrize("wrong", ["queue", "", None, True])
async def test_another_word_is_refused_and_the_two_are_named(docket: Docket, wrong: Any) -> None:
    job = Job()
    for make in docket.add, docket.call, docket.run_once, Agenda().add:
        with pytest.raises(ValueError, match="if_running takes 'skip' or 'once_more', not"):
            make(job.job, key="k", if_running=wrong)


async def test_without_a_key_it_is_refused(docket: Docket) -> None:
    with pytest.raises(UsageError, match="needs a key="):
        docket.add(Job().job, if_running="once_more")


async def test_what_replaces_cannot_run_once_more(docket: Docket) -> None:
    call = docket.call(Job().job, key="k", if_running="once_more")(1)
    with pytest.raises(UsageError, match="is for add_many"):
        await docket.replace_many([call])
