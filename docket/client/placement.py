"""The one door through which calls get onto a docket: one or many, also seeded or rescheduled ones.

Each call is judged by the strikes that this process has read; the server checks, in the step that places, that these
were all of them, and otherwise writes nothing. So a strike is in force for whatever is added after `strike` has
returned, and a docket without strikes costs no round trip. Before a call is refused as struck the strikes are read
once more, since it may have been restored.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from ..numbers import check_whole
from ..rules import Disposition
from ..signals import NOT_TRACED, Labels, signals, suppress_errors
from ..standins import redis_errors
from ..store import ANY_STRIKES, DocketStore, Message, Placed
from ..text import checked_name
from .signatures import check_key
from .strikes import Strikable, is_struck, may_strike

__all__ = ["Placeable", "check_chunk_size", "place", "place_for", "place_many", "retry_many"]

logger = logging.getLogger("docket.docket")

_STRUCK = Placed(Disposition.STRUCK, 0)


class Placeable(Strikable, Protocol):
    """A call that can be placed under a key."""

    extra_fields: Mapping[bytes, bytes]
    disposition: Disposition
    once_more: bool

    @property
    def key(self) -> str: ...
    def message(self) -> Message: ...
    def labels(self) -> Labels: ...

    def placed(
        self, disposition: Disposition, generation: int = 0, error: Exception | None = None
    ) -> None: ...

    async def sync(self) -> None: ...


C = TypeVar("C", bound=Placeable)


async def place_for(operation: str, store: DocketStore, call: C, *, replace: bool = False) -> C:
    """Place a call inside of an operation of this name, for telemetry; return it."""
    with signals.operation(operation, call.labels) as span:
        await place(store, call, replace=replace)
        if span is not NOT_TRACED:
            span.note("docket.disposition", call.disposition.value)
    return call


async def place(
    store: DocketStore,
    call: Placeable,
    *,
    replace: bool = False,
    rescheduled: bytes = b"",
    expected: int = 0,
    child_of: str = "",
) -> Placed:
    """Place a call unless it is struck, note the result on it, and return it; see `Schedule.place`.

    The next run of a delivery that ends with this (``rescheduled``) is placed in any case: a worker judges it, and
    reports it with the end of the run.
    """
    call.extra_fields = _with_trace_fields(call.extra_fields)
    try:
        placed = await _place(store, call, replace, rescheduled, expected, child_of)
    except UnicodeEncodeError:  # only an execution made by hand can have such names
        check_key(call.key)
        checked_name(call.function_name, "the name of a task")
        raise
    call.placed(placed.disposition, placed.generation)
    if not rescheduled:
        # A caller that expects a generation continues a chain, and cancels nothing.
        _emit_placed(store, call, replace=replace and not expected)
    if placed.disposition is Disposition.ALREADY_SCHEDULED:
        await call.sync()
    return placed


async def _place(
    store: DocketStore, call: Placeable, replace: bool, rescheduled: bytes, expected: int, child_of: str
) -> Placed:
    strikes = store.strikes
    known = ANY_STRIKES if rescheduled else strikes.log.version  # read before: another thread may read on
    if not rescheduled and is_struck(strikes, call):
        await strikes.catch_up(store.client)
        known = strikes.log.version
        if is_struck(strikes, call):
            return _refuse(call)
    message = call.message()
    while True:
        placed = await store.schedule.place(
            message,
            replace=replace,
            once_more=call.once_more,
            rescheduled=rescheduled,
            expected=expected,
            strikes=known,
            child_of=child_of,
        )
        if placed.disposition is not Disposition.STRUCK:
            return placed
        await strikes.catch_up(store.client)
        if is_struck(strikes, call):
            return _refuse(call)
        known = ANY_STRIKES  # later strikes came after this call had begun


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise UsageError, or TypeError, unless this is a number of calls from 1, or None."""
    if chunk_size is not None:
        check_whole("chunk_size", chunk_size, takes=", or None")


async def place_many(
    store: DocketStore,
    calls: Sequence[Placeable],
    chunk_size: int | None,
    *,
    replace: bool,
    child_of: str = "",
) -> list[Placed | redis_errors.RedisError]:
    """Place calls in order, ``chunk_size`` of them in one write (None: all); note the result on each, and return them.

    One that the server refuses does not stop the others.
    """
    size = chunk_size or len(calls) or 1
    results: list[Placed | redis_errors.RedisError] = []
    for at in range(0, len(calls), size):
        chunk = calls[at : at + size]
        if present := _with_trace_fields({}):
            for call in chunk:
                call.extra_fields = {**call.extra_fields, **present}
        placed = await _place_chunk(store, chunk, replace, child_of)
        _note_placed(store, chunk, placed, replace=replace)
        results += placed
    return results


def _note_placed(
    store: DocketStore,
    calls: Sequence[Placeable],
    results: Sequence[Placed | redis_errors.RedisError],
    *,
    replace: bool,
) -> None:
    for call, placed in zip(calls, results, strict=True):
        if isinstance(placed, redis_errors.RedisError):
            call.placed(Disposition.FAILED, error=placed)
        else:
            call.placed(placed.disposition, placed.generation)
        _emit_placed(store, call, replace=replace)


async def retry_many(store: DocketStore, calls: Sequence[Placeable], failed_at: Sequence[bytes]) -> None:
    """Place calls of failures anew in one write, and note the result on each; see `Failures.retry_many`.

    SUPERSEDED: the failure is not the one any more that was kept at ``failed_at``.
    """
    if present := _with_trace_fields({}):
        for call in calls:
            call.extra_fields = {**call.extra_fields, **present}

    async def write(sent: Sequence[int], strikes: bytes) -> list[Placed | redis_errors.RedisError]:
        return await store.failures.retry_many([(calls[at].message(), failed_at[at]) for at in sent], strikes)

    _note_placed(store, calls, await _write_unless_struck(store, calls, write), replace=False)


async def _place_chunk(
    store: DocketStore, calls: Sequence[Placeable], replace: bool, child_of: str
) -> list[Placed | redis_errors.RedisError]:
    """Place calls in one write, without those that are struck."""

    async def write(sent: Sequence[int], strikes: bytes) -> list[Placed | redis_errors.RedisError]:
        messages = [calls[at].message() for at in sent]
        once_more = [number for number, at in enumerate(sent) if calls[at].once_more]
        return await store.schedule.place_many(
            messages, replace=replace, once_more=once_more, strikes=strikes, child_of=child_of
        )

    return await _write_unless_struck(store, calls, write)


async def _write_unless_struck(
    store: DocketStore,
    calls: Sequence[Placeable],
    write: Callable[[Sequence[int], bytes], Awaitable[list[Placed | redis_errors.RedisError]]],
) -> list[Placed | redis_errors.RedisError]:
    """Have calls placed in one write, without those that are struck.

    ``write`` places those of some numbers, for a caller that has read the strikes up to an id.
    Where there are strikes that this process did not know, the calls that they do not concern take a second write.
    """
    strikes = store.strikes
    if may_strike(strikes) and any(is_struck(strikes, call) for call in calls):
        await strikes.catch_up(store.client)
    results: list[Placed | redis_errors.RedisError] = [_STRUCK] * len(calls)
    left, known = list(range(len(calls))), strikes.log.version
    while True:
        struck = {at for at in left if is_struck(strikes, calls[at])} if may_strike(strikes) else set[int]()
        for at in sorted(struck):
            _refuse(calls[at])
        sent = [at for at in left if at not in struck]
        for at, reply in zip(sent, await write(sent, known), strict=True):
            results[at] = reply
        left = [at for at in sent if results[at] == _STRUCK]
        if not left:
            return results
        await strikes.catch_up(store.client)
        known = ANY_STRIKES


def _refuse(call: Placeable) -> Placed:
    logger.warning("%r is stricken, skipping schedule of %r", call.function_name, call.key)
    return _STRUCK


def _with_trace_fields(fields: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The further fields of a message, with those that link its run to the present operation."""
    if signals.tracer is None or not (present := signals.tracer.fields()):
        return fields
    return {**fields, **present}


def _emit_placed(store: DocketStore, call: Placeable, *, replace: bool) -> None:
    if call.disposition is Disposition.EXPIRED:
        logger.warning(
            "%r, key %r, had expired before it was placed: it is cancelled", call.function_name, call.key
        )
    for each in signals.subscribers:
        with suppress_errors:
            each.placed(
                store.keys.name, call.function_name, replacing=replace, disposition=call.disposition.value
            )
