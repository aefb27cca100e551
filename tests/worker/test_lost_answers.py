"""A worker whose answer was lost finds at once what the server has done, whatever the request was.

No lease ends meanwhile: they are longer than the tests.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import attrs
import pytest
from redis.exceptions import ResponseError

from docket import ConcurrencyLimit, Docket, Execution, Retry, Worker
from docket.store import Delivery
from docket.store.lua import script
from tests.durations import ms
from tests.proxy import Proxy
from tests.servers import Server
from tests.where import asyncio_and_trio, slow

pytestmark = [pytest.mark.anyio, slow, asyncio_and_trio]

LEASE = timedelta(minutes=5)
PATIENCE = 60
TIMES = 15

#: Loaded beforehand: a server that does not have a script does not execute it.
SCRIPTS = ("take", "claim", "takeover", "unheard", "admit", "settle", "reschedule")


@attrs.define(eq=False)
class Scene:
    """A docket, and a worker that reaches it through a proxy."""

    docket: Docket
    far: Docket
    proxy: Proxy
    redis: Any
    worker: Worker
    runs: Counter[str] = attrs.field(factory=Counter[str])

    def lose_answer(self, name: str) -> None:
        self.proxy.lose_answer(script(name).sha.encode())

    async def cut_once(self, done: Callable[[], Awaitable[object]]) -> None:
        """Cut the connections once the server has executed the request."""
        while not self.proxy.answer_lost.is_set() or not await done():
            await anyio.sleep(0.001)
        self.proxy.answer_lost.clear()
        self.proxy.cut()

    async def waits(self) -> bool:
        """Whether the worker waits in the server, on a connection that it still has."""
        ours = self.proxy.addresses()
        return any(one["addr"] in ours and "b" in one["flags"] for one in await self.redis.client_list())

    async def until_it_waits(self) -> None:
        while not await self.waits():
            await anyio.sleep(0.001)

    async def until_it_is_idle(self) -> None:
        session = self.worker._session
        assert session is not None
        await session.roster.wait_empty()

    async def has_lost(self) -> bool:
        return self.proxy.answer_lost.is_set()

    async def until(self, execution: Execution[Any], *states: str) -> None:
        while not await self.is_in(execution, *states):
            await anyio.sleep(0.001)

    async def is_in(self, execution: Execution[Any], *states: str) -> bool:
        state = await self.redis.hget(f"lost:runs:{execution.key}", "state")
        return state is not None and state.decode() in states

    async def held(self) -> int:
        """How many deliveries the worker has, whether it knows of them or not."""
        consumers = (await self.redis.xpending("lost:stream", "docket-workers"))["consumers"]
        return sum(int(each["pending"]) for each in consumers if each["name"] == b"w")


@asynccontextmanager
async def scene(
    server: Server,
    url: str,
    *,
    before: Callable[[Scene], Awaitable[None]] | None = None,
    concurrency: int = 10,
) -> AsyncIterator[Scene]:
    """The worker works in this block, and has run all tasks once at its end; ``before`` is called first."""
    with Proxy(server.port) as proxy:
        async with (
            Docket("lost", url) as docket,
            Docket("lost", f"{proxy.url}?socket_timeout=5") as far,
            docket.redis() as redis,
        ):
            for name in SCRIPTS:
                await redis.script_load(script(name).text)
            worker = Worker(far, "w", concurrency, redelivery_timeout=LEASE, reconnection_delay=ms(20))
            it = Scene(docket, far, proxy, redis, worker)
            with anyio.fail_after(PATIENCE):
                if before is not None:
                    await before(it)
                async with anyio.create_task_group() as group:
                    group.start_soon(worker.run_forever)
                    yield it
                    assert set(it.runs.values()) <= {1}
                    while await it.held():  # the last answers are on their way
                        await anyio.sleep(0.01)
                    assert await redis.xlen("lost:stream") == 0
                    worker.stop()


async def test_tasks_of_a_lost_take_run_once(server: Server, redis_url: str) -> None:
    go_on = [anyio.Event() for _ in range(TIMES)]
    async with scene(server, redis_url, concurrency=1) as it:

        async def holding(number: int) -> None:
            await go_on[number].wait()

        async def task(name: str) -> None:
            it.runs[name] += 1

        it.far.register(holding)
        it.far.register(task)
        for number in range(TIMES):
            await it.until(await it.docket.add(holding)(number), "running")
            execution = await it.docket.add(task)(str(number))
            it.lose_answer("take")
            go_on[number].set()
            await it.cut_once(partial(it.is_in, execution, "running"))
            await execution.get_result()
    assert len(it.runs) == TIMES


async def a_read_is_lost(it: Scene, step: str, task: Any, name: str) -> Execution[Any]:
    """Add a task for the worker, which waits in the server, and lose the answer to the read, or to the claim."""
    await it.until_it_waits()
    held = await it.held()
    if step == "the claim":
        it.lose_answer("claim")
        execution = await it.docket.add(task)(name)
        await it.cut_once(partial(it.is_in, execution, "running"))
        return execution
    it.proxy.hang("down")
    execution = await it.docket.add(task)(name)
    while await it.held() == held:
        if (
            not await it.waits() and await it.held() == held
        ):  # its read had just ended: it looks for lost answers
            break
        await anyio.sleep(0.001)
    else:
        it.proxy.cut()
    it.proxy.resume()
    return execution


@pytest.mark.parametrize("step", ["the read", "the claim"])
async def test_a_task_of_a_lost_blocking_read_runs_once(server: Server, redis_url: str, step: str) -> None:
    async with scene(server, redis_url) as it:

        async def task(name: str) -> None:
            it.runs[name] += 1

        it.far.register(task)
        for number in range(TIMES):
            await (await a_read_is_lost(it, step, task, str(number))).get_result()
    assert len(it.runs) == TIMES


async def test_tasks_of_a_lost_takeover_run_once(server: Server, redis_url: str) -> None:
    async def task(name: str) -> None:
        it.runs[name] += 1
        it.lose_answer("takeover")  # the next one

    async def leave_behind(it: Scene) -> None:
        it.far.register(task)
        await it.docket.add_many([it.docket.call(task)(str(number)) for number in range(TIMES)])
        dead = it.docket.store.claims("dead")
        await dead.create_group()
        taken = [one.message_id for one in await dead.take(TIMES) if isinstance(one, Delivery)]
        idle = round(2 * LEASE.total_seconds() * 1000)
        await it.redis.xclaim("lost:stream", "docket-workers", "dead", 0, taken, idle=idle, justid=True)
        it.lose_answer("takeover")

    async with scene(server, redis_url, before=leave_behind, concurrency=1) as it:
        for _ in range(TIMES):
            await it.cut_once(it.held)
        while len(it.runs) < TIMES:
            await anyio.sleep(0.001)


async def test_a_task_whose_admission_was_lost_runs_once(server: Server, redis_url: str) -> None:
    async with scene(server, redis_url) as it:

        async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
            it.runs[name] += 1

        it.far.register(task)
        for number in range(TIMES):
            it.lose_answer("admit")
            execution = await it.docket.add(task)(str(number))
            await it.cut_once(lambda: it.redis.exists("lost:concurrency:task"))
            await execution.get_result()
    assert len(it.runs) == TIMES


@pytest.mark.parametrize("how", ["take", "settle", "reschedule"])
async def test_the_end_of_a_run_is_written_once_and_not_logged_as_lost(
    server: Server, redis_url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the take of the next tasks it is written where the reader has not begun to wait for any: a full worker's."""
    attempts, written = (2, "scheduled") if how == "reschedule" else (1, "completed")
    async with scene(server, redis_url, concurrency=1 if how == "take" else 10) as it:

        async def task(name: str, retry: Retry = Retry(attempts=attempts, delay=ms(150))) -> None:
            it.runs[f"{name} {retry.attempt}"] += 1
            if how != "take":
                await it.worker._session.reader.wait_idle()
            if retry.attempt < attempts:
                raise ValueError("once more")

        it.far.register(task)
        for number in range(TIMES):
            it.lose_answer(how)
            execution = await it.docket.add(task)(str(number))
            # What ends while a take has no answer waits for that.
            await it.cut_once(it.has_lost if how == "take" else partial(it.is_in, execution, written))
            await execution.get_result()
            await it.until_it_is_idle()
    assert len(it.runs) == TIMES * attempts
    assert "lost)" not in caplog.text


async def test_tasks_of_killed_connections_run_once(server: Server, redis_url: str) -> None:
    async with scene(server, redis_url, concurrency=4) as it:

        async def task(name: str) -> None:
            it.runs[name] += 1

        it.far.register(task)
        for number in range(TIMES):
            executions = [await it.docket.add(task)(f"{number}.{n}") for n in range(4)]
            await anyio.sleep(random.uniform(0, 0.003))
            for client in await it.redis.client_list():
                if client["addr"] in it.proxy.addresses():
                    with contextlib.suppress(ResponseError):  # closed already
                        await it.redis.execute_command("CLIENT", "KILL", "ID", client["id"])
            for execution in executions:
                await execution.get_result()
    assert len(it.runs) == 4 * TIMES


@pytest.mark.parametrize("step", ["the read", "the claim"])
async def test_tasks_that_a_namesake_runs_are_left_to_it(server: Server, redis_url: str, step: str) -> None:
    runs: Counter[str] = Counter()
    go_on, count = anyio.Event(), 5

    async def long(name: str) -> None:
        runs[name] += 1
        await go_on.wait()

    async def task(name: str) -> None:
        runs[name] += 1

    async with anyio.create_task_group() as group:

        async def before(it: Scene) -> None:
            it.docket.register(long)
            it.far.register(task)
            twin = Worker(it.docket, "w", count, redelivery_timeout=LEASE)
            group.start_soon(twin.run_forever)
            executions.extend([await it.docket.add(long)(f"long {number}") for number in range(count)])
            for execution in executions:  # from now on it takes nothing else
                await it.until(execution, "running")
            twins.append(twin)

        executions: list[Execution[Any]] = []
        twins: list[Worker] = []
        async with scene(server, redis_url, before=before) as it:
            for number in range(TIMES):
                await (await a_read_is_lost(it, step, task, str(number))).get_result()
            go_on.set()
            for execution in executions:
                await execution.get_result()
            twins[0].stop()
    assert sum(runs.values()) == len(runs) == TIMES + count


async def test_a_task_of_a_request_that_is_executed_late_is_found(server: Server, redis_url: str) -> None:
    """The server executes the request after the worker has connected again, and looked."""
    go_on = anyio.Event()
    async with scene(server, redis_url, concurrency=1) as it:

        async def holding() -> None:
            await go_on.wait()

        async def task(name: str) -> None:
            it.runs[name] += 1

        it.far.register(holding)
        it.far.register(task)
        await it.until(await it.docket.add(holding)(), "running")
        execution = await it.docket.add(task)("late")
        assert it.worker._session is not None
        answers = it.worker._session.reader._lost_answers
        answers.lost("late")
        answers.looked()
        late = it.docket.store.claims("w")
        assert len(await late.take(1, asked="late")) == 1
        go_on.set()
        await execution.get_result()
