"""What a run has made is freed as it ends, not when the garbage collector finds it: large locals, open files, locks."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated, Any

import anyio
import pytest
from redis.exceptions import ConnectionError, RedisError

from docket import (
    ConcurrencyLimit,
    CurrentExecution,
    Depends,
    Docket,
    Execution,
    ExecutionCancelled,
    Perpetual,
    Progress,
    Retry,
    Timeout,
)
from docket.dependencies import CompletionHandler, Dependency, FailureHandler
from docket.worker.runs.leased import retry_while_leased
from docket.worker.upkeep.outages import Outages
from tests.durations import ms
from tests.where import few_pairs
from tests.worker.conftest import a_worker, nothing_recorded, working

pytestmark = [pytest.mark.anyio, few_pairs]

made: list[weakref.ref[Large]] = []


@pytest.fixture(autouse=True)
def no_records() -> Iterator[None]:
    with nothing_recorded():
        yield


class Large:
    """A local that somebody would miss the memory of."""

    def __init__(self) -> None:
        made.append(weakref.ref(self))

    def __reduce__(self) -> Any:
        return Large, ()


@pytest.fixture(autouse=True)
def nothing_collected() -> Iterator[None]:
    made.clear()
    gc.disable()
    yield
    gc.enable()


async def returns() -> None:
    large = Large()  # noqa: F841


async def raises() -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


async def raises_from_below() -> None:
    large = Large()  # noqa: F841
    try:
        await raises()
    except ValueError as error:
        raise LookupError("for a reason") from error


async def raises_while_it_cleans_up() -> None:
    large = Large()  # noqa: F841
    try:
        await raises()
    finally:
        raise LookupError("meanwhile")


async def raises_an_argument(large: Large) -> None:
    raise ValueError("on purpose")


async def raises_in_a_group() -> None:
    large = Large()  # noqa: F841
    async with anyio.create_task_group() as group:
        group.start_soon(raises)
        group.start_soon(raises)


async def cancels_itself_in_a_group() -> None:
    large = Large()  # noqa: F841
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        group.cancel_scope.cancel()
        raise ValueError("on purpose")


async def takes_too_long(timeout: Timeout = Timeout(ms(20))) -> None:
    large = Large()  # noqa: F841
    await anyio.sleep_forever()


async def raises_in_time(timeout: Timeout = Timeout(ms(5000))) -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


async def retries(retry: Retry = Retry(attempts=3)) -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


async def asks_for_a_retry(retry: Retry = Retry(attempts=2)) -> None:
    large = Large()  # noqa: F841
    retry.after(ms(0))


async def has_everything(
    execution: Execution[None] = CurrentExecution(),
    progress: Progress = Progress(),
    retry: Retry = Retry(attempts=2),
    timeout: Timeout = Timeout(ms(5000)),
    slots: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=1),
) -> None:
    large = Large()  # noqa: F841
    await progress.increment()
    raise ValueError("on purpose")


def raises_in_a_thread() -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


def returns_in_a_thread() -> None:
    large = Large()  # noqa: F841


async def returns_what_cannot_be_pickled() -> Any:
    return [Large(), Unpicklable()]


class Unpicklable:
    def __reduce__(self) -> Any:
        large = Large()  # noqa: F841
        raise TypeError("no pickle")


class DoesNotOpen(Dependency[None]):
    async def __aenter__(self) -> None:
        large = Large()  # noqa: F841
        raise ValueError("on purpose")


class DoesNotClose(Dependency[None]):
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *details: object) -> None:
        large = Large()  # noqa: F841
        raise LookupError("on purpose")


def supplies() -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


@asynccontextmanager
async def sees_it_fail() -> AsyncIterator[Large]:
    large = Large()
    try:
        yield large
    except ValueError as error:
        raise LookupError("seen") from error


@contextmanager
def suppresses() -> Iterator[Large]:
    large = Large()
    with suppress(ValueError):
        yield large


async def depends_on_what_does_not_open(
    opened: None = DoesNotOpen(), supplied: None = Depends(supplies)
) -> None: ...


async def depends_on_what_does_not_close(closes: None = DoesNotClose()) -> None:
    large = Large()  # noqa: F841
    raise ValueError("on purpose")


async def is_annotated(number: Annotated[int, DoesNotOpen(), DoesNotClose()] = 1) -> None: ...


async def is_seen_to_fail(seen: Large = Depends(sees_it_fail)) -> None:
    await raises()


async def is_suppressed(suppressed: Large = Depends(suppresses)) -> None:
    await raises()


class Remembers(FailureHandler[Any], CompletionHandler[Any]):
    """Looks at what came of a run."""

    single = False

    async def __aenter__(self) -> Any:
        return Remembers()

    async def handle_failure(self, execution: Any, outcome: Any) -> bool:
        large = Large()  # noqa: F841
        if isinstance(outcome.exception, LookupError):
            raise KeyError("handled badly") from outcome.exception
        return True

    async def on_complete(self, execution: Any, outcome: Any) -> bool:
        large = Large()  # noqa: F841
        raise ValueError("handled badly")


async def is_handled(handler: Any = Remembers()) -> None:
    await raises()


async def is_handled_badly(handler: Any = Remembers()) -> None:
    await raises_from_below()


async def completes_badly(handler: Any = Remembers()) -> None:
    await returns()


async def repeats_itself(chain: Perpetual = Perpetual()) -> None:
    large = Large()  # noqa: F841
    if len(made) > 2:
        chain.cancel()
    raise ValueError("on purpose")


async def perpetuates_what_cannot_be_pickled(of: Any = None, chain: Perpetual = Perpetual()) -> None:
    if made:
        chain.cancel()
    else:
        chain.perpetuate([Large(), Unpicklable()])


TASKS: list[Callable[..., Any]] = [
    returns, raises, raises_from_below, raises_while_it_cleans_up, raises_in_a_group, cancels_itself_in_a_group,
    takes_too_long, raises_in_time, retries, asks_for_a_retry, has_everything, raises_in_a_thread, returns_in_a_thread,
    returns_what_cannot_be_pickled, depends_on_what_does_not_open, depends_on_what_does_not_close, is_annotated,
    is_seen_to_fail, is_suppressed, is_handled, is_handled_badly, completes_badly, repeats_itself,
    perpetuates_what_cannot_be_pickled,
]  # fmt: skip


async def ended(execution: Execution[Any]) -> None:
    try:
        await execution.get_result()
    except RedisError:
        raise
    except Exception:
        pass


async def freed() -> None:
    """Wait until everything is; nothing tells when that is."""
    with anyio.move_on_after(3):
        while any(one() is not None for one in made):
            await anyio.sleep(0.01)
    assert made
    assert [one() for one in made if one() is not None] == []


async def test_what_a_cancelled_run_has_made_is_freed_too(docket: Docket) -> None:
    begun = anyio.Event()

    async def endless(large: Any) -> None:
        other = Large()  # noqa: F841
        begun.set()
        # Not asleep: asyncio keeps a timer that was cancelled, and the context that has the run.
        await anyio.Event().wait()

    async with working(a_worker(docket)):
        execution = await docket.add(endless)(Large())
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
        del execution
        await freed()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
async def test_what_a_run_has_made_is_freed_as_it_ends(docket: Docket, task: Callable[..., Any]) -> None:
    docket.register(task)
    async with working(a_worker(docket)):
        await ended(await docket.add(task)())
        await freed()


class ClosesInAThread(Dependency[None]):
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *details: object) -> None:
        await anyio.to_thread.run_sync(supplies)


async def depends_on_what_closes_in_a_thread(closes: None = ClosesInAThread()) -> None:
    raise LookupError("meanwhile")


async def test_what_still_runs_is_left_alone(docket: Docket) -> None:
    """An error leads to the frames of the thread that raised it, which waits for more to do."""
    async with working(a_worker(docket)):
        execution = await docket.add(depends_on_what_closes_in_a_thread)()
        with pytest.raises(ValueError, match="on purpose"):
            await execution.get_result()


@pytest.mark.parametrize("then", ["another error", "cancelled"])
async def test_who_does_not_try_again_is_no_part_of_an_outage(docket: Docket, then: str) -> None:
    """Else the outage is never over, and keeps the claim."""
    outages = Outages(ms(20), "there", ("d", "w"))
    running: Any = Trusted()
    outage = ConnectionError("away")
    tries = 0

    async def act() -> None:
        nonlocal tries
        tries += 1
        if tries > 1 and then == "another error":
            raise ValueError("wrong")
        raise outage

    with anyio.move_on_after(0.1), pytest.raises(ValueError, match="wrong"):
        await retry_while_leased(outages, running, act)
    assert tries > 1
    assert not outages._cut_off  # pyright: ignore[reportPrivateUsage]


class Trusted:
    """What is asked of a claim here."""

    trusted_until = math.inf
