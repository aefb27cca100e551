"""The tasks of one docket by name, and how functions are registered."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from ..dependencies import (
    Perpetual,
    check_admission,
    check_suppliers,
    forget,
    get_dependency_parameters,
    validate_dependencies,
)
from ..errors import UnknownTask, UsageError
from ..text import checked_name, text_of
from .remote import RemoteTask
from .signatures import TaskFunction, check_arguments, check_function

__all__ = [
    "TaskCollection",
    "Tasks",
    "automatic",
    "collection_at",
    "find_task",
    "name_of",
    "register_task",
    "stand_in",
]

Tasks: TypeAlias = dict[str, TaskFunction]
TaskCollection: TypeAlias = Iterable[TaskFunction]


def name_of(function: TaskFunction) -> str:
    """The name that a function goes by.

    Raises: TypeError - it has none; UsageError (a ValueError) - it cannot become a key.
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(
            f"{function!r} has no __name__; register it with docket.register(function, names=[...])"
        )
    return checked_name(name, "the name of a task")


def register_task(tasks: Tasks, function: TaskFunction, names: list[str] | None = None) -> None:
    """Enter a function under ``names``, or under its own.

    Raises: TypeError - not a callable, or without a name, or a generator function, or it depends on one, or an
    automatic task that needs arguments; ValueError - its dependencies contradict each other, or a name cannot be
    part of a key.
    """
    if not callable(function):
        raise TypeError(f"a task is a callable, not {function!r}")
    if isinstance(function, RemoteTask):
        raise TypeError(
            f"{function!r} is a stub of a task, without its code: register the function itself where a worker runs, "
            "and nothing where tasks are only added"
        )
    check_function(function)
    try:
        hash(function)
    except TypeError:
        raise TypeError(
            f"a task is a callable that can be hashed, and {text_of(function, repr)} cannot be hashed: "
            "give its class a __hash__"
        ) from None
    forget(function)
    validate_dependencies(function)
    check_suppliers(get_dependency_parameters(function).values())
    check_admission(function)
    if automatic(function):
        try:
            check_arguments(function, name_of(function), (), {})
        except TypeError as error:
            raise TypeError(f"an automatic task is called by nobody, without arguments: {error}") from None
    if isinstance(names, str):
        raise TypeError(f"names= takes a list of names, not {names!r}")
    tasks.update(
        dict.fromkeys(
            [checked_name(name, "the name of a task") for name in names or [name_of(function)]], function
        )
    )


def automatic(function: TaskFunction) -> Perpetual | None:
    """The Perpetual or Cron of a task that workers schedule by themselves; None for the others."""
    for dependency in get_dependency_parameters(function).values():
        if isinstance(dependency, Perpetual) and dependency.automatic:
            return dependency
    return None


def collection_at(path: str) -> TaskCollection:
    """What ``"module.path:name"`` names: an iterable of functions.

    Raises: UsageError (a ValueError) - the path is not of that form, or names something else; ImportError,
    AttributeError - nothing is there.
    """
    module_name, colon, member = path.partition(":")
    if not (module_name and colon and member):
        raise UsageError(f"a task collection is named as 'module:collection', not {path!r}")
    collection = getattr(importlib.import_module(module_name), member)
    if callable(collection) or not isinstance(collection, Iterable):
        raise UsageError(f"{path!r} is {type(collection).__name__}, not an iterable of functions")
    return cast("TaskCollection", collection)


def find_task(tasks: Tasks, function: TaskFunction | str, where: str) -> tuple[str, TaskFunction]:
    """The name and the function of a task; a function that is not entered yet is entered, unless it is a stub.

    Raises: UnknownTask (a KeyError) - no task has this name; ``where`` is the name of the docket.
    """
    if not isinstance(function, str):
        name = name_of(function)
        if isinstance(function, RemoteTask):
            return name, tasks.get(name, cast("TaskFunction", function))
        if tasks.get(name) is not function:
            register_task(tasks, function)
        return name, function
    if (found := tasks.get(function)) is None:
        known = ", ".join(sorted(tasks)) or "none"
        raise UnknownTask(
            f"no task named {function!r} is registered on docket {where!r} (registered: {known}); "
            "register it with docket.register(function) or docket.register_collection('module:collection'); if its "
            f"code is in another program, add docket.remote_task({function!r})"
        )
    return checked_name(function, "the name of a task"), found


def stand_in(name: str) -> TaskFunction:
    """A function that can be shown, not run: for a name that is not registered here."""

    async def unregistered(*args: Any, **kwargs: Any) -> None:
        raise UnknownTask(f"no task named {name!r} is registered here")

    unregistered.__name__ = name
    return unregistered
