"""Assertions about the tasks that wait on a docket; their messages list the tasks that are there instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..text import printable, text_of

if TYPE_CHECKING:
    from ..docket import Docket
    from ..execution import Execution

__all__ = ["assert_no_tasks", "assert_task_count", "assert_task_not_scheduled", "assert_task_scheduled"]

Task = str | Callable[..., Any]


async def assert_task_scheduled(
    docket: Docket,
    function: Task,
    *,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Assert that a task waits to be run, now or later: by function or name, and by whatever else is given.

    ``args`` are all positional arguments, ``kwargs`` may be some of the others. Running tasks do not count.
    Raises: AssertionError.
    """
    __tracebackhide__ = True
    waiting = await _waiting(docket)
    if _matching(waiting, function, args, kwargs, key):
        return
    name = _name(function)
    if not waiting:
        raise AssertionError(f"Task {name} not found: no tasks scheduled on docket")
    asked = {"key": key, "args": args, "kwargs": kwargs}
    wanted = [
        f"function={name}",
        *(f"{what}={value!r}" for what, value in asked.items() if value is not None),
    ]
    raise AssertionError(
        f"Task {name} not found with {', '.join(wanted)}\n\nScheduled tasks:\n{_listed(waiting)}"
    )


async def assert_task_not_scheduled(
    docket: Docket,
    function: Task,
    *,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Assert that no such task waits to be run; otherwise as `assert_task_scheduled`."""
    __tracebackhide__ = True
    found = _matching(await _waiting(docket), function, args, kwargs, key)
    if found:
        raise AssertionError(
            f"Task {_name(function)} found but should not be scheduled\nFound: {', '.join(map(_shown, found))}"
        )


async def assert_task_count(docket: Docket, function: Task | None = None, *, count: int) -> None:
    """Assert how many tasks wait to be run, of one function or in all. Raises: AssertionError."""
    __tracebackhide__ = True
    waiting = await _waiting(docket)
    found = waiting if function is None else _matching(waiting, function, None, None, None)
    if len(found) != count:
        what = "all tasks" if function is None else f"tasks for {_name(function)}"
        there = f"\n\nScheduled tasks:\n{_listed(waiting)}" if waiting else ""
        raise AssertionError(f"Expected {count} {what}, found {len(found)}{there}")


async def assert_no_tasks(docket: Docket) -> None:
    """Assert that no task waits to be run. Raises: AssertionError."""
    __tracebackhide__ = True
    waiting = await _waiting(docket)
    if waiting:
        raise AssertionError(
            f"Expected no tasks, found {len(waiting)} task(s) scheduled:\n{_listed(waiting)}"
        )


async def _waiting(docket: Docket) -> Sequence[Execution[Any]]:
    return (await docket.snapshot()).future


def _name(function: Task) -> str:
    return function if isinstance(function, str) else str(getattr(function, "__name__", function))


def _matching(
    waiting: Sequence[Execution[Any]],
    function: Task,
    args: tuple[Any, ...] | None,
    kwargs: dict[str, Any] | None,
    key: str | None,
) -> list[Execution[Any]]:
    """The executions that match. A function matches under any name by which it is registered."""
    return [
        one
        for one in waiting
        if (one.function_name == function if isinstance(function, str) else _is(one, function))
        if key is None or one.key == key
        if args is None or one.args == args  # unpickled here: only those of the task in question
        if kwargs is None or kwargs.items() <= one.kwargs.items()
    ]


def _is(execution: Execution[Any], function: Callable[..., Any]) -> bool:
    return execution.function is function or execution.function_name == getattr(function, "__name__", None)


def _shown(execution: Execution[Any]) -> str:
    name, key = execution.function_name, execution.key
    args, kwargs = text_of(execution.args, repr), text_of(execution.kwargs, repr)
    return f"{printable(name)}(args={args}, kwargs={kwargs}, key={key!r})"


def _listed(executions: Sequence[Execution[Any]]) -> str:
    return "\n".join(f"  - {_shown(execution)}" for execution in executions)
