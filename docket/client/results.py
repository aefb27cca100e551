"""Waiting for the end of an execution; its result, or the exception that was kept."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

import anyio

from .. import clock
from ..errors import (
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionFailed,
    ResultExpired,
    ResultUnreadable,
    Untrusted,
    UsageError,
)
from ..moments import check_moment
from ..parenthood import seceded
from ..rules import FINAL, Disposition, ExecutionState
from ..standins import redis_errors
from ..store import DocketStore, Record, read_event, restored
from ..text import error_text, text_of
from ..transport import faults, is_outage
from .subscription import Followed, is_over

__all__ = ["over", "read_failure", "wait_for_result"]

#: How often a wait looks at the record itself, in case the server lost it and with it the event.
RECHECK = timedelta(seconds=30)

#: How many seconds pass at most between two attempts to reach a server that is away.
MOST_PAUSE = 1.0


async def wait_for_result(
    store: DocketStore, execution: Followed, timeout: timedelta | None, deadline: datetime | None
) -> Any:
    """Wait for the end, at most for or until a limit; return the result. See `Execution.get_result`.

    A limit that is over still looks once. In a task its worker runs others meanwhile.
    """
    limit = _seconds(timeout, deadline)
    lost: redis_errors.RedisError | None = None
    if limit == math.inf:
        await _wait_until_final(store, execution)
        return _outcome(store, execution, await _kept(store, execution))
    if limit <= 0:
        if is_over(execution, await _read(store, execution)):
            return _outcome(store, execution, await _kept(store, execution))
    else:
        kept: str | None = None
        with anyio.move_on_after(limit) as scope:
            for pause in _pauses():
                try:
                    await _wait_until_final(store, execution)
                    kept = await _kept(store, execution)
                    break
                except redis_errors.RedisError as error:
                    if isinstance(error, faults.ClientClosed) or not is_outage(error):
                        raise
                    lost = error
                await anyio.sleep(pause)
        if not scope.cancelled_caught:
            return _outcome(store, execution, kept)
    said = f"Timeout waiting for execution {execution.key!r} of {execution.function_name!r}"
    raise TimeoutError(said if lost is None else f"{said}; Redis was away meanwhile: {lost}") from lost


async def over(store: DocketStore, execution: Followed) -> None:
    """Wait until a run has ended, or nothing is recorded of it any more. Raises: RedisError."""
    with suppress(ResultExpired):
        await _wait_until_final(store, execution)


async def read_failure(store: DocketStore, execution: Followed) -> Exception:
    """What ``get_result`` raises of a run that has failed, as far as it is known that it has.

    Raises: RedisError - the server is away. One of the task's own is returned.
    """
    try:
        kept = await _kept(store, execution)
    except (ExecutionFailed, ResultExpired) as failure:
        return failure
    try:
        _outcome(store, execution, kept)
    except Exception as failure:  # noqa: BLE001 - the task's own, of any class
        return failure
    return _failure(execution)  # another run has ended under its key meanwhile


def _pauses() -> Iterator[float]:
    """Seconds between two attempts to reach the server, without an end."""
    longest = 0.05
    while True:
        yield longest * random.uniform(0.5, 1.0)
        longest = min(2 * longest, MOST_PAUSE)


def _seconds(timeout: timedelta | None, deadline: datetime | None) -> float:
    if timeout is not None and deadline is not None:
        raise UsageError("Cannot specify both timeout and deadline")
    if timeout is not None:
        if not isinstance(timeout, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"timeout takes a timedelta, not {type(timeout).__name__}: {text_of(timeout, repr)}"
            )
        return timeout.total_seconds()  # of any length: nothing is added to it
    if deadline is None:
        return math.inf
    return (check_moment("deadline", deadline) - clock.now()).total_seconds()


async def _read(store: DocketStore, execution: Followed) -> Record:
    """What is recorded.

    Raises: ResultExpired - nothing is (any more), so there is nothing to wait for.
    """
    try:
        record = await execution.refresh()
    except redis_errors.TimeoutError:
        record = await execution.refresh()  # by a new connection: maybe only the old one was dead
    if record is None:
        raise ResultExpired(
            f"nothing is recorded of execution {execution.key!r}: its execution_ttl "
            f"({store.ttl}) has passed, or it was never added, or the docket was cleared"
        )
    return record


async def _wait_until_final(store: DocketStore, execution: Followed) -> None:
    if not is_over(execution, await _read(store, execution)):
        async with seceded():
            await _wait_until_over(store, execution)


async def _wait_until_over(store: DocketStore, execution: Followed) -> None:
    recheck = math.inf if store.client.is_memory else RECHECK.total_seconds()
    while True:
        try:
            with anyio.move_on_after(recheck):
                await _follow(store, execution)
                state, error = execution.state, execution.error
                # An event does not name the result, and pydocket announces the end of a replaced run too: what
                # is recorded decides. Where no record is kept (a ttl of zero) the event is all there is, and pydocket
                # records nothing else of a chain.
                record = await execution.refresh()
                if record is None:
                    if execution.state is ExecutionState.COMPLETED:
                        raise _nothing_kept(execution)
                    return
                if (
                    not is_over(execution, record)
                    and state in FINAL
                    and record.generation > execution.generation
                    and not _ended_before(execution, record)
                ):
                    execution.state, execution.error = state, error
                    return
        except faults.ClientClosed:
            raise
        except (redis_errors.ConnectionError, redis_errors.TimeoutError):
            pass  # the next read raises if the server stays away
        if is_over(execution, await _read(store, execution)):
            return


def _ended_before(execution: Followed, record: Record) -> bool:
    """Whether what has ended last is the run that this one was to follow: it has its key by now, and has not ended."""
    last = record.last
    return (
        execution.disposition is Disposition.ONCE_MORE
        and last is not None
        and last.generation < execution.generation
    )


async def _follow(store: DocketStore, execution: Followed) -> None:
    """Wait for a final event, or until there is no record that one could come for."""
    subscription = store.subscriptions.new(store.keys.state_channel(execution.key))
    try:
        await subscription.begin()
        # Subscribed first, read afterwards: no event falls in between.
        if is_over(execution, await _read(store, execution)):
            return
        while execution.state not in FINAL:
            if (event := read_event(await subscription.receive())) is not None:
                execution.take_over(event)
    finally:
        subscription.end()


async def _kept(store: DocketStore, execution: Followed) -> str | None:
    """The text of what is kept of the result or the exception; None where nothing was to be kept.

    Raises: ExecutionCancelled, ExecutionFailed, ResultExpired, ResultUnreadable; RedisError.
    """
    key, failed = execution.key, execution.state is ExecutionState.FAILED
    if execution.state is ExecutionState.CANCELLED:
        raise _cancelled(execution)
    if execution.result_key is None:
        if failed:
            raise _failure(execution)
        if (store.ttl if execution.ttl is ... else execution.ttl) == timedelta(0):
            raise _nothing_kept(execution)
        return None
    try:
        text = await _stored(store, execution.result_key)
    except ValueError as problem:
        raise _unreadable(execution, failed, problem) from problem
    if text is None:
        raise ResultExpired(f"the result of execution {key!r} is no longer kept")
    return text


def _outcome(store: DocketStore, execution: Followed, kept: str | None) -> Any:
    """The result; raises the exception of a task that failed."""
    if kept is None:
        return None
    failed = execution.state is ExecutionState.FAILED
    try:
        value: object = store.payloads.open_result(
            kept,
            task=execution.function_name,
            key=execution.key,
            generation=execution.generation,
            failed=failed,
            function=execution.function,
        )
    except (KeyboardInterrupt, Untrusted):
        raise
    except BaseException as problem:
        # Unpickling runs foreign code, which may lack here what it needs, or mean to end the program that asks.
        raise _unreadable(execution, failed, problem) from problem
    if not failed:
        return value
    raise _error_to_raise(execution, restored(value))


def _error_to_raise(execution: Followed, kept: object) -> Exception:
    """The task's own exception; ours, where that would end the program that asks for it (SystemExit), or is none."""
    # Check its type, not the object: its class may claim to be anything.
    if issubclass(type(kept), Exception) and not issubclass(type(kept), StopIteration | StopAsyncIteration):
        return cast("Exception", kept)
    failure = _failure(execution)
    if issubclass(type(kept), BaseException):
        failure.__cause__ = cast("BaseException", kept)
    return failure


def _cancelled(execution: Followed) -> ExecutionCancelled:
    said = f"execution {execution.key!r} of {execution.function_name!r} was cancelled"
    name, colon, why = (execution.error or "").partition(": ")
    if colon and name == ExecutionExpired.__name__:
        return ExecutionExpired(f"{said}: {why}")
    return ExecutionCancelled(f"{said}: {execution.error}" if execution.error else said)


def _nothing_kept(execution: Followed) -> ResultExpired:
    return ResultExpired(
        f"execution {execution.key!r} has completed; with a time to live of 0 no result is kept"
    )


def _failure(execution: Followed) -> ExecutionFailed:
    return ExecutionFailed(execution.error or f"execution {execution.key!r} failed")


def _unreadable(
    execution: Followed, failed: bool, problem: BaseException
) -> ExecutionFailed | ResultUnreadable:
    if failed:
        return _failure(execution)
    return ResultUnreadable(
        f"what is kept of the result of execution {execution.key!r} of {execution.function_name!r} cannot be read "
        f"here: {error_text(problem)}"
    )


async def _stored(store: DocketStore, result_key: str) -> str | None:
    """The text of a stored result or exception; None where it is no longer kept.

    Raises: ValueError - there is something else.
    """
    if store.result_storage is None:
        return await store.records.result(result_key)
    stored: object = await store.result_storage.get(result_key)
    match stored:
        case None:
            return None
        case {"data": str(text)}:
            return text
        case _:
            raise ValueError("the result storage gives no {'data': text}")
