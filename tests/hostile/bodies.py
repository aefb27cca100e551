# ruff: noqa: E501 - a row is a line
"""Where it is raised: bodies, threads, dependencies as they open and close, handlers, conditions, the worker's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NoReturn

import anyio
import attrs

from docket import CurrentExecution, Depends, Execution, Perpetual, Retry, Shared
from docket.dependencies import CompletionHandler, Dependency, FailureHandler, Runtime, TaskOutcome
from docket.errors import ExecutionFailed
from tests.hostile.harness import ASYNCIO, NAME, Function, Row, chain_goes_on, fails, returns, two_runs

__all__ = ["BODIES"]


class Unknown(BaseException):
    """An exception that is no `Exception`, of nobody we know."""


#: What must not get out of a claim, and is seen by who asks for the result as an `Exception`.
ENDS: list[Callable[[], BaseException]] = [
    lambda: SystemExit(3), lambda: GeneratorExit("bye"), lambda: Unknown("who knows"), lambda: StopIteration(7),
    lambda: StopAsyncIteration(7), lambda: RecursionError("too deep"), lambda: MemoryError("too much"),
]  # fmt: skip

#: What `get_result` raises where a body raises one of them; ExecutionFailed for the others.
SEEN_AS: dict[type[BaseException], type[Exception]] = {
    StopIteration: RuntimeError,  # Python makes it of what leaves a coroutine
    RecursionError: RecursionError,
    MemoryError: MemoryError,
}

#: The first two of these stand for the others where time is short.
SHORT = 2

Thrower = Callable[[], NoReturn]


# where --------------------------------------------------------------------------------------------------------


def body(throw: Thrower) -> Function:
    async def culprit() -> None:
        throw()

    return culprit


def after_a_step(throw: Thrower) -> Function:
    async def culprit() -> None:
        await anyio.sleep(0)
        throw()

    return culprit


def thread(throw: Thrower) -> Function:
    def culprit() -> None:
        throw()

    return culprit


def child(throw: Thrower) -> Function:
    async def culprit() -> None:
        async def run() -> None:
            throw()

        async with anyio.create_task_group() as group:
            group.start_soon(run)

    return culprit


def opening(throw: Thrower) -> Function:
    async def opens() -> None:
        throw()

    async def culprit(it: None = Depends(opens)) -> None: ...

    return culprit


def plain_opening(throw: Thrower) -> Function:
    def opens() -> None:
        throw()

    async def culprit(it: None = Depends(opens)) -> None: ...

    return culprit


def entering(throw: Thrower) -> Function:
    @asynccontextmanager
    async def opens() -> AsyncGenerator[None]:
        throw()
        yield

    async def culprit(it: None = Depends(opens)) -> None: ...

    return culprit


def closing(throw: Thrower) -> Function:
    @asynccontextmanager
    async def closes() -> AsyncGenerator[None]:
        yield
        throw()

    async def culprit(it: None = Depends(closes)) -> None: ...

    return culprit


def plain_closing(throw: Thrower) -> Function:
    @contextmanager
    def closes() -> Generator[None]:
        yield
        throw()

    async def culprit(it: None = Depends(closes)) -> None: ...

    return culprit


def closing_after_a_failure(throw: Thrower) -> Function:
    @asynccontextmanager
    async def closes() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            throw()

    async def culprit(it: None = Depends(closes)) -> None:
        raise ValueError("the body")

    return culprit


def sharing(throw: Thrower) -> Function:
    @asynccontextmanager
    async def shares() -> AsyncGenerator[None]:
        throw()
        yield

    async def culprit(it: None = Shared(shares)) -> None: ...

    return culprit


def a_class_of_ones_own(throw: Thrower) -> Function:
    class Own(Dependency[None]):
        async def __aenter__(self) -> None:
            throw()

    async def culprit(it: Any = Own()) -> None: ...

    return culprit


def running(throw: Thrower) -> Function:
    class Runs(Runtime[Any]):
        async def __aenter__(self) -> Runs:
            return self

        async def run(self, execution: Any, function: Any, args: Any, kwargs: Any) -> Any:
            throw()

    async def culprit(it: Any = Runs()) -> None: ...

    return culprit


def handling_a_failure(throw: Thrower) -> Function:
    class Handles(FailureHandler[Any]):
        async def __aenter__(self) -> Handles:
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            throw()

    async def culprit(it: Any = Handles()) -> None:
        raise ValueError("the body")

    return culprit


def handling_a_completion(throw: Thrower) -> Function:
    class Handles(CompletionHandler[Any]):
        async def __aenter__(self) -> Handles:
            return self

        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            throw()

    async def culprit(it: Any = Handles()) -> None: ...

    return culprit


PLACES: list[tuple[str, Callable[[Thrower], Function]]] = [
    ("a body", body), ("a body after a step", after_a_step), ("a plain function", thread),
    ("a child of the body", child),
    ("a dependency", opening), ("a plain dependency", plain_opening), ("a context manager as it opens", entering),
    ("a context manager as it closes", closing), ("a plain context manager as it closes", plain_closing),
    ("a context manager as it closes after a failure", closing_after_a_failure),
    ("a shared dependency", sharing), ("a dependency's own class", a_class_of_ones_own), ("a runtime", running),
    ("a failure handler", handling_a_failure), ("a completion handler", handling_a_completion),
]  # fmt: skip


def row(
    place: str, at: Callable[[Thrower], Function], make: Callable[[], BaseException], *, slow: bool
) -> Row:
    def throw() -> NoReturn:
        raise make()

    # What `get_result` raises differs: a group of what dependencies raised, say, or the RuntimeError that Python
    # makes of it. The log says what it was.
    name = type(make()).__name__
    return Row(said=f"{name} out of {place}", make=lambda: at(throw), end=fails(), traced=name, slow=slow)


def chain(make: Callable[[], BaseException]) -> Row:
    """Its first run raises, its second one is the last."""

    def made() -> Function:
        runs, first_was_seen = itertools.count(), anyio.Event()

        async def culprit(perpetual: Perpetual = Perpetual()) -> str:
            if not next(runs):
                raise make()
            await first_was_seen.wait()
            perpetual.cancel()
            return "went on"

        return two_runs(culprit, first_was_seen)

    kind = type(make())
    raised = SEEN_AS.get(kind, ExecutionFailed)
    return Row(said=f"{kind.__name__} in a chain", make=made, end=chain_goes_on(raised, kind.__name__))


def retried(make: Callable[[], BaseException]) -> Row:
    def made() -> Function:
        async def culprit(retry: Retry = Retry(attempts=2)) -> None:
            raise make()

        return culprit

    return Row(said=f"{type(make()).__name__} in every attempt", make=made, end=fails(times=2))


def of_the_worker(make: Callable[[], BaseException]) -> list[Row]:
    """Out of what the worker is given for every task, as it opens and closes: for the culprit alone."""

    def thrown(at: str) -> Any:
        @asynccontextmanager
        async def given(execution: Execution[Any] = CurrentExecution()) -> AsyncGenerator[None]:
            if at == "opens" and execution.function_name == NAME:
                raise make()
            yield
            if at == "closes" and execution.function_name == NAME:
                raise make()

        return Depends(given)

    def made() -> Function:
        async def culprit() -> None: ...

        return culprit

    name = type(make()).__name__
    return [
        Row(said=f"{name} out of a worker's dependency that {at}", make=made, end=fails(), traced=name, worker={"dependencies": [thrown(at)]})
        for at in ("opens", "closes")
    ]  # fmt: skip


class Particular(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit("who asks?")

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise SystemExit("who asks?")


class WithACondition(ValueError, metaclass=Particular):
    pass


def conditional() -> Function:
    retry = Retry(attempts=2)
    retry.on = (WithACondition,)

    async def culprit(retry: Retry = retry) -> None:
        raise ValueError("the body")

    return culprit


def group_of_asyncio() -> Function:
    async def child() -> None:
        raise SystemExit(3)

    async def culprit() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    return culprit


def suppressing() -> Function:
    """A dependency that suppresses what ends the program of who awaits it."""

    @asynccontextmanager
    async def suppresses() -> AsyncGenerator[None]:
        with suppress(BaseException):
            yield

    async def culprit(it: None = Depends(suppresses)) -> None:
        raise SystemExit(3)

    return culprit


def shared_that_closes(make: Callable[[], BaseException]) -> Callable[[], Function]:
    """What is shared closes as the worker ends."""

    def made() -> Function:
        @asynccontextmanager
        async def shares() -> AsyncGenerator[None]:
            yield
            raise make()

        async def culprit(it: None = Shared(shares)) -> str:
            return "returned"

        return culprit

    return made


class Awaits:
    """What a plain function returns and is awaited for."""

    def __await__(self) -> Generator[Any, Any, str]:
        raise SystemExit(3)
        yield


class Lies:
    """What a plain function returns, and cannot be asked what it is."""

    @property
    def __class__(self) -> type:
        raise SystemExit(3)


def giving(value: Callable[[], Any]) -> Callable[[], Function]:
    def made() -> Function:
        def culprit() -> Any:
            return value()

        return culprit

    return made


BODIES = [
    *(row(place, at, make, slow=number >= SHORT) for number, make in enumerate(ENDS) for place, at in PLACES),
    *(attrs.evolve(rows(make), slow=number >= SHORT) for number, make in enumerate(ENDS) for rows in (chain, retried)),
    *(attrs.evolve(row, slow=number >= SHORT) for number, make in enumerate(ENDS) for row in of_the_worker(make)),
    Row(said="SystemExit out of the condition of a Retry", make=conditional, end=fails(), traced="who asks"),
    Row(said="SystemExit out of a child of asyncio's task group", make=group_of_asyncio, end=fails(ExceptionGroup), on=ASYNCIO, traced="SystemExit"),
    *(Row(said=f"{type(make()).__name__} out of a shared dependency that closes", make=shared_that_closes(make), end=returns("returned"), reported=False, slow=number >= SHORT) for number, make in enumerate(ENDS)),
    Row(said="SystemExit out of what a plain function returns to be awaited", make=giving(Awaits), end=fails(), traced="SystemExit"),
    Row(said="a result that lies about its class", make=giving(Lies), end=fails()),
    Row(said="SystemExit that a dependency suppresses", make=suppressing, end=returns(None)),
]  # fmt: skip
