"""What a task asks for in its signature is there when it runs, and is closed when it has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated, Any, ClassVar

import anyio
import pytest

from docket import (
    CallArgument,
    CurrentDocket,
    CurrentExecution,
    CurrentWorker,
    Depends,
    Docket,
    Execution,
    Retry,
    TaskArgument,
    TaskKey,
    TaskLogger,
    Worker,
)
from docket.dependencies import Dependency, FailedDependency, resolved_dependencies
from docket.execution import ExecutionState
from tests.worker.conftest import PATIENCE

pytestmark = pytest.mark.anyio


async def run(docket: Docket, **settings: Any) -> None:
    with anyio.fail_after(PATIENCE):
        async with Worker(docket, "worker", **settings) as worker:
            await worker.run_until_finished()


async def test_functions_and_context_managers_of_both_kinds_are_resolved(docket: Docket) -> None:
    seen: list[str] = []

    def plain() -> str:
        return "plain"

    async def coroutine() -> str:
        return "coroutine"

    @contextmanager
    def manager() -> Generator[str]:
        yield "manager"
        seen.append("manager closed")

    @asynccontextmanager
    async def async_manager() -> AsyncGenerator[str]:
        await anyio.sleep(0)
        yield "async manager"
        seen.append("async manager closed")

    async def task(
        a: str = Depends(plain),
        b: str = Depends(coroutine),
        c: str = Depends(manager),
        d: str = Depends(async_manager),
    ) -> list[str]:
        assert not seen
        return [a, b, c, d]

    execution = await docket.add(task)()
    await run(docket)
    assert await execution.get_result() == ["plain", "coroutine", "manager", "async manager"]
    assert seen == ["async manager closed", "manager closed"]


async def test_what_plain_functions_make_is_awaited_or_entered_in_order_and_made_once_per_run(
    docket: Docket,
) -> None:
    seen: list[str] = []

    class Manager:
        async def __aenter__(self) -> str:
            seen.append("entered")
            return "managed"

        async def __aexit__(self, *raised: object) -> None:
            seen.append("left")

    async def awaited() -> str:
        seen.append("awaited")
        return "awaited"

    def first() -> str:
        seen.append("first")
        return "first"

    def makes_a_coroutine() -> Any:
        return awaited()

    def makes_a_manager() -> Any:
        return Manager()

    def last() -> str:
        seen.append("last")
        return "last"

    async def task(
        a: str = Depends(first),
        b: str = Depends(makes_a_coroutine),
        c: str = Depends(makes_a_manager),
        d: str = Depends(last),
    ) -> list[str]:
        seen.append("body")
        return [a, b, c, d]

    for _ in range(2):  # the second one knows that these are no plain values
        execution = await docket.add(task)()
        await run(docket)
        assert await execution.get_result() == ["first", "awaited", "managed", "last"]
        assert seen == ["first", "awaited", "entered", "last", "body", "left"]
        seen.clear()


async def test_a_run_is_stopped_while_what_a_plain_function_has_made_is_awaited(docket: Docket) -> None:
    waiting = anyio.Event()
    began: list[str] = []

    async def endless() -> None:
        waiting.set()
        await anyio.sleep_forever()

    def makes_a_coroutine() -> Any:
        return endless()

    async def task(value: Any = Depends(makes_a_coroutine), retry: Retry = Retry(attempts=2)) -> None:
        began.append("body")

    docket.register(task)
    execution = await docket.add(task)()
    async with Worker(docket, "worker") as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_until_finished)
        with anyio.fail_after(PATIENCE):
            await waiting.wait()
            await docket.cancel(execution.key)
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED
    assert began == []


async def test_a_dependency_is_resolved_once_per_execution_also_where_others_depend_on_it(
    docket: Docket,
) -> None:
    made: list[object] = []

    def connection() -> object:
        made.append(object())
        return made[-1]

    def store(connection: object = Depends(connection)) -> object:
        return connection

    seen: list[bool] = []

    async def task(own: object = Depends(connection), of_store: object = Depends(store)) -> None:
        seen.append(own is of_store)

    await docket.add(task)()
    await docket.add(task)()
    await run(docket)
    assert seen == [True, True]
    assert len(made) == 2


async def test_a_dependency_can_be_bound_to_values_and_to_arguments_of_the_call(docket: Docket) -> None:
    def account(owner: str, bank: str) -> str:
        return f"{owner}@{bank}"

    async def task(
        customer: str, account: str = Depends(account, owner=CallArgument("customer"), bank="north")
    ) -> str:
        return account

    execution = await docket.add(task)("jane")
    await run(docket)
    assert await execution.get_result() == "jane@north"


async def test_a_dependency_reads_arguments_of_the_task_by_its_own_names_or_by_theirs(docket: Docket) -> None:
    def greeting(
        name: str = TaskArgument(), n: int = TaskArgument("count"), other: Any = TaskArgument(optional=True)
    ) -> str:
        return f"{name} x{n} {other}"

    async def task(name: str, count: int = 2, greeting: str = Depends(greeting)) -> str:
        return greeting

    execution = await docket.add(task)("jane", count=3)
    await run(docket)
    assert await execution.get_result() == "jane x3 None"


async def test_an_argument_that_the_call_gives_keeps_its_dependency_closed(docket: Docket) -> None:
    opened: list[str] = []

    def database() -> str:
        opened.append("database")
        return "the real one"

    async def task(database: str = Depends(database)) -> str:
        return database

    execution = await docket.add(task)(database="a stand-in")
    await run(docket)
    assert await execution.get_result() == "a stand-in"
    assert not opened


async def test_the_docket_the_worker_the_execution_its_key_and_a_logger_can_be_asked_for(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    seen: dict[str, Any] = {}

    async def task(
        on: Docket = CurrentDocket(),
        by: Worker = CurrentWorker(),
        execution: Execution[Any] = CurrentExecution(),
        key: str = TaskKey(),
        logger: Any = TaskLogger(),
    ) -> None:
        seen.update(docket=on, worker=by.name, key=key, execution=execution.key)
        logger.warning("working", extra={"step": 1})

    await docket.add(task, key="the-key")()
    await run(docket)
    assert seen == {"docket": docket, "worker": "worker", "key": "the-key", "execution": "the-key"}
    [record] = [record for record in caplog.records if record.name == "docket.task.task"]
    assert record.getMessage() == "working"
    assert vars(record)["docket.key"] == "the-key"
    assert vars(record)["step"] == 1


class Noted(Dependency[None]):
    """Notes what it was bound to, and in which execution."""

    notes: ClassVar[list[tuple[str, str, int]]] = []

    def __init__(self, name: str = "", value: int = 0) -> None:
        self.name, self.value = name, value

    def bind_to_parameter(self, name: str, value: Any) -> Noted:
        return Noted(name, value)

    async def __aenter__(self) -> None:
        self.notes.append((self.execution.get().key, self.name, self.value))


async def test_metadata_is_bound_to_its_parameter_and_its_value_or_default(docket: Docket) -> None:
    async def task(number: Annotated[int, Noted] = 5) -> int:
        return number

    Noted.notes.clear()
    first = await docket.add(task, key="first")(4)
    await docket.add(task, key="second")()
    await run(docket)
    assert await first.get_result() == 4
    assert sorted(Noted.notes) == [("first", "number", 4), ("second", "number", 5)]


async def test_a_retry_in_metadata_counts_like_one_that_is_a_default(docket: Docket) -> None:
    runs: list[int] = []

    async def task(number: Annotated[int, Retry(attempts=3)]) -> None:
        runs.append(number)
        raise ValueError("again")

    await docket.add(task)(1)
    await run(docket)
    assert runs == [1, 1, 1]


async def test_dependencies_that_fail_are_named_in_the_group_that_the_task_fails_with(docket: Docket) -> None:
    ran: list[str] = []

    def broken() -> str:
        raise RuntimeError("no connection")

    async def also_broken() -> str:
        raise LookupError("no host")

    def fine() -> str:
        return "fine"

    async def task(a: str = Depends(broken), b: str = Depends(also_broken), c: str = Depends(fine)) -> None:
        ran.append("task")

    execution = await docket.add(task)()
    await run(docket)
    with pytest.raises(
        ExceptionGroup, match=r"Failed to resolve dependencies for parameter\(s\): a, b"
    ) as info:
        await execution.get_result()
    assert [type(error) for error in info.value.exceptions] == [RuntimeError, LookupError]
    assert not ran


async def test_a_failed_dependency_is_tried_again_with_the_task(docket: Docket) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "there"

    async def task(a: str = Depends(flaky), retry: Retry = Retry(attempts=3)) -> str:
        return a

    execution = await docket.add(task)()
    await run(docket)
    assert await execution.get_result() == "there"


async def test_what_resolved_is_closed_where_another_dependency_failed(docket: Docket) -> None:
    closed: list[str] = []

    @contextmanager
    def resource() -> Generator[str]:
        try:
            yield "resource"
        finally:
            closed.append("resource")

    def broken() -> str:
        raise RuntimeError("broken")

    async def task(a: str = Depends(resource), b: str = Depends(broken)) -> None: ...

    await docket.add(task)()
    await run(docket)
    assert closed == ["resource"]


async def test_a_context_manager_sees_the_error_of_the_body_and_may_suppress_it(docket: Docket) -> None:
    seen: list[str] = []

    @contextmanager
    def forgiving() -> Generator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(str(error))

    async def task(forgiving: None = Depends(forgiving)) -> None:
        raise ValueError("forgiven")

    execution = await docket.add(task)()
    await run(docket)
    await execution.sync()
    assert seen == ["forgiven"]
    assert execution.state is ExecutionState.COMPLETED


async def test_a_context_manager_that_suppresses_everything_does_not_make_a_stopped_run_complete(
    docket: Docket,
) -> None:
    """I6: what was cancelled is cancelled."""
    began = anyio.Event()

    @contextmanager
    def swallowing() -> Generator[None]:
        with suppress(BaseException):
            yield

    async def task(swallowed: None = Depends(swallowing)) -> None:
        began.set()
        await anyio.sleep_forever()

    execution = await docket.add(task)()
    async with anyio.create_task_group() as group:
        group.start_soon(run, docket)
        await began.wait()
        await docket.cancel(execution.key)
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_an_error_on_closing_fails_the_task(docket: Docket) -> None:
    @asynccontextmanager
    async def resource() -> AsyncGenerator[None]:
        yield
        raise OSError("cannot commit")

    async def task(resource: None = Depends(resource)) -> int:
        return 1

    execution = await docket.add(task)()
    await run(docket)
    with pytest.raises(OSError, match="cannot commit"):
        await execution.get_result()


async def test_a_cancelled_body_closes_its_dependencies_undisturbed(docket: Docket) -> None:
    started, closed = anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def resource() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await anyio.sleep(0)  # an await that a cancellation would cut short
            closed.set()

    async def task(resource: None = Depends(resource)) -> None:
        started.set()
        await anyio.sleep_forever()

    execution = await docket.add(task, key="k")()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            worker = Worker(docket, "worker")
            group.start_soon(worker.run_until_finished)
            await started.wait()
            await docket.cancel("k")
            await closed.wait()
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_dependencies_of_an_execution_can_be_resolved_by_hand(docket: Docket) -> None:
    def broken() -> str:
        raise RuntimeError("broken")

    async def task(number: int, key: str = TaskKey(), other: str = Depends(broken)) -> None: ...

    execution = await docket.add(task, key="by-hand")(1)
    async with resolved_dependencies(Worker(docket, "worker"), execution) as values:
        assert values["key"] == "by-hand"
        assert isinstance(values["other"], FailedDependency)


async def test_a_dependency_may_resolve_those_of_another_execution(docket: Docket) -> None:
    """What is resolved after it is that of its own run again, and closes with that."""
    seen: list[Any] = []

    async def other(name: str, argument: str = TaskArgument("name")) -> None: ...

    async def resolving(worker: Worker = CurrentWorker()) -> Any:
        async with resolved_dependencies(worker, await worker.docket.add(other)("other")) as values:
            return values["argument"]

    @asynccontextmanager
    async def closing() -> AsyncGenerator[None]:
        yield
        seen.append("closed")

    async def task(
        name: str,
        first: str = Depends(resolving),
        second: str = TaskArgument("name"),
        key: str = TaskKey(),
        third: None = Depends(closing),
    ) -> None:
        seen.extend((first, second, key))

    await docket.add(task, key="mine")("mine")
    await run(docket)
    assert seen == ["other", "mine", "mine", "closed"]


def test_two_of_what_there_may_be_one_of_are_refused_when_the_task_is_registered() -> None:
    async def task(first: Retry = Retry(), second: Retry = Retry()) -> None: ...

    with pytest.raises(ValueError, match="Only one Retry dependency is allowed"):
        Docket(url="memory://conflict").register(task)
