"""Progress is advice: an outage neither fails nor delays a body that reports, and the counts are right in the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError, RedisError

from docket import CurrentExecution, Docket, Execution, ExecutionState, Progress, Worker
from docket.clock import monotonic
from docket.execution import ExecutionProgress
from tests.durations import ms
from tests.proxy import Proxy
from tests.servers import Server
from tests.where import asyncio_and_trio, slow
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, slow, asyncio_and_trio]


@pytest.fixture
async def near(redis_url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    """The docket of clients that reach the server."""
    async with Docket("far", redis_url) as docket:
        yield docket


@pytest.fixture
async def far(proxy: Proxy, anyio_backend: Any) -> AsyncGenerator[Docket]:
    """The docket of the worker, which reaches the server through the proxy."""
    async with Docket("far", proxy.url) as docket:
        yield docket


@asynccontextmanager
async def at_work(docket: Docket) -> AsyncGenerator[Worker]:
    worker = Worker(docket, "worker", reconnection_delay=ms(50))
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        yield worker
        worker.stop()


async def seen(
    progress: ExecutionProgress, current: int, message: str | None, act: Callable[[], Any]
) -> list[int]:
    """Do something; wait until subscribers see the result; return every count that they saw until then."""
    counts: list[int] = []
    ready = anyio.Event()
    async with aclosing(progress.subscribe(ready=ready)) as events, anyio.create_task_group() as group:

        async def once_ready() -> None:
            await ready.wait()
            act()

        group.start_soon(once_ready)
        async for event in events:
            counts.append(event["current"] or 0)
            if (event["current"], event["message"]) == (current, message):
                return counts
    raise AssertionError(f"not seen: {counts}")


def refuse(proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


def lose_answers(proxy: Proxy) -> None:
    proxy.hang("down")


#: How an outage begins, and how it ends.
OUTAGES: dict[str, tuple[Callable[[Proxy], None], Callable[[Proxy], None]]] = {
    "nobody is there": (refuse, Proxy.resume),
    "nothing is answered, and the connections break": (
        lose_answers,
        lambda proxy: (proxy.cut(), proxy.resume())[1],
    ),
    "nothing is answered for a while": (lose_answers, Proxy.resume),
    "nothing arrives for a while": (Proxy.hang, Proxy.resume),
    "nothing arrives, and what was said is lost": (
        Proxy.hang,
        lambda proxy: (proxy.cut(), proxy.resume())[1],
    ),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_reports_during_an_outage_are_written_when_redis_is_back(
    near: Docket, far: Docket, proxy: Proxy, outage: str
) -> None:
    begins, ends = OUTAGES[outage]
    reported, go_on, over = anyio.Event(), anyio.Event(), anyio.Event()
    took: list[float] = []

    async def task(progress: Progress = Progress()) -> str:
        await progress.increment(3)
        begins(proxy)
        began = monotonic()
        for step in range(1, 101):
            await progress.increment(2)
            await progress.set_message(f"step {step}")
        await progress.set_total(1000)
        took.append(monotonic() - began)
        assert (progress.current, progress.total, progress.message) == (203, 1000, "step 100")
        reported.set()
        await go_on.wait()
        await progress.increment(4)
        await over.wait()
        return "through it all"

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        await reported.wait()
        assert took[0] < 5
        counts = await seen(execution.progress, 203, "step 100", lambda: ends(proxy))
        assert counts == sorted(counts)
        assert execution.progress.total == 1000
        # Once the next report has arrived, all earlier ones have.
        counts = await seen(execution.progress, 207, "step 100", go_on.set)
        over.set()
        assert await execution.get_result() == "through it all"


async def test_a_lost_answer_does_not_count_twice(near: Docket, far: Docket, proxy: Proxy) -> None:
    """While others report by hand."""
    reported, go_on, over = anyio.Event(), anyio.Event(), anyio.Event()

    async def task(progress: Progress = Progress()) -> None:
        await progress.increment(1)
        proxy.hang("down")
        await progress.increment(3)
        reported.set()
        await go_on.wait()
        await progress.increment(2)
        await over.wait()

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        await reported.wait()
        by_hand = await ExecutionProgress.create(near, execution.key)
        assert by_hand.current == 4
        await by_hand.increment(10)
        proxy.cut()
        proxy.resume()
        await seen(execution.progress, 16, None, go_on.set)
        over.set()
        await execution.get_result()


async def test_a_worker_writes_late_reports_while_the_body_does_something_else(
    near: Docket, far: Docket, proxy: Proxy
) -> None:
    reported, go_on = anyio.Event(), anyio.Event()

    async def task(progress: Progress = Progress()) -> None:
        refuse(proxy)
        await progress.set_message("half-way")
        reported.set()
        await go_on.wait()

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        await reported.wait()
        await seen(execution.progress, 0, "half-way", proxy.resume)
        go_on.set()
        await execution.get_result()


async def test_bad_values_are_refused_during_an_outage_too(near: Docket, far: Docket, proxy: Proxy) -> None:
    async def task(progress: Progress = Progress()) -> list[str]:
        refuse(proxy)
        said: list[str] = []
        wrong: list[Callable[[], Awaitable[None]]] = [
            lambda: progress.increment(0),
            lambda: progress.increment(2**63),
            lambda: progress.set_total(2**63),
            lambda: progress.set_total(-1),
        ]
        await progress.increment(2**63 - 2)
        for act in [*wrong, lambda: progress.increment(2)]:
            with pytest.raises(ValueError) as caught:
                await act()
            said.append(str(caught.value))
        proxy.resume()
        return said

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        said = await execution.get_result()
    assert ["at least 1" in said[0], "at most" in said[1], "at most" in said[2]] == [True] * 3
    assert "beyond" in said[4]


async def test_reports_that_are_late_at_the_end_of_the_run_are_dropped(
    near: Docket, far: Docket, proxy: Proxy
) -> None:
    async def task(progress: Progress = Progress()) -> str:
        refuse(proxy)
        await progress.increment(3)
        proxy.resume()
        return "done"

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        assert await execution.get_result() == "done"
        again = await near.add(task)()
        assert await again.get_result() == "done"
    async with near.redis() as redis:
        assert await redis.keys(near.keys.progress("*")) == []


async def test_a_full_server_is_an_outage() -> None:
    reported, go_on = anyio.Event(), anyio.Event()

    async def task(progress: Progress = Progress()) -> None:
        await docket.client.config_set("maxmemory", "1")
        await progress.increment(3)
        reported.set()
        await go_on.wait()

    with Server() as server:
        async with Docket("full", server.url) as docket:
            execution = await docket.add(task)()
            async with at_work(docket):
                await reported.wait()

                def free() -> None:
                    group.start_soon(docket.client.config_set, "maxmemory", "0")

                async with anyio.create_task_group() as group:
                    await seen(execution.progress, 3, None, free)
                go_on.set()
                await execution.get_result()


async def test_a_report_by_hand_raises(far: Docket, proxy: Proxy) -> None:
    async def waits() -> None: ...

    execution = await far.add(waits)()
    claimed = await far.add(waits)()
    assert await claimed.claim("by hand")
    refuse(proxy)
    for progress in execution.progress, claimed.progress:
        with pytest.raises(ConnectionError):
            await progress.increment(3)
        assert not progress.current
    proxy.resume()
    for progress in execution.progress, claimed.progress:
        await progress.increment(3)
        assert progress.current == 3


async def test_other_calls_of_a_body_raise(near: Docket, far: Docket, proxy: Proxy) -> None:
    """Only the body knows what to do if `add`, `cancel` or another call of the docket fails."""

    async def task(execution: Execution[Any] = CurrentExecution()) -> list[str]:
        docket, raised = execution.docket, list[str]()
        refuse(proxy)
        for act in (
            lambda: docket.add(task, key="another")(),
            lambda: docket.cancel("another"),
            execution.sync,
            execution.progress.sync,
        ):
            try:
                await act()
            except RedisError as error:
                raised.append(type(error).__name__)
        proxy.resume()
        return raised

    execution = await near.add(task)()
    async with at_work(far):
        far.register(task)
        raised = await execution.get_result()
    assert raised == ["Unreachable"] * 4
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED
