"""From a function and arguments to an execution that is checked and placed, one or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import clock
from ..execution import Execution
from ..moments import check_moment
from ..rules import Disposition
from ..signals import Labels, signals
from ..text import checked_name
from .chunks import check_chunk_size, place_chunks
from .registry import find, name_of
from .signatures import TaskCall, TaskFunction, check_arguments, check_function, check_key, new_key

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Prepare", "labels_of", "place", "place_many", "preparing"]

Prepare = Callable[[tuple[Any, ...], dict[str, Any]], Execution[Any]]


def preparing(
    docket: Docket, function: TaskFunction | str, when: datetime | None, key: str | None
) -> Prepare:
    """Check what is to be called, when and under which key; return what makes an execution of the arguments.

    Raises: TypeError, UsageError, UnknownTask - at once; the returned function, TypeError for arguments that
    do not fit.
    """
    name, found = find(docket.tasks, function, docket.name)
    if when is not None:
        check_moment("when", when)
    if key is not None:
        key = check_key(key)

    def prepare(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution[Any]:
        check_arguments(found, name, args, kwargs)
        moment = when or clock.now()
        return Execution(docket, found, args, kwargs, key or new_key(), moment, 1, function_name=name)

    return prepare


async def place(operation: str, execution: Execution[Any], *, replace: bool = False) -> Execution[Any]:
    """Place one execution, for somebody who asked for this ``operation``."""
    with signals.operation(operation, lambda: labels_of(execution)) as heard:
        await execution.schedule(replace=replace)
        heard.note("docket.disposition", execution.disposition.value)
    return execution


def labels_of(execution: Execution[Any]) -> Labels:
    """What telemetry says of an execution."""
    named = {"code.function.name": execution.function_name}
    return {**execution.docket.labels(), **execution.specific_labels(), **named}


def _execution(docket: Docket, call: TaskCall) -> Execution[Any]:
    """The execution of a prepared call; one that was made by hand is checked like any other."""
    check_moment("when", call.when)
    key = check_key(call.key)
    check_function(call.function)
    name = checked_name(call.function_name or name_of(call.function), "the name of a task")
    check_arguments(call.function, name, call.args, call.kwargs)
    return Execution(docket, call.function, call.args, call.kwargs, key, call.when, 1, function_name=name)


async def place_many(
    docket: Docket, calls: Iterable[TaskCall], chunk_size: int | None, *, replace: bool
) -> list[Execution[Any]]:
    """Place calls in order, ``chunk_size`` of them in one write (None: all)."""
    check_chunk_size(chunk_size)
    executions = [_execution(docket, call) for call in calls]
    operation = "docket.replace_many" if replace else "docket.add_many"
    with signals.operation(
        operation, lambda: {**docket.labels(), "docket.batch.count": len(executions)}
    ) as heard:
        await place_chunks(executions, chunk_size, replace=replace)
        stricken = sum(execution.disposition is Disposition.STRUCK for execution in executions)
        heard.note("docket.batch.stricken", stricken)
    return executions
