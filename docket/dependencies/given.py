"""Dependencies that a caller gives as arguments, in place of those that the task declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from uncalled_for import Dependency

from ..errors import UsageError
from .admission import Admission
from .introspection import get_dependency_parameters, supplied_parameters
from .per_value import PerValue
from .signatures import get_signature

__all__ = ["check_given", "dependencies_of_call", "given_among", "rules_of_call"]


def given_among(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """What a call gives to the parameters whose values dependencies supply, by name. Usually nothing."""
    supplied, before = supplied_parameters(function)
    if len(args) <= before and (not kwargs or supplied.isdisjoint(kwargs)):
        return {}
    try:
        bound = get_signature(function).bind_partial(*args, **kwargs).arguments
    except TypeError:  # the call fails by that
        return {}
    return {name: bound[name] for name in supplied if name in bound}


def dependencies_of_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[Dependency[Any]]:
    """The dependencies that supply the parameters of a call. A value that is none takes one away."""
    supplied = get_dependency_parameters(function)
    values: dict[str, Any] = {**supplied, **given_among(function, args, kwargs)}
    return [cast("Dependency[Any]", value) for value in values.values() if isinstance(value, Dependency)]


def rules_of_call(
    declared: list[tuple[str | None, Admission[Any]]],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> list[tuple[str | None, Admission[Any]]]:
    """The rules for one call: those of `admission_dependencies`, and those that it gives in place of some of them."""
    given = given_among(function, args, kwargs)
    if not given:
        return declared
    supplied = get_dependency_parameters(function)
    if not any(isinstance(dependency, Admission) for dependency in supplied.values()):
        return declared
    gone = {id(supplied[name]) for name in given}
    rules = [rule for rule in declared if id(rule[1]) not in gone]
    return rules + [(None, value) for value in given.values() if isinstance(value, Admission)]


def check_given(function: Callable[..., Any], name: str, given: Mapping[str, Any]) -> None:
    """Refuse a dependency that cannot do what the one does in whose place it is given.

    Raises: TypeError; UsageError (a ValueError) - a limit that can never work for this function.
    """
    supplied = get_dependency_parameters(function)
    for parameter, value in given.items():
        if not isinstance(value, Dependency):
            continue
        dependency = cast("Dependency[Any]", value)
        if _role(supplied[parameter]) is not _role(dependency):
            raise TypeError(
                f"task {name!r} cannot be called so: {parameter!r} is a {type(supplied[parameter]).__name__} where the "
                f"call gives none, and {type(dependency).__name__} cannot take its place"
            )
        if isinstance(dependency, PerValue):
            try:
                dependency.check(function)
            except UsageError as error:
                raise UsageError(f"task {name!r} cannot be called so: {error}") from None


def _role(dependency: Dependency[Any]) -> type[Any]:
    """What a worker does with it: the class of which a task may have one, `Admission`, or `Dependency`."""
    if isinstance(dependency, Admission):
        return Admission
    kinds = cast("tuple[type[Any], ...]", type(dependency).__mro__)
    return next((kind for kind in reversed(kinds) if getattr(kind, "single", False)), Dependency)
