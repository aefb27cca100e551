"""Resolves the dependencies of a call: of its parameters, in their metadata, and of the worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from uncalled_for import Dependency as _Dependency
from uncalled_for import FailedDependency, Frame
from uncalled_for.frames import _current_frame  # pyright: ignore[reportPrivateUsage]
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage]

from .base import (
    CompletionHandler,
    FailureHandler,
    Runtime,
    current_docket,
    current_execution,
    current_worker,
)
from .introspection import declared, get_annotation_dependencies, get_dependency_parameters
from .signatures import arguments_of, get_signature
from .tracebacks import cut_to_the_users_code

__all__ = [
    "Resolved",
    "bound_beside",
    "conflicts",
    "get_single_dependency_of_type",
    "get_single_dependency_parameter_of_type",
    "resolve",
    "resolved_dependencies",
]

D = TypeVar("D")

_ACTING: frozenset[type[Any]] = frozenset({Runtime, FailureHandler, CompletionHandler})


class Resolved:
    """The values of the dependencies of a call."""

    __slots__ = ("acting", "failed", "left", "others", "replaced", "supplied")

    supplied: dict[str, Any]
    """By parameter."""
    replaced: dict[str, Any]
    """The same of dependencies that the call gives as arguments."""
    others: list[Any]
    """Values without a parameter: of ``Annotated`` metadata, and of the worker's own dependencies."""
    failed: list[FailedDependency]
    acting: list[Any]
    """The values that run the body, or decide what follows."""
    left: tuple[str, Any] | None
    """The parameter at which `AtOnce.open` has stopped, and what its supplier returned."""

    def __init__(self) -> None:
        self.supplied, self.replaced = {}, {}
        self.others, self.failed, self.acting = [], [], []
        self.left = None

    def note_acting(self) -> None:
        """All values are there."""
        values = [*self.supplied.values(), *self.replaced.values(), *self.others]
        self.acting = [value for value in values if not _ACTING.isdisjoint(type(value).__mro__)]

    def call(
        self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, with these values."""
        if not self.replaced:
            return args, {**kwargs, **self.supplied} if kwargs else self.supplied
        bound = get_signature(function).bind_partial(*args, **kwargs)
        bound.arguments.update(self.replaced)
        return bound.args, {**bound.kwargs, **self.supplied}


async def resolve(
    stack: AsyncExitStack,
    function: Any,
    given: dict[str, Any],
    also: Mapping[str, _Dependency[Any]],
    begun: Resolved | None = None,
) -> Resolved:
    """Enter all dependencies of a call of ``function`` onto ``stack``: ``also`` first, by name.

    ``begun`` is what `AtOnce.open` has left: what is in there already is not opened again.

    ``given`` are the arguments of the call, by parameter. The dependency of a given one is not entered, but the
    argument is, if it is itself a dependency. Dependencies that cannot be resolved are in ``failed``; the others are
    resolved all the same.

    The context variables of the engine stay as they are set for this call: a claim has its own context.
    """
    declared = get_dependency_parameters(function)
    _Depends.cache.set({})
    _Depends.stack.set(stack)
    frame = Frame(function, given, declared)
    _current_frame.set(frame)
    found = begun or Resolved()
    done = {*found.supplied, *(failure.parameter for failure in found.failed)}

    for name, dependency in also.items():
        await _enter(stack, found, name, dependency.for_parameter(name))
    for name in declared:
        if name in done:
            continue
        try:
            if found.left is not None and found.left[0] == name:
                depends, value = cast("_Depends[Any]", declared[name]), found.left[1]
                found.supplied[name] = await depends._resolve_factory_value(stack, value)  # pyright: ignore[reportPrivateUsage]
            elif name not in given:
                found.supplied[name] = await frame.resolve(name)
            elif isinstance(value := given[name], _Dependency):
                entered = cast("_Dependency[Any]", value).for_parameter(name)
                found.replaced[name] = await stack.enter_async_context(entered)
        except Exception as error:  # noqa: BLE001 - foreign code; it fails the task
            cut_to_the_users_code(error)
            found.failed.append(FailedDependency(name, error))
    if beside := get_annotation_dependencies(function):
        await _enter_beside(stack, function, given, found, beside)
    frame.failures.clear()  # the context has the frame, and they lead to the task that has the context: a circle
    found.note_acting()
    return found


async def _enter_beside(
    stack: AsyncExitStack,
    function: Any,
    given: Mapping[str, Any],
    found: Resolved,
    beside: Mapping[str, list[_Dependency[Any]]],
) -> None:
    """Enter the dependencies of metadata."""
    for name, dependency in bound_beside(function, given, found, beside):
        await _enter(stack, found, name, dependency)


def bound_beside(
    function: Any, given: Mapping[str, Any], found: Resolved, beside: Mapping[str, list[_Dependency[Any]]]
) -> Iterator[tuple[str, _Dependency[Any]]]:
    """The dependencies of metadata, bound to what their parameters are."""
    parameters = get_signature(function).parameters
    for name, dependencies in beside.items():
        default = parameters[name].default
        value = given.get(
            name, found.supplied.get(name, None if default is parameters[name].empty else default)
        )
        for dependency in dependencies:
            yield name, dependency.bind_to_parameter(name, value)


async def _enter(stack: AsyncExitStack, found: Resolved, name: str, dependency: _Dependency[Any]) -> None:
    # No closure: a frame keeps the cells of its function, which would lead from the error to itself.
    try:
        found.others.append(await stack.enter_async_context(dependency))
    except Exception as error:  # noqa: BLE001 - foreign code; it fails the task
        cut_to_the_users_code(error)
        found.failed.append(FailedDependency(name, error))


def conflicts(function: Any, also: Mapping[str, _Dependency[Any]]) -> dict[str, FailedDependency]:
    """Single dependencies of which ``also``, the worker's, and ``function`` together have several; by kind."""
    places: dict[type[Any], list[str]] = {}

    def count(name: str, dependency: _Dependency[Any]) -> None:
        for kind in cast("tuple[type[Any], ...]", type(dependency).__mro__):
            if getattr(kind, "single", False):
                places.setdefault(kind, []).append(name)

    for name, dependency in also.items():
        count(name, dependency)
    mine = {name for names in places.values() for name in names}
    for name, dependency in declared(function):
        count(name, dependency)
    found: dict[str, FailedDependency] = {}
    for kind, names in places.items():
        if len(names) > 1 and mine.intersection(names):
            said = ", ".join(repr(name) for name in names)
            error = ValueError(
                f"Only one {kind.__name__} dependency is allowed, but found at: {said}. "
                "Declare it in one place, the task or the worker; "
                "what a worker is to do after each run belongs into its on_run_ended"
            )
            found[f"__conflict_{kind.__name__}__"] = FailedDependency(f"__conflict_{kind.__name__}__", error)
    return found


_OF_THE_ENGINE: tuple[ContextVar[Any], ...] = (_Depends.cache, _Depends.stack, _current_frame)
_OF_A_RUN: tuple[ContextVar[Any], ...] = (current_docket, current_worker, current_execution)


@contextmanager
def _restored(variables: tuple[ContextVar[Any], ...]) -> Generator[None]:
    """Give these variables what they had, if they had anything, as the block is left."""
    before = [variable.get(None) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            if value is not None:
                variable.set(value)


@asynccontextmanager
async def resolved_dependencies(worker: Any, execution: Any) -> AsyncGenerator[dict[str, Any]]:
    """Resolve the dependencies of an execution as ``worker`` would; yield the values by parameter.

    One that cannot be resolved is a `FailedDependency`. Dependencies close, the last one first, when the block is left.
    """
    given = arguments_of(execution.function, execution.args, execution.kwargs)
    with _restored(_OF_A_RUN):  # a task, or what it depends on, may resolve those of another
        current_docket.set(execution.docket)
        current_worker.set(worker)
        current_execution.set(execution)
        async with AsyncExitStack() as stack:
            with _restored(_OF_THE_ENGINE):
                found = await resolve(stack, execution.function, given, worker.dependencies)
            yield {**found.supplied, **{failure.parameter: failure for failure in found.failed}}


def get_single_dependency_parameter_of_type(function: Any, dependency_type: type[D]) -> D | None:
    """The dependency of this type of a parameter of ``function``; None if there is none."""
    return get_single_dependency_of_type(get_dependency_parameters(function), dependency_type)


def get_single_dependency_of_type(dependencies: Mapping[str, Any], dependency_type: type[D]) -> D | None:
    """The one of this type among dependencies; None if there is none."""
    for value in dependencies.values():
        if isinstance(value, dependency_type):
            return value
    return None
