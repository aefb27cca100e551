"""Each line of this passes; each assertion is one of the type checker, and nothing here runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, assert_type

from docket import (
    Agenda,
    CurrentExecution,
    Depends,
    Docket,
    Execution,
    Priority,
    Progress,
    Shared,
    TaskCall,
    remote_task,
)
from docket.dependencies import TaskOutcome
from docket.execution import ExecutionProgress
from docket.testing import VirtualClock


async def add(a: int, b: int = 0) -> int:
    return a + b


async def nothing(name: str) -> None: ...


def plain(name: str) -> list[str]:
    return [name]


async def vague(a: dict[str, Any], b: Any = None) -> int:
    return len(a)


async def anything() -> Any: ...


def vague_and_plain(a: Any) -> list[str]:
    return [a]


class Office:
    async def open(self, hour: int, minute: int, second: int) -> float:
        return hour + minute / 60 + second / 3600


all_tasks = [add, nothing, plain, Office().open]


async def results(docket: Docket, when: datetime) -> None:
    execution = await docket.add(add)(1, b=2)
    assert_type(execution, Execution[int])
    assert_type(await execution.get_result(), int)
    assert_type(await (await docket.add(nothing, key="k")("x")).get_result(), None)
    assert_type(await docket.add(add, priority="high")(1), Execution[int])
    assert_type(await docket.add(add, key="k", if_running="once_more")(1), Execution[int])
    assert_type(await docket.run_once(add, key="k", if_running="once_more")(1), Execution[int])
    assert_type(await docket.replace(add, when, "k", priority=Priority.LOW)(1), Execution[int])
    assert_type(execution.priority, Priority)
    assert_type(await (await docket.replace(add, when, "k")(1)).get_result(), int)
    assert_type(await docket.add("add")(1), Execution[Any])
    assert_type(await docket.add(plain)("x"), Execution[list[str]])
    wider: Execution[float] = execution
    print(wider)


async def batches(docket: Docket) -> None:
    assert_type(docket.call(add)(1), TaskCall[int])
    assert_type(docket.call(plain)("x"), TaskCall[list[str]])
    executions = await docket.add_many(docket.call(add)(number) for number in range(3))
    assert_type(executions, list[Execution[int]])
    assert_type(await executions[0].get_result(), int)
    assert_type(await docket.replace_many([docket.call(plain)("x")]), list[Execution[list[str]]])
    calls: list[TaskCall] = [docket.call(add)(1), docket.call(plain)("x"), docket.call("name")()]
    assert_type(await docket.add_many(calls), list[Execution[Any]])


@remote_task
async def stub(customer: int, options: dict[str, Any] | None = None) -> str:
    raise NotImplementedError


@remote_task(name="mail.send")
def plain_stub(to: str) -> None: ...


async def remote(docket: Docket, when: datetime) -> None:
    assert_type(await docket.add(stub)(1), Execution[str])
    assert_type(await docket.replace(stub, when, "k")(1, options={}), Execution[str])
    assert_type(await docket.add_many([docket.call(stub)(1)]), list[Execution[str]])
    assert_type(await docket.add(plain_stub)("x"), Execution[None])
    assert_type(await docket.add(remote_task(add))(1, b=2), Execution[int])
    assert_type(await docket.add(remote_task("add"))(1, b=2), Execution[Any])
    await docket.strike(stub)
    Agenda().add(stub)(1)


def registering(docket: Docket) -> None:
    for task in all_tasks:
        docket.register(task)
    for task in (add, plain):
        docket.register(task)


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


async def enqueue(
    docket: Docket, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs
) -> Execution[R]:
    return await docket.add(function)(*args, **kwargs)


async def generic(value: T) -> list[T]:
    return [value]


async def awkward(docket: Docket, when: datetime) -> None:
    assert_type(await docket.add(vague)({}), Execution[int])
    assert_type(await docket.add(anything)(), Execution[Any])
    assert_type(await docket.add(vague_and_plain)(1), Execution[list[str]])
    assert_type(await docket.add(generic)(1), Execution[list[int]])
    assert_type(await docket.replace(vague, when, "k")({}), Execution[int])
    assert_type(docket.call(vague)({}), TaskCall[int])
    assert_type(await docket.add(bare)(await docket.add(add)(1)), Execution[Execution | None])
    assert_type(await enqueue(docket, vague, {}), Execution[int])
    adding: Callable[[int], Coroutine[Any, Any, Execution[int]]] = docket.add(add)
    print(adding)


@asynccontextmanager
async def asynchronously(a: Any = None) -> AsyncGenerator[int]:
    yield 1


@contextmanager
def synchronously(a: Any = None) -> Generator[int]:
    yield 1


def dependencies() -> None:
    assert_type(Depends(vague), int)
    assert_type(Depends(vague_and_plain), list[str])
    assert_type(Depends(asynchronously), int)
    assert_type(Depends(synchronously), int)
    assert_type(Shared(asynchronously), int)


async def bare(execution: Execution, me: Execution = CurrentExecution()) -> Execution | None:
    assert_type(await execution.get_result(), Any)
    return me


async def reporting(
    one: ExecutionProgress = Progress(), two: Progress = Progress(), three: ExecutionProgress | None = None
) -> int | None:
    await one.increment()
    await two.set_message("half")
    assert_type(one.message, str | None)
    assert_type(two.message, str | None)
    return two.current if three is None else three.current


async def handle_failure(execution: Execution, outcome: TaskOutcome) -> bool:
    return execution.attempt > 1 and outcome.exception is not None


async def test_a_reminder(docket: Docket, virtual_clock: VirtualClock) -> None:
    assert_type(virtual_clock.now(), datetime)
