"""All that a docket does, in parts: what adds, what asks and steers, what works; and what begins first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from docket import (
    Agenda,
    ConcurrencyLimit,
    Cooldown,
    CurrentDocket,
    Debounce,
    Depends,
    Docket,
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionState,
    FairShare,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    Shared,
    TaskKey,
    Worker,
)
from tests.durations import ms

__all__ = ["adding", "asking", "in_turns", "ordering", "register", "working"]

PATIENCE = 20


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def plain(number: int) -> int:
    return number


async def retried(retry: Retry = Retry(attempts=2, delay=ms(10))) -> str:
    if retry.attempt == 1:
        raise ValueError("once more")
    return "at last"


async def failing() -> None:
    raise ValueError("no")


async def automatic(perpetual: Perpetual = Perpetual(every=ms(50), automatic=True)) -> None: ...


async def limited(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> int:
    await anyio.sleep(0.01)
    return number


async def rated(number: int, rate: RateLimit = RateLimit(1, per=ms(50))) -> int:
    return number


async def cooled(cooldown: Cooldown = Cooldown(ms(50))) -> None: ...


async def debounced(debounce: Debounce = Debounce(ms(50))) -> None: ...


async def stepwise(progress: Progress = Progress()) -> None:
    await progress.set_total(2)
    await progress.increment()
    await progress.set_message("half")


async def parent(docket: Docket = CurrentDocket()) -> int:
    async with docket.task_group() as group:
        children = await group.add_many(group.call(plain)(number) for number in range(3))
    return sum([await child.get_result() for child in children])


async def again(number: int, docket: Docket = CurrentDocket(), key: str = TaskKey()) -> int:
    if number:
        await docket.add(again, key=key, if_running="once_more")(number - 1)
    return number


async def in_turns(tenant: str, number: int, share: FairShare = FairShare("tenant")) -> int:
    return number


async def endless() -> None:
    await anyio.sleep_forever()


@asynccontextmanager
async def resource() -> AsyncGenerator[str]:
    yield "opened"


async def depending(one: str = Depends(resource), shared: str = Shared(resource)) -> str:
    return one + shared


TASKS = (
    plain, retried, failing, automatic, limited, rated, cooled, debounced, stepwise, endless, depending, parent,
    again, in_turns,
)  # fmt: skip


def register(docket: Docket) -> None:
    for task in TASKS:
        docket.register(task)


async def adding(docket: Docket) -> None:
    """Add, now and for later, one and many, again under the same key."""
    await docket.add(plain, key="plain")(1)
    await docket.add(plain, key="plain")(2)
    await docket.add(plain, when=later(), key="later")(3)
    await docket.replace(plain, when=later(), key="later")(4)
    await docket.add_many(docket.call(limited, key=f"limited-{n}")(n) for n in range(5))
    for task in retried, failing, cooled, cooled, debounced, debounced, stepwise, depending:
        await docket.add(task)()
    for number in range(3):
        await docket.add(rated, key=f"rated-{number}")(number)
    for level in "high", "low":
        await docket.add(plain, key=level, priority=level)(1)  # type: ignore[call-overload]
    await docket.replace(plain, datetime.now(UTC), "low", priority="high")(1)
    await docket.add_many(docket.call(in_turns, key=f"turn-{n}")("a", n) for n in range(4))
    await docket.replace(in_turns, datetime.now(UTC), "turn-2")("b", 2)
    await docket.add(plain, expires=timedelta(days=1))(1)
    assert (await docket.add(plain, expires=timedelta(0))(1)).disposition.value == "expired"
    agenda = Agenda()
    agenda.add(plain)(5)
    await agenda.scatter(docket, over=timedelta(hours=1))


async def ordering(adds: Docket, works: Docket) -> None:
    """Add what begins first, last, in turns, again and not at all; then begin one after the other."""
    began: list[str] = []

    async def job(tenant: str, number: int, share: FairShare = FairShare("tenant")) -> None:
        began.append(f"{tenant}{number}")
        if tenant == "b":
            await works.add(job, key="b", if_running="once_more")("c", number)

    async def level(name: str) -> None:
        began.append(name)

    for docket in adds, works:
        docket.register(job)
        docket.register(level)
    await adds.add_many(adds.call(job)("a", number) for number in range(4))
    await adds.add(job, key="b")("b", 0)
    await adds.add(level, expires=timedelta(microseconds=1))("late")
    for name in "low", "high":
        await adds.add(level, priority=name)(name)  # type: ignore[call-overload]
    with anyio.fail_after(PATIENCE):
        await Worker(works, "first", concurrency=1).run_until_finished()
    assert (began[0], began[-1]) == ("high", "low")
    assert began[1:-1] == ["a0", "a1", "b0", "a2", "a3", "c0"]
    assert not await works.client.exists(works.keys.waiting)


async def asking(docket: Docket) -> None:
    """Look, follow, cancel, strike, clear, while a worker works."""
    with anyio.fail_after(PATIENCE):
        execution = await docket.add(plain, key="followed", when=datetime.now(UTC) + ms(300))(7)
        async with aclosing(execution.subscribe()) as events:
            async for event in events:
                if event["type"] == "state" and event["state"] is ExecutionState.COMPLETED:
                    break
        assert await execution.get_result() == 7
        found = await docket.get_execution("followed")
        assert found is not None
        await found.sync()
        await found.progress.sync()
        runs, waits = await docket.add(endless)(), await docket.add(endless, when=later())()
        await _until_it_runs(docket, runs.key)
        for cancelled in runs, waits:
            await docket.cancel(cancelled.key)
            with pytest.raises(ExecutionCancelled):
                await cancelled.get_result()
        runs = await docket.add(endless, key="again")()
        await _until_it_runs(docket, runs.key)
        dropped = await docket.add(again, key="again", if_running="once_more")(1)
        await docket.cancel("again")
        for cancelled in runs, dropped:
            with pytest.raises(ExecutionCancelled):
                await cancelled.get_result()
        assert await (await docket.add(again, key="again")(1)).get_result() == 1
        assert await (await docket.add(again, key="again", if_running="once_more")(0)).get_result() == 0
        assert await (await docket.add(parent)()).get_result() == 3
        with pytest.raises(ExceptionGroup):
            await _open_a_group_that_fails(docket)
        await docket.strike(plain, "number", "==", 13)
        assert (await docket.add(plain)(13)).disposition.value == "struck"
        await docket.restore(plain, "number", "==", 13)
        await docket.strikes()
        await docket.pause(plain)
        await docket.pause()
        assert [pause.task for pause in await docket.pauses()] == [None, "plain"]
        await docket.add(plain, key="paused")(14)
        expiring = await docket.add(plain, expires=ms(100))(15)
        with pytest.raises(ExecutionExpired):
            await expiring.get_result()
        turns = [await docket.add(in_turns, key=f"a{n}", priority="low")("a", n) for n in range(4)]
        turns.append(await docket.add(in_turns, when=later(), key="a4")("a", 4))
        await docket.cancel("a2")
        await docket.replace(in_turns, datetime.now(UTC), "a3")("b", 3)
        assert await docket.run_now("a4", priority="high")
        found = await docket.get_execution("a1")
        assert found is not None
        assert found.waits_for_turn == "tenant:a"
        assert (await docket.counts()).turns == 1
        await docket.resume()
        assert [await turns[n].get_result() for n in (0, 1, 3, 4)] == [0, 1, 3, 4]
        await _until_it_is_lined_up(docket)
        assert await docket.resume(plain) >= 1
        await _until_it_fails_again(docket)
        await docket.concurrency()
        assert [worker.name for worker in await docket.workers()] == ["w"]
        assert [worker.name for worker in await docket.task_workers("plain")] == ["w"]
        assert (await docket.snapshot()).total_tasks >= 1
        assert await docket.clear() >= 1


async def _until_it_fails_again(docket: Docket) -> None:
    """By itself, by its key and with all others; then it is forgotten."""
    failing = await docket.add("fail", when=later(), key="fails")("no")
    assert await docket.run_now("fails")
    for again in None, docket.retry, docket.retry_all:
        if again is docket.retry:
            failing = await docket.retry("fails")
        elif again is not None:
            assert (await docket.retry_all("fail")).done == 1
        while (failure := await docket.failure("fails")) is None or not failure.final:  # it is tried twice
            await anyio.sleep(0.01)
    assert failing.key == failure.key
    assert [one.key for one in await docket.failures("fail", error="no")] == ["fails"]
    assert (await docket.failure_groups("fail"))[0].count == 1
    assert await docket.retrying() == []
    assert (await docket.discard_all("fail")).done == 1
    assert not await docket.discard("fails")


async def _open_a_group_that_fails(docket: Docket) -> None:
    async with docket.task_group() as group:
        await group.add(endless)()
        await group.add(failing)()


async def _until_it_is_lined_up(docket: Docket) -> None:
    while not (await docket.pauses())[0].waiting:
        await anyio.sleep(0.01)


async def _until_it_runs(docket: Docket, key: str) -> None:
    while True:
        execution = await docket.get_execution(key)
        if execution is not None and execution.state is ExecutionState.RUNNING:
            return
        await anyio.sleep(0.01)


@asynccontextmanager
async def working(docket: Docket) -> AsyncGenerator[Worker]:
    """A worker that also takes over what another one has left, and hands back when it is left."""
    worker = Worker(docket, "w", redelivery_timeout=ms(400))
    with anyio.fail_after(2 * PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            yield worker
            held = await docket.add(endless, key="held")()
            await _until_it_runs(docket, held.key)
            worker.hand_back()
