"""The tasks of a chaos session. Each body notes in the ledger that it begins and how it ends."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import anyio
from redis.exceptions import RedisError

from docket import (
    ConcurrencyLimit,
    CurrentDocket,
    CurrentExecution,
    Docket,
    ExecutionCancelled,
    FairShare,
    Perpetual,
    Retry,
    TaskGroup,
)
from docket.errors import ExecutionFailed
from docket.execution import Execution
from tests.chaos.ledger import Ledger

__all__ = ["ATTEMPTS", "GENERATIONS", "MEMBERS", "TASKS", "Deliberate", "note_in", "parent_of"]

ATTEMPTS = 3

#: A family: each member has as many children as this, down to the third generation.
CHILDREN, GENERATIONS = 3, 2
MEMBERS = 1 + CHILDREN + CHILDREN**2

_runs = itertools.count()
_ledger: Ledger | None = None

AnExecution = Execution[Any]


class Deliberate(Exception):
    """The failure of a task that is meant to fail."""


def note_in(ledger: Ledger) -> None:
    """Let the bodies of this process write to ``ledger``."""
    global _ledger
    _ledger = ledger


@contextmanager
def noted(
    execution: AnExecution, version: int, customer: str | None = None, *, threaded: bool = False
) -> Iterator[None]:
    """Note one run. ``version`` tells the calls of a key apart: they are to run once each.

    A thread (``threaded``) has no event loop to ask for the class of its cancellations, and is never cancelled.
    """
    assert _ledger is not None
    run, how = next(_runs), "returned"
    assert execution.message_id is not None
    _ledger.note(
        "begin", run=run, key=execution.key, version=version, attempt=execution.attempt, wall=time.time(),
        generation=execution.generation, message=execution.message_id.decode(), task=execution.function_name,
        redelivered=execution.redelivered, customer=customer, worker=execution.worker,
    )  # fmt: skip
    try:
        yield
    except Deliberate:
        how = "raised"
        raise
    except ExecutionCancelled:
        how = "cancelled"  # another run has taken its place, so it may open no group
        raise
    except BaseException as error:
        is_cancelled = not threaded and isinstance(error, anyio.get_cancelled_exc_class())
        how = "cancelled" if is_cancelled else repr(error)
        raise
    finally:
        _ledger.note("end", run=run, how=how)


async def plain(number: int, seconds: float, execution: AnExecution = CurrentExecution()) -> int:
    with noted(execution, 1):
        await anyio.sleep(seconds)
        return number


def threaded(number: int, seconds: float, execution: AnExecution = CurrentExecution()) -> int:
    with noted(execution, 1, threaded=True):
        time.sleep(seconds)
        return number


async def failing(number: int, seconds: float, execution: AnExecution = CurrentExecution()) -> int:
    with noted(execution, 1):
        await anyio.sleep(seconds)
        raise Deliberate(number)


async def retrying(
    number: int,
    seconds: float,
    good_at: int,
    execution: AnExecution = CurrentExecution(),
    retry: Retry = Retry(attempts=ATTEMPTS, delay=timedelta(milliseconds=100)),
) -> int:
    """Succeeds at the attempt ``good_at``; fails for good where there is no such one."""
    with noted(execution, 1):
        await anyio.sleep(seconds)
        if retry.attempt < good_at:
            raise Deliberate(number)
        return number


async def limited(
    number: int,
    seconds: float,
    customer: str,
    execution: AnExecution = CurrentExecution(),
    limit: ConcurrencyLimit = ConcurrencyLimit("customer"),
) -> int:
    with noted(execution, 1, customer):
        await anyio.sleep(seconds)
        return number


async def shared(
    number: int,
    seconds: float,
    tenant: str,
    execution: AnExecution = CurrentExecution(),
    share: FairShare = FairShare("tenant"),
) -> int:
    """Waits for the turn of its tenant."""
    with noted(execution, 1):
        await anyio.sleep(seconds)
        return number


async def chain(
    number: int,
    last: int,
    execution: AnExecution = CurrentExecution(),
    perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=200)),
) -> int:
    """Runs with the numbers from ``number`` to ``last``; some of these runs fail, which does not end it."""
    with noted(execution, number):
        if number == last:
            perpetual.cancel()
            return number
        perpetual.perpetuate(number + 1, last)
        if number % 3 == 1:
            raise Deliberate(number)
        return number


async def endless(
    number: int,
    execution: AnExecution = CurrentExecution(),
    perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=300)),
) -> int:
    """Runs until it is cancelled from outside."""
    with noted(execution, number):
        perpetual.perpetuate(number + 1)
        await anyio.sleep(0.02)
        return number


async def versioned(
    number: int, seconds: float, version: int, execution: AnExecution = CurrentExecution()
) -> int:
    """What is replaced by later versions of itself."""
    with noted(execution, version):
        await anyio.sleep(seconds)
        return version


async def unending(number: int, execution: AnExecution = CurrentExecution()) -> int:
    """Is cancelled while it runs."""
    with noted(execution, 1):
        await anyio.sleep_forever()
        return number


def parent_of(key: str) -> str:
    """The key of the member of a family that has added this one; empty for the first one, and what is in none."""
    return key.rpartition("/")[0]


async def family(
    number: int,
    generations: int,
    is_spoiled: bool,
    execution: AnExecution = CurrentExecution(),
    docket: Docket = CurrentDocket(),
) -> int:
    """Adds children and waits for them; returns how many members there are below it, with itself.

    Of one that ``is_spoiled`` a member of the last generation fails.
    """
    with noted(execution, 1):
        if not generations:
            await anyio.sleep(0.02 * (number % 4))
            if is_spoiled:
                raise Deliberate(number)
            return 1
        try:
            async with docket.task_group() as group:
                children: list[AnExecution] = []
                for at in range(CHILDREN):
                    facts = number + at, generations - 1, is_spoiled and at == 1
                    children.append(await _insisted(group, f"{execution.key}/{at}", *facts))
        except ExceptionGroup as failures:
            # Where this run is lost, and does not know it, another may have begun the child that has failed anew.
            if is_spoiled and failures.split((Deliberate, ExecutionFailed))[1] is None:
                raise Deliberate(number) from None
            raise
        return 1 + sum([await _result(child) for child in children])


async def _insisted(group: TaskGroup, key: str, *args: Any) -> AnExecution:
    """A child, asked for again where the server refuses it."""
    while True:
        try:
            return await group.add(family, key=key)(*args)
        except RedisError:
            await anyio.sleep(0.1)


async def _result(child: AnExecution) -> int:
    while True:
        try:
            return await child.get_result()
        except RedisError:
            await anyio.sleep(0.1)


TASKS = [plain, threaded, failing, retrying, limited, shared, chain, endless, versioned, unending, family]
