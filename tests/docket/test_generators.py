"""Generator functions, of which a call runs nothing: refused as tasks, and as what supplies a dependency."""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import pytest
import uncalled_for

from docket import Agenda, Depends, Docket, Shared, Worker
from docket.client import check_function, check_returned
from docket.execution import TaskCall
from tests.docket.conftest import later, work
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]


def plain(n: int = 1) -> Iterator[int]:
    yield n


async def asynchronous(n: int = 1) -> AsyncIterator[int]:
    yield n


class Methods:
    def plain(self) -> Iterator[int]:
        yield 1

    async def asynchronous(self) -> AsyncIterator[int]:
        yield 1

    @classmethod
    def of_class(cls) -> Iterator[int]:
        yield 1

    @staticmethod
    def static() -> Iterator[int]:
        yield 1


class Plain:
    __name__ = "plain_object"

    def __call__(self) -> Iterator[int]:
        yield 1


class Asynchronous:
    __name__ = "async_object"

    async def __call__(self) -> AsyncIterator[int]:
        yield 1


def part(function: Any) -> Any:
    made: Any = functools.partial(function)
    made.__name__ = "part"
    return made


GENERATORS: dict[str, Any] = {
    "plain": plain,
    "async": asynchronous,
    "method": Methods().plain,
    "async method": Methods().asynchronous,
    "class method": Methods.of_class,
    "static method": Methods.static,
    "static method itself": Methods.__dict__["static"],
    "object": Plain(),
    "async object": Asynchronous(),
    "partial": part(plain),
    "partial of partial": part(functools.partial(asynchronous, 1)),
    "partial of a method": part(Methods().plain),
    "partial of an object": part(Plain()),
}
collection = [plain]


@pytest.fixture(params=GENERATORS.values(), ids=GENERATORS)
def generator(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_it_is_no_task(docket: Docket, generator: Any) -> None:
    for attempt in (
        lambda: docket.register(generator),
        lambda: docket.register(generator, names=["other"]),
        lambda: docket.add(generator),
        lambda: docket.replace(generator, later(), "k"),
        lambda: docket.call(generator),
        lambda: Agenda().add(generator),
        lambda: Worker(docket, fallback_task=generator),
    ):
        with pytest.raises(TypeError, match="is a generator function"):
            attempt()
    with pytest.raises(TypeError, match="is a generator function"):
        await docket.add_many([TaskCall(generator, (), {}, "k", later())])
    assert not {"plain", "other", "asynchronous"} & docket.tasks.keys()
    assert (await docket.snapshot()).total_tasks == 0


async def test_nor_is_one_of_a_collection(docket: Docket) -> None:
    with pytest.raises(TypeError, match="plain is a generator function"):
        docket.register_collection("tests.docket.test_generators:collection")


async def test_it_supplies_no_dependency(generator: Any) -> None:
    for kind in Depends, Shared:
        with pytest.raises(
            TypeError, match=f"{kind.__name__} takes a function or a context manager, and .*contextmanager"
        ):
            kind(generator)


async def test_nor_where_the_engine_was_asked_for_it(docket: Docket) -> None:
    def deeper(n: Any = uncalled_for.Shared(plain)) -> int:
        return 1

    async def direct(n: Any = uncalled_for.Depends(asynchronous)) -> None: ...
    async def through(n: Any = Depends(deeper)) -> None: ...

    for task in direct, through:
        with pytest.raises(TypeError, match="is a generator function"):
            docket.register(task)
    with pytest.raises(TypeError, match="is a generator function"):
        Worker(docket, dependencies=[uncalled_for.Depends(plain)])


async def test_context_managers_made_of_generators_supply_what_they_yield(docket: Docket) -> None:
    async def task(
        a: int = Depends(contextmanager(plain)),
        b: int = Depends(asynccontextmanager(asynchronous)),
        c: int = Shared(contextmanager(plain)),
        d: Annotated[int, "e"] = Depends(functools.partial(asynccontextmanager(asynchronous), 7)),
    ) -> list[int]:
        return [a, b, c, d]

    execution = await docket.add(task)()
    await work(docket)
    assert await execution.get_result() == [1, 1, 1, 7]


def awaited() -> Any:
    @types.coroutine
    def old() -> Iterator[None]:
        return 7
        yield

    return old


async def test_a_coroutine_that_is_a_generator_is_a_task(docket: Docket) -> None:
    execution = await docket.add(awaited())()
    await work(docket)
    assert await execution.get_result() == 7


def test_what_is_no_generator_function_is_taken() -> None:
    class Callable:
        def __call__(self) -> None: ...

    for function in (
        len,
        print,
        Callable(),
        Callable,
        functools.partial(len, []),
        str.upper,
        contextmanager(plain),
    ):
        check_function(function)


def test_what_a_task_returned_is_looked_at() -> None:
    for made in plain(), (n for n in range(3)), asynchronous():
        with pytest.raises(
            TypeError, match=r"task 'f' returned an? (async_)?generator, of which nothing has run"
        ):
            check_returned(made, "f")
    for value in None, 1, [1], iter([]), range(3), awaited()():
        check_returned(value, "f")
