"""The tasks of one docket by name, and how functions are registered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
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
from ..paths import member_at
from ..rules import Level, Priority, check_level
from ..text import checked_name, text_of
from .identity import are_alike, is_same, origin_of, share_origin
from .levels import LevelParameter
from .remote import RemoteTask
from .signatures import TaskFunction, check_arguments, check_function, forget_shape, level_parameter

__all__ = [
    "Remarks",
    "TaskCollection",
    "automatic",
    "collection_at",
    "find_task",
    "name_of",
    "register_collection",
    "register_task",
    "stand_in",
]

logger = logging.getLogger("docket.docket")

TaskCollection: TypeAlias = Iterable[TaskFunction] | Mapping[str, TaskFunction]
"""Functions, which go by their own names; or by the names that a mapping gives them."""

#: The module of the tasks that each docket knows from the beginning. A task of the user's may take their names.
_STANDARD = "docket.tasks"


class Remarks:
    """What a docket knows of its tasks besides their functions: programs may put another dictionary of these."""

    def __init__(self) -> None:
        self.automatic = set[str]()
        """The names of those that workers schedule by themselves: each add asks."""
        self._said = set[tuple[str, str]]()
        self.check: Callable[[TaskFunction, str], None] | None = None
        """Refuses a task that the docket's serializer cannot be used with."""
        self.levels: dict[str, Priority] = {}
        """Those that tasks are registered with, by their names."""

    def note_level(self, name: str, level: Priority | None, *, again: bool) -> None:
        """Note the level that a task is registered with; without one it keeps what it has if it comes ``again``."""
        if level is not None:
            self.levels[name] = level
        elif not again:
            self.levels.pop(name, None)

    def level_of(
        self,
        name: str,
        parameter: LevelParameter | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Priority | None:
        """The level of a call that is given none: as registered, or by the `level_parameter` of its task."""
        if (level := self.levels.get(name)) is not None:
            return level
        return None if parameter is None else parameter.of_call(args, kwargs)

    def warn_once(self, name: str, what: str, message: str) -> None:
        """Log a warning about the task of this name, the first time that it is about ``what``."""
        if (name, what) not in self._said:
            self._said.add((name, what))
            logger.warning("%s", message)


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


def register_task(
    tasks: dict[str, TaskFunction],
    remarks: Remarks,
    function: TaskFunction,
    names: list[str] | None = None,
    priority: Level = None,
) -> None:
    """Enter a function under ``names``, or under its own.

    It replaces one that was written in the same place: a module may be loaded again. Where that was a closure over
    other values, a warning says so once, unless ``names`` were given.

    Raises: TypeError - not a callable, or without a name, or a generator function, or it depends on one, or an
    automatic task that needs arguments; UsageError (a ValueError) - a name stands for another function, or cannot be
    part of a key; ValueError - its dependencies contradict each other, or its level is none or twofold.
    """
    if isinstance(function, Coroutine):  # as asyncio is given one
        called = cast("Coroutine[Any, Any, Any]", function)
        called.close()  # or Python warns that nobody has awaited it
        raise TypeError(
            f"a task is a callable, and {called!r} is what one returns: give the function, and its arguments apart, "
            "as in `add(function)(arguments)`"
        )
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
    level = check_level(priority)
    forget(function)
    forget_shape(function)
    validate_dependencies(function)
    check_suppliers(get_dependency_parameters(function).values())
    check_admission(function)
    level_parameter(function)
    if automatic(function):
        try:
            check_arguments(function, name_of(function), (), {})
        except TypeError as error:
            raise TypeError(f"an automatic task is called by nobody, without arguments: {error}") from None
    if isinstance(names, str):
        raise TypeError(f"names= takes a list of names, not {names!r}")
    free = [checked_name(name, "the name of a task") for name in names or [name_of(function)]]
    if remarks.check is not None:
        remarks.check(function, free[0])
    for name in free:
        _check_free(tasks, remarks, name, function, named=bool(names))
    for name in free:
        remarks.note_level(name, level, again=is_same(tasks.get(name), function))
    tasks.update(dict.fromkeys(free, function))
    remarks.automatic.difference_update(free)
    if automatic(function):
        remarks.automatic.update(free)


def _check_free(
    tasks: Mapping[str, TaskFunction], remarks: Remarks, name: str, function: TaskFunction, *, named: bool
) -> None:
    """Refuse a name that stands for another function. Raises: UsageError (a ValueError)."""
    known = tasks.get(name)
    if known is None or is_same(known, function) or getattr(known, "__module__", None) == _STANDARD:
        return
    if not share_origin(known, function):
        here, there = origin_of(function), origin_of(known)
        raise UsageError(
            f"the name {name!r} of {here} is taken by {there}: a task is known by its name alone, so that one would "
            f"run in place of the other. Give one of them another name: docket.register(function, names=[{here!r}]). "
            f"To replace it on purpose, set docket.tasks[{name!r}]"
        )
    if not named and not are_alike(known, function):
        remarks.warn_once(
            name,
            "another closure",
            f"task {name!r} stands for another {origin_of(function)} from now on, made of other values: calls of both "
            "run this one. Give each a name of its own: docket.register(function, names=[...])",
        )


def automatic(function: TaskFunction) -> Perpetual | None:
    """The Perpetual or Cron of a task that workers schedule by themselves; None for the others."""
    for dependency in get_dependency_parameters(function).values():
        if isinstance(dependency, Perpetual) and dependency.automatic:
            return dependency
    return None


def collection_at(path: str) -> TaskCollection:
    """What ``"module.path:name"`` names: an iterable of functions, or a mapping of names to functions.

    Raises: UsageError (a ValueError) - the path is not of that form, or names something else; ImportError,
    AttributeError - nothing is there.
    """
    malformed = UsageError(f"a task collection is named as 'module:collection', not {path!r}")
    collection = member_at(path, malformed)
    if callable(collection) or not isinstance(collection, Iterable):
        raise UsageError(f"{path!r} is {type(collection).__name__}, not an iterable of functions")
    return cast("TaskCollection", collection)


def register_collection(
    tasks: dict[str, TaskFunction],
    remarks: Remarks,
    collection: TaskCollection,
    names: Mapping[str, list[str]] | None = None,
    priority: Level = None,
) -> None:
    """Enter every function of a collection, some by ``names``: of each, by the name that it goes by there.

    Raises: as `register_task`; UsageError (a ValueError) - ``names`` is about a function that is not there.
    """
    left = dict(names or {})
    for name, function in _named(collection):
        own = name_of(function) if name is None and left else name
        given = None if own is None else left.pop(own, None)
        register_task(tasks, remarks, function, given or (None if name is None else [name]), priority)
    if left:
        raise UsageError(f"names= is about {', '.join(map(repr, left))}, of which the collection has none")


def _named(collection: TaskCollection) -> Iterator[tuple[str | None, TaskFunction]]:
    if isinstance(collection, Mapping):
        yield from cast("Mapping[str, TaskFunction]", collection).items()
    else:
        for function in collection:
            yield None, function


def find_task(
    tasks: dict[str, TaskFunction], remarks: Remarks, function: TaskFunction | str, where: str
) -> tuple[str, TaskFunction]:
    """The name and the function of a task; a function that is not entered yet is entered, unless it is a stub.

    A function that was entered by other names than its own goes by the first of these.

    Raises: UnknownTask (a KeyError) - no task has this name; ``where`` is the name of the docket.
    """
    if not isinstance(function, str):
        own = getattr(function, "__name__", None)
        if isinstance(own, str) and is_same(tasks.get(own), function):
            # A name that is a plain string was checked as it was entered.
            return own if type(own) is str else name_of(function), function
        if isinstance(function, RemoteTask):
            name = name_of(cast("TaskFunction", function))
            return name, tasks.get(name, cast("TaskFunction", function))
        for name, known in list(tasks.items()):
            if is_same(known, function):
                return name, function
        register_task(tasks, remarks, function)
        return name_of(function), function
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
