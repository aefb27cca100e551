"""The dependencies of a function, wherever it declares them. The engine of ``uncalled-for`` is told what is found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

from uncalled_for import Dependency, Provided, Provider
from uncalled_for.introspection import _parameter_cache  # pyright: ignore[reportPrivateUsage]

from ..errors import UsageError
from .marks import forget_marks, get_marks
from .per_function import PerFunction
from .signatures import forget_signature, get_signature, shown_name

__all__ = [
    "declared",
    "forget",
    "get_annotation_dependencies",
    "get_dependency_parameters",
    "supplied_parameters",
    "validate_dependencies",
]


def forget(function: Callable[..., Any]) -> None:
    """Look at a function anew: the engine, asked before docket was, may have seen fewer dependencies."""
    forget_marks(function)
    _beside.discard(function)
    _supplied.discard(function)
    forget_signature(function)
    _parameter_cache.pop(function, None)


def get_dependency_parameters(function: Callable[..., Any]) -> dict[str, Dependency[Any]]:
    """The parameters whose value a dependency supplies: their default, or one in their ``Annotated`` metadata.

    Raises: UsageError (a ValueError) - an annotation that may hold a dependency cannot be evaluated; TypeError - a
    parameter has several.
    """
    found = _parameter_cache.get(function)
    if found is None:
        found = _parameter_cache[function] = _suppliers(function)
        try:
            for dependency in found.values():
                _introduce(dependency)
        except BaseException:
            _parameter_cache.pop(function, None)  # so that who asks again is told again
            raise
    return found


_supplied: PerFunction[tuple[frozenset[str], float]] = PerFunction()


def supplied_parameters(function: Callable[..., Any]) -> tuple[frozenset[str], float]:
    """Which these are, and how many arguments a call can have by position without giving one of them. Raises alike."""
    known = _supplied.get(function)
    if known is None:
        supplied, names = get_dependency_parameters(function), [*get_signature(function).parameters]
        before = min((names.index(name) for name in supplied), default=math.inf)
        known = _supplied[function] = frozenset(supplied), before
    return known


_beside: PerFunction[dict[str, list[Dependency[Any]]]] = PerFunction()


def get_annotation_dependencies(function: Callable[..., Any]) -> dict[str, list[Dependency[Any]]]:
    """The dependencies in ``Annotated`` metadata that supply no value, by parameter: limits, for example.

    Raises: UsageError (a ValueError) - as `get_dependency_parameters`.
    """
    found = _beside.get(function)
    if found is None:
        found = dict[str, list[Dependency[Any]]]()
        for name in get_marks(function):
            if beside := [each for each in _dependencies(function, name) if not isinstance(each, Provider)]:
                found[name] = beside
        _beside[function] = found
    return found


def _suppliers(function: Callable[..., Any]) -> dict[str, Dependency[Any]]:
    found: dict[str, Dependency[Any]] = {}
    for name, parameter in get_signature(function).parameters.items():
        suppliers: list[Dependency[Any]] = [
            each for each in _dependencies(function, name) if isinstance(each, Provider)
        ]
        default: Any = parameter.default
        if default is Provided and not suppliers:
            raise TypeError(
                f"{shown_name(function)} leaves {name!r} to be Provided, but its annotation has nothing that provides "
                "it, such as Depends(...)"
            )
        if isinstance(default, Dependency):
            suppliers.append(cast("Dependency[Any]", default))
        if len(suppliers) > 1:
            raise TypeError(f"{shown_name(function)} has several dependencies that supply {name!r}")
        if suppliers:
            found[name] = suppliers[0]
    return found


def _dependencies(function: Callable[..., Any], name: str) -> Iterator[Dependency[Any]]:
    """The dependencies in the metadata of a parameter. Raises: UsageError - there may be more."""
    marks = get_marks(function).get(name)
    if marks is None:
        return
    if marks.unreadable is not None:
        raise UsageError(
            f"the annotation of {name!r} of {shown_name(function)} cannot be evaluated, and a dependency in it would "
            f"be lost: {marks.unreadable}; import what it names at run time, too, not only under TYPE_CHECKING"
        )
    for mark in marks.found:
        if isinstance(mark, Dependency):
            yield cast("Dependency[Any]", mark)
        elif isinstance(mark, type) and issubclass(mark, Dependency):
            yield mark()


def _introduce(dependency: Dependency[Any]) -> None:
    """Let the engine know the parameters of what supplies a dependency: it would look for itself, and see less."""
    supplier = getattr(dependency, "factory", None)
    if supplier is not None:
        get_dependency_parameters(supplier)
    for binding in getattr(dependency, "bindings", {}).values():
        if isinstance(binding, Dependency):
            _introduce(cast("Dependency[Any]", binding))


def declared(function: Callable[..., Any]) -> Iterator[tuple[str, Dependency[Any]]]:
    """All dependencies of a function itself, each with its parameter."""
    yield from get_dependency_parameters(function).items()
    for name, dependencies in get_annotation_dependencies(function).items():
        for dependency in dependencies:
            yield name, dependency


def validate_dependencies(function: Callable[..., Any]) -> None:
    """Refuse several dependencies of a class of which a task may have one (``single``).

    Raises: ValueError - it names the class, the most special one that they have in common.
    """
    found = [dependency for _, dependency in declared(function)]
    kinds = dict.fromkeys(
        kind for dependency in found for kind in type(dependency).__mro__ if getattr(kind, "single", False)
    )
    for kind in sorted(kinds, key=lambda kind: -len(kind.__mro__)):
        several = [type(dependency).__name__ for dependency in found if isinstance(dependency, kind)]
        if len(several) > 1:
            beside = "" if set(several) == {kind.__name__} else f", but found: {', '.join(several)}"
            raise ValueError(f"Only one {kind.__name__} dependency is allowed{beside}")
