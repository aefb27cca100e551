"""What tasks share is opened once by whoever needs it first, and closed after the last task has ended."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from docket import CurrentDocket, CurrentWorker, Depends, Docket, Shared, TaskKey, Worker
from docket.errors import AwaitedCancelled
from tests.where import asyncio_and_trio, on_asyncio, one_loop
from tests.worker.conftest import PATIENCE, working

pytestmark = pytest.mark.anyio


async def run(docket: Docket) -> None:
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker").run_until_finished()


async def test_what_is_shared_is_opened_once_for_tasks_that_ask_at_the_same_time(docket: Docket) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def pool() -> AsyncGenerator[str]:
        log.append("opening")
        await anyio.sleep(0.01)  # the others ask meanwhile
        yield "pool"
        log.append("closed")

    async def task(pool: str = Shared(pool)) -> None:
        log.append(pool)

    for _ in range(5):
        await docket.add(task)()
    await run(docket)
    assert log == ["opening", *["pool"] * 5, "closed"]


async def test_what_is_shared_may_hold_a_task_group(docket: Docket) -> None:
    """It is opened and closed by one and the same task, whoever asked for it."""

    @asynccontextmanager
    async def echo() -> AsyncGenerator[Any]:
        send, receive = anyio.create_memory_object_stream[tuple[int, list[int], anyio.Event]](10)

        async def serve() -> None:
            async for number, answer, done in receive:
                answer.append(number)
                done.set()

        async with send, receive, anyio.create_task_group() as group:
            group.start_soon(serve)
            yield send
            group.cancel_scope.cancel()

    async def task(number: int, echo: Any = Shared(echo)) -> int:
        answer: list[int] = []
        done = anyio.Event()
        await echo.send((number, answer, done))
        await done.wait()
        return answer[0]

    executions = [await docket.add(task)(number) for number in range(3)]
    await run(docket)
    assert [await execution.get_result() for execution in executions] == [0, 1, 2]


async def test_what_is_shared_may_depend_on_the_docket_the_worker_and_on_other_shared_things(
    docket: Docket,
) -> None:
    log: list[str] = []

    @contextmanager
    def settings(worker: Worker = CurrentWorker()) -> Generator[str]:
        log.append("settings of " + worker.name)
        yield "settings"
        log.append("settings closed")

    @asynccontextmanager
    async def per_pool() -> AsyncGenerator[str]:
        yield "own"
        log.append("own closed")

    @asynccontextmanager
    async def pool(
        of: Docket = CurrentDocket(), settings: str = Shared(settings), own: str = Depends(per_pool)
    ) -> AsyncGenerator[str]:
        yield f"{own} pool of {of is docket} with {settings}"
        log.append("pool closed")

    async def task(pool: str = Shared(pool), settings: str = Shared(settings)) -> None:
        log.append(pool)

    await docket.add(task)()
    await docket.add(task)()
    await run(docket)
    assert log == [
        "settings of worker",
        *["own pool of True with settings"] * 2,
        "pool closed",
        "own closed",
        "settings closed",
    ]


async def test_what_is_shared_cannot_depend_on_one_call(docket: Docket) -> None:
    def per_call(key: str = TaskKey()) -> str:
        return key

    async def task(shared: str = Shared(per_call)) -> None: ...

    execution = await docket.add(task)()
    await run(docket)
    with pytest.raises(ExceptionGroup, match=r"parameter\(s\): shared") as info:
        await execution.get_result()
    assert "Shared lives longer than one task" in str(info.value.exceptions[0])


async def test_what_could_not_be_opened_is_opened_for_the_next_task(docket: Docket) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")
        return "there"

    async def task(shared: str = Shared(flaky)) -> str:
        return shared

    first, second = await docket.add(task)(), await docket.add(task)()
    with anyio.fail_after(PATIENCE):
        await Worker(docket, concurrency=1).run_until_finished()
    with pytest.raises(ExceptionGroup):
        await first.get_result()
    assert await second.get_result() == "there"


async def test_a_task_that_is_cancelled_while_something_shared_opens_harms_nobody(docket: Docket) -> None:
    opening, go_on = anyio.Event(), anyio.Event()
    closed: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncGenerator[str]:
        opening.set()
        await go_on.wait()
        yield "slow"
        closed.append("slow")

    async def task(shared: str = Shared(slow)) -> str:
        return shared

    worker = Worker(docket, "worker")
    async with working(worker):
        await docket.add(task, key="impatient")()
        await opening.wait()
        patient = await docket.add(task, key="patient")()
        await docket.cancel("impatient")
        while (await _state(docket, "impatient")) != "cancelled":
            await anyio.sleep(0.001)  # the record of another process's doing; nothing to wait for here
        go_on.set()
        assert await patient.get_result() == "slow"
    assert closed


async def _state(docket: Docket, key: str) -> str | None:
    execution = await docket.get_execution(key)
    return execution and execution.state.value


async def test_a_shutdown_closes_what_is_shared_after_the_last_body(docket: Docket) -> None:
    started = anyio.Event()
    log: list[str] = []

    @contextmanager
    def pool() -> Generator[str]:
        yield "pool"
        log.append("pool closed")

    async def task(pool: str = Shared(pool)) -> None:
        started.set()
        try:
            await anyio.sleep(0.05)  # longer than the shutdown takes to begin
        finally:
            log.append("body ended")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            worker = Worker(docket, "worker")
            group.start_soon(worker.run_forever)
            await docket.add(task)()
            await started.wait()
            worker.stop()
    assert log == ["body ended", "pool closed"]


# what goes wrong in the task that hosts it --------------------------------------------------------------------


async def goes_wrong_and_the_next_one_is_opened(
    docket: Docket, opens: Callable[[], AbstractAsyncContextManager[None]]
) -> BaseException | None:
    """Have a task ask for what ``opens``, and another one after it for something else; what the first one raised."""

    @asynccontextmanager
    async def fine() -> AsyncGenerator[str]:
        yield "opened"

    async def asks(it: None = Shared(opens)) -> None:
        await anyio.sleep(0.05)

    async def asks_later(it: str = Shared(fine)) -> str:
        return it

    raised: BaseException | None = None
    async with working(Worker(docket)):
        try:
            await (await docket.add(asks)()).get_result()
        except Exception as error:
            raised = error
        assert await (await docket.add(asks_later)()).get_result() == "opened"
    return raised


@pytest.mark.parametrize("left_open", ["scope", "deadline", "group"])
@pytest.mark.parametrize("when", ["opens", "closes"])
async def test_what_is_shared_may_leave_open_what_it_wants(docket: Docket, left_open: str, when: str) -> None:
    """I9."""
    kept: list[object] = []

    async def leave() -> None:
        if left_open == "group":
            group = anyio.create_task_group()
            await group.__aenter__()
            group.start_soon(anyio.sleep, 0.1)
            kept.append(group)
        else:
            deadline = anyio.current_time() + 0.01 if left_open == "deadline" else math.inf
            scope = anyio.CancelScope(deadline=deadline)
            scope.__enter__()
            kept.append(scope)

    @asynccontextmanager
    async def leaves() -> AsyncGenerator[None]:
        if when == "opens":
            await leave()
        yield
        if when == "closes":
            await leave()

    assert await goes_wrong_and_the_next_one_is_opened(docket, leaves) is None


async def test_a_child_of_what_is_shared_may_exit(docket: Docket) -> None:
    """I9."""

    async def exits() -> None:
        raise SystemExit(3)

    @asynccontextmanager
    async def starts() -> AsyncGenerator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(exits)
            yield

    await goes_wrong_and_the_next_one_is_opened(docket, starts)


async def test_what_is_shared_may_exit_as_it_closes(docket: Docket) -> None:
    """I9."""

    @asynccontextmanager
    async def exits() -> AsyncGenerator[None]:
        yield
        raise SystemExit(3)

    assert await goes_wrong_and_the_next_one_is_opened(docket, exits) is None


async def test_who_waits_for_what_is_opened_as_something_else_fails_fails_and_is_not_cancelled(
    docket: Docket,
) -> None:
    begun, opening, over = anyio.Event(), anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def fails() -> AsyncGenerator[None]:
        async def child() -> None:
            await opening.wait()
            raise ValueError("a child")

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            yield

    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        opening.set()
        await anyio.sleep_forever()
        yield

    async def asks(it: None = Shared(fails)) -> None:
        begun.set()
        await over.wait()

    async def asks_later(it: None = Shared(slow)) -> None: ...

    first = await docket.add(asks)()
    async with working(Worker(docket)):
        await begun.wait()
        other = await docket.add(asks_later)()
        with pytest.raises(ExceptionGroup) as caught:
            await other.get_result()
        assert caught.group_contains(AwaitedCancelled)
        over.set()
        await first.get_result()


class TestOnAsyncio:
    """What only asyncio allows: whatever has a task may cancel it."""

    pytestmark = on_asyncio

    async def test_what_is_shared_may_cancel_the_task_that_hosts_it(self, docket: Docket) -> None:
        """I9."""

        @asynccontextmanager
        async def cancels() -> AsyncGenerator[None]:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            yield

        await goes_wrong_and_the_next_one_is_opened(docket, cancels)

    async def test_what_is_shared_may_await_what_was_cancelled(self, docket: Docket) -> None:
        """I9."""

        @asynccontextmanager
        async def awaits() -> AsyncGenerator[None]:
            other = asyncio.ensure_future(asyncio.sleep(60))
            other.cancel()
            await other
            yield

        raised = await goes_wrong_and_the_next_one_is_opened(docket, awaits)
        assert isinstance(raised, ExceptionGroup)
        assert raised.subgroup(AwaitedCancelled)


LOCKS: dict[str, Callable[[], Any]] = {
    "lock": anyio.Lock,
    "semaphore": lambda: anyio.Semaphore(3),
    "limiter": lambda: anyio.CapacityLimiter(3),
    "of threads": threading.Lock,
}


async def outcome(docket: Docket, task: Any) -> BaseException | None:
    execution = await docket.add(task)()
    await run(docket)
    try:
        await execution.get_result()
    except Exception as error:
        return error
    return None


@asyncio_and_trio
@pytest.mark.parametrize("make", [*LOCKS.values()], ids=[*LOCKS])
async def test_a_lock_is_not_taken_for_all_tasks_together(docket: Docket, make: Callable[[], Any]) -> None:
    def lock() -> Any:
        return make()

    async def task(lock: Any = Shared(lock)) -> None: ...

    error = await outcome(docket, task)
    assert isinstance(error, ExceptionGroup)
    assert "would be held until the worker stops" in str(error.exceptions[0])
    assert "make the function async" in str(error.exceptions[0])


@asyncio_and_trio
@pytest.mark.parametrize("wrap", [Shared, Depends])
@pytest.mark.parametrize("make", [*LOCKS.values()], ids=[*LOCKS])
async def test_a_lock_of_an_async_function_is_given_as_it_is(
    docket: Docket, make: Callable[[], Any], wrap: Any
) -> None:
    async def lock() -> Any:
        return make()

    got: list[Any] = []

    async def task(lock: Any = wrap(lock)) -> None:
        got.append(lock)

    assert await outcome(docket, task) is None
    assert isinstance(got[0], type(make()))


@one_loop
@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Semaphore, threading.Condition])
async def test_a_lock_of_threads_does_not_block_the_loop(docket: Docket, make: Callable[[], Any]) -> None:
    lock = make()

    async def task(lock: Any = Depends(lambda: lock)) -> None: ...

    error = await outcome(docket, task)
    assert isinstance(error, ExceptionGroup)
    assert "block the event loop" in str(error.exceptions[0])
    assert lock.acquire(blocking=False)


@asyncio_and_trio
async def test_a_lock_that_a_plain_function_returns_is_held_for_the_run(docket: Docket) -> None:
    door = anyio.Lock()
    seen: list[Any] = []

    async def task(held: None = Depends(lambda: door)) -> None:
        seen.append((held, door.locked()))

    assert await outcome(docket, task) is None
    assert seen == [(None, True)]
    assert not door.locked()
