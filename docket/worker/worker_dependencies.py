"""The dependencies of a worker, which are resolved for every task that it runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, cast

from uncalled_for import Dependency as AnyDependency

from ..dependencies import (
    Dependency,
    check_suppliers,
    get_annotation_dependencies,
    get_dependency_parameters,
)
from ..errors import BadSetting
from ..paths import member_at

if TYPE_CHECKING:
    from ..docket import Docket
    from .worker import Worker

__all__ = ["dependencies_at", "lifecycles", "named_dependencies"]


def named_dependencies(given: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Dependency[Any]]:
    """The dependencies by name. Those of a sequence are named by their index.

    Raises: TypeError - one of them is no dependency or comes from a generator function, or ``given`` is a string.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        raise TypeError(
            f"dependencies takes a mapping or a sequence of dependencies, not {given!r}; "
            "only Worker.run and the command line take 'module:member'"
        )
    if isinstance(given, Mapping):
        named = dict(given)
        described = {name: repr(name) for name in named}
    else:
        named = {f"__worker_dep_{index}__": dependency for index, dependency in enumerate(given)}
        described = {name: f"'index {index}'" for index, name in enumerate(named)}
    for name, dependency in named.items():
        if not isinstance(dependency, AnyDependency):
            raise TypeError(
                f"Worker dependency {described[name]} must be a Dependency instance "
                f"(Depends(function), Retry(...)), not {type(dependency).__name__}: {dependency!r}"
            )
    check_suppliers(named.values())
    return cast("dict[str, Dependency[Any]]", named)


def dependencies_at(
    given: Mapping[str, Any] | Sequence[Any] | str | None,
) -> Mapping[str, Any] | Sequence[Any] | None:
    """The dependencies that ``"module.path:member"`` names. Anything but a string is returned as it is.

    Raises: BadSetting - the path is not of that form, or names neither a mapping nor a sequence; ImportError,
    AttributeError - nothing is there.
    """
    if not isinstance(given, str):
        return given
    malformed = BadSetting(f"dependencies takes dependencies or 'module:member', not {given!r}")
    found: object = member_at(given, malformed)
    if isinstance(found, str) or not isinstance(found, Mapping | Sequence):
        raise BadSetting(
            f"dependencies {given!r} is {type(found).__name__}, neither a mapping nor a sequence of dependencies"
        )
    return cast("Mapping[str, Any] | Sequence[Any]", found)


def lifecycles(
    docket: Docket, worker: Worker, given: Mapping[str, Dependency[Any]]
) -> Iterator[AbstractAsyncContextManager[Any]]:
    """What a worker keeps open for its dependencies and those of its tasks: one context for each class that has one."""
    of_tasks = (
        dependency
        for function in list(docket.tasks.values())
        for dependency in (
            *get_dependency_parameters(function).values(),
            *itertools.chain.from_iterable(get_annotation_dependencies(function).values()),
        )
    )
    for kind in dict.fromkeys(type(dependency) for dependency in (*of_tasks, *given.values())):
        lifecycle = getattr(kind, "worker_lifecycle", None)
        if lifecycle is not None and (context := lifecycle(docket, worker)) is not None:
            yield context
