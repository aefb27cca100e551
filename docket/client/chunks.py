"""Placing executions many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from ..errors import UsageError
from ..linking import carrying
from ..numbers import check_whole
from ..rules import Disposition
from ..signals import signals, suppress_errors
from .striking import place_all

if TYPE_CHECKING:
    from ..execution import Execution
    from ..transport import Client

__all__ = ["check_chunk_size", "place_chunks", "schedule_many", "tell_placed"]


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise UsageError, or TypeError, unless this is a number of executions from 1, or None."""
    if chunk_size is not None:
        check_whole("chunk_size", chunk_size, takes=", or None")


async def schedule_many(
    redis: Client, executions: Sequence[Execution[Any]], *, replace: bool, chunk_size: int | None = 1000
) -> None:
    """Place executions of one docket in order, ``chunk_size`` of them in one round trip (None: all).

    What came of each is its ``disposition``; one that the server refuses is FAILED and says why in its
    ``schedule_exception``. ``redis`` is not needed: the executions' own docket is asked.
    Raises: UsageError (a ValueError) - they belong to several dockets, or ``chunk_size`` is below 1; else as
    `Docket.add_many`. Cancel: some chunks may have been placed.
    """
    check_chunk_size(chunk_size)
    if len({id(execution.docket) for execution in executions}) > 1:
        raise UsageError("schedule_many places executions of one docket; these belong to several")
    await place_chunks(executions, chunk_size, replace=replace)


async def place_chunks(
    executions: Sequence[Execution[Any]], chunk_size: int | None, *, replace: bool
) -> None:
    """Place executions of one docket in order, ``chunk_size`` of them in one write (None: all)."""
    size = chunk_size or len(executions) or 1
    for at in range(0, len(executions), size):
        await _place_chunk(executions[at : at + size], replace=replace)


async def _place_chunk(executions: Sequence[Execution[Any]], *, replace: bool) -> None:
    if present := carrying({}):
        for execution in executions:
            execution.extra_fields = {**execution.extra_fields, **present}
    placed = await place_all(executions[0].docket, executions, replace=replace)
    for execution, reply in zip(executions, placed, strict=True):
        if isinstance(reply, RedisError):
            execution.schedule_exception = reply
            execution.placed(Disposition.FAILED)
        else:
            execution.placed(reply.disposition, reply.generation)
        tell_placed(execution, replace=replace)


def tell_placed(execution: Execution[Any], *, replace: bool) -> None:
    """Tell who listens what came of placing an execution."""
    for each in signals.subscribers:
        disposition = execution.disposition.value
        with suppress_errors:
            each.placed(
                execution.docket.name, execution.function_name, replacing=replace, disposition=disposition
            )
