"""What has not begun by a moment is not begun, wherever it waits; and what has begun does not expire."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import pytest

from docket import (
    Agenda,
    ConcurrencyLimit,
    Cron,
    Debounce,
    Disposition,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    RateLimit,
    Retry,
    Worker,
    clock,
)
from docket.errors import ExecutionExpired
from docket.store import Delivery
from tests.where import asyncio_and_trio, one_loop, virtual_time
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio]

T = TypeVar("T")

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
_names = itertools.count()


@pytest.fixture
async def days(memory_url: str, anyio_backend: Any) -> AsyncIterator[Docket]:
    """A docket whose days pass in no time."""
    async with Docket(f"days-{next(_names)}", memory_url, execution_ttl=timedelta(days=30)) as docket:
        yield docket


async def slept(duration: timedelta) -> None:
    await anyio.sleep(duration.total_seconds())


def ends_at(execution: Execution[Any], moment: datetime) -> None:
    """It was cancelled, with the reason, and that at this moment."""
    assert execution.state is ExecutionState.CANCELLED
    assert execution.error is not None
    assert execution.error.startswith("ExecutionExpired: it had not begun by ")
    assert execution.completed_at is not None
    assert abs(execution.completed_at - moment) < timedelta(seconds=1)


async def waits_in_vain(execution: Execution[Any]) -> datetime:
    """When whoever waits for its result learns that it has expired."""
    with pytest.raises(ExecutionExpired, match="had not begun by"):
        await execution.get_result()
    return clock.now()


class Nothing:
    """A task that is never to run."""

    def __init__(self) -> None:
        self.ran = 0

    async def nothing(self, number: int = 0) -> None:
        self.ran += 1


async def ran_meanwhile(docket: Docket, body: Callable[[], Awaitable[T]], *workers: Worker) -> T:
    """What ``body`` returns, while workers work."""
    results: list[T] = []
    async with anyio.create_task_group() as group:
        for worker in workers or (Worker(docket, "worker"),):
            group.start_soon(worker.run_forever)
        results.append(await body())
        group.cancel_scope.cancel()
    return results[0]


# where it waits ---------------------------------------------------------------------------------------------


@virtual_time
async def test_what_waits_for_its_time_is_ended_as_it_expires_and_whoever_waits_learns_of_it(
    days: Docket,
) -> None:
    nothing, begun = Nothing().nothing, clock.now()
    execution = await days.add(nothing, when=begun + HOUR * 2, expires=begun + HOUR)()
    assert execution.expires == begun + HOUR
    at = await ran_meanwhile(days, lambda: waits_in_vain(execution))
    assert abs(at - begun - HOUR) < timedelta(seconds=1)
    ends_at(execution, begun + HOUR)
    assert not await days.client.keys(f"{days.prefix}:ops:expiring")


@virtual_time
async def test_what_waits_for_a_slot_is_ended_as_it_expires(days: Docket) -> None:
    begun = clock.now()

    async def alone(hours: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await slept(HOUR * hours)

    async def body() -> None:
        first = await days.add(alone)(5)
        await slept(MINUTE)
        second = await days.add(alone, expires=HOUR)(1)
        third = await days.add(alone)(1)
        at = await waits_in_vain(second)
        assert abs(at - begun - HOUR - MINUTE) < timedelta(seconds=1)
        await first.get_result()
        await third.get_result()
        assert abs(clock.now() - begun - HOUR * 6) < MINUTE

    await ran_meanwhile(days, body)
    assert not await days.client.keys(f"{days.prefix}:ops:expiring")


@virtual_time
async def test_what_is_lined_up_for_a_resume_is_ended_as_it_expires(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)

    async def body() -> None:
        await days.pause("nothing")
        execution = await days.add(task.nothing, expires=HOUR)()
        await slept(MINUTE)
        await waits_in_vain(execution)
        await days.resume("nothing")
        await slept(MINUTE)

    await ran_meanwhile(days, body)
    assert task.ran == 0


@virtual_time
async def test_what_waits_while_all_is_paused_is_ended_as_it_expires(days: Docket) -> None:
    task, begun = Nothing(), clock.now()
    days.register(task.nothing)

    async def body() -> None:
        await days.pause()
        await waits_in_vain(await days.add(task.nothing, expires=HOUR)())
        assert abs(clock.now() - begun - HOUR) < timedelta(seconds=1)

    await ran_meanwhile(days, body)
    assert task.ran == 0


@virtual_time
@pytest.mark.parametrize("rule", [RateLimit(1, per=HOUR * 3), Debounce(HOUR * 3)])
async def test_what_a_rate_or_a_burst_puts_off_is_ended_as_it_expires(days: Docket, rule: Any) -> None:
    runs: list[int] = []

    async def limited(number: int, rule: Any = rule) -> None:
        runs.append(number)

    async def body() -> None:
        if isinstance(rule, RateLimit):
            await (await days.add(limited)(1)).get_result()
        begun = clock.now()
        await waits_in_vain(await days.add(limited, expires=HOUR)(2))
        assert abs(clock.now() - begun - HOUR) < timedelta(seconds=1)

    await ran_meanwhile(days, body)
    assert 2 not in runs


@virtual_time
async def test_what_a_busy_worker_has_no_place_for_is_ended_as_it_expires(days: Docket) -> None:
    async def long() -> None:
        await slept(HOUR * 3)

    async def body() -> None:
        await days.add(long)()
        await slept(MINUTE)
        begun = clock.now()
        await waits_in_vain(await days.add(long, expires=HOUR)())
        assert abs(clock.now() - begun - HOUR) < timedelta(seconds=1)

    await ran_meanwhile(days, body, Worker(days, "busy", concurrency=1))


@asyncio_and_trio
async def test_a_worker_ends_what_had_expired_before_it_began_in_any_order_of_its_loops(
    docket: Docket,
) -> None:
    task = Nothing()
    docket.register(task.nothing)
    executions = [await docket.add(task.nothing, expires=timedelta(milliseconds=1))(n) for n in range(120)]
    last = await docket.add(task.nothing)()
    await anyio.sleep(0.01)
    async with at_most():
        await Worker(docket, "worker").run_until_finished()
    for execution in executions:
        with pytest.raises(ExecutionExpired):
            await execution.get_result()
    await last.get_result()
    assert task.ran == 1


@one_loop
async def test_a_take_ends_what_has_expired_even_where_no_loop_has_seen_it(docket: Docket) -> None:
    """The list of what expires may be lost: what the message says counts."""
    task = Nothing()
    docket.register(task.nothing)
    execution = await docket.add(task.nothing, expires=timedelta(milliseconds=1))()
    await docket.client.delete(docket.keys.expiring)
    await anyio.sleep(0.01)
    async with at_most():
        await Worker(docket, "worker").run_until_finished()
    with pytest.raises(ExecutionExpired):
        await execution.get_result()
    assert task.ran == 0
    assert execution.started_at is None
    (ended,) = await docket.history("nothing")
    assert (ended.error or "").startswith("ExecutionExpired: ")


@one_loop
async def test_what_a_blocking_read_brings_too_late_is_not_begun(docket: Docket) -> None:
    task = Nothing()
    docket.register(task.nothing)
    claims = docket.store.claims("reads")
    await claims.create_group()
    execution = await docket.add(task.nothing, expires=timedelta(milliseconds=1))()
    await anyio.sleep(0.01)
    async with docket.client.dedicated() as connection:
        taken = await claims.wait_for_tasks(connection, 1, timedelta(seconds=1))
    assert [getattr(one, "expired", None) for one in taken] == [True]
    await execution.sync()


# what goes on -----------------------------------------------------------------------------------------------


@virtual_time
async def test_a_chain_goes_on_with_its_next_run(days: Docket) -> None:
    runs: list[datetime] = []
    begun = clock.now()

    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(days=1))) -> None:
        runs.append(clock.now())

    async def body() -> None:
        execution = await days.add(tick, when=begun + HOUR * 5, key="tick", expires=begun + HOUR)()
        await slept(HOUR * 2)
        assert runs == []
        found = await days.get_execution("tick")
        assert found is not None
        assert found.state is ExecutionState.SCHEDULED
        record = await execution.refresh()
        assert record is not None
        assert record.last is not None
        assert record.last.state is ExecutionState.CANCELLED
        assert (record.last.error or "").startswith("ExecutionExpired: ")
        await slept(timedelta(days=2))

    await ran_meanwhile(days, body)
    assert len(runs) == 2


@virtual_time
async def test_a_cron_goes_on_with_its_next_moment(days: Docket) -> None:
    runs: list[datetime] = []

    async def noon(cron: Cron = Cron("0 12 * * *")) -> None:
        runs.append(clock.now())

    async def body() -> None:
        await days.add(noon, when=clock.now() + HOUR, key="noon", expires=clock.now() + MINUTE)()
        await slept(timedelta(days=2) + HOUR)

    await ran_meanwhile(days, body)
    assert len(runs) == 2
    assert {each.hour for each in runs} == {12}


@virtual_time
async def test_retries_of_a_run_that_has_begun_do_not_expire(days: Docket) -> None:
    runs: list[datetime] = []

    async def flaky(retry: Retry = Retry(attempts=3, delay=HOUR)) -> str:
        runs.append(clock.now())
        if len(runs) < 3:
            raise ValueError(len(runs))
        return "done"

    async def body() -> None:
        execution = await days.add(flaky, expires=MINUTE)()
        assert await execution.get_result() == "done"

    await ran_meanwhile(days, body)
    assert len(runs) == 3
    assert not await days.client.keys(f"{days.prefix}:ops:expiring")


@virtual_time
async def test_a_run_whose_worker_died_does_not_expire(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)
    execution = await days.add(task.nothing, expires=MINUTE)()
    dead = days.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(10)) == 1
    await slept(HOUR)
    await ran_meanwhile(days, execution.get_result)
    assert task.ran == 1


@virtual_time
async def test_nor_does_it_where_its_redelivery_is_lined_up_or_handed_back(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)
    for _ in range(2):
        await days.add(task.nothing, expires=MINUTE)()
    dead, leaves = days.store.claims("dead"), days.store.claims("leaves")
    await dead.create_group()
    back, _ = [one.message_id for one in await dead.take(2) if isinstance(one, Delivery)]
    for delivery in await leaves.take_over([back], timedelta(0)):
        assert isinstance(delivery, Delivery)
        await leaves.hand_back(delivery, begun=False)
    await days.pause("nothing")
    await ran_meanwhile(days, lambda: slept(HOUR))
    assert [each.waiting for each in await days.pauses()] == [2]
    await days.resume("nothing")
    await Worker(days).run_until_finished()
    assert task.ran == 2


@virtual_time
async def test_a_worker_that_died_before_it_could_end_what_had_expired_lets_nobody_begin_it(
    days: Docket,
) -> None:
    task = Nothing()
    days.register(task.nothing)
    execution = await days.add(task.nothing, expires=MINUTE)()
    await slept(HOUR)
    dead = days.store.claims("dead")
    await dead.create_group()
    assert [getattr(one, "expired", None) for one in await dead.take(10)] == [True]
    await slept(HOUR)
    await ran_meanwhile(days, lambda: waits_in_vain(execution))
    assert task.ran == 0


@virtual_time
@pytest.mark.parametrize("begun", [True, False])
async def test_a_run_that_is_handed_back_expires_unless_its_body_had_begun(days: Docket, begun: bool) -> None:
    task = Nothing()
    days.register(task.nothing)
    execution = await days.add(task.nothing, expires=MINUTE)()
    leaves = days.store.claims("leaves")
    await leaves.create_group()
    for delivery in await leaves.take(10):
        await leaves.hand_back(delivery, begun=begun)  # pyright: ignore[reportArgumentType]
    await slept(HOUR)
    if begun:
        await ran_meanwhile(days, execution.get_result)
    else:
        await ran_meanwhile(days, lambda: waits_in_vain(execution))
    assert task.ran == begun


# how it is given --------------------------------------------------------------------------------------------


@virtual_time
async def test_a_duration_counts_from_when_the_call_is_due(days: Docket) -> None:
    when = clock.now() + HOUR
    execution = await days.add(Nothing().nothing, when=when, expires=MINUTE)()
    assert execution.expires == when + MINUTE
    found = await days.get_execution(execution.key)
    assert found is not None
    assert found.expires == when + MINUTE


@virtual_time
@pytest.mark.parametrize("expires", [timedelta(0), -HOUR, "a moment"])
async def test_what_has_expired_before_it_is_added_is_cancelled_at_once_and_that_is_said(
    days: Docket, expires: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = Nothing()
    moment = clock.now() - HOUR if isinstance(expires, str) else expires
    execution = await days.add(task.nothing, key="late", expires=moment)()
    assert execution.disposition is Disposition.EXPIRED
    assert "'late', had expired before it was placed" in caplog.text
    ends_at(execution, clock.now())
    found = await days.get_execution("late")
    assert found is not None
    ends_at(found, clock.now())
    await waits_in_vain(execution)
    again = await days.add(task.nothing, key="late")()
    assert again.disposition is Disposition.SCHEDULED


@virtual_time
async def test_a_replacement_that_has_expired_takes_the_place_of_what_it_replaces(days: Docket) -> None:
    task = Nothing()
    await days.add(task.nothing, key="k", when=clock.now() + HOUR)(1)
    second = await days.replace(task.nothing, clock.now(), "k", expires=-MINUTE)(2)
    assert second.disposition is Disposition.EXPIRED
    async with at_most(HOUR.total_seconds() * 2):
        await Worker(days, "worker").run_until_finished()
    assert task.ran == 0


@virtual_time
async def test_a_replacement_has_an_expiry_of_its_own_or_none(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)
    await days.add(task.nothing, key="a", when=clock.now() + HOUR, expires=clock.now() + MINUTE)(1)
    first = await days.replace(task.nothing, clock.now() + HOUR, "a")(2)
    second = await days.replace(task.nothing, clock.now() + HOUR, "b", expires=clock.now() + MINUTE)(2)
    await ran_meanwhile(days, first.get_result)
    await waits_in_vain(second)
    assert task.ran == 1


@virtual_time
async def test_many_calls_and_an_agenda_take_it_too(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)
    begun = clock.now()
    calls = [days.call(task.nothing, expires=expires)() for expires in (HOUR, -HOUR, begun + HOUR, None)]
    executions = await days.add_many(calls)
    agenda = Agenda()
    for number in range(3):
        agenda.add(task.nothing, expires=MINUTE)(number)
    executions += await agenda.scatter(days, over=HOUR * 2)
    assert [each.expires for each in executions] == [
        begun + HOUR, begun, begun + HOUR, None,
        begun + MINUTE, begun + HOUR + MINUTE, begun + HOUR * 2 + MINUTE,
    ]  # fmt: skip
    assert executions[1].disposition is Disposition.EXPIRED
    for key in (each.key for each in executions[4:]):
        assert await days.cancel(key)
    assert set(await days.client.zrange(days.keys.expiring, 0, -1)) == {
        each.key.encode() for each in (executions[0], executions[2])
    }


@virtual_time
async def test_nothing_of_it_is_left_once_the_docket_is_cleared(days: Docket) -> None:
    task = Nothing()
    for hours in 0, 1:
        await days.add(task.nothing, when=clock.now() + HOUR * hours, expires=HOUR)()
    assert await days.clear() == 2
    assert not await days.client.keys(f"{days.prefix}:ops:expiring")


@virtual_time
async def test_what_is_no_moment_and_no_duration_is_refused_at_once(days: Docket) -> None:
    task: Any = Nothing().nothing
    with pytest.raises(TypeError, match="expires takes a timedelta or an aware datetime, not int: 5"):
        days.add(task, expires=5)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ValueError, match=r"expires=.* has no time zone"):
        days.call(task, expires=datetime(2030, 1, 1))
    with pytest.raises(TypeError, match="expires takes"):
        Agenda().add(task, expires="soon")  # pyright: ignore[reportCallIssue, reportArgumentType]


# whom it concerns -------------------------------------------------------------------------------------------


@virtual_time
async def test_children_that_expire_are_cancelled_children(days: Docket) -> None:
    task = Nothing()
    expired: list[str] = []

    async def parent() -> None:
        async with days.task_group() as group:
            now = clock.now()
            await group.add(task.nothing, when=now + HOUR, expires=now + MINUTE)()
            await group.add(task.nothing, expires=-MINUTE)()
            await group.add_many([group.call(task.nothing, expires=-MINUTE)()])
            async for child in group.results():
                await waits_in_vain(child)
                expired.append(child.key)

    days.register(task.nothing)

    async def body() -> None:
        begun = clock.now()
        await (await days.add(parent)()).get_result()
        assert abs(clock.now() - begun - MINUTE) < timedelta(seconds=2)

    await ran_meanwhile(days, body)
    assert len(expired) == 3
    assert task.ran == 0


@virtual_time
async def test_the_history_has_what_expired_with_the_reason(days: Docket) -> None:
    task = Nothing()
    days.register(task.nothing)

    async def body() -> None:
        now = clock.now()
        await waits_in_vain(await days.add(task.nothing, when=now + HOUR, expires=now + MINUTE)())
        await slept(MINUTE)
        (ended,) = await days.history("nothing")
        assert ended.state == "cancelled"
        assert ended.error is not None
        assert ended.error.startswith("ExecutionExpired: ")

    await ran_meanwhile(days, body)
