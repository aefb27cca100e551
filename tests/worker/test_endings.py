"""How a body may end, and what is written about it (the table of DESIGN)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Depends, Docket, Perpetual, Retry, Worker
from docket.errors import ExecutionCancelled, ExecutionFailed
from docket.execution import ExecutionState
from docket.rules import Complete, Returned
from docket.store import Delivery, Settled
from docket.worker.roster import Running
from docket.worker.runs.endings import Endings
from tests.where import on_asyncio
from tests.worker.conftest import at_most, drained, working

pytestmark = pytest.mark.anyio


async def nothing_is_left(docket: Docket) -> bool:
    async with docket.redis() as redis:
        return not await redis.xlen(docket.stream_key) and not await redis.zcard(docket.queue_key)


async def test_a_failed_task_is_logged_with_its_traceback_and_its_exception_is_kept(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise ValueError("no good")

    execution = await drained(docket, await docket.add(fails, key="bad")())
    assert (execution.state, execution.error) == (ExecutionState.FAILED, "ValueError: no good")
    with pytest.raises(ValueError, match="no good"):
        await execution.get_result()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "docket.worker"
    assert "bad" in record.message
    assert record.exc_info is not None
    assert "in fails" in logging.Formatter().formatException(record.exc_info)
    assert await nothing_is_left(docket)


async def test_a_result_that_cannot_be_pickled_fails_the_task_only(docket: Docket) -> None:
    async def unpicklable() -> object:
        return threading.Lock()

    async def fine() -> int:
        return 1

    bad, good = await docket.add(unpicklable)(), await docket.add(fine)()
    await drained(docket, bad)
    with pytest.raises(TypeError, match="result of task 'unpicklable' cannot be pickled"):
        await bad.get_result()
    assert await good.get_result() == 1


async def test_an_end_is_written_under_the_claim_that_is_ours_by_then(docket: Docket) -> None:
    """The server can have lost the first claim; a second one is made while the end waits for an answer."""

    async def task() -> None: ...

    execution = await docket.add(task)()
    claims = docket.store.claims("w")
    await claims.create_group()
    [first] = await claims.take(1, asked="lost")
    assert isinstance(first, Delivery)
    running = Running(first, execution, None, 0.0, 0.0)
    end = await Endings(docket.store, claims).prepare(running, Returned(None), Complete(None), 0.0)
    [second] = await claims.claim_unheard([first.message_id], ["lost"], asked="found")
    assert isinstance(second, Delivery)
    running.claimed_again(second, 0.0)
    assert await end.write() is Settled.OK


async def test_why_a_result_cannot_be_pickled_is_in_the_log(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise ArithmeticError("not me")

    async def unpicklable() -> Stubborn:
        return Stubborn()

    await drained(docket, await docket.add(unpicklable)())
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    assert isinstance(record.exc_info[1].__cause__, ArithmeticError)


async def test_an_exception_that_cannot_be_pickled_or_shown_is_kept_as_far_as_it_can(docket: Docket) -> None:
    class StrangeError(Exception):
        def __reduce__(self) -> Any:
            raise RuntimeError("not me")

        def __str__(self) -> str:
            raise RuntimeError("nor so")

    async def fails() -> None:
        raise StrangeError

    execution = await drained(docket, await docket.add(fails)())
    assert execution.error == "StrangeError: (str() of it raised RuntimeError)"


@pytest.mark.parametrize("error", [SystemExit(3), ExceptionGroup("two", [ValueError(1), OSError(2)])])
async def test_whatever_a_body_raises_fails_the_task_and_the_worker_goes_on(
    docket: Docket, error: BaseException
) -> None:
    async def fails() -> None:
        raise error

    async def fine() -> int:
        return 1

    bad, good = await docket.add(fails)(), await docket.add(fine)()
    await drained(docket, bad)
    assert bad.state is ExecutionState.FAILED
    assert str(bad.error).startswith(type(error).__name__)
    assert await good.get_result() == 1


@pytest.mark.parametrize("error", [RuntimeError("mine"), RecursionError("mine"), NotImplementedError("mine")])
async def test_a_runtime_error_of_the_bodys_own_is_not_taken_for_a_scope_left_open(
    docket: Docket, error: RuntimeError
) -> None:
    """Which is what anyio raises one for."""

    async def fails() -> None:
        raise error

    execution = await drained(docket, await docket.add(fails)())
    assert execution.error == f"{type(error).__name__}: mine"


async def test_an_exception_of_no_known_kind_fails_the_task_only(docket: Docket) -> None:
    class Odd(BaseException): ...

    async def fails() -> None:
        raise BaseExceptionGroup("odd", [Odd(), SystemExit(1)])

    execution = await drained(docket, await docket.add(fails)())
    assert execution.state is ExecutionState.FAILED


async def test_a_failing_child_of_a_task_group_fails_the_task(docket: Docket) -> None:
    async def fails() -> None:
        async def child() -> None:
            raise ValueError("a child")

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            group.start_soon(anyio.sleep_forever)

    execution = await drained(docket, await docket.add(fails)())
    with pytest.raises(ExceptionGroup) as caught:
        await execution.get_result()
    assert caught.group_contains(ValueError, match="a child")


async def test_retries_run_until_one_succeeds_and_count_their_attempts(docket: Docket) -> None:
    attempts: list[int] = []

    async def flaky(retry: Retry = Retry(attempts=5)) -> str:
        attempts.append(retry.attempt)
        if len(attempts) < 3:
            raise ValueError(len(attempts))
        return "at last"

    execution = await drained(docket, await docket.add(flaky)())
    assert attempts == [1, 2, 3]
    assert await execution.get_result() == "at last"


async def test_retries_end_with_the_last_attempts_error(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(retry: Retry = Retry(attempts=3, delay=timedelta(milliseconds=5))) -> None:
        raise ValueError(retry.attempt)

    execution = await drained(docket, await docket.add(fails)())
    assert (execution.state, execution.error) == (ExecutionState.FAILED, "ValueError: 3")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]


async def test_a_perpetual_task_runs_again_until_it_cancels_itself_also_after_failures(
    docket: Docket,
) -> None:
    runs: list[int] = []

    async def chain(number: int, perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=5))) -> None:
        runs.append(number)
        perpetual.perpetuate(number + 1)
        if number == 4:
            perpetual.cancel()
        if number == 2:
            raise ValueError("a bad day")

    execution = await drained(docket, await docket.add(chain, key="chain")(1))
    assert runs == [1, 2, 3, 4]
    assert execution.state is ExecutionState.COMPLETED


async def test_a_perpetual_task_is_retried_before_its_next_run(docket: Docket) -> None:
    runs: list[tuple[int, int]] = []

    async def chain(
        number: int, retry: Retry = Retry(attempts=2), perpetual: Perpetual = Perpetual()
    ) -> None:
        runs.append((number, retry.attempt))
        perpetual.perpetuate(number + 1)
        if number == 2:
            perpetual.cancel()
        raise ValueError("never good")

    execution = await drained(docket, await docket.add(chain, key="chain")(1))
    assert runs == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert execution.state is ExecutionState.FAILED


async def test_a_next_call_that_cannot_be_pickled_fails_the_run_and_the_chain_goes_on_with_what_it_had(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """I9."""
    seen: list[Any] = []

    async def chain(argument: Any, perpetual: Perpetual = Perpetual()) -> None:
        seen.append(argument)
        if len(seen) == 2:
            perpetual.cancel()
        else:
            perpetual.perpetuate(number for number in range(3))

    async def fine() -> int:
        return 1

    bad, good = await docket.add(chain)("first"), await docket.add(fine)()
    await drained(docket, bad)
    assert seen == ["first", "first"]
    assert bad.state is ExecutionState.COMPLETED
    assert await good.get_result() == 1
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "chain" in said.getMessage()
    assert bad.key in said.getMessage()
    assert said.exc_info
    assert "next arguments of task 'chain' cannot be pickled" in str(said.exc_info[1])


async def test_an_automatic_perpetual_task_needs_nobody_to_add_it(docket: Docket) -> None:
    ran = anyio.Event()

    async def by_itself(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        perpetual.cancel()
        ran.set()

    docket.register(by_itself)
    async with working(Worker(docket)):
        await ran.wait()


async def test_automatic_tasks_may_be_left_alone(docket: Docket) -> None:
    async def by_itself(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        raise AssertionError("nobody added it")

    docket.register(by_itself)
    async with at_most():
        await Worker(docket, schedule_automatic_tasks=False).run_until_finished()
    assert await docket.get_execution("by_itself") is None


async def test_a_dependency_that_cannot_be_had_fails_the_task_and_is_named(docket: Docket) -> None:
    async def broken() -> int:
        raise OSError("no connection")

    async def task(number: int = Depends(broken)) -> None:
        raise AssertionError("must not run")

    execution = await drained(docket, await docket.add(task)())
    with pytest.raises(ExceptionGroup, match=r"Failed to resolve dependencies for parameter\(s\): number"):
        await execution.get_result()


async def test_dependencies_close_before_the_end_is_written(docket: Docket) -> None:
    states: list[ExecutionState] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[int]:
        yield 1
        await anyio.sleep(0)
        await execution.sync()
        states.append(execution.state)

    async def task(number: int = Depends(opened)) -> None: ...

    execution = await docket.add(task)()
    await drained(docket, execution)
    assert states == [ExecutionState.RUNNING]
    assert execution.state is ExecutionState.COMPLETED


async def test_a_task_replaced_while_it_runs_does_not_overwrite_its_successor(docket: Docket) -> None:
    """I2, I5: SUPERSEDED; and its stream entry is removed."""
    ran: list[str] = []

    async def task(which: str) -> str:
        ran.append(which)
        if which == "old":
            await docket.replace(task, docket_now(), "key")("new")
        return which

    execution = await drained(docket, await docket.add(task, key="key")("old"))
    assert ran == ["old", "new"]
    assert await execution.get_result() == "new"
    assert await nothing_is_left(docket)


async def test_a_task_replaced_by_a_later_run_leaves_that_one_scheduled(docket: Docket) -> None:
    done = anyio.Event()

    async def task() -> None:
        await docket.replace(task, docket_now() + timedelta(days=1), "key")()
        done.set()

    await docket.add(task, key="key")()
    async with working(Worker(docket)):
        await done.wait()
    execution = await docket.get_execution("key")
    assert execution is not None
    assert execution.state is ExecutionState.SCHEDULED
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 0


def docket_now() -> Any:
    from docket import clock

    return clock.now()


class Broken:
    """A result storage that is down."""

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return None

    async def put(
        self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        raise ConnectionResetError("the storage is down")


async def test_a_result_storage_that_fails_fails_the_task_only(docket: Docket) -> None:
    """I9."""

    async def task(number: int) -> int:
        return number

    docket.result_storage = Broken()
    execution = await drained(docket, await docket.add(task)(1))
    assert execution.state is ExecutionState.FAILED
    assert "cannot be stored: the storage is down" in str(execution.error)


async def test_a_result_that_no_server_takes_fails_the_task_only(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I9. The server would close the connection, again each time that the worker tries."""

    async def task() -> bytes:
        return b"x" * 2000

    monkeypatch.setattr("docket.worker.runs.endings.LONGEST", 1000)
    execution = await drained(docket, await docket.add(task)())
    assert execution.state is ExecutionState.FAILED
    assert "pickled it has" in str(execution.error)


class TestOnAsyncio:
    """What only asyncio allows: a body that cancels itself."""

    pytestmark = on_asyncio

    async def test_a_body_that_raises_cancelled_error_by_itself_is_cancelled(self, docket: Docket) -> None:
        async def gives_up() -> None:
            raise asyncio.CancelledError

        execution = await drained(docket, await docket.add(gives_up)())
        assert execution.state is ExecutionState.CANCELLED
        assert await nothing_is_left(docket)

    async def test_a_body_that_cancels_its_own_task_harms_only_itself(self, docket: Docket) -> None:
        """I9."""

        async def gives_up() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        async def fine() -> int:
            return 1

        execution, other = await docket.add(gives_up)(), await docket.add(fine)()
        await drained(docket, execution)
        assert execution.state is ExecutionState.CANCELLED
        assert await other.get_result() == 1

    async def test_a_claim_is_not_begun_again_where_its_task_is_cancelled_in_its_last_step(
        self, docket: Docket
    ) -> None:
        """I9. As a handler of the log may do that is told of a superseded run: the cancellation is never delivered."""
        runs: list[int] = []

        class Cancels(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                task = asyncio.current_task()
                if task is not None and "superseded" in record.getMessage():
                    task.cancel()

        async def replaces_itself(number: int) -> None:
            runs.append(number)
            if number == 1:
                await docket.replace(replaces_itself, datetime.now(UTC), "key")(2)

        logger, handler = logging.getLogger("docket"), Cancels()
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            execution = await docket.add(replaces_itself, key="key")(1)
            await drained(docket, execution)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        assert runs == [1, 2]

    async def test_tasks_that_another_one_cancels_at_each_step_come_to_an_end(self, docket: Docket) -> None:
        """I9. Also before the first step of their own."""

        async def victim() -> None:
            await anyio.sleep(0)

        async def cancels() -> int:
            victims = [await docket.add(victim)() for _ in range(10)]
            for _ in range(200):
                for task in asyncio.all_tasks():
                    if task.get_name() == "victim":
                        task.cancel()
                await asyncio.sleep(0)
            for each in victims:
                with contextlib.suppress(ExecutionCancelled, ExecutionFailed):
                    await each.get_result()
            return len(victims)

        execution = await drained(docket, await docket.add(cancels)())
        assert await execution.get_result() == 10
        assert await nothing_is_left(docket)

    async def test_each_body_runs_in_an_asyncio_task_of_the_loops_factory(self, docket: Docket) -> None:
        made: list[object] = []

        def factory(loop: Any, coro: Any, **options: Any) -> Any:
            made.append(asyncio.Task(coro, loop=loop, **options))
            return made[-1]

        async def task() -> bool:
            return asyncio.current_task() in made

        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        try:
            execution = await drained(docket, await docket.add(task)())
            assert loop.get_task_factory() is factory, "as it was"
        finally:
            loop.set_task_factory(None)
        assert await execution.get_result()
