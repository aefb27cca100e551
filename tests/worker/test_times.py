"""Workers with the longest durations, tasks due at the ends of time, and times that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    Cron,
    CurrentExecution,
    Debounce,
    Docket,
    Execution,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    Timeout,
)
from docket.dependencies import AdmissionBlocked, Dependency
from docket.execution import ExecutionState
from docket.moments import LONGEST
from docket.store import dump
from tests.where import one_loop, slow, virtual_time
from tests.worker.conftest import a_worker, at_most, working

pytestmark = [pytest.mark.anyio, slow, one_loop]

LAST = datetime.max.replace(tzinfo=UTC)
BEYOND = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))


async def answer() -> int:
    return 42


async def becomes(execution: Execution[Any], *states: ExecutionState) -> None:
    """Wait until it is in one of these states; it has to come to one of them."""
    async with at_most(), aclosing(execution.subscribe()) as events:
        async for event in events:
            if event["type"] == "state" and event["state"] in states:
                break
    await execution.sync()
    assert execution.state in states, (execution.state, execution.error)


async def test_a_worker_may_have_the_longest_of_all_durations(url: str) -> None:
    async def limited(
        a: int,
        limit: ConcurrencyLimit = ConcurrencyLimit("a"),
        progress: Progress = Progress(),
        timeout: Timeout = Timeout(LONGEST),
    ) -> int:
        await progress.increment()
        timeout.extend()
        timeout.extend(LONGEST)
        return a

    async with Docket(
        "d", url, execution_ttl=LONGEST, heartbeat_interval=LONGEST, missed_heartbeats=1
    ) as docket:
        worker = a_worker(
            docket,
            redelivery_timeout=LONGEST,
            reconnection_delay=LONGEST,
            minimum_check_interval=LONGEST,
            scheduling_resolution=LONGEST,
            shutdown_timeout=LONGEST,
            unknown_task_patience=LONGEST,
        )
        executions = [await docket.add(limited)(n % 2) for n in range(4)]
        soon = await docket.add(answer, when=datetime.now(UTC) + timedelta(milliseconds=50))()
        async with working(worker):
            async with at_most():
                assert [await execution.get_result() for execution in executions] == [0, 1, 0, 1]
                assert await soon.get_result() == 42
            assert [one.name for one in await docket.workers()] == ["worker"]
        async with docket.redis() as client:
            ttl = await client.pttl(f"d:runs:{soon.key}")
        assert timedelta(milliseconds=ttl) > LONGEST - timedelta(minutes=1)


def blocked(retry_delay: timedelta, *, later: timedelta | None = None) -> Callable[..., Any]:
    class Blocks(Dependency[None]):
        async def __aenter__(self) -> None:
            error = AdmissionBlocked(self.execution.get(), retry_delay=retry_delay)
            error.retry_delay = later or retry_delay
            raise error

    async def task(it: None = Blocks()) -> None: ...

    return task


async def retried(retry: Retry = Retry(attempts=2, delay=LONGEST)) -> None:
    raise ValueError


async def retried_beyond(retry: Retry = Retry(attempts=2)) -> None:
    retry.delay = timedelta.max
    raise ValueError


async def retried_at(retry: Retry = Retry(attempts=2)) -> None:
    retry.at(LAST)


async def retried_after(retry: Retry = Retry(attempts=2)) -> None:
    retry.after(LONGEST)


async def perpetual(perpetual: Perpetual = Perpetual(every=LONGEST)) -> None: ...


async def perpetual_at(perpetual: Perpetual = Perpetual()) -> None:
    perpetual.at(LAST)


async def perpetual_after(perpetual: Perpetual = Perpetual()) -> None:
    perpetual.after(LONGEST)


LATER: dict[str, Callable[..., Any]] = {
    "blocked": blocked(LONGEST),
    "blocked beyond": blocked(LONGEST, later=timedelta.max),
    "retried": retried,
    "retried beyond": retried_beyond,
    "retried at": retried_at,
    "retried after": retried_after,
    "perpetual": perpetual,
    "perpetual at": perpetual_at,
    "perpetual after": perpetual_after,
}


@pytest.mark.parametrize("task", LATER.values(), ids=LATER)
async def test_the_next_run_may_be_a_hundred_years_away(docket: Docket, task: Callable[..., Any]) -> None:
    docket.register(task)
    execution = await docket.add(task, key="k")()
    async with working(a_worker(docket)):
        await becomes(execution, ExecutionState.SCHEDULED)
        assert execution.when > datetime.now(UTC) + LONGEST - timedelta(days=1)
        assert [seen.key for seen in (await docket.snapshot()).future] == ["k"]
        assert await (await docket.add(answer)()).get_result() == 42


@pytest.mark.parametrize("asked", ["after", "at"])
async def test_a_task_that_asks_for_more_fails_by_that(docket: Docket, asked: str) -> None:
    async def task(retry: Retry = Retry()) -> None:
        if asked == "after":
            retry.after(timedelta.max)
        retry.at(BEYOND)

    execution = await docket.add(task)()
    async with working(a_worker(docket)):
        with pytest.raises(ValueError, match=r"takes a duration up to 36525 days|has no date in UTC"):
            await execution.get_result(timeout=timedelta(seconds=20))


async def test_limits_over_the_longest_time_let_one_run_and_keep_the_others_out(docket: Docket) -> None:
    async def rated(it: RateLimit = RateLimit(1, per=LONGEST)) -> int:
        return 1

    async def cooled(it: Cooldown = Cooldown(LONGEST)) -> int:
        return 1

    async def settled(it: Debounce = Debounce(LONGEST)) -> int:
        return 1

    async with working(a_worker(docket)):
        for task, after in ((rated, ExecutionState.SCHEDULED), (cooled, ExecutionState.CANCELLED)):
            assert await (await docket.add(task)()).get_result(timeout=timedelta(seconds=20)) == 1
            for _ in range(3):
                await becomes(await docket.add(task)(), after)
        await becomes(await docket.add(settled, key="first")(), ExecutionState.SCHEDULED)
        await becomes(await docket.add(settled)(), ExecutionState.CANCELLED)
        assert await (await docket.add(answer)()).get_result(timeout=timedelta(seconds=20)) == 42


@pytest.mark.parametrize("score", ["1e300", "inf", "9e15"])
@pytest.mark.parametrize("where", ["taken", "reserved"])
async def test_what_others_left_in_a_rate_keeps_a_task_out_no_longer_than_that(
    docket: Docket, where: str, score: str
) -> None:
    async def rated(it: RateLimit = RateLimit(1, per=timedelta(seconds=1))) -> None: ...

    name = docket.keys.rate("rated", None)
    async with docket.redis() as client:
        await client.zadd(name if where == "taken" else f"{name}:reserved", {"x:1": score, "k": score})
    async with working(a_worker(docket)):
        execution = await docket.add(rated, key="k")()
        await becomes(execution, ExecutionState.SCHEDULED)
        assert execution.when.year < 2200
        assert await (await docket.add(answer)()).get_result(timeout=timedelta(seconds=20)) == 42


@pytest.mark.parametrize("seen", ["1e300", "-1e300", "inf", "nan", "soon", "0"])
async def test_what_others_wrote_of_a_burst_delays_it_no_longer_than_it_takes_to_settle(
    docket: Docket, seen: str
) -> None:
    async def settled(it: Debounce = Debounce(timedelta(milliseconds=50))) -> int:
        return 1

    winner, last_seen = docket.keys.debounce("settled", None)
    async with docket.redis() as client:
        await client.set(winner, "k")
        await client.set(last_seen, seen)
    async with working(a_worker(docket)):
        execution = await docket.add(settled, key="k")()
        assert await execution.get_result(timeout=timedelta(seconds=20)) == 1


async def test_a_limit_whose_time_was_changed_to_too_much_keeps_others_out_all_the_same(
    docket: Docket,
) -> None:
    cooldown = Cooldown(timedelta(1))

    async def cooled(it: Cooldown = cooldown) -> int:
        return 1

    cooldown.window = timedelta.max
    async with working(a_worker(docket)):
        assert await (await docket.add(cooled)()).get_result(timeout=timedelta(seconds=20)) == 1
        await becomes(await docket.add(cooled)(), ExecutionState.CANCELLED)


SCORES = ["inf", "-inf", "1e300", "-1e300", "253402300800"]
TIMES = [
    BEYOND.isoformat(),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))).isoformat(),
    LAST.isoformat(),
]


@pytest.mark.parametrize("score", SCORES)
async def test_a_queue_may_have_any_score(docket: Docket, score: str) -> None:
    far = await docket.add(answer, when=datetime.now(UTC) + timedelta(days=1), key="far")()
    async with docket.redis() as client:
        await client.zadd(docket.keys.queue, {"far": score, "ghost": score})
    async with working(a_worker(docket, redelivery_timeout=timedelta(seconds=1))):
        if score.startswith("-"):
            assert await far.get_result(timeout=timedelta(seconds=20)) == 42
        soon = await docket.add(answer, when=datetime.now(UTC) + timedelta(milliseconds=100))()
        assert await soon.get_result(timeout=timedelta(seconds=20)) == 42


@pytest.mark.parametrize("when", TIMES)
async def test_a_message_may_be_due_at_any_time(docket: Docket, when: str) -> None:
    async def late(execution: Execution[Any] = CurrentExecution()) -> str:
        return execution.when.isoformat()

    async def by_the_clock(cron: Cron = Cron("* * * * *", automatic=False)) -> None: ...

    for task in late, by_the_clock, perpetual, retried, answer:
        docket.register(task)
    async with docket.redis() as client, working(a_worker(docket)):
        executions: dict[str, Execution[Any]] = {}
        for name in "late", "by_the_clock", "perpetual", "retried":
            placed = await docket.add(name, when=datetime.now(UTC) + timedelta(days=1), key=name)()
            executions[name] = placed
            fields = {
                "key": name, "when": when, "function": name, "args": dump(()), "kwargs": dump({}), "attempt": 1,
                "generation": 1, "first_when": when,
            }  # fmt: skip
            await client.zrem(docket.keys.queue, name)
            await client.xadd(docket.keys.stream, fields)
        first = datetime.min.replace(tzinfo=UTC).isoformat()
        assert await executions["late"].get_result(timeout=timedelta(seconds=20)) in {first, *TIMES}
        for name in "by_the_clock", "perpetual", "retried":
            while await client.hget(docket.keys.run(name), "generation") != b"2":
                await becomes(executions[name], *ExecutionState)
            await becomes(executions[name], ExecutionState.SCHEDULED)
        assert await (await docket.add(answer)()).get_result(timeout=timedelta(seconds=20)) == 42


async def test_announcements_may_say_anything(docket: Docket) -> None:
    async with working(a_worker(docket)):
        assert await (await docket.add(answer)()).get_result(timeout=timedelta(seconds=20)) == 42
        async with docket.redis() as client:
            for text in (
                "due nan",
                "due -inf",
                "due inf",
                "due 1e300",
                "due soon",
                "due",
                "due \ud7ff",
                "due " + "9" * 9000,
            ):
                await client.publish(docket.keys.wake, text)
        soon = await docket.add(answer, when=datetime.now(UTC) + timedelta(milliseconds=50))()
        assert await soon.get_result(timeout=timedelta(seconds=20)) == 42


@pytest.mark.parametrize("idle", [10**12, 10**18])
async def test_a_delivery_may_be_idle_for_any_time(docket: Docket, idle: int) -> None:
    """Anybody can say so with XCLAIM."""
    docket.register(answer)
    execution = await docket.add(answer)()
    async with docket.redis() as client:
        await client.xgroup_create(docket.keys.stream, "docket-workers", "0")
        [[_, [[message_id, _]]]] = await client.xreadgroup(
            "docket-workers", "dead", {docket.keys.stream: ">"}
        )
        await client.xclaim(docket.keys.stream, "docket-workers", "dead", 0, [message_id], idle=idle)
    async with working(a_worker(docket, redelivery_timeout=timedelta(seconds=1))):
        assert await execution.get_result(timeout=timedelta(seconds=20)) == 42


class TestInVirtualTime:
    pytestmark = virtual_time

    async def test_time_may_go_to_its_end(self, memory_url: str) -> None:
        async def again(n: Annotated[int, ConcurrencyLimit()], perpetual: Perpetual = Perpetual()) -> None:
            if n == 3:
                perpetual.cancel()
            perpetual.perpetuate(n + 1)
            perpetual.after(LONGEST)

        async with Docket("d", memory_url) as docket:
            last = await docket.add(answer, when=LAST)()
            chain = await docket.add(again, when=LAST - timedelta(days=400), key="chain")(1)
            await a_worker(docket).run_until_finished()
            for execution in last, chain:
                await execution.sync()
            assert await (await docket.add(answer)()).is_superseded() is False
